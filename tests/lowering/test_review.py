"""Values that were once wrong without a word; each test failed before its mending."""

from __future__ import annotations

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm as sd

X = torch.tensor([[1.0, 2.0], [0.5, 3.0]], dtype=torch.float64)


def same(t: Tensor) -> Tensor:
    return t


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum(-f(x)^beta)", -(X**2)),
        ("sum(-f(x)^(f(x)))", -(X**X)),
        ("sum(-f(x)^2)", -(X**2)),
        ("sum(-f(x)^(1/2))", -X.sqrt()),
        ("sum(-x f(x))", -X * X),
        ("sum(-exp(f(x)) + f(x))", -X.exp() + X),
    ],
)
def test_the_minus_of_a_sum_over_the_event(text: str, expected: Tensor) -> None:
    names = {"beta": 2.0} if "beta" in text else {}
    value = sd.Objective(text, f=same, **names)(x=X)
    torch.testing.assert_close(value, expected.sum(-1).mean())


def test_a_plain_tuple_is_read_in_the_order_of_each_reader() -> None:
    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * x, 3 * x

    f, g = sd.Deterministic("f(a,b|x)", net), sd.Deterministic("g(b,a|x)", net)
    mean = X.sum(-1).mean()
    alone = sd.Objective("E_g(b,a|x)[sum(a)]", f, g)(x=X)
    both = sd.Objective("0*E_f(a,b|x)[sum(a)] + E_g(b,a|x)[sum(a)]", f, g)(x=X)
    torch.testing.assert_close(alone, 3 * mean)
    torch.testing.assert_close(both, 3 * mean)


@pytest.mark.parametrize("rows", [2, 3])
def test_one_scale_an_example_is_no_event(rows: int) -> None:
    scale = torch.tensor([1.0, 2.0], dtype=torch.float64)
    p = sd.Normal("p(x|z)", lambda z: (z, scale))
    data = torch.zeros(rows, 2, dtype=torch.float64)
    with pytest.raises(sd.SymdgmError, match=r"different event shapes|for a batch"):
        sd.Objective("log p(x|z)", p)(x=data, z=data)


@pytest.mark.parametrize("text", ["E_data(x) E_data(y)[f(x, y)]", "E_data(x)[f(x, y)]"])
def test_rows_of_one_batch_are_drawn_together(text: str) -> None:
    def f(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(-1)

    with pytest.raises(sd.SymdgmError, match=r"come from the same rows[\s\S]*E_data\([xy], [xy]\)"):
        sd.Objective(text, f=f)
    value = sd.Objective("E_data(x, y)[f(x, y)]", f=f)(x=X, y=X)
    torch.testing.assert_close(value, (X * X).sum(-1).mean())


def test_a_log_is_not_split_over_factors_that_may_be_negative() -> None:
    p = sd.Normal("p(x)", loc=0.0, scale=1.0, event_shape=2)
    value = sd.Objective("log(p(x) f(x) g(x))", p, f=lambda x: -x.sum(-1), g=lambda x: -x[:, 0])(x=X)
    density = td.Normal(0.0, 1.0).log_prob(X).sum(-1)
    torch.testing.assert_close(value, (density + (X.sum(-1) * X[:, 0]).log()).mean())


def test_events_that_do_not_fit_are_refused_in_words() -> None:
    with pytest.raises(sd.SymdgmError, match=r"cannot be computed[\s\S]*shapes: `x` \[2, 2\]"):
        sd.Objective("||x - f(x)||^2", f=nn.Linear(2, 3).double())(x=X)


def test_a_number_without_a_floating_value_is_refused() -> None:
    q = sd.Normal("q(x)", loc=0.0, scale=1.0, event_shape=2)
    with pytest.raises(sd.SymdgmError, match="no finite"):
        sd.Objective("10^400 KL[q||p]", q, sd.Normal("p(x)", loc=1.0, scale=1.0))()


@pytest.mark.parametrize("parameter", ["logits", "probs"])
def test_one_row_of_classes_for_all_elements(parameter: str) -> None:
    row = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    value = row.log() if parameter == "logits" else row
    a = sd.OneHotCategorical("a(z)", event_shape=(2, 3), **{parameter: value})
    closed, summed = (sd.Objective("H[a]", a, analytic=analytic)() for analytic in (True, False))
    torch.testing.assert_close(closed, 2 * td.Categorical(probs=row).entropy())
    torch.testing.assert_close(summed, closed)


EXCLUDED = torch.tensor([0.3, 1.0, -torch.inf], dtype=torch.float64)
"""Logits that exclude a class."""


def entropy() -> Tensor:
    p = EXCLUDED.softmax(-1)[:2]
    return -(p * p.log()).sum()


@pytest.mark.parametrize("family", [sd.Categorical, sd.OneHotCategorical])
@pytest.mark.parametrize("parameter", ["logits", "probs"])
@pytest.mark.parametrize("analytic", [True, False])
def test_an_excluded_class_counts_nothing(family: type, parameter: str, analytic: bool) -> None:
    made = nn.Parameter(EXCLUDED.clone() if parameter == "logits" else EXCLUDED.softmax(-1))
    p = family("p(y)", **{parameter: made})
    value = sd.Objective("H[p]", p, analytic=analytic)()
    torch.testing.assert_close(value, entropy())
    (gradient,) = torch.autograd.grad(value, made)
    assert gradient[:2].isfinite().all()


@pytest.mark.parametrize("analytic", [True, False])
def test_the_divergence_of_laws_that_exclude_one_class(analytic: bool) -> None:
    other = torch.tensor([0.0, 0.0, -torch.inf], dtype=torch.float64)
    q, p = sd.Categorical("q(y)", logits=EXCLUDED), sd.Categorical("p(y)", logits=other)
    value = sd.Objective("KL[q||p]", q, p, analytic=analytic)()
    torch.testing.assert_close(value, torch.tensor(2.0).log().double() - entropy(), rtol=1e-6, atol=1e-6)


def test_an_enumerated_state_of_probability_zero_counts_nothing() -> None:
    h = sd.OneHotCategorical("p(y)", logits=EXCLUDED)
    value = sd.Objective("E_p(y)[f(y)]", h, f=lambda y: y.sum(-1))()
    torch.testing.assert_close(value, torch.tensor(1.0, dtype=torch.float64))
