"""Bias and variance of the gradient estimators on E[(b - t)^2], b ~ Bernoulli(sigmoid(theta)).

Every example has a theta of its own, so that one evaluation gives as many independent estimates.

python benchmarks/estimators.py
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.estimators import REBAR, GumbelSoftmax, Recipe, ScoreFunction

RUNS: list[tuple[str, str | Recipe, int]] = [
    ("score function, no baseline", ScoreFunction("none"), 1),
    ("score function, no baseline", ScoreFunction("none"), 2),
    ("score function, constant 0.25", ScoreFunction(0.25), 1),
    ("score function, running mean", ScoreFunction("running mean"), 1),
    ("score function, over the batch", ScoreFunction("batch"), 1),
    ("score function, leave-one-out", ScoreFunction("leave-one-out"), 2),
    ("score function, leave-one-out", ScoreFunction("leave-one-out"), 8),
    ("DisARM", "DisARM", 1),
    ("REBAR", "REBAR", 1),
    ("REBAR, temperature 2", REBAR(temperature=2.0), 1),
    ("enumeration", "enumeration", 1),
    ("Gumbel-softmax", "Gumbel-softmax", 1),
    ("Gumbel-softmax, temperature 0.1", GumbelSoftmax(0.1), 1),
    ("straight-through", "straight-through", 1),
]
"""Name, estimator and draws; DisARM draws a pair."""


class Rows(nn.Module):
    """A theta for each example."""

    def __init__(self, theta: float, count: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.full((count, 1), theta, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.theta[x[:, 0].long()]


def estimates(estimator: str | Recipe, draws: int, theta: float, target: float, count: int) -> Tensor:
    """Independent estimates of the derivative by theta, after one evaluation for a running mean."""
    rows = Rows(theta, count)
    objective = sd.Objective(
        "E_q(b|x)[||b - t||^2]",
        sd.Bernoulli("q(b|x)", rows),
        t=target,
        estimators={"b": estimator},
        samples={"b": draws},
    )
    x = torch.arange(count, dtype=torch.float64)[:, None]
    objective(x=x)
    (found,) = torch.autograd.grad(objective(x=x), [rows.theta])
    return found[:, 0] * count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for theta, target in ((0.0, 0.45), (0.5, -0.5)):
        p = 1 / (1 + math.exp(-theta))
        exact = p * (1 - p) * ((1 - target) ** 2 - target**2)
        print(f"\ntheta = {theta}, t = {target}: the derivative is {exact:.6f}\n")
        print("| estimator | draws | mean | z of its bias | variance |\n| --- | --- | --- | --- | --- |")
        for name, estimator, draws in RUNS:
            torch.manual_seed(options.seed)
            found = estimates(estimator, draws, theta, target, options.count)
            error = float(found.std()) / len(found) ** 0.5
            bias = float(found.mean()) - exact
            z = f"{bias / error:+.1f}" if error > 1e-12 else ("0" if abs(bias) < 1e-9 else "∞")
            print(
                f"| {name} | {draws} | {float(found.mean()):.5f} | {z} | {float(found.var()):.3g} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
