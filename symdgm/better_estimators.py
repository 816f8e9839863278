"""Which estimator would be better for a term than the one that it has: one table, read from the top."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from symdgm.errors import SymdgmError
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.lowering import Estimate
from symdgm.rewriting import Derivation, Kind, Term, derive

if TYPE_CHECKING:
    from symdgm.objective import Objective

MAX_STATES = 4096
"""The most states of a finite variable that are enumerated (see `symdgm.lowering.estimators`)."""


def better(objective: Objective, term: Term, estimates: Sequence[Estimate]) -> Iterator[str]:
    """What would be exact, or have less variance or bias.

    Args:
        objective: the objective.
        term: one of its terms.
        estimates: how its expectations are estimated now.
    """
    sampled = [e for e in estimates if e.estimator.kind is not Kind.EQUALITY]
    if sampled and _has_closed_form(objective, term, len(sampled)):
        yield "a closed form is known: analytic=True"
        return
    for estimate in sampled:
        advice = next((words(estimate) for holds, words in _TABLE if holds(estimate)), None)
        if advice is not None:
            yield advice


def _has_closed_form(objective: Objective, term: Term, sampled: int) -> bool:
    """Whether fewer expectations are estimated where closed forms are used."""
    subject = objective.derivation.subject()
    try:
        found: Derivation = derive(term.name, subject.facts, analytic=True)
        left = [e for t in found.terms for e in subject.frozen_term(t).estimates]
    except SymdgmError:
        return False
    return len([e for e in left if e.estimator.kind is not Kind.EQUALITY]) < sampled


def _variable(estimate: Estimate) -> str:
    return str(estimate.law.values[0])


def _named(estimate: Estimate, name: str) -> bool:
    return estimate.estimator.name.startswith(name)


def _own_density(estimate: Estimate) -> bool:
    """Whether the log-density of the very law that is drawn from is averaged."""
    logs = (c.args[1] for c in estimate.expectation.atoms(Call) if c.function == "log")
    heads = {node.args[0] for log in logs for node in log.atoms(Apply, Density)}
    return estimate.law.node.args[0] in heads


_TABLE: tuple[tuple[Callable[[Estimate], bool], Callable[[Estimate], str]], ...] = (
    (
        lambda e: e.law.finite and e.estimator.kind is not Kind.EQUALITY,
        lambda e: f'"{_variable(e)}" is finite: enumeration is exact, up to {MAX_STATES} states',
    ),
    (
        lambda e: e.estimator.kind is Kind.BIASED,
        lambda e: "the estimator is biased: the score function is not",
    ),
    (
        lambda e: _named(e, "score function") and e.count < 2,
        lambda e: f'samples={{"{_variable(e)}": 2}} gives each draw the other as its baseline',
    ),
    (
        lambda e: e.nonlinear and e.count < 2,
        lambda e: f'the log of one draw is far from the log of the mean: samples={{"{_variable(e)}": 10}}',
    ),
    (
        lambda e: _named(e, "pathwise") and _own_density(e) and not e.nonlinear,
        lambda e: f'estimators={{"{_variable(e)}": "sticking the landing"}} has no variance where q is exact',
    ),
)
"""When it holds of an estimate → what to say."""
