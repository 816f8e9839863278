"""The corpora: what is the same, what differs, what is refused and where."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import pytest
from corpora import SHARED, cases, formulas

from symdgm.errors import GrammarError
from symdgm.expressions.notation import ascii, latex, unicode
from symdgm.expressions.signature import signature
from symdgm.parsing import parse


def name(group: dict[str, Any]) -> str:
    return str(group["id"])


def test_the_shared_corpus_is_there() -> None:
    if not SHARED.is_file():
        pytest.skip("no shared corpus stands beside this checkout")
    assert len(cases("equal")) > 60


@pytest.mark.parametrize("group", cases("equal"), ids=name)
def test_the_strings_of_a_group_are_one(group: dict[str, Any]) -> None:
    signatures = {text: signature(parse(text)) for text in group["strings"]}
    assert len(set(signatures.values())) == 1, signatures


@pytest.mark.parametrize("group", cases("distinct"), ids=name)
def test_the_strings_of_a_group_differ(group: dict[str, Any]) -> None:
    signatures = {text: signature(parse(text)) for text in group["strings"]}
    for a, b in itertools.combinations(signatures, 2):
        assert signatures[a] != signatures[b], (a, b)


@pytest.mark.parametrize("case", cases("refused"), ids=name)
def test_what_is_refused_points_at_its_place(case: dict[str, Any]) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(case["text"])
    error = caught.value
    assert error.source == case["text"] and error.span is not None and error.hint
    if case.get("at"):
        place = -1
        for _ in range(case.get("nth", 1)):
            place = case["text"].index(case["at"], place + 1)
        assert error.span[0] == place, str(error)


@pytest.mark.parametrize("write", [ascii, unicode, latex], ids=lambda f: f.__name__)
def test_what_is_written_is_read_back(write: Any) -> None:
    for text in formulas():
        node = parse(text)
        assert parse(write(node)) == node, (text, write(node))


def test_what_is_read_can_be_pickled() -> None:
    for text in formulas():
        node = parse(text)
        assert pickle.loads(pickle.dumps(node)) == node
        assert node.func(*node.args) == node
