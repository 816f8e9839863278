"""Sums of products with exact coefficients, against SymPy's own algebra."""

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symdgm.rewriting.polynomials import TooLargeError, atom, constant, total

NAMES = ("a", "b", "c")


@st.composite
def pairs(draw):
    """A polynomial as ours and as SymPy's."""
    ours, theirs = constant(0), sympy.Integer(0)
    for _ in range(draw(st.integers(0, 4))):
        number = draw(st.fractions(min_value=-3, max_value=3, max_denominator=4))
        one, other = constant(number), sympy.Rational(number.numerator, number.denominator)
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
            one, other = one * atom(name), other * sympy.Symbol(name)
        ours, theirs = ours + one, theirs + other
    return ours, theirs


def as_sympy(polynomial):
    return sum(
        (
            sympy.Rational(c.numerator, c.denominator) * sympy.prod(sympy.Symbol(k) ** int(e) for k, e in m)
            for m, c in polynomial
        ),
        sympy.Integer(0),
    )


@settings(max_examples=60)
@given(pairs(), pairs())
def test_sums_and_products_are_those_of_sympy(first, second):
    (a, x), (b, y) = first, second
    assert sympy.expand(as_sympy(a + b) - (x + y)) == 0
    assert sympy.expand(as_sympy(a - b) - (x - y)) == 0
    assert sympy.expand(as_sympy(a * b) - x * y) == 0
    assert sympy.expand(as_sympy(a.power(3)) - x**3) == 0


def test_powers_cancel():
    assert atom("a") * atom("a", -1) == constant(1)
    assert atom("a", Fraction(1, 2)) * atom("a", Fraction(1, 2)) == atom("a")
    assert (atom("a") - atom("a")).number == 0


def test_the_content_is_the_largest_common_number():
    assert (atom("a").scaled(Fraction(3, 2)) + constant(Fraction(9, 4))).content == Fraction(3, 4)


def test_a_product_with_too_many_terms_is_given_up():
    many = total(atom(f"a{i}") for i in range(50))
    with pytest.raises(TooLargeError):
        _ = many * many
