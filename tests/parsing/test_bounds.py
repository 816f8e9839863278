"""The stated bounds hold, and what is just inside them is read."""

from __future__ import annotations

import pytest

from symdgm.errors import GrammarError
from symdgm.parsing import bounds, parse


def inside(depth: int) -> str:
    return "(" * depth + "x" + ")" * depth


@pytest.mark.parametrize(
    ("fits", "breaks", "words"),
    [
        ("x" + " " * (bounds.MAX_CHARACTERS - 1), "x" + " " * bounds.MAX_CHARACTERS, "longer than a formula"),
        (inside(bounds.MAX_DEPTH), inside(bounds.MAX_DEPTH + 1), "brackets stand within one another"),
        ("-" * (bounds.MAX_NESTING - 1) + "x", "-" * bounds.MAX_NESTING + "x", "operations stand within"),
        ("a/" * (bounds.MAX_NESTING - 1) + "b", "a/" * bounds.MAX_NESTING + "b", "operations stand within"),
        ("x^" * (bounds.MAX_NESTING - 1) + "x", "x^" * bounds.MAX_NESTING + "x", "operations stand within"),
        ("9" * bounds.MAX_DIGITS, "9" * (bounds.MAX_DIGITS + 1), "digits"),
        (f"1e{bounds.MAX_EXPONENT}", f"1e{bounds.MAX_EXPONENT + 1}", "power of ten"),
        (f"1e-{bounds.MAX_EXPONENT}", f"1e-{bounds.MAX_EXPONENT + 1}", "power of ten"),
        (f"x^{bounds.MAX_EXPONENT}", f"x^{bounds.MAX_EXPONENT + 1}", "too large to be meant"),
        (f"x^-{bounds.MAX_EXPONENT}", f"x^-{bounds.MAX_EXPONENT + 1}", "too large to be meant"),
        (f"x_{bounds.MAX_INDEX}", f"x_{bounds.MAX_INDEX + 1}", "an index goes to"),
        (f"sum_{{t=1}}^{bounds.MAX_INDEX} x", f"sum_{{t=1}}^{bounds.MAX_INDEX + 1} x", "an index goes to"),
        (f"x_{{1:{bounds.MAX_INDEX}}}", f"x_{{1:{bounds.MAX_INDEX + 1}}}", "an index goes to"),
        (
            "a = b\n" * bounds.MAX_STATEMENTS,
            "a = b\n" * (bounds.MAX_STATEMENTS + 1),
            f"at most {bounds.MAX_STATEMENTS} statements",
        ),
    ],
)
def test_a_bound_is_where_it_is_stated(fits: str, breaks: str, words: str) -> None:
    parse(fits)
    with pytest.raises(GrammarError, match=words):
        parse(breaks)


@pytest.mark.parametrize(
    "tower", ["9^9^9^9", "(9^9)^9", "2^{3^2}", "2^(1+1)", r"\frac{1}{2}^{9^9}", "(2^9)^(9^9)"]
)
def test_towers_of_numbers_are_refused(tower: str) -> None:
    with pytest.raises(GrammarError, match="towers of numbers are refused"):
        parse(tower)


def test_powers_of_numbers_are_not_computed() -> None:
    assert str(parse("2^1000 beta^2")) == "2^1000 beta^2"


def test_the_bounds_are_stated_in_the_grammar() -> None:
    from symdgm.parsing.grammar_files import grammar_text

    page = grammar_text("README.md").replace(",", "")
    for bound in (value for name, value in vars(bounds).items() if name.startswith("MAX_")):
        assert str(bound) in page
