"""Before anything is timed: all variants compute the same."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.measuring import Built
from benchmarks.variants import Agreement, Run

SEED = 1_000
BOUND = 6.0
"""Standard errors by which two means of draws may differ."""
SLACK = 2e-4
"""The relative difference that float32 explains."""


class Disagreement(Exception):
    """A variant computes something else than the reference."""


def check(built: Sequence[Built], draws: int) -> None:
    """Compares the loss of every variant with that of the first, at the weights of now.

    Args:
        built: the variants; none has made a step yet.
        draws: evaluations of each that agrees in expectation only.

    Raises:
        Disagreement: says which, and what both computed.
    """
    reference, *others = built
    means = [_loss(reference.run, SEED + i) for i in range(draws)]
    for other in others:
        if other.variant.agreement is Agreement.NOISE:
            _check_noise(reference, other)
        else:
            _check_means(other.variant.name, means, [_loss(other.run, SEED + i) for i in range(draws)])


def _loss(run: Run, seed: int) -> float:
    torch.manual_seed(seed)
    with torch.no_grad():
        return float(run.loss())


def _check_noise(reference: Built, other: Built) -> None:
    theirs, ours = (_with_gradient(one.run) for one in (reference, other))
    if not math.isclose(float(theirs[0]), float(ours[0]), rel_tol=SLACK):
        raise Disagreement(f"`{other.variant.name}`: {float(ours[0])}, the reference: {float(theirs[0])}")
    if not other.run.parameters:
        return
    difference, size = (theirs[1] - ours[1]).norm(), theirs[1].norm()
    if difference > 10 * SLACK * size:
        raise Disagreement(f"`{other.variant.name}`: its gradient is off by {float(difference / size):.2g}")


def _with_gradient(run: Run) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient as one vector; both in float64."""
    torch.manual_seed(SEED)
    value = run.loss()
    if not run.parameters:
        return value.detach().double(), torch.zeros(0)
    gradients = torch.autograd.grad(value, list(run.parameters))
    return value.detach().double(), torch.cat([g.detach().double().flatten() for g in gradients])


def _check_means(name: str, theirs: list[float], ours: list[float]) -> None:
    difference = statistics.fmean(ours) - statistics.fmean(theirs)
    error = math.sqrt((statistics.variance(theirs) + statistics.variance(ours)) / len(ours))
    if not abs(difference) <= BOUND * error + SLACK * abs(statistics.fmean(theirs)):
        raise Disagreement(
            f"`{name}`: {statistics.fmean(ours):.6g}, the reference: {statistics.fmean(theirs):.6g}, "
            f"each ± {error:.2g}"
        )
