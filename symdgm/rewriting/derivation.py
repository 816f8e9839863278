"""From a bound formula to terms that can be computed, with a record of every step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sympy import Basic

from symdgm.expressions.arithmetic import Plus, terms_of
from symdgm.rewriting.algebra import join_coefficient, split_coefficient
from symdgm.rewriting.answered import by_answers
from symdgm.rewriting.facts import Facts
from symdgm.rewriting.rule import Rule, Step
from symdgm.rewriting.rules import ALGEBRA, CLOSED, DEFINED, SPLIT_AND_RECOGNISE
from symdgm.rewriting.traversal import Everywhere, Kinds

MAX_PASSES = 50
"""Passes of a phase; every rule makes progress, so this bounds a mistake in a rule, not an input."""


@dataclass(frozen=True)
class Term:
    """A term of an objective: ``sign · coefficient · expression``.

    Args:
        name: the term before closed forms, without its sign and scalar factors; how users call it.
        sign: 1 or -1.
        scalars: its scalar factors.
        expression: what is computed.
    """

    name: Basic
    sign: int
    scalars: tuple[Basic, ...]
    expression: Basic


@dataclass(frozen=True)
class Derivation:
    """The steps that lead from what was written to what is computed.

    Args:
        start: the bound formula.
        steps: what was done, in order; estimators come last.
        terms: the terms of the last line.
    """

    start: Basic
    steps: tuple[Step, ...]
    terms: tuple[Term, ...]

    @property
    def result(self) -> Basic:
        """The last line."""
        return join((t.sign, t.scalars, t.expression) for t in self.terms)


@by_answers(128)
def derive(expression: Basic, facts: Facts, *, analytic: bool = True) -> Derivation:
    """Rewrite a bound formula into terms without divergences.

    Args:
        expression: the formula.
        facts: what is bound.
        analytic: whether closed forms are used; if not, divergences are estimated by their definition.
    """
    rewriter = _Rewriter(facts)
    first, *later = (SPLIT_AND_RECOGNISE, CLOSED, DEFINED) if analytic else (ALGEBRA, DEFINED)
    steps: list[Step] = []
    whole = rewriter.run(expression, first, steps)
    named = [
        (sign * s, scalars, core)
        for sign, term in terms_of(whole)
        for s, scalars, core in [split_coefficient(term, facts)]
    ]
    rewriter.run_all(join(named), later, steps)
    terms = tuple(
        Term(core, sign, scalars, rewriter.run_all(core, later, [])) for sign, scalars, core in named
    )
    return Derivation(expression, tuple(steps), terms)


class _Rewriter:
    """Runs phases; what a rule made of a node once it need not find again."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.kinds = Kinds()
        self.applied: dict[str, Everywhere] = {}

    def run_all(self, expression: Basic, phases: Iterable[Sequence[Rule]], steps: list[Step]) -> Basic:
        """The expression after several phases."""
        for rules in phases:
            expression = self.run(expression, rules, steps)
        return expression

    def run(self, expression: Basic, rules: Sequence[Rule], steps: list[Step]) -> Basic:
        """Try the rules in order until none applies, with a step for each pass that changed something."""
        for _ in range(MAX_PASSES):
            done = len(steps)
            for rule in rules:
                expression, changes = self._everywhere(rule)(expression)
                if changes:
                    steps.append(Step(rule.name, rule.kind, rule.why, changes, expression, rule.reference))
            if len(steps) == done:
                break
        return expression

    def _everywhere(self, rule: Rule) -> Everywhere:
        if rule.name not in self.applied:
            self.applied[rule.name] = Everywhere(
                lambda node: rule.apply(node, self.facts), rule.at, self.kinds, in_logs=rule.in_logs
            )
        return self.applied[rule.name]


def join(terms: Iterable[tuple[int, tuple[Basic, ...], Basic]]) -> Basic:
    """The sum of signed terms, in order."""
    nodes = [join_coefficient(*term) for term in terms]
    return Plus(*nodes) if len(nodes) > 1 else nodes[0]
