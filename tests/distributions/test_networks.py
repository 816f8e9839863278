from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.distributions import apply_over_leading_axes, read_parameters
from symdgm.errors import ParameterError, ShapeError

LOC, SCALE = torch.zeros(2, 3), torch.ones(2, 3)
NORMAL = (("loc", "scale"),)
BERNOULLI = (("logits",), ("probs",))


class LocScale(NamedTuple):
    loc: Tensor
    scale: Tensor


class Swapped(NamedTuple):
    mu: Tensor
    sigma: Tensor


@pytest.mark.parametrize(
    "output",
    [
        (LOC, SCALE),
        [LOC, SCALE],
        {"scale": SCALE, "loc": LOC},
        OrderedDict(loc=LOC, scale=SCALE),
        LocScale(LOC, SCALE),
    ],
    ids=["tuple", "list", "dict", "ordered", "named tuple"],
)
def test_every_form_is_read(output: object) -> None:
    found = read_parameters(output, "Normal q(z|x)", NORMAL, "Encoder(x)")
    assert found["loc"] is LOC
    assert found["scale"] is SCALE


def test_one_tensor_is_the_canonical_parameter_and_a_dict_may_choose() -> None:
    assert list(read_parameters(LOC, "Bernoulli p(x|z)", BERNOULLI, "d(z)")) == ["logits"]
    assert list(read_parameters((LOC,), "Bernoulli p(x|z)", BERNOULLI, "d(z)")) == ["logits"]
    assert list(read_parameters({"probs": LOC}, "Bernoulli p(x|z)", BERNOULLI, "d(z)")) == ["probs"]


def test_numbers_take_the_dtype_of_the_tensors() -> None:
    found = read_parameters({"loc": LOC.double(), "scale": 2}, "Normal q(z|x)", NORMAL, "Encoder(x)")
    assert found["scale"].dtype == torch.float64
    assert found["scale"].item() == 2


@pytest.mark.parametrize(
    ("output", "came"),
    [
        (LOC, r"tensor \[2, 3\]"),
        ((LOC,), r"a tuple \(tensor \[2, 3\]\)"),
        ((LOC, SCALE, SCALE), r"a tuple \(tensor \[2, 3\], tensor \[2, 3\], tensor \[2, 3\]\)"),
        ({"loc": LOC}, r"a dict \{'loc': tensor \[2, 3\]\}"),
        ({"loc": LOC, "scale": SCALE, "df": 1.0}, r"a dict .*'df': float"),
        (Swapped(LOC, SCALE), r"a Swapped \(tensor"),
        (None, "NoneType"),
        (torch.distributions.Normal(LOC, SCALE), "Normal"),
        ("text", "str"),
    ],
)
def test_other_outputs_are_refused(output: object, came: str) -> None:
    with pytest.raises(
        ParameterError, match=rf"Encoder\(x\) returned {came}.*Normal q\(z\|x\) needs \(loc, scale\)"
    ) as caught:
        read_parameters(output, "Normal q(z|x)", NORMAL, "Encoder(x)")
    assert caught.value.hint is not None
    assert "return the tuple (loc, scale)" in caught.value.hint


def test_the_hint_for_one_parameter_names_it() -> None:
    with pytest.raises(
        ParameterError, match=r"needs \(logits\) or \(probs\)\nreturn one tensor, or the dict"
    ):
        read_parameters((LOC, LOC), "Bernoulli p(x|z)", BERNOULLI, "Decoder(z)")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (LOC.long(), r"returned loc of dtype torch.int64\nparameters are floating: `loc.float\(\)`"),
        (None, r"returned loc as NoneType\nloc must be a tensor or a number"),
        (True, r"returned loc as bool"),
        ([0.0], r"returned loc as a list \(float\)"),
    ],
)
def test_parameters_are_floating_numbers(value: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        read_parameters({"loc": value, "scale": SCALE}, "Normal q(z|x)", NORMAL, "Encoder(x)")


def test_with_one_leading_axis_the_call_is_plain() -> None:
    seen = []
    output = object()

    def network(*tensors: Tensor) -> object:
        seen.append(tensors)
        return output

    x = torch.zeros(4, 2)
    assert apply_over_leading_axes(network, [x], 1) is output
    assert apply_over_leading_axes(network, [], 1) is output
    assert seen[0][0] is x
    assert seen[1] == ()


def test_sample_axes_are_flattened_and_restored_in_every_form() -> None:
    calls = []

    def network(z: Tensor, y: Tensor) -> object:
        calls.append((z.shape, y.shape))
        both = torch.cat([z, y], -1)
        return {"a": both, "b": (both.sum(-1), 2.0), "c": [torch.tensor(1.0)], "d": LocScale(z, y)}

    z, y = torch.randn(5, 6, 8, 2), torch.randn(6, 8, 3)
    out = apply_over_leading_axes(network, [z, y], [3, 2])
    assert calls == [((240, 2), (240, 3))]
    assert isinstance(out, dict)
    expected = torch.cat([z, y.expand(5, 6, 8, 3)], -1)
    assert torch.equal(out["a"], expected)
    assert torch.equal(out["b"][0], expected.sum(-1))
    assert out["b"][1] == 2.0
    assert out["c"][0].ndim == 0
    assert isinstance(out["d"], LocScale)
    assert torch.equal(out["d"].loc, z)


def test_a_network_must_keep_the_batch() -> None:
    with pytest.raises(ShapeError, match=r"called on a batch of 15 and returned shape \[1, 2\]"):
        apply_over_leading_axes(lambda z: z.sum(0, keepdim=True), [torch.zeros(3, 5, 2)], 2)


@pytest.mark.parametrize(
    ("shapes", "axes", "words"),
    [
        ([(5, 8, 2), (7, 2)], [2, 1], r"the leading axes \[5, 8\], \[7\] do not fit together"),
        ([(5, 8, 2), (4, 8, 2)], [2, 2], r"the leading axes \[5, 8\], \[4, 8\] do not fit"),
        ([(5, 8, 2), (1, 2)], [2, 1], r"the leading axes \[5, 8\], \[1\] do not fit"),
        ([(8,)], [2], r"shape \[8\] has no 2 leading axes"),
    ],
)
def test_leading_axes_that_do_not_fit(shapes: list[tuple[int, ...]], axes: list[int], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        apply_over_leading_axes(lambda *t: t[0], [torch.zeros(s) for s in shapes], axes)


def test_hooks_of_a_network_fire_once() -> None:
    encoder = nn.Linear(2, 3)
    fired = []
    encoder.register_forward_hook(lambda *call: fired.append(call))
    q = sd.Bernoulli("q(z|x)", encoder)
    q.sample({"x": torch.zeros(4, 2)})
    assert len(fired) == 1
    q.sample({"x": torch.zeros(5, 4, 2)}, sample_axes={"x": 1}, shape=3)
    assert len(fired) == 2


def test_convolutions_see_one_batch_axis() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 4, 3))
    p = sd.Categorical("p(y|x)", net)
    x = torch.randn(5, 7, 1, 4, 4)
    found = p.parameters_at({"x": x}, sample_axes={"x": 1})["logits"]
    assert found.shape == (5, 7, 3)
    torch.testing.assert_close(found, torch.stack([net(row) for row in x]))
