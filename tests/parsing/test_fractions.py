"""The arguments of a fraction without braces."""

from __future__ import annotations

import pytest

from symdgm.expressions.signature import signature
from symdgm.parsing import parse


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (r"\frac12 x", "(1/2) x"),
        (r"\frac123 x", "(1/2) * 3 x"),
        (r"\frac a b2c", "(a/b) * 2 c"),
        (r"\frac 1 l2 x", "(1/l) * 2 x"),
    ],
)
def test_an_argument_without_braces_is_one_character(text: str, same: str) -> None:
    """What follows it in the same word is a number, then a name."""
    assert signature(parse(text)) == signature(parse(same))
