"""Sums and products up to the order of their operands: what `signature` knows of arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Product:
    """An exact coefficient times powers of opaque texts.

    Args:
        coefficient: the number in front.
        factors: pairs of a text and its numeric exponent, in the order of writing.
        addends: the terms, if the only factor is a sum.
        ordered: the factors do not commute (a transposed vector is among them).
    """

    coefficient: Fraction
    factors: tuple[tuple[str, Fraction], ...] = ()
    addends: tuple[Product, ...] = ()
    ordered: bool = False

    @property
    def text(self) -> str:
        """The canonical text."""
        if self.addends and abs(self.coefficient) == 1:
            return _sum(self.signed_addends())
        powers = [text if e == 1 else f"{text}^{e}" for text, e in self.factors]
        if not powers:
            return str(self.coefficient)
        joined = ".".join(powers) if self.ordered else "*".join(sorted(powers))
        return joined if self.coefficient == 1 else f"{self.coefficient}*{joined}"

    def signed_addends(self) -> tuple[Product, ...]:
        """The terms of a sum that stands here with its sign."""
        if self.coefficient == 1:
            return self.addends
        return tuple(replace(a, coefficient=-a.coefficient) for a in self.addends)


def _sum(addends: Iterable[Product]) -> str:
    return f"({' + '.join(sorted(a.text for a in addends))})"


def number(value: Fraction | int) -> Product:
    """An exact number."""
    return Product(Fraction(value))


def atom(text: str, *, ordered: bool = False) -> Product:
    """Something with no arithmetic of its own."""
    return Product(ONE, ((text, ONE),), ordered=ordered)


def total(terms: Iterable[Product]) -> Product:
    """The sum; a sum inside is joined to it, with its sign."""
    addends: list[Product] = []
    for term in terms:
        addends += term.signed_addends() if term.addends and abs(term.coefficient) == 1 else [term]
    return Product(ONE, ((_sum(addends), ONE),), tuple(addends))


def product(parts: Iterable[Product]) -> Product:
    """The product; numbers are multiplied exactly."""
    coefficient, ordered = ONE, False
    factors: list[tuple[str, Fraction]] = []
    sums: list[tuple[Product, ...]] = []
    for part in parts:
        coefficient *= part.coefficient
        factors += part.factors
        sums += [part.addends] if part.factors else []
        ordered |= part.ordered
    return Product(coefficient, tuple(factors), sums[0] if len(sums) == 1 else (), ordered)


def inverse(part: Product) -> Product:
    """One over a product, factor by factor."""
    if part.coefficient == 0:
        return atom("(0)^(-1)")
    return Product(1 / part.coefficient, tuple((t, -e) for t, e in part.factors), ordered=part.ordered)


def power(base: Product, exponent: Product) -> Product:
    """A power; nothing is multiplied out or evaluated."""
    plain = base.coefficient == 1 and len(base.factors) == 1 and base.factors[0][1] == 1
    text = base.factors[0][0] if plain else f"({base.text})"
    if exponent.factors:
        return atom(f"{text}^({exponent.text})")
    return Product(ONE, ((text, exponent.coefficient),))
