"""What this version cannot compute is refused by name: never a crash, never another meaning."""

import re

import pytest
import torch
from bound_parts import vae
from torch import nn

import symdgm as sd
from symdgm.errors import NotSupportedError, SymdgmError
from symdgm.expressions.applications import call
from symdgm.expressions.names import Name

NAMES = {
    "f": nn.Linear(6, 6),
    "g": nn.Linear(6, 6),
    "D": nn.Linear(6, 1),
    "G": nn.Linear(4, 6),
    "U": nn.Linear(6, 1),
}

CONSTRUCTS = [
    ("\\frac{\\partial f(x)}{\\partial x_i}", "a component of a derivative"),
    ("int_0^1 ||f(x)||^2 dt", "an integral"),
    ("min_G max_D E_data(x)[log D(x)]", "a game"),
    ("min_{G} E_data(x)[D(x)]", "a game"),
    ("argmax_D E_data(x)[D(x)]", "a game|optimisation"),
    ("E_{t ~ Wishart(3, I)}[||f(t)||^2]", "the family `Wishart` is known, but not supported yet"),
    ("N(x; f(x), 1)", "a density by family inside a formula"),
    ("log \\mathcal{N}(x | f(x), g(x))", "a density by family"),
    ("E_q(z|x)[-log \\mathcal{N}(z | 0, I)]", "a density by family"),
    ("sum_{k in S} x_k", "an index over a list of values"),
    ("log p(x^{(2)}|z)", "a superscript label"),
    ("f(x)^T g(x)", "a transpose"),
    ("log p(x_{t-1}|z)", "an index that is a range or an expression"),
    ("log p(x_{1:T}|z)", "is no factor that is bound|an index that is a range"),
    ("tr(f(x))", "the function tr"),
    ("det(f(x))", "the function det"),
    ("logdet(f(x))", "the function logdet"),
    ("||f(x)||_3", "the norm of order 3"),
    ("log p(z|x)", "a marginal or a posterior"),
    ("E_{q(z|x) p(y)}[log p(x|z)]", "law|distribution"),
]


@pytest.mark.parametrize(("text", "what"), CONSTRUCTS)
def test_a_construct_is_refused_by_name(text: str, what: str) -> None:
    names = {k: v for k, v in NAMES.items() if re.search(rf"\b{k}\(", text)}
    with pytest.raises(SymdgmError) as caught:
        sd.Objective(text, *vae(), sd.Data("data(x)"), sd.Data("r(y)"), **names)
    error = caught.value
    assert any(w in str(error) for w in what.split("|")), error
    assert error.source is not None or error.span is None
    if "|" not in what:
        assert isinstance(error, NotSupportedError)


@pytest.mark.parametrize(
    "text",
    [
        "p(z) = Normal(z; 0, 1)\nmaximize log p(z)",
        "where a = 2 b; maximize a",
        "p(x) propto exp(-U(x))",
        "loss_d: minimize ||x||^2 over D",
    ],
)
def test_statements_belong_into_a_model(text: str) -> None:
    with pytest.raises(NotSupportedError, match=r"pass the block to `sd.Model`|game"):
        sd.Objective(text, *vae())


def test_functions_of_the_wrong_number_of_arguments() -> None:
    x = Name("x")
    for formula, what in ((call("exp", x, x), "exp of 2 arguments"), (call("max", x), "max of 1 arguments")):
        with pytest.raises(NotSupportedError, match=what):
            sd.Objective(formula, sd.Data("data(x)"))


def test_a_named_argument_of_a_network_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="an equation inside a formula"):
        sd.Objective("||f(a=x)||^2", sd.Data("data(x)"), f=NAMES["f"])


def test_supported_neighbours_still_run() -> None:
    data = sd.Data("data(x)")
    x = torch.ones(2, 6)
    assert sd.Objective("max(0, 1 - sum(x))", data)(x=x) == 0
    assert sd.Objective("1/2 ||x||^2 + ||x||_1 - <x, x>", data)(x=x) == 3
