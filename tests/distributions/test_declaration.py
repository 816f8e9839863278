from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as some

from symdgm.distributions import Declaration
from symdgm.errors import GrammarError, NameResolutionError, SymdgmError


@pytest.mark.parametrize(
    ("text", "name", "variables", "conditions"),
    [
        ("p(x)", "p", ("x",), ()),
        ("q(z|x)", "q", ("z",), ("x",)),
        (" q_phi ( z | x , y ) ", "q_phi", ("z",), ("x", "y")),
        ("q_φ(z∣x)", "q_phi", ("z",), ("x",)),
        (r"q_{\phi}(z \mid x)", "q_phi", ("z",), ("x",)),
        (r"q_\varphi\left(z\,\vert\,x\right)", "q_phi", ("z",), ("x",)),
        ("p(x_{1:T}|z_{1:T})", "p", ("x_{1:T}",), ("z_{1:T}",)),
        ("p(z_t|z_{t-1}, h_t)", "p", ("z_t",), ("z_{t-1}", "h_t")),
        ("p(x_{<=t}, y'|z^{(k)})", "p", ("x_{<=t}", "y'"), ("z^{(k)}",)),
        ("data(x, y)", "data", ("x", "y"), ()),
        ("p_{data}(x)", "p_data", ("x",), ()),
        ("p_θ(ψ|ω)", "p_theta", ("psi",), ("omega",)),
        (r"p(\hat{x}_t|\tilde z)", "p", ("x_hat_t",), ("z_tilde",)),
        (r"p(\widehat{x_t}|\bar{\mu})", "p", ("x_hat_t",), ("mu_bar",)),
        ("p(x̂, ẑ|x̃)", "p", ("x_hat", "z_hat"), ("x_tilde",)),
        (r"\hat p(x)", "p_hat", ("x",), ()),
        (r"\hat{p}_{data}(x)", "p_hat_data", ("x",), ()),
        (r"\mathcal{Q}(\boldsymbol\phi, \mathbf{x}|\bm{z}_1)", "Q", ("phi", "x"), ("z_1",)),
        (r"p_{\text{data}}(x)", "p_data", ("x",), ()),
        (r"p^*(x'|x^\prime_2, z^{\ast})", "p_star", ("x'",), ("x'_2", "z_star")),
        ("p(z₁|z₂, x′)", "p", ("z_1",), ("z_2", "x'")),
        ("p(x_{t,i}|z)", "p", ("x_{t,i}",), ("z",)),
    ],
)
def test_declarations_are_read(
    text: str, name: str, variables: tuple[str, ...], conditions: tuple[str, ...]
) -> None:
    read = Declaration.parse(text)
    assert (read.name, read.variables, read.given) == (name, variables, conditions)
    assert Declaration.parse(read.text) == read
    assert str(read) == read.text
    assert copy.deepcopy(read) == pickle.loads(pickle.dumps(read)) == read


@pytest.mark.parametrize(
    ("text", "words", "caret"),
    [
        ("", "is empty", 0),
        ("   ", "is empty", 0),
        ("p", "names its variables in brackets", 1),
        ("p z|x)", "names its variables in brackets", 6),
        ("p(", "bracket is never closed", 1),
        ("p(z_{t|x)", "bracket is never closed", 1),
        ("p()", "a name is missing", 2),
        ("p(|z)", "a name is missing", 2),
        ("p(x|)", "a name is missing", 4),
        ("p(x, , y)", "a name is missing", 5),
        ("(x)", "a name is missing", 0),
        ("p(x|y|z)", "has one `|`", 5),
        ("p(x|z) p(z)", "ends with its bracket", 7),
        ("p(z; theta)", "parameters are not part", 3),
        ("p(2x)", "`2x` is not the name", 2),
        ("p(x|f(z))", "`f(z)` is not the name", 4),
        ("p(x,  x + 1)", "`x + 1` is not the name", 6),
        ("3(x)", "`3` is not the name", 0),
        ("p(__import__('os'))", "is not the name", 2),
    ],
)
def test_what_is_no_declaration_is_refused_with_a_caret(text: str, words: str, caret: int) -> None:
    with pytest.raises(GrammarError) as caught:
        Declaration.parse(text)
    assert words in caught.value.problem
    assert caught.value.source == text
    assert caught.value.span == (caret, caret + 1)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "caret"), [("p(x, x)", 5), ("q(z|x, z)", 7), ("p(φ|\\phi)", 4), ("p(x_1|x_{1})", 6)]
)
def test_a_variable_appears_once(text: str, caret: int) -> None:
    with pytest.raises(NameResolutionError, match="appears twice") as caught:
        Declaration.parse(text)
    assert caught.value.span == (caret, caret + 1)


def test_only_texts_are_declarations() -> None:
    with pytest.raises(GrammarError, match=r"declared by a text, not by a int"):
        Declaration.parse(3)  # type: ignore[arg-type]


def test_a_declaration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Declaration.parse("p(x)").name = "q"  # type: ignore[misc]


@given(some.text(alphabet="pqxz12_{}()|,;'^\\ φ∣:=<-+\n\x00𝔼", max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        read = Declaration.parse(text)
    except SymdgmError as error:
        assert str(error)
    else:
        assert Declaration.parse(read.text) == read


def test_long_texts_are_read_in_linear_time() -> None:
    names = ",".join(f"x_{{{i}:T}}" for i in range(20_000))
    assert len(Declaration.parse(f"p({names})").variables) == 20_000
    with pytest.raises(GrammarError, match="never closed"):
        Declaration.parse("p" + "(" * 100_000)
