"""Importance sampling, against exact likelihoods."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, ParameterError

torch.manual_seed(0)
D = torch.float64
W = torch.randn(3, 2, dtype=D)
PRIOR = sd.Normal("p(z)", loc=torch.zeros(2, dtype=D), scale=1.0)
P = sd.LinearNormal("p(x|z)", W, scale=0.7) * PRIOR
X = torch.randn(5, 3, dtype=D)
EXACT = P.marginal("x").log_prob({"x": X})


def gain(x: Tensor) -> Tensor:
    return x @ torch.linalg.inv(W @ W.T + 0.49 * torch.eye(3, dtype=D)) @ W


WIDE = sd.Normal("q(z|x)", lambda x: (gain(x), torch.ones_like(gain(x))))


def test_the_posterior_as_a_proposal_has_no_error() -> None:
    found = sd.importance(P, P.posterior("z"), {"x": X}, k=3)
    torch.testing.assert_close(found.value, EXACT)
    assert found.standard_error.max() < 1e-6
    torch.testing.assert_close(found.effective_sample_size, torch.full((5,), 3.0, dtype=D))


def test_the_value_lies_within_its_stated_error() -> None:
    """A z bound of 5 for every example, at a fixed seed; and the error is not stated too large."""
    found = sd.importance(P, WIDE, {"x": X}, k=20_000, generator=torch.Generator().manual_seed(0))
    z = (found.value - EXACT) / found.standard_error
    assert z.abs().max() < 5
    repeats = torch.stack([
        sd.importance(P, WIDE, {"x": X}, k=500, generator=torch.Generator().manual_seed(s)).value for s in range(60)
    ])  # fmt: skip
    stated = sd.importance(P, WIDE, {"x": X}, k=20_000).standard_error * math.sqrt(40)
    assert (
        (repeats.std(0) / stated - 1).abs() < 0.4
    ).all()  # the spread of a deviation from 60 draws is about 0.09
    assert ((found.effective_sample_size > 1000) & (found.effective_sample_size < 20_000)).all()


def test_weights_are_an_unbiased_estimate_by_hand() -> None:
    generator = torch.Generator().manual_seed(3)
    z = WIDE.sample({"x": X}, shape=8, generator=torch.Generator().manual_seed(3))["z"]
    logs = P.log_prob({"x": X, "z": z}) - WIDE.log_prob({"z": z, "x": X})
    found = sd.importance(P, WIDE, {"x": X}, k=8, generator=generator)
    weights = logs.exp()
    torch.testing.assert_close(found.value, weights.mean(0).log())
    torch.testing.assert_close(found.effective_sample_size, weights.sum(0) ** 2 / (weights**2).sum(0))
    torch.testing.assert_close(found.standard_error, weights.std(0) / math.sqrt(8) / weights.mean(0))


def test_weights_stay_in_logs() -> None:
    far = sd.Normal("p(x|z)", lambda z: (z, 1e-3)) * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    found = sd.importance(
        far, sd.Normal("q(z|x)", lambda x: (x, 1e-3)), {"x": torch.full((1, 2), 40.0)}, k=16
    )
    assert float(found.value) == pytest.approx(-1600 - math.log(2 * math.pi), abs=0.5)
    assert float(found.effective_sample_size) > 8


def test_chunks_are_drawn_one_after_the_other() -> None:
    generator = torch.Generator().manual_seed(1)
    draws = [WIDE.sample({"x": X}, shape=k, generator=generator)["z"] for k in (4, 4, 2)]
    logs = [P.log_prob({"x": X, "z": z}) - WIDE.log_prob({"z": z, "x": X}) for z in draws]
    parts = sd.importance(P, WIDE, {"x": X}, k=10, chunk=4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts.value, torch.cat(logs).logsumexp(0) - math.log(10))
    assert math.isinf(float(sd.importance(P, WIDE, {"x": X[:1]}, k=1).standard_error))


def test_proposals_of_several_latents_and_marginals() -> None:
    p = (
        sd.Bernoulli("p(x|a)", nn.Linear(2, 6))
        * sd.Normal("p(a|z)", loc=nn.Linear(2, 2), scale=0.5)
        * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    )
    q = sd.Normal("q(a|x)", loc=nn.Linear(6, 2), scale=1.0) * sd.Normal(
        "q(z|a)", loc=nn.Linear(2, 2), scale=1.0
    )
    x = torch.rand(4, 6).round()
    found = sd.importance(p.marginal("x"), q, {"x": x}, k=2000, generator=torch.Generator().manual_seed(0))
    half = p.marginal("x", "a")
    other = sd.importance(
        half.joint,
        sd.Normal("q(a|x)", loc=nn.Linear(6, 2), scale=1.0)
        * sd.Normal("q(z|a)", loc=nn.Linear(2, 2), scale=1.2),
        {"x": x},
        k=4000,
        generator=torch.Generator().manual_seed(1),
    )
    gap = (found.value - other.value) / (found.standard_error**2 + other.standard_error**2).sqrt()
    assert gap.abs().max() < 5
    found.value.sum().backward()
    assert all(parameter.grad is not None for parameter in [*p.parameters(), *q.parameters()])
    prior = sd.importance(p, p.marginal("z", "a"), {"x": x}, k=50)
    assert prior.value.shape == (4,)


REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (ParameterError, lambda: sd.importance(PRIOR, WIDE, {}, k=3), r"p\(z\) is no product, so nothing in it is hidden"),
    (OptionError, lambda: sd.importance(P, WIDE, {"x": X}, k=0), r"`k` is 0\nwrite a positive number"),
    (OptionError, lambda: sd.importance(P, WIDE, {"x": X}, k=3, chunk=0), r"`chunk` is 0"),
    (NameResolutionError, lambda: sd.importance(P, WIDE.rename(z="w"), {"x": X}, k=3), r"the proposal q\(w\|x\) does not fit p\(x,z\)\na proposal is over hidden variables"),
    (NameResolutionError, lambda: sd.importance(P, WIDE.rename(x="w"), {"x": X}, k=3), r"the proposal q\(z\|w\) does not fit"),
    (NameResolutionError, lambda: sd.importance(P * sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=()), WIDE, {"x": X}, k=3), r"importance sampling of p\(x,z,u\) with q\(z\|x\) needs a value of `u`"),
    (NotSupportedError, lambda: sd.importance(P, sd.Deterministic("q(z|x)", gain), {"x": X}, k=3), r"has no density"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
