"""Sums, products, fractions and powers: brackets exactly where the text would be read otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace

from sympy import Basic, Integer, Rational

from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Name
from symdgm.expressions.notation.pieces import Edge, Level, Piece, joined
from symdgm.expressions.notation.spelling import Spelling


def number(node: Rational, parts: list[Piece], s: Spelling) -> Piece:
    """A whole number or an exact fraction."""
    digits = Piece(str(abs(node.p)), first=Edge.NUMBER, last=Edge.NUMBER)
    piece = digits if isinstance(node, Integer) else _fraction(digits, replace(digits, text=str(node.q)), s)
    if node.p >= 0:
        return piece
    return replace(piece, text=s.sign + piece.text, level=min(piece.level, Level.SIGN), signed=True)


def add(node: Plus, parts: list[Piece], s: Spelling) -> Piece:
    """``a + b - c``."""
    text = parts[0].text if not isinstance(node.args[0], Plus) else s.bracket(parts[0]).text
    for term, part in zip(node.args[1:], parts[1:], strict=True):
        if isinstance(term, Minus):
            text += s.minus + part.text.removeprefix(s.sign)
        else:
            loose = part.signed or part.level is Level.SUM
            text += s.plus + (s.bracket(part).text if loose else part.text)
    return joined(text, Level.SUM, parts)


def negate(node: Minus, parts: list[Piece], s: Spelling, *, leading: bool = True) -> Piece:
    """``-a``; the sign binds tighter than a product, except behind a term of a sum."""
    (part,) = parts
    tight = part.level >= (Level.POWER if leading else Level.PRODUCT)
    operand = part if tight and not part.signed else s.bracket(part)
    return replace(joined(s.sign + operand.text, Level.SIGN, [operand]), signed=True)


def subtracted(node: Minus, parts: list[Piece], s: Spelling) -> Piece:
    """A negated term that stands behind another term of a sum."""
    return negate(node, parts, s, leading=False)


def multiply(node: Times, parts: list[Piece], s: Spelling) -> Piece:
    """``a b``: side by side where that is read as a product, else with a sign."""
    factors = [_factor(node, i, parts, s) for i in range(len(parts))]
    text = factors[0].text
    for left, right in itertools.pairwise(factors):
        text += (" " if _may_touch(left, right) else s.cross) + right.text
    return joined(text, Level.PRODUCT, factors)


def _factor(node: Times, i: int, parts: list[Piece], s: Spelling) -> Piece:
    """The factor in brackets, unless it reads the same without."""
    factor, part = node.args[i], parts[i]
    last = i == len(parts) - 1
    loosest = Level.PRODUCT if i == 0 and not isinstance(factor, Times) else Level.POWER
    closed = part.open is None or last or _closes(node.args[i + 1], factor, part)
    return part if part.level >= loosest and closed else s.bracket(part)


def _closes(following: Basic, factor: Basic, part: Piece) -> bool:
    """Whether the next factor is a big operator with bounds over the index that is open, and so ends it."""
    return (
        isinstance(following, Aggregate)
        and isinstance(factor, Aggregate)
        and len(factor.index.args) == len(following.index.args) == 3
        and part.open == frozenset([following.index.variable]) == frozenset([factor.index.variable])
    )


def _may_touch(left: Piece, right: Piece) -> bool:
    if right.first is Edge.NUMBER or Edge.ANGLE in (left.last, right.first):
        return False
    if left.bars and right.bars:
        return False
    return not (left.last is Edge.NAME and right.first is Edge.BRACKET)


def divide(node: Quotient, parts: list[Piece], s: Spelling) -> Piece:
    r"""``a/b`` or ``\frac{a}{b}``."""
    if s.fraction is not None:
        return _fraction(parts[0], parts[1], s)
    above, below = parts
    if above.level < Level.PRODUCT or above.open is not None:
        above = s.bracket(above)
    if below.level < Level.POWER or below.open is not None:
        below = s.bracket(below)
    return joined(f"{above.text}/{below.text}", Level.PRODUCT, [above, below])


def _fraction(above: Piece, below: Piece, s: Spelling) -> Piece:
    if s.fraction is None:
        return joined(f"{above.text}/{below.text}", Level.PRODUCT, [above, below])
    begin, end = s.fraction
    return Piece(f"{begin}{above.text}{end}{{{below.text}{end}", Level.POWER, tall=True)


def power(node: Power, parts: list[Piece], s: Spelling) -> Piece:
    """``a^b``."""
    base, exponent = _raisable(parts[0], s), parts[1].text
    if _is_taken(node.args[1], s):
        exponent = f"{{{exponent}}}"
    if exponent in s.exponents:
        text, last = base.text + s.exponents[exponent], Edge.WORD
    else:
        text = f"{base.text}^{s.script(exponent)}"
        last = Edge.NAME if exponent.isalpha() and not s.braces else Edge.WORD
    return replace(joined(text, Level.POWER, [base]), last=last, raised=True)


def _is_taken(exponent: Basic, s: Spelling) -> bool:
    """Whether a bare exponent would be read as a transpose, or as a label in upright letters."""
    return isinstance(exponent, Name) and (exponent.text == "T" or "\\mathrm" in s.name(exponent.text))


def transpose(node: Basic, parts: list[Piece], s: Spelling) -> Piece:
    """``a^T``."""
    base = _raisable(parts[0], s)
    text = f"{base.text}^{s.script(s.transpose)}"
    return replace(joined(text, Level.POWER, [base]), last=Edge.WORD, raised=True)


def _raisable(base: Piece, s: Spelling) -> Piece:
    loose = base.level < Level.ATOM or base.open is not None or base.raised or base.signed
    return s.bracket(base) if loose else base
