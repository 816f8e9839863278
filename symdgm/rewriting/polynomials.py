"""Sums of products of opaque factors with exact coefficients: what canonical forms are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd, lcm

MAX_TERMS = 2000
"""Terms that a product may be multiplied out to."""

Monomial = tuple[tuple[str, Fraction], ...]
"""Factors by their keys, each with its exponent, in the order of the keys."""

UNIT: Monomial = ()
ONE = Fraction(1)


class TooLargeError(Exception):
    """A product has too many terms; whoever asked for a canonical form does without."""


@dataclass(frozen=True)
class Polynomial:
    """A sum of monomials with coefficients that are not zero.

    Example:
        >>> a, b = atom("a"), atom("b")
        >>> (a + b) * (a - b) == a.power(2) - b.power(2)
        True
    """

    terms: Mapping[Monomial, Fraction] = field(default_factory=dict)

    def __add__(self, other: Polynomial) -> Polynomial:
        return total([self, other])

    def __sub__(self, other: Polynomial) -> Polynomial:
        return total([self, other.scaled(-ONE)])

    def __mul__(self, other: Polynomial) -> Polynomial:
        if len(self.terms) * len(other.terms) > MAX_TERMS:
            raise TooLargeError
        return total(
            Polynomial({_joined(m, n): c * d}) for m, c in self.terms.items() for n, d in other.terms.items()
        )

    def scaled(self, number: Fraction) -> Polynomial:
        """All coefficients times a number."""
        return Polynomial({m: c * number for m, c in self.terms.items()} if number else {})

    def power(self, exponent: int) -> Polynomial:
        """A power with a whole exponent from 0 on."""
        result = constant(ONE)
        for _ in range(exponent):
            result = result * self
        return result

    def __iter__(self) -> Iterator[tuple[Monomial, Fraction]]:
        return iter(self.terms.items())

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def number(self) -> Fraction | None:
        """The number that it is, if it is one."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(UNIT) if set(self.terms) == {UNIT} else None

    @property
    def content(self) -> Fraction:
        """The largest positive number of which all coefficients are whole multiples."""
        top = gcd(*(abs(c.numerator) for c in self.terms.values()))
        return Fraction(top, lcm(*(c.denominator for c in self.terms.values())))


def constant(number: Fraction | int) -> Polynomial:
    """A number."""
    return Polynomial({UNIT: Fraction(number)} if number else {})


def atom(key: str, exponent: Fraction | int = 1) -> Polynomial:
    """A power of one factor."""
    return monomial(((key, Fraction(exponent)),))


def monomial(factors: Iterable[tuple[str, Fraction]], coefficient: Fraction = ONE) -> Polynomial:
    """A product of powers."""
    return Polynomial({_joined((), tuple(factors)): coefficient})


def total(parts: Iterable[Polynomial]) -> Polynomial:
    """The sum, with equal terms collected."""
    found: dict[Monomial, Fraction] = {}
    for part in parts:
        for key, coefficient in part:
            found[key] = found.get(key, Fraction(0)) + coefficient
    return Polynomial({key: c for key, c in found.items() if c})


def _joined(a: Monomial, b: Monomial) -> Monomial:
    exponents: dict[str, Fraction] = {}
    for key, exponent in (*a, *b):
        exponents[key] = exponents.get(key, Fraction(0)) + exponent
    return tuple(sorted((key, e) for key, e in exponents.items() if e))
