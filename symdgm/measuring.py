"""The value of any formula by repeated evaluation, with its error: what checks compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding import Bound, BoundFacts
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy
from symdgm.lowering import Choices, Frozen, Option, freeze
from symdgm.rewriting import Derivation, Term
from symdgm.rewriting.algebra import chain_rule
from symdgm.rewriting.definitions import definition
from symdgm.rewriting.traversal import Everywhere
from symdgm.runtime import Runner

MAX_PASSES = 8
"""How often definitions are written out, which may hold others."""
ROUNDING = 64
"""Units in the last place by which two sums of the same numbers may differ."""


@final
@dataclass(frozen=True)
class Measured:
    """A value with its error.

    Args:
        mean: the mean of the repetitions.
        error: its standard error, and the bias that it may have, together.
        biased: whether a nonlinear function of an estimate is taken.
    """

    mean: float
    error: float
    biased: bool = False

    def __str__(self) -> str:
        return f"{self.mean:.5g} ± {self.error:.2g}"


@final
@dataclass(frozen=True)
class Subject:
    """All that is needed to evaluate formulas that are parts of an objective, or came up on the way.

    Args:
        bound: the bound formula of the objective.
        facts: what is bound, with the names of parameters.
        counts: variable → number of draws.
        anchor: gives a tensor whose dtype and device new tensors take.
        divergences: how divergences of samples are estimated.
        choices: the estimators that the user named.
    """

    bound: Bound
    facts: BoundFacts
    counts: Mapping[str, int]
    anchor: Callable[[], Tensor | None]
    divergences: Mapping[Basic | str, Option]
    choices: Choices

    def runner(
        self, expression: Basic, counts: Mapping[str, int] | None = None, choices: Choices | None = None
    ) -> tuple[Runner, bool]:
        """What evaluates a formula as it stands, and whether it takes a nonlinear function of an estimate.

        Only what cannot be computed as it stands is written out: joints, and divergences by definition.
        """
        plain = written_out(expression, self.facts)
        derivation = Derivation(plain, (), (Term(plain, 1, (), plain),))
        frozen = freeze(
            self.bound,
            derivation,
            self.facts,
            self.counts if counts is None else counts,
            {k: v for k, v in self.divergences.items() if _is_used(k, plain)},
            choices or (self.choices if counts is None else Choices()),
        )
        nonlinear = any(e.nonlinear and e.count > 0 for e in frozen.estimates)
        return Runner(frozen, ["value"], "a side of a step", self.anchor), nonlinear

    def frozen_term(self, term: Term) -> Frozen:
        """The plan of one term of the objective, with the objective's own estimators."""
        given = {k: v for k, v in self.divergences.items() if _is_used(k, term.expression)}
        derivation = Derivation(term.expression, (), (term,))
        return freeze(self.bound, derivation, self.facts, self.counts, given, self.choices)

    def measure(
        self,
        expression: Basic,
        data: Mapping[str, Tensor],
        *,
        n: int,
        repeats: int,
        samples: int | None = None,
        choices: Choices | None = None,
    ) -> Measured:
        """The value of a formula over a batch.

        Args:
            expression: the formula.
            data: the observed variables.
            n: the number of draws, where there are no data.
            repeats: evaluations, of which the mean is taken.
            samples: draws in each evaluation; None for those of the objective, and its estimators.
            choices: other estimators than those of the table.
        """
        counts = None if samples is None else {"": samples}
        runner, nonlinear = self.runner(expression, counts, choices)
        values = _values(runner, data, n, repeats)
        mean, error = mean_and_error(values)
        error = math.hypot(error, _rounding(values))
        if nonlinear and samples is not None and samples > 1:
            half, _ = self.runner(expression, {"": samples // 2}, choices)
            other, noise = mean_and_error(_values(half, data, n, repeats))
            error = math.hypot(error, abs(mean - other), noise)
        return Measured(mean, error, nonlinear)


def _is_used(key: Basic | str, expression: Basic) -> bool:
    """Whether what is said of a divergence, or of all of a kind, is said of one in a formula."""
    if not isinstance(key, str):
        return bool(expression.has(key))
    return any(node.kind == key for node in expression.atoms(DivergenceBetween))


def written_out(expression: Basic, facts: BoundFacts) -> Basic:
    """A formula with its joints as products, and divergences as the expectations that define them."""

    def step(node: Basic) -> Basic | None:
        if isinstance(node, DivergenceBetween | Entropy | CrossEntropy):
            return definition(node, facts)
        return chain_rule(node, facts)

    walk = Everywhere(step, (DivergenceBetween, Entropy, CrossEntropy, Apply, Density))
    for _ in range(MAX_PASSES):
        after, _ = walk(expression)
        if after == expression:
            break
        expression = after
    return expression


def _values(runner: Runner, data: Mapping[str, Tensor], n: int, repeats: int) -> Tensor:
    with torch.no_grad():
        values = [runner(data, n=n)[0].double().cpu() for _ in range(repeats)]
    return torch.stack(values)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean of independent values ``[repeats]`` and its standard error."""
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return values.mean().item(), error


def _rounding(values: Tensor) -> float:
    """What single precision may add to two ways of computing one number."""
    return ROUNDING * torch.finfo(torch.float32).eps * max(1.0, values.abs().max().item())
