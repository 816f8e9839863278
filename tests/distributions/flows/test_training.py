"""Flows learn: densities by maximum likelihood, posteriors by the pathwise gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.distributions as td
from sklearn.datasets import make_moons
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.distributions import flows as f
from symdgm.distributions.transformed import Transformed

NOISE = 0.1


def moons(count: int, seed: int) -> Tensor:
    return torch.tensor(make_moons(count, noise=NOISE, random_state=seed)[0], dtype=torch.float32)


def entropy_rate(x: Tensor) -> float:
    """The mean of minus the log-density of the law of the moons itself, by a fine mixture along both arcs."""
    t = np.linspace(0, np.pi, 1000)
    upper, lower = np.stack([np.cos(t), np.sin(t)], 1), np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1)
    distance = torch.cdist(x.double(), torch.tensor(np.concatenate([upper, lower])))
    log_mean = torch.logsumexp(-0.5 * (distance / NOISE).square(), 1) - math.log(2000)
    return float(math.log(2 * math.pi * NOISE**2) - log_mean.mean())


def descend(parameters: list[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam(parameters, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        schedule.step()


def realnvp() -> f.Flow:
    return f.Flows([step for i in range(8) for step in (f.ActNorm(2), f.AffineCoupling(2, flip=bool(i % 2)))])


def spline_flow() -> f.Flow:
    return f.Flows([f.SplineCoupling(2, bound=4.0, flip=bool(i % 2), hidden=(32, 32)) for i in range(4)])


@pytest.mark.parametrize(("make", "steps"), [(realnvp, 500), (spline_flow, 300)])
def test_two_moons(make: Callable[[], f.Flow], steps: int) -> None:
    """A normal law has 1.9 nats on the test rows, the law of the moons itself 1.03; the bar is 1.25."""
    torch.manual_seed(1)
    base = sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)
    p = Transformed("p(x)", base=base, flow=make().inv)
    rows, test = moons(4000, 0), moons(2000, 1)

    def loss() -> Tensor:
        batch = rows[torch.randint(len(rows), (256,))]
        return -p.log_prob({"x": batch}, check=False).mean()

    descend(list(p.parameters()), loss, steps, 1e-2)
    p.eval()
    with torch.no_grad():
        found = float(-p.log_prob({"x": test}).mean())
    normal = td.MultivariateNormal(rows.mean(0), rows.T.cov())
    assert float(-normal.log_prob(test).mean()) > 1.8
    assert entropy_rate(test) - 0.02 < found < 1.25


BANANA: dict[str, tuple[Callable[[], f.Flow], float, float]] = {
    "linear": (lambda: f.Conv1x1(2), 0.4, 0.55),
    "planar": (lambda: f.Flows([f.Planar(2) for _ in range(16)]), -0.02, 0.1),
    "iaf": (lambda: f.Autoregressive(2) >> f.Reverse(2) >> f.Autoregressive(2), -0.02, 0.03),
}
"""A flow, and the bounds of the divergence that it reaches; the linear one is a normal law."""


@pytest.mark.parametrize("name", BANANA)
def test_a_posterior_with_a_flow_comes_close_to_a_banana(name: str) -> None:
    """KL[q||p] to a bent normal law, whose normaliser is known."""
    torch.manual_seed(0)
    make, least, most = BANANA[name]

    def log_p(z: Tensor) -> Tensor:
        bent = z[:, 1] - 0.8 * (z[:, 0].square() - 1)
        return td.Normal(0.0, 1.0).log_prob(z[:, 0]) + td.Normal(0.0, 0.5).log_prob(bent)

    base = sd.Normal("q(u)", loc=nn.Parameter(torch.zeros(2)), scale=1.0)
    q = Transformed("q(z)", base=base, flow=make() >> f.ActNorm(2).eval())

    def kl(n: int = 256) -> Tensor:
        z, log_q = q.sample_and_log_prob(n=n, check=False)
        return (log_q - log_p(z["z"])).mean()

    descend(list(q.parameters()), kl, 400, 2e-2)
    with torch.no_grad():
        assert least < float(kl(10_000)) < most
