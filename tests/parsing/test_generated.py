"""Generated expressions: what is written in any spelling is read back, whatever the nodes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import blocks, expressions
from sympy import Basic

from symdgm.expressions.node import Node
from symdgm.expressions.notation import ascii, latex, unicode
from symdgm.parsing import parse, read

CAREFUL = settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
SPELLINGS = pytest.mark.parametrize("write", [ascii, unicode, latex], ids=lambda f: f.__name__)


@SPELLINGS
@CAREFUL
@given(expressions.filter(lambda node: isinstance(node, Node)))
def test_an_expression_is_read_back(write: Callable[[Basic], str], node: Basic) -> None:
    assert parse(write(node)) == node


@SPELLINGS
@CAREFUL
@given(blocks)
def test_a_block_is_read_back(write: Callable[[Basic], str], node: Basic) -> None:
    assert parse(write(node)) == node


@CAREFUL
@given(expressions)
def test_every_part_is_where_it_is_said_to_be(node: Basic) -> None:
    """What stands in the span of a part reads as that part, if it reads at all on its own."""
    text = str(node)
    reading = read(text)
    assert reading.spans[reading.expression] is not None
    for start, end in reading.spans.values():
        assert 0 <= start <= end <= len(text)
