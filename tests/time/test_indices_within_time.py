"""Other indices inside of a sum over time: tables of steps, draws, components, other examples."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import symdgm as sd
from symdgm.errors import NotSupportedError, ShapeError

P = sd.Normal("p(x_t|z_t)", lambda z: (z, torch.ones_like(z)))
torch.manual_seed(0)
X, Z, C = torch.randn(3, 5, 2), torch.randn(3, 5, 2), torch.randn(3, 2)
STEPS = Normal(Z, 1.0).log_prob(X).sum(-1)
LENGTHS = torch.tensor([2, 5, 3])
VALID = torch.arange(5) < LENGTHS[:, None]


def value(text, *factors, data=("x", "z"), **names):
    given = {name: {"x": X, "z": Z, "c": C}[name] for name in data}
    return sd.Objective(text, P, *factors, **names)(**given, T=LENGTHS)


@pytest.mark.parametrize("kind", [torch.clone, list, "function", nn.Parameter])
def test_a_table_of_steps(kind):
    weights = [0.5, 2.0, -1.0, 3.0, 0.25]
    wanted = 0.5 * torch.arange(1, 6) if kind == "function" else torch.tensor(weights)
    table = (lambda t: 0.5 * t) if kind == "function" else kind(weights if kind is list else wanted)
    found = value("sum_{t=1}^T w_t log p(x_t|z_t)", w=table)
    torch.testing.assert_close(found.detach(), (STEPS * wanted * VALID).sum(1).mean())


def test_a_table_of_vectors_and_the_number_of_a_step():
    table = torch.randn(5, 2)
    found = value("sum_{t=1}^T t <w_t, x_t>", data=("x",), w=table)
    wanted = ((X * table).sum(-1) * torch.arange(1, 6) * VALID).sum(1).mean()
    torch.testing.assert_close(found, wanted)


def test_a_table_meets_several_paths():
    q = sd.Normal("q(z_t|x_t)", lambda x: (x, torch.zeros_like(x) + 1e-6))
    text, table = "sum_{t=1}^T w_t E_q(z_t|x_t)[log p(x_t|z_t)]", torch.arange(5.0)
    found = value(text, q, data=("x",), w=table, samples=3)
    log = Normal(0.0, 1.0).log_prob(torch.zeros(())) * 2
    torch.testing.assert_close(found, (log * torch.arange(5.0) * VALID).sum(1).mean(), rtol=1e-5, atol=1e-5)


def test_an_index_over_a_table_and_components_inside():
    u = torch.randn(3, 2)
    found = value("sum_{t=1}^T 1/K sum_{k=1}^K f(x_t, u_k)", data=("x",), u=u, f=lambda a, b: (a - b).sum(-1))
    wanted = ((X[:, :, None] - u).sum(-1).mean(-1) * VALID).sum(1).mean()
    torch.testing.assert_close(found, wanted)
    found = value("sum_{t=1}^T sum_j h_j(x_t)^2", data=("x",), h=lambda a: 2 * a)
    torch.testing.assert_close(found, ((4 * X**2).sum(-1) * VALID).sum(1).mean())


def test_a_sum_over_the_examples_inside_reads_each_once():
    text = "sum_{t=1}^T log(f(x_t) / sum_{j=1}^B f(c_j))"
    found = value(text, data=("x", "c"), f=lambda a: a.exp().sum(-1))
    total = C.exp().sum(-1).sum().log()
    wanted = ((X.exp().sum(-1).log() - total) * VALID).sum(1).mean()
    torch.testing.assert_close(found, wanted)


REFUSED = [
    ("sum_{t=1}^T sum_{k=1}^2 w_{t,k} log p(x_t|z_t)", {"w": torch.ones(5, 2)}, "one of them a step"),
    ("sum_{t=1}^T w_t log p(x_t|z_t)", {"w": torch.ones(3)}, "has the indices to 5, but there are 3 entries"),
    ("sum_{t=1}^T sum(f_t(x_t))", {"f": [nn.Linear(2, 1)] * 5}, "a network of its own for each step"),
]


@pytest.mark.parametrize(("text", "names", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_refusals(text, names, words):
    with pytest.raises(ShapeError, match=words):
        value(text, data=("x", "z") if "z_t" in text else ("x",), **names)


@pytest.mark.parametrize(
    "text",
    [
        "sum_{t=1}^T sum_{j=1}^B sum(f_j(x_t))",
        "sum_{t=1}^T MMD[q(z_t|x_t)||p(z_t)]",
    ],
)
def test_examples_are_not_joined_step_by_step(text):
    factors = [
        sd.Normal("q(z_t|x_t)", lambda x: (x, torch.ones_like(x))),
        sd.Normal("p(z_t)", loc=0.0, scale=1.0, event_shape=2),
    ]
    with pytest.raises(NotSupportedError, match="joins the examples of the batch at each step"):
        value(text, *factors, data=("x",), samples=4, **({"f": nn.Linear(2, 2)} if "f_j" in text else {}))
