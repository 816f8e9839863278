"""Which index is time, and which names are sequences, steps and slices."""

from __future__ import annotations

import pytest

import symdgm as sd
from symdgm.binding.timeline import offset_of, past_of, timeline_of
from symdgm.errors import NotSupportedError
from symdgm.expressions.names import Name

T_INDEX = Name("t")


def timeline(text, *declared, computed=()):
    nodes = [sd.parse(d) for d in declared]
    return timeline_of([sd.parse(text)], nodes, [sd.parse(d) for d in computed])


def named(found):
    return {str(s) for s in found.sequences}


@pytest.mark.parametrize(
    ("text", "declared", "sequences", "length"),
    [
        ("sum_{t=1}^T log p(x_t|z_t)", ["p(x_t|z_t)"], {"x", "z"}, "T"),
        ("sum_{t=1}^S log p(x_t|z_t)", ["p(x_t|z_t)"], {"x", "z"}, "S"),
        ("log p(x_{1:N})", ["p(x_t|x_{t-1})"], {"x"}, "N"),
        ("mean_t log p(x_t|h_t)", ["p(x_t|h_t)", "f(h_t|a_t,h_{t+1})"], {"x", "h", "a"}, "T"),
        ("sum_{t=1}^T log p(x_t|h_t)", ["p(x_t|h_t)", "f(h_{1:T}|w_{1:T})"], {"x", "h", "w"}, "T"),
        ("sum_{t=1}^T log p(x_t|x_{<t})", ["p(x_t|x_{<t})"], {"x"}, "T"),
        ("log p(x_{1:T})", ["p(x_t|x_{1:t-1},a_{<=t})"], {"x", "a"}, "T"),
    ],
)
def test_sequences(text, declared, sequences, length):
    found = timeline(text, *declared)
    assert (str(found.index), str(found.length), named(found)) == ("t", length, sequences)
    assert not found.jumps


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("E_q(z|x)[log p(x|z)]", ["q(z|x)", "p(x|z)"]),
        ("KL[q(x_{t-1}|x_t)||p(x_{t-1}|x_t)]", ["q(x_{t-1}|x_t)", "p(x_{t-1}|x_t)"]),
        ("sum_{k=1}^K log p(x|z_k)", ["p(x|z)"]),
        ("log p(x_{1:T}|z)", ["p(x|z)"]),
    ],
)
def test_other_indices_are_no_time(text, declared):
    assert timeline(text, *declared) is None


def test_two_letters():
    with pytest.raises(NotSupportedError, match="`s`, `t` are both steps of sequences\nuse one letter"):
        timeline("log p(x_{1:T}) + log p(y_{1:T})", "p(x_t|x_{t-1})", "p(y_s|y_{s-1})")


def test_jumps_make_a_recurrence_a_sequence():
    declared = ["f(b_t|x_t,b_{t-1})", "p(z_u|b_u)"]
    found = timeline("log p(z_u|b_u)", *declared, computed=declared[:1])
    assert (str(found.index), named(found), {str(j) for j in found.jumps}) == ("t", {"b", "x"}, {"u"})
    assert str(found.jump(sd.parse("b_u"))) == "u"
    assert found.jump(sd.parse("z_u")) is None
    assert timeline("log p(z_u|b_u)", *declared) is None
    assert timeline("log p(z_t|b_t)", declared[0], "p(z_t|b_t)", computed=declared[:1]) is None


def test_places():
    found = timeline("log p(x_{1:T})", "p(x_t|x_{t-1})")
    read = sd.parse
    assert [found.offset(read(n)) for n in ("x_t", "x_{t-1}", "x_{t+2}", "x_1", "y_t")] == [
        0,
        -1,
        2,
        None,
        None,
    ]
    assert [found.number(read(n)) for n in ("x_1", "x_3", "x_0", "x_t")] == [1, 3, None, None]
    assert [found.past(read(n)) for n in ("x_{<t}", "x_{<=t}", "x_{<=t+1}", "x_{1:T}")] == [1, 0, -1, None]
    assert found.is_range(read("x_{1:T}"))
    assert not found.is_range(read("x_{1:t}"))
    assert not found.covers(read("x"))
    assert found.step(Name("x"), -2) == read("x_{t-2}")
    assert found.step(Name("x"), 1) == read("x_{t+1}")
    assert found.whole(Name("x")) == read("x_{1:T}")


@pytest.mark.parametrize(("text", "wanted"), [("x_t", 0), ("x_{t+3}", 3), ("x_{t-1}", -1), ("x_{2 t}", None)])
def test_offsets(text, wanted):
    assert offset_of(sd.parse(text).indices[0], T_INDEX) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"), [("x_{1:t}", 0), ("x_{1:t-2}", 2), ("x_{<t-1}", 2), ("x_{2:t}", None), ("x_t", None)]
)
def test_slices(text, wanted):
    assert past_of(sd.parse(text).indices[0], T_INDEX) == wanted
