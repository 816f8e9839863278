"""What the binders of nested expectations depend on, and which of them may stand inmost."""

from __future__ import annotations

from sympy import Basic

from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.laws import Law
from symdgm.expressions.places import looked_up, pattern, patterns
from symdgm.expressions.scope import free_names
from symdgm.rewriting.facts import Facts

Binders = tuple[Binder, ...]


def unnested(node: Basic) -> tuple[Binders, Basic]:
    """All binders of expectations that stand directly in one another, and the body of the innermost."""
    binders: Binders = ()
    while isinstance(node, Expect):
        binders, node = (*binders, *node.binders), node.body
    return binders, node


def movable(binders: Binders, i: int, facts: Facts) -> Law | None:
    """The law of a binder that may stand inmost: no later one depends on its variables or hides them."""
    law = facts.law(binders[i].law)
    if law is None or is_several(binders[i]):
        return None
    drawn = set(binders[i].variables or law.values)
    for binder in binders[i + 1 :]:
        later = facts.law(binder.law)
        if later is None or drawn & (set(binder.variables or later.values) | reads(binder.law, facts)):
            return None
    return law


def reads(node: Basic, facts: Facts) -> set[Basic]:
    """The variables that a formula depends on, through the parameters of laws too."""
    return {v for name in free_names(node) for given in facts.reads(name) for v in free_names(given)}


def outside(value: Basic, binders: Binders, facts: Facts) -> Basic:
    """The expectation of a value under those of the binders that it depends on."""
    kept = needed_by(reads(value, facts), binders, facts)
    return Expect(value, *kept) if kept else value


def needed_by(names: set[Basic], binders: Binders, facts: Facts) -> Binders:
    """Those of the binders whose variables are among some names, or are what these are drawn by."""
    kept: Binders = ()
    for binder in reversed(binders):
        law = facts.law(binder.law)
        drawn = patterns(binder.variables or (law.values if law else ()))
        used = {name for name in names if looked_up(name, drawn) is not None}
        if used:
            kept = (binder, *kept)
            names = (names - used) | reads(binder.law, facts)
    return kept


def is_several(binder: Binder) -> bool:
    """Whether a binder draws several times, ``z_{1:K} ~ q(z|x)``."""
    return any(pattern(v) != v for v in binder.variables)
