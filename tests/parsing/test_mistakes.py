"""Every labelled mistake: each of its examples is refused with its words, under a caret in the text."""

from __future__ import annotations

import re

import pytest

from symdgm.errors import GrammarError
from symdgm.parsing import bounds, parse
from symdgm.parsing.refusals import mistakes, shorten

EXAMPLES = [(label, text) for label, mistake in mistakes().items() for text in mistake.examples]
WITHOUT = {
    "too-long": "x" * (bounds.MAX_CHARACTERS + 1),
    "too-deep": "(" * (bounds.MAX_DEPTH + 1) + "x" + ")" * (bounds.MAX_DEPTH + 1),
    "too-nested": "-" * 1000 + "x",
    "too-many-statements": "a = b;" * (bounds.MAX_STATEMENTS + 1) + "c = d",
}
"""Mistakes whose texts are too long for the file."""


def pattern(template: str) -> str:
    return re.sub(r"(\\\$(\\\{)?[a-z]+(\\\})?)", "(?s:.*)", re.escape(template))


@pytest.mark.parametrize(
    ("label", "text"), EXAMPLES + list(WITHOUT.items()), ids=lambda v: shorten(str(v), 30)
)
def test_a_mistake_is_named(label: str, text: str) -> None:
    mistake = mistakes()[label]
    with pytest.raises(GrammarError, match=f"^{pattern(mistake.problem)}") as caught:
        parse(text)
    error = caught.value
    assert error.source == text
    assert error.span is not None and 0 <= error.span[0] <= error.span[1] <= len(text)
    assert re.fullmatch(pattern(mistake.hint), str(error.hint))
    assert "$" not in error.problem.replace("$$", "")


def test_every_mistake_has_an_example() -> None:
    assert not [label for label, m in mistakes().items() if not m.examples and label not in WITHOUT]


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("log p(x,z)/q(z|x)", 10, "write `log(p(x,z)/q(z|x))` or `(log p(x,z))/q(z|x)`"),
        (r"a - \log p(x, z) / q(z|x) + b", 17, r"write `\log(p(x, z)/q(z|x))` or `(\log p(x, z))/q(z|x)`"),
        ("E_q(z|x) f(z)/2 g", 13, "write `E_q(z|x)(f(z)/2)` or `(E_q(z|x) f(z))/2`"),
        ("log p(x) log p(y)", 9, "write `log(p(x)) log(...)` or `log(p(x) log(...))`"),
        (r"x + \lgo y", 4, r"did you mean `\log`?"),
    ],
)
def test_the_readings_are_in_the_authors_words(text: str, place: int, hint: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(text)
    assert caught.value.span is not None and caught.value.span[0] == place
    assert caught.value.hint == hint


def test_the_caret_stands_in_the_text() -> None:
    with pytest.raises(GrammarError) as caught:
        parse("E_q(z|x)[log p(x|z)]\n  - KL[q]")
    assert str(caught.value).splitlines()[1:3] == ["    - KL[q]", "          ^"]


@pytest.mark.parametrize("thing", [None, 3, b"x", ["x"], 1.5])
def test_a_formula_is_a_text(thing: object) -> None:
    with pytest.raises(GrammarError, match=f"a formula is a text, not {type(thing).__name__}"):
        parse(thing)  # type: ignore[arg-type]


def test_the_first_mistake_of_a_text_is_the_one_that_is_told() -> None:
    with pytest.raises(GrammarError, match="a colon stands in a range"):
        parse("(lambda: 0)()")
