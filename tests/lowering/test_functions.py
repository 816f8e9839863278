"""Arithmetic and functions of the language, each against torch in value and gradient."""

import math

import pytest
import torch
from torch.nn import functional as F

import symdgm as sd
from symdgm.binding import BoundFacts
from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Transposed
from symdgm.expressions.names import Name
from symdgm.lowering import freeze
from symdgm.lowering.operands import BATCH, Operand
from symdgm.lowering.operations import function
from symdgm.rewriting import Derivation, Term

X = torch.tensor([[0.3, 1.7, 0.9], [2.1, 0.4, 1.2]], dtype=torch.float64)
Y = torch.tensor([[1.1, 0.6, 0.2], [0.8, 1.9, 0.5]], dtype=torch.float64)
BETA = 0.7

ELEMENTWISE = {
    "exp(x)": torch.exp,
    "log(x)": torch.log,
    "sqrt(x)": torch.sqrt,
    "abs(x - 1)": lambda x: (x - 1).abs(),
    "tanh(x)": torch.tanh,
    "sinh(x)": torch.sinh,
    "cosh(x)": torch.cosh,
    "sigmoid(x)": torch.sigmoid,
    "softplus(x)": F.softplus,
    "relu(x - 1)": lambda x: (x - 1).relu(),
    "sin(x)": torch.sin,
    "cos(x)": torch.cos,
    "tan(x)": torch.tan,
    "lgamma(x)": torch.lgamma,
    "erf(x)": torch.erf,
    "sign(x - 1) x": lambda x: (x - 1).sign() * x,
    "floor(x) x": lambda x: x.floor() * x,
    "ceil(x) x": lambda x: x.ceil() * x,
    "softmax(x)": lambda x: x.softmax(-1),
    "log(softmax(x))": lambda x: x.log_softmax(-1),
    "log(sigmoid(x))": F.logsigmoid,
    "log(1 - sigmoid(x))": lambda x: F.logsigmoid(-x),
    "log(1 + exp(x))": F.softplus,
    "log(exp(x))": lambda x: x,
    "max(x, 1)": lambda x: x.clamp(min=1),
    "min(x, 1)": lambda x: x.clamp(max=1),
    "max(x, 2 x - 1)": lambda x: torch.maximum(x, 2 * x - 1),
    "min(x, x^2, 3)": lambda x: torch.minimum(x, x**2).clamp(max=3),
    "x^3": lambda x: x**3,
    "x^(-1/2)": lambda x: x**-0.5,
    "2^x": lambda x: 2**x,
    "-x": lambda x: -x,
    "x - (1 - x)": lambda x: x - (1 - x),
    "x/2/3": lambda x: x / 6,
    "1/x": lambda x: 1 / x,
    "-(x - 2) x": lambda x: -(x - 2) * x,
    "x - -x": lambda x: 2 * x,
    "2 pi x": lambda x: 2 * math.pi * x,
    "1/3 x": lambda x: x / 3,
    "(x + 1)^2/(x - 5)": lambda x: (x + 1) ** 2 / (x - 5),
    "beta x": lambda x: BETA * x,
    "x^beta": lambda x: x**BETA,
    "max(x, beta)": lambda x: x.clamp(min=BETA),
    "beta^2 (x + beta)": lambda x: BETA**2 * (x + BETA),
}


@pytest.mark.parametrize("text", ELEMENTWISE)
def test_function(text):
    x = X.clone().requires_grad_()
    beta = {"beta": torch.tensor(BETA, dtype=torch.float64)} if "beta" in text else {}
    value = sd.Objective(f"E_data(x)[sum({text})]", sd.Data("data(x)"), **beta)(x=x)
    expected = ELEMENTWISE[text](x).sum(-1).mean()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(v, x)[0] for v in (value, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


PAIRS = {
    "||x - y||^2": lambda x, y: (x - y).square().sum(-1),
    "||x - y||": lambda x, y: (x - y).norm(dim=-1),
    "||x - y||_1": lambda x, y: (x - y).abs().sum(-1),
    "<x, y>": lambda x, y: (x * y).sum(-1),
    "||x||^2 ||y||^2": lambda x, y: x.square().sum(-1) * y.square().sum(-1),
    "<sg[x], y>": lambda x, y: (x.detach() * y).sum(-1),
    "||x - sg[y]||^2 + 1/4 ||sg[x] - y||^2": lambda x, y: (
        (x - y.detach()).square().sum(-1) + (x.detach() - y).square().sum(-1) / 4
    ),
    "||<x, y> x||^2": lambda x, y: ((x * y).sum(-1, keepdim=True) * x).square().sum(-1),
    "max(<x, y>, 1)": lambda x, y: (x * y).sum(-1).clamp(min=1),
}


@pytest.mark.parametrize("text", PAIRS)
def test_products_and_norms(text):
    x, y = X.clone().requires_grad_(), Y.clone().requires_grad_()
    value = sd.Objective(f"E_data(x, y)[{text}]", sd.Data("data(x, y)"))(x=x, y=y)
    expected = PAIRS[text](x, y).mean()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    for leaf in (x, y):
        ours, theirs = (
            torch.autograd.grad(v, leaf, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
            for v in (value, expected)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


NUMBERS = {
    "exp(1)": math.e,
    "log(2)": math.log(2),
    "sqrt(2)": math.sqrt(2),
    "2^(1/2)": 2**0.5,
    "sigmoid(1)": 1 / (1 + math.exp(-1)),
    "sigmoid(-1)": 1 / (1 + math.exp(1)),
    "softplus(100)": 100.0,
    "softplus(-1)": math.log1p(math.exp(-1)),
    "relu(-2)": 0.0,
    "sign(-3)": -1.0,
    "sign(0)": 0.0,
    "log(sigmoid(-800))": -800.0,
    "max(1, 2, 3)": 3.0,
    "min(2, 1)": 1.0,
    "abs(-2)": 2.0,
    "1/3 + 1/6": 0.5,
    "-2 - -3": 1.0,
    "2 pi": 2 * math.pi,
    "lgamma(5)": math.log(24),
    "tanh(1)": math.tanh(1),
    "sg[2]": 2.0,
    "erf(1)": math.erf(1),
    "floor(2.7)": 2.0,
    "ceil(2.1)": 3.0,
    "-2^2": -4.0,
    "(-2)^2": 4.0,
    "log(1 - sigmoid(1))": math.log(1 - 1 / (1 + math.exp(-1))),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(text):
    objective = sd.Objective(f"E_data(x)[max({text}, -10000) + ||x||^2]", sd.Data("data(x)"))
    value = objective(x=torch.zeros(2, 1, dtype=torch.float64))
    assert value.item() == pytest.approx(NUMBERS[text], rel=1e-12)


def test_a_scalar_is_read_at_every_evaluation():
    beta = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    objective = sd.Objective("beta E_data(x)[||x||^2]", sd.Data("data(x)"), beta=beta)
    first = objective(x=X)
    first.backward()
    torch.testing.assert_close(beta.grad, X.square().sum(-1).mean())
    with torch.no_grad():
        beta.mul_(3)
    torch.testing.assert_close(objective(x=X), 3 * first)
    assert len(objective.runner.programs) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("||x||_3", "the norm of order 3 cannot be computed yet"),
        ("softmax(2)", "the function `softmax` of a number cannot be computed yet"),
    ],
)
def test_what_has_no_form_is_refused(text, words):
    with pytest.raises(NotSupportedError, match=words):
        sd.Objective(f"E_data(x)[{text} + ||x||^2]", sd.Data("data(x)"))(x=X)


def test_a_function_without_a_tensor_form_is_refused():
    with pytest.raises(NotSupportedError, match="the function `trace` cannot be computed yet"):
        function("trace", [Operand("x", axes=(BATCH,))])


LAWS = (
    sd.Normal("q(a|x)", lambda x: (x, torch.ones_like(x))),
    sd.Normal("q(z|a)", lambda a: (a, torch.ones_like(a))),
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("||q||^2", "is a distribution, not a number"),
    ],
)
def test_what_is_no_number_is_refused(text, words):
    with pytest.raises(sd.SymdgmError, match=words):
        sd.Objective(text, *LAWS)


def test_a_node_that_binding_let_through_is_refused_by_name():
    bound = sd.Objective("E_q(a|x)[||a||^2]", *LAWS).bound
    node = Transposed(Name("x"))
    derivation = Derivation(node, (), (Term(node, 1, (), node),))
    with pytest.raises(NotSupportedError, match="cannot be computed as a number yet"):
        freeze(bound, derivation, BoundFacts(bound.environment), {})
