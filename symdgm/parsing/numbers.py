"""Numbers, exactly as written, and the bounds on powers."""

from __future__ import annotations

from sympy import Integer, Rational

from symdgm.expressions.arithmetic import Minus, Power
from symdgm.parsing.bounds import MAX_DIGITS, MAX_EXPONENT, MAX_INDEX
from symdgm.parsing.pieces import Piece
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import Word


def number(token: Word) -> Piece:
    """``0.5`` is exactly 1/2, ``1e-3`` is 1/1000."""
    mantissa, _, power = token.text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    if len(whole) + len(decimals) > MAX_DIGITS or len(power) > 6 or abs(int(power or 0)) > MAX_EXPONENT:
        raise refusal("giant-number", token, bound=MAX_DIGITS, exponent=MAX_EXPONENT)
    digits, shift = int(whole + decimals), int(power or 0) - len(decimals)
    value = Integer(digits * 10**shift) if shift >= 0 else Rational(digits, 10**-shift)
    return Piece(value, token.start, token.end, 1, (), True)


def check_power(base: Piece, exponent: Piece) -> None:
    """A number is never raised to a tower or to a giant power, though nothing here would compute it."""
    size = exponent.node.args[0] if isinstance(exponent.node, Minus) else exponent.node
    if isinstance(size, Rational) and max(abs(size.p), size.q) > MAX_EXPONENT:
        raise refusal("giant-power", exponent.span, bound=MAX_EXPONENT)
    tower = isinstance(base.node, Power) or not isinstance(size, Rational)
    if base.numeric and exponent.numeric and tower:
        raise refusal("giant-power", exponent.span, bound=MAX_EXPONENT)


def check_index(found: Piece) -> Piece:
    """An index is a number of reasonable size."""
    if isinstance(found.node, Integer) and abs(found.node.p) > MAX_INDEX:
        raise refusal("giant-index", found.span, bound=MAX_INDEX)
    return found
