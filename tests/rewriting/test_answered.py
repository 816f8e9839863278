"""Results are found again exactly where what is bound answers alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import symdgm as sd
from symdgm.caches import CacheInfo
from symdgm.errors import NameResolutionError
from symdgm.expressions.names import Name
from symdgm.rewriting.answered import MAX_ALIKE, by_answers

A, B = Name("a"), Name("b")


class Answers:
    """Facts that are asked for scalars and their values."""

    def __init__(self, **values):
        self.values = values

    def is_scalar(self, node):
        if node.text == "ambiguous":
            raise NameResolutionError("two things are called so")
        return node.text in self.values

    def value(self, node):
        return self.values[node.text]


def known():
    return next(info for name, info in sd.cache_info().items() if name.endswith("test_answered.positive"))


@pytest.fixture
def asked():
    """A function of a formula and facts, and the formulas of which it was computed."""
    computed = []

    @by_answers(3)
    def positive(expression, facts, *, strictly=True):
        computed.append(expression)
        found = [n for n in (A, B) if facts.is_scalar(n)]
        return all(facts.value(n) > 0 or (not strictly and facts.value(n) == 0) for n in found)

    positive.computed = computed
    return positive


def test_equal_answers_find_the_result(asked):
    assert asked(A, Answers(a=1.0)) and asked(A, Answers(a=1.0)) and asked.computed == [A]
    assert known() == CacheInfo(hits=1, misses=1, maxsize=3, currsize=1)


def test_any_other_answer_makes_it_anew(asked):
    cases = [{"a": 1.0}, {"a": -1.0}, {"a": 1.0, "b": -1.0}, {"b": 1.0}, {}]
    expected = [True, False, False, True, True]
    for _ in range(2):
        assert [asked(A, Answers(**case)) for case in cases] == expected
    assert len(asked.computed) == len(cases)


def test_formulas_and_options_are_told_apart(asked):
    zero = Answers(a=0.0)
    assert not asked(A, zero) and asked(A, zero, strictly=False) and not asked(B, zero)
    assert len(asked.computed) == 3


def test_what_was_asked_without_an_answer_is_not_kept():
    calls = []

    @by_answers(3)
    def cautious(expression, facts):
        calls.append(expression)
        try:
            return facts.is_scalar(expression)
        except NameResolutionError:
            return None

    unclear = Name("ambiguous")
    assert cautious(unclear, Answers()) is None and cautious(unclear, Answers()) is None and len(calls) == 2


def test_an_error_is_raised_each_time():
    @by_answers(3)
    def strict(expression, facts):
        return facts.is_scalar(expression)

    for _ in range(2):
        with pytest.raises(NameResolutionError, match="two things are called so"):
            strict(Name("ambiguous"), Answers())


def test_answers_that_change_on_the_way_are_all_noted():
    calls = []

    class Growing(Answers):
        def is_scalar(self, node):
            calls.append(node)
            return len(calls) % 2 == 0

    @by_answers(3)
    def twice(expression, facts):
        return facts.is_scalar(expression), facts.is_scalar(expression)

    assert twice(A, Growing()) == (False, True) == twice(A, Growing()) and len(calls) == 4


def test_formulas_and_results_of_each_are_bounded(asked):
    for i in range(10):
        asked(Name(f"x_{i}"), Answers())
    assert known().currsize == known().maxsize == 3
    for i in range(2 * MAX_ALIKE + 1):
        assert asked(A, Answers(a=float(i + 1)))
    count = len(asked.computed)
    assert asked(A, Answers(a=float(2 * MAX_ALIKE + 1))) and len(asked.computed) == count
    assert asked(A, Answers(a=1.0)) and len(asked.computed) == count + 1


def test_threads_share_results_while_these_are_forgotten(asked):
    def work(i):
        if i % 10 == 0:
            sd.cache_clear()
        sign = 1.0 if i % 3 else -1.0
        return asked(A, Answers(a=sign)) == (sign > 0)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


def test_no_answer_where_there_was_one_is_for_whoever_asks():
    class Unsure(Answers):
        def is_scalar(self, node):
            raise NameResolutionError("two things are called so")

    @by_answers(3)
    def cautious(expression, facts):
        try:
            return facts.is_scalar(expression)
        except NameResolutionError:
            return None

    assert cautious(A, Answers(a=1.0)) is True
    assert cautious(A, Unsure()) is None
