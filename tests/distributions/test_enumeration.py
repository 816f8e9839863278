"""All values of finite variables, and sums over them, against torch.distributions and brute force."""
# ruff: noqa: E501 -- a row of the table of families is one line

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import NotSupportedError, SymdgmError

D = torch.float64
LOGITS = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=D)

FINITE: list[tuple[sd.Family, list[object]]] = [
    (sd.Bernoulli("p(k)", logits=LOGITS[0]), [0.0, 1.0]),
    (sd.Categorical("p(k)", logits=LOGITS), [0, 1, 2]),
    (sd.OneHotCategorical("p(k)", logits=LOGITS), torch.eye(3).tolist()),
    (sd.Binomial("p(k)", logits=LOGITS[0], total_count=3), [0.0, 1.0, 2.0, 3.0]),
    (sd.Binomial("p(k)", probs=0.3, total_count=torch.full((2,), 2.0, dtype=D)), [0.0, 1.0, 2.0]),
    (sd.Binomial("p(k)", probs=0.3, total_count=0, event_shape=2), [0.0]),
    (sd.DiscretizedLogistic("p(k)", loc=LOGITS[0], scale=0.4, levels=4, low=-1.0, high=2.0), [-1.0, 0.0, 1.0, 2.0]),
    (
        sd.DiscretizedLogisticMixture("p(k)", logits=LOGITS, loc=LOGITS, scale=LOGITS.exp(), levels=3),
        [0.0, 0.5, 1.0],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("p", "values"), FINITE, ids=[f"{type(p).__name__}-{len(v)}" for p, v in FINITE])
def test_every_value_is_listed_once_and_their_probabilities_sum_to_one(
    p: sd.Family, values: list[object]
) -> None:
    listed = p.enumerate_support()
    assert p.finite
    assert p.event_shape is not None
    elements = p.event_shape[: len(p.event_shape) - p.event_rank].numel()
    expected = torch.tensor(list(itertools.product(values, repeat=elements)))
    torch.testing.assert_close(listed, expected.reshape(-1, *p.event_shape).to(listed.dtype))
    assert listed.dtype == p.sample()["k"].dtype
    total = p.prob({"k": listed}).sum()
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (sd.Bernoulli("p(k)", probs=0.3, event_shape=()), td.Bernoulli(0.3)),
        (sd.Binomial("p(k)", probs=0.3, total_count=4, event_shape=()), td.Binomial(4, torch.tensor(0.3))),
        (sd.Categorical("p(k)", logits=torch.zeros(5)), td.Categorical(torch.ones(5))),
        (sd.OneHotCategorical("p(k)", logits=torch.zeros(5)), td.OneHotCategorical(torch.ones(5))),
    ],
    ids=lambda v: type(v).__name__,
)
def test_the_values_are_those_of_torch(ours: sd.Family, theirs: td.Distribution) -> None:
    torch.testing.assert_close(ours.enumerate_support(), theirs.enumerate_support())


def test_conditions_are_only_looked_at_for_the_shape() -> None:
    q = sd.Categorical("q(k|x)", lambda x: x.unflatten(-1, (1, 3)))
    assert q.enumerate_support({"x": torch.zeros(7, 3)}).tolist() == [[0], [1], [2]]


NOT_FINITE: list[Callable[[], sd.Family]] = [
    lambda: sd.Poisson("p(k)", rate=torch.ones(1)),
    lambda: sd.Binomial("p(k|n)", total_count=lambda n: n, logits=0.0),
    lambda: sd.Binomial("p(k)", total_count=torch.tensor([1.0, 2.0]), logits=0.0),
]


@pytest.mark.parametrize("make", NOT_FINITE)
def test_other_supports_are_not_listed(make: Callable[[], sd.Family]) -> None:
    p = make()
    assert not p.finite
    with pytest.raises(
        NotSupportedError, match=r"has no finite support, so its values cannot be listed\ndraw"
    ):
        p.enumerate_support(dict.fromkeys(p.given, torch.ones(1, 1)))


def test_a_support_beyond_the_budget() -> None:
    p = sd.Bernoulli("p(k)", probs=0.5, event_shape=10)
    assert p.enumerate_support(budget=1024).shape == (1024, 10)
    with pytest.raises(
        NotSupportedError, match="takes a table of 1024 entries for each example; the budget is 1023"
    ):
        p.enumerate_support(budget=1023)
    image = sd.DiscretizedLogistic("p(k)", loc=torch.zeros(28, 28), scale=0.1)
    with pytest.raises(NotSupportedError, match=r"a table of 2\^6272 entries"):
        image.enumerate_support()


HIDDEN: list[Callable[[nn.Parameter], sd.Family]] = [
    lambda w: sd.Binomial("p(k)", logits=w, total_count=4),
    lambda w: sd.DiscretizedLogistic("p(k)", loc=w, scale=0.3, levels=5),
]


@pytest.mark.parametrize("make", HIDDEN, ids=["Binomial", "DiscretizedLogistic"])
def test_marginals_and_posteriors_by_brute_force(make: Callable[[nn.Parameter], sd.Family]) -> None:
    torch.manual_seed(0)
    w, v = nn.Parameter(torch.randn(2, dtype=D)), nn.Parameter(torch.randn(3, 2, dtype=D))
    prior = make(w)
    seen = sd.Normal("p(x|k)", lambda k: (k.square() @ v.T, 0.7))
    p, x = seen * prior, torch.randn(6, 3, dtype=D)
    states = torch.cartesian_prod(*[prior.enumerate_support({}).unique()] * 2)
    logs = torch.stack([
        td.Normal(k.square() @ v.T, 0.7).log_prob(x).sum(-1)
        + prior.log_prob({"k": k.unsqueeze(0)}) for k in states
    ], -1)  # fmt: skip

    def agree(found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
        pairs = (torch.autograd.grad(t.sum(), [w, v], retain_graph=True) for t in (found, expected))
        for ours, theirs in zip(*pairs, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)

    agree(p.marginal("x").log_prob({"x": x}), logs.logsumexp(-1))
    q, weights = p.posterior("k"), logs.softmax(-1)
    k = q.sample({"x": x}, generator=torch.Generator().manual_seed(0))["k"]
    at = (states == k.unsqueeze(1)).all(-1).to(D)
    assert at.sum(-1).eq(1).all()
    agree(q.log_prob({"k": k, "x": x}), (at * logs.log_softmax(-1)).sum(-1))
    agree(q.mean({"x": x})["k"], weights @ states)
    agree(q.entropy({"x": x}), -(weights * logs.log_softmax(-1)).sum(-1))


def test_a_hidden_count_of_unknown_trials_is_refused() -> None:
    p = sd.Normal("p(x|k)", lambda k: (k, 1.0)) * sd.Binomial("p(k|n)", total_count=lambda n: n, logits=0.0)
    with pytest.raises(SymdgmError, match=r"k of Binomial p\(k\|n\) is neither finite nor Gaussian"):
        p.marginal("x").log_prob({"x": torch.zeros(1, 1), "n": torch.ones(1, 1)})
