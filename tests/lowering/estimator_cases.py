"""How estimators are measured: every example has parameters of its own, so that one evaluation gives many
independent estimates of one gradient."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import symdgm as sd

DOUBLE = torch.float64
BOUND = 4.0
"""Standard errors that a mean may be away from the truth; seeds are fixed."""


class Rows(nn.Module):
    """A parameter for each example, all with the same value; the data are the numbers of the examples."""

    def __init__(self, value: Any, count: int) -> None:
        super().__init__()
        start = torch.as_tensor(value, dtype=DOUBLE)
        self.rows = nn.Parameter(start.expand(count, *start.shape).clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.rows[x[:, 0].long()]


def numbers(count: int) -> Tensor:
    return torch.arange(count, dtype=DOUBLE)[:, None]


def estimates(objective: sd.Objective, *rows: Rows, seed: int = 0) -> Tensor:
    """The gradient of each example by its parameters, ``[examples, parameters]``."""
    count = len(rows[0].rows)
    torch.manual_seed(seed)
    value = objective(x=numbers(count))
    found = torch.autograd.grad(value, [r.rows for r in rows], allow_unused=True, materialize_grads=True)
    return torch.cat([g.flatten(1) for g in found], 1) * count


def z_scores(table: Tensor, exact: Tensor | float) -> Tensor:
    """How many standard errors the mean of each column is away from the truth; rounding counts nothing."""
    error = (table.std(0) / len(table) ** 0.5).clamp_min(1e-12)
    return (table.mean(0) - exact) / error


def assert_unbiased(table: Tensor, exact: Tensor | float) -> None:
    scores = z_scores(table, exact)
    assert scores.abs().max() < BOUND, scores
    assert torch.isfinite(table).all()


class Toy:
    """``E[(b - t)^2]`` with ``b ~ Bernoulli(sigmoid(theta))``."""

    def __init__(self, count: int = 20_000, theta: float = 0.0, target: float = 0.45) -> None:
        self.target, self.rows = target, Rows([theta], count)
        self.q = sd.Bernoulli("q(b|x)", self.rows)
        p = float(torch.sigmoid(torch.tensor(theta, dtype=DOUBLE)))
        self.exact = p * (1 - p) * ((1 - target) ** 2 - target**2)

    def objective(self, estimator: Any, samples: int = 1) -> sd.Objective:
        def f(b: Tensor) -> Tensor:
            return (b - self.target).square().sum(-1)

        asked = {"b": estimator}
        return sd.Objective("E_q(b|x)[f(b)]", self.q, f=f, estimators=asked, samples=samples)

    def estimates(self, estimator: Any, samples: int = 1, seed: int = 0) -> Tensor:
        return estimates(self.objective(estimator, samples), self.rows, seed=seed)[:, 0]


class Chain:
    """``E_q(a|x) E_q(b|a,x)[f(a, b, x)]`` over two bits each, with parameters in both laws and in f."""

    text = "E_q(a|x) E_q(b|a,x)[f(a, b, x)]"

    def __init__(self, count: int) -> None:
        self.first = Rows([0.3, -0.8], count)
        self.second = Rows([[0.5, -1.0], [1.0, 0.2], [-0.4, 0.7]], count)
        self.body = Rows([1.0, -2.0, 0.5, 1.5, 3.0], count)
        self.laws = [sd.Bernoulli("q(a|x)", self.first), sd.Bernoulli("q(b|a,x)", self.law)]
        self.count = count

    @property
    def rows(self) -> tuple[Rows, ...]:
        return self.first, self.second, self.body

    def law(self, a: Tensor, x: Tensor) -> Tensor:
        w = self.second(x)
        return w[:, 0] + (a[..., None] * w[:, 1:]).sum(-2)

    def f(self, a: Tensor, b: Tensor, x: Tensor) -> Tensor:
        w = self.body(x)
        features = [a[:, 0], b[:, 1], a[:, 1] * b[:, 0], (a.sum(-1) - b.sum(-1)).square(), torch.ones(len(a))]
        return (w * torch.stack([v.to(w.dtype) for v in features], -1)).sum(-1)

    def objective(self, text: str | None = None, **options: Any) -> sd.Objective:
        return sd.Objective(text or self.text, *self.laws, f=self.f, **options)

    def states(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """All states of a and b, with their probability for the first example."""
        x, found = numbers(1), []
        for bits in itertools.product([0.0, 1.0], repeat=4):
            a, b = torch.tensor(bits[:2], dtype=DOUBLE)[None], torch.tensor(bits[2:], dtype=DOUBLE)[None]
            p = torch.distributions.Bernoulli(logits=self.first(x)).log_prob(a).sum(-1)
            p = p + torch.distributions.Bernoulli(logits=self.law(a, x)).log_prob(b).sum(-1)
            found.append((a, b, p.exp()))
        return found

    def exact(self, value: Callable[[], Tensor]) -> Tensor:
        """The gradient of a value by the parameters of the first example."""
        found = torch.autograd.grad(
            value(), [r.rows for r in self.rows], allow_unused=True, materialize_grads=True
        )
        return torch.cat([g[0].flatten() for g in found])

    def expected(self) -> Tensor:
        """The exact gradient of `text`."""
        return self.exact(lambda: sum(p * self.f(a, b, numbers(1)) for a, b, p in self.states()).sum())
