r"""What an objective is to the log-likelihood that it stands for: equal, a bound from one side, or neither.

Two inequalities are known. Jensen's, :math:`\mathbb{E}[\log W] \le \log \mathbb{E}[W]`, where the mean of the
ratio W is a density (`marginals`); and that of power means,
:math:`\tfrac1n \log \mathbb{E}[W^n] \lessgtr \log \mathbb{E}[W]` for n below or above 1. What remains of the
objective is then a sum of terms whose signs are known, such as divergences times scalars, or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from sympy import Basic

from symdgm.errors import SymdgmError
from symdgm.expressions.applications import Call
from symdgm.expressions.arithmetic import Minus, Plus, Times
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import (
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.rewriting.answered import by_answers
from symdgm.rewriting.canonical import Canonical
from symdgm.rewriting.facts import Facts
from symdgm.rewriting.leading import Leading, by_jensen, by_power_mean, evidence
from symdgm.rewriting.parts import Parts
from symdgm.rewriting.polynomials import TooLargeError
from symdgm.rewriting.signs import Piece, pieces


class Direction(Enum):
    """On which side of its target an objective lies."""

    EQUAL = "equal to"
    LOWER = "a lower bound on"
    UPPER = "an upper bound on"
    NEITHER = "not a bound on"
    UNKNOWN = "of unknown relation to"

    @property
    def opposite(self) -> Direction:
        """The side of the negative."""
        return {Direction.LOWER: Direction.UPPER, Direction.UPPER: Direction.LOWER}.get(self, self)


@dataclass(frozen=True)
class Relation:
    """What an objective is to its target.

    Args:
        direction: on which side it lies.
        target: the log-likelihood, or None where none was recognised.
        gap: what is never negative, and separates the two.
        against: what is never negative, and pushes to the other side.
        conditions: what must not be negative for this to hold, and is not with the present scalars.
        why: the reason.
        reference: where to read about it.
    """

    direction: Direction
    target: Basic | None = None
    gap: tuple[Basic, ...] = ()
    against: tuple[Basic, ...] = ()
    conditions: tuple[Basic, ...] = ()
    why: str = ""
    reference: str = ""


UNKNOWN = Relation(Direction.UNKNOWN, why="no log-likelihood is recognised in it")


@by_answers(128)
def relation(expression: Basic, facts: Facts) -> Relation:
    """What a bound formula is to a log-likelihood, with the present values of its scalars.

    Args:
        expression: the formula.
        facts: what is bound.
    """
    if not any(map(_is_logarithmic, nodes(expression))):
        return UNKNOWN
    form, known = Canonical(facts), dict[Basic, Parts]()
    for side, flipped in ((expression, False), (Minus(expression), True)):
        for relaxed, slack in _relaxed(side):
            try:
                found = _relation(_parts(relaxed, form, known), slack)
            except (TooLargeError, RecursionError, SymdgmError):
                continue  # what cannot be brought to a canonical form has no known relation
            if found is not None:
                return _negative(found) if flipped else found
    return UNKNOWN


def _is_logarithmic(node: Basic) -> bool:
    """Whether a log-likelihood may be recognised in what has this node."""
    return isinstance(node, DivergenceBetween | Entropy | CrossEntropy | MutualInformation) or (
        isinstance(node, Call) and "log" in node.function
    )


def _negative(found: Relation) -> Relation:
    target = None if found.target is None else Minus(found.target)
    return replace(found, direction=found.direction.opposite, target=target)


def _parts(expression: Basic, form: Canonical, known: dict[Basic, Parts]) -> Parts:
    """The terms of a formula; those of the negative of a known one are found with the other sign."""
    if isinstance(expression, Minus) and expression.args[0] in known:
        return known[expression.args[0]].negative()
    known[expression] = Parts(expression, form)
    return known[expression]


def _relation(parts: Parts, slack: tuple[Basic, ...]) -> Relation | None:
    for recognise in _RECOGNISERS:
        leading = recognise(parts)
        if leading is None:
            continue
        found = _combined(parts, leading, slack)
        if found is not None:
            gap, against = ([parts.outside(n) for n in nodes] for nodes in (found.gap, found.against))
            return replace(
                found, target=parts.outside(leading.target), gap=tuple(gap), against=tuple(against)
            )
    return None


_RECOGNISERS: tuple[Callable[[Parts], Leading | None], ...] = (evidence, by_jensen, by_power_mean)


def _combined(parts: Parts, leading: Leading, slack: tuple[Basic, ...]) -> Relation | None:
    """The leading inequality together with the signs of what remains."""
    rest = pieces(parts, leading.rest)
    if rest is None:
        return None
    sides = [(leading.side, leading.gap), *(_pushing(piece, parts) for piece in rest)]
    sides += [(-1, (node,)) for node in slack]
    up = tuple(n for side, nodes in sides if side > 0 for n in nodes)
    down = tuple(n for side, nodes in sides if side < 0 for n in nodes)
    signs = {side for side, _ in sides if side}
    conditions = tuple(c for piece in rest if (c := _condition(piece, parts)) is not None)
    if not signs:
        return Relation(Direction.EQUAL, None, (), (), conditions, leading.why, leading.reference)
    if signs == {-1}:
        return Relation(Direction.LOWER, None, down, (), conditions, leading.why, leading.reference)
    if signs == {1}:
        return Relation(Direction.UPPER, None, up, (), conditions, leading.why, leading.reference)
    gap, against = (down, up) if leading.side <= 0 else (up, down)
    bound = "lower" if leading.side <= 0 else "upper"
    why = f"{leading.why}, but what is added to that {bound} bound pushes to the other side"
    return Relation(Direction.NEITHER, None, gap, against, (), why, leading.reference)


def _pushing(piece: Piece, parts: Parts) -> tuple[int, tuple[Basic, ...]]:
    """To which side a term moves the objective, and by how much."""
    side = _side(piece, parts)
    size = piece.coefficient.scaled(Fraction(side or 1))
    if size.number == 1:
        return side, (piece.node,)
    factor = _ordered(parts.form.node(size))
    return side, (factor if piece.node == 1 else Times(factor, piece.node),)


def _ordered(node: Basic) -> Basic:
    """A sum with a term that is added before those that are taken away, as people write it."""
    if not isinstance(node, Plus):
        return node
    return Plus(*sorted(node.args, key=lambda term: isinstance(term, Minus) or term.is_negative is True))


def _side(piece: Piece, parts: Parts) -> int:
    number = parts.number(piece.coefficient)
    return 0 if not number else (1 if number > 0 else -1)


def _condition(piece: Piece, parts: Parts) -> Basic | None:
    """What must not be negative for the sign of a piece, if that hangs on scalars."""
    if piece.coefficient.number is not None:
        return None
    up = _side(piece, parts) > 0
    return _ordered(parts.form.node(piece.coefficient.scaled(Fraction(1 if up else -1))))


def _relaxed(expression: Basic) -> list[tuple[Basic, tuple[Basic, ...]]]:
    """The formula, and what is above it by ``-max(a, b) <= -a`` or ``min(a, b) <= a``, and how far."""
    terms = list(expression.args) if isinstance(expression, Plus) else [expression]
    if isinstance(expression, Minus) and isinstance(expression.args[0], Plus):
        terms = [Minus(t) for t in expression.args[0].args]
    found: list[tuple[Basic, tuple[Basic, ...]]] = [(expression, ())]
    for i, term in enumerate(terms):
        for eased, slack in _eased(term, 1):
            others = [*terms[:i], eased, *terms[i + 1 :]]
            found.append((Plus(*others) if len(others) > 1 else others[0], (slack,)))
    return found


def _eased(term: Basic, sign: int) -> list[tuple[Basic, Basic]]:
    """A term with a `max` or a `min` in it as something above it, and the difference."""
    if isinstance(term, Minus):
        return [(Minus(node), slack) for node, slack in _eased(term.args[0], -sign)]
    if isinstance(term, Call) and term.function == ("max" if sign < 0 else "min"):
        chosen = [a for a in term.args[1:] if a.has(DivergenceBetween) or a.has(Expect)]
        return [(a, Plus(term, Minus(a)) if sign < 0 else Plus(a, Minus(term))) for a in chosen]
    if isinstance(term, Times) and len(term.args) == 2 and not term.args[0].has(Call):
        return [
            (Times(term.args[0], node), Times(term.args[0], slack))
            for node, slack in _eased(term.args[1], sign)
        ]
    return []
