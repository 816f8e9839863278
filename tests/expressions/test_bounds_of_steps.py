"""Which steps a sum over time runs over, and how it is written one step later."""

from __future__ import annotations

import pytest

from symdgm.expressions.steps import moved, span
from symdgm.parsing import parse


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("sum_t x_t", (1, "None", 0)),
        ("sum_{t>1} x_t", (2, "None", 0)),
        ("sum_{t>=2} x_t", (2, "None", 0)),
        ("sum_{t=2}^{T-1} x_t", (2, "T", 1)),
    ],
)
def test_bounds(text, bounds):
    first, last, dropped = span(parse(text).index)
    assert (first, str(last), dropped) == bounds


@pytest.mark.parametrize(
    ("text", "by", "wanted"),
    [
        ("sum_{t=1}^{T-1} x_t", 1, "sum_{t=2}^T x_t"),
        ("sum_{t=2}^T x_t", -1, "sum_{t=1}^{T-1} x_t"),
        ("sum_{t=1}^T x_t", -1, None),  # before the first step
        ("sum_{t=1}^T x_t", 1, None),  # after the last one
        ("sum_{t=1}^{T-1} x_t", 2, None),
    ],
)
def test_a_sum_stays_within_its_sequences(text, by, wanted):
    assert moved(parse(text).index, by) == (None if wanted is None else parse(wanted).index)
