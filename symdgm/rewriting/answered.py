"""Results that are found again where what is bound gives the same answers.

What rewriting makes of a formula depends on the formula and on the answers of `Facts`, each of them a symbol,
a number or a truth value. So a result is kept under the questions that were asked on the way to it and their
answers. Another objective with the same formula is asked the same questions in the same order: where it
answers alike, the result is the same; at the first answer that differs, it is made anew. No distribution,
network or tensor is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast, final

from sympy import Basic

from symdgm.caches import CacheInfo, register
from symdgm.errors import SymdgmError
from symdgm.expressions.depth import hashed
from symdgm.rewriting.facts import Facts

MAX_ALIKE = 16
"""Results that are kept for one formula, each for other answers; one more forgets the others."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Question(NamedTuple):
    """A method of `Facts` with its arguments."""

    method: str
    arguments: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...]

    def asked(self, facts: Facts) -> Any:
        """The answer."""
        return getattr(facts, self.method)(*self.arguments, **dict(self.named))


@final
class Noting:
    """Facts that note what they answer.

    Args:
        facts: what is bound.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._latest: dict[Question, Any] = {}
        self.notes: list[tuple[Question, Any]] = []
        self.complete = True

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._answer(Question(method, arguments, tuple(named.items())))

    def _answer(self, question: Question) -> Any:
        try:
            answer = question.asked(self._facts)
        except SymdgmError:
            self.complete = False  # whoever asked may go on without an answer
            raise
        if question not in self._latest or self._latest[question] != answer:
            self._latest[question] = answer
            self.notes.append((question, answer))
        return answer


@dataclass
class _Fork:
    """The question that is asked next, and where each answer leads: to another one, or to a result."""

    question: Question
    ways: list[tuple[Any, _Fork | _Result]]

    def after(self, answer: Any) -> _Fork | _Result | None:
        return next((way for known, way in self.ways if known == answer), None)


@dataclass(frozen=True)
class _Result:
    value: Any


@final
class Results:
    """The results of a function by formula and answers; threads may share them.

    Args:
        size: formulas of which results are kept; the one that was not used for the longest time goes first.
    """

    def __init__(self, size: int) -> None:
        self.size, self.hits, self.misses = size, 0, 0
        self._known: OrderedDict[Hashable, tuple[_Fork | _Result, int]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable, facts: Facts) -> _Result | None:
        """What was made of a formula where the answers were those of ``facts``."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            place: _Fork | _Result | None = self._known.get(key, (None, 0))[0]
        while isinstance(place, _Fork):
            try:
                place = place.after(place.question.asked(facts))
            except SymdgmError:
                place = None  # whoever asks may go on without an answer
        with self._lock:
            self.hits, self.misses = self.hits + (place is not None), self.misses + (place is None)
        return place

    def keep(self, key: Hashable, notes: list[tuple[Question, Any]], value: Any) -> None:
        """Adds a result after what was asked on the way to it."""
        with self._lock:
            root, count = self._known.get(key, (None, 0))
            fork, left = _parting(root, notes) if count < MAX_ALIKE else (None, notes)
            chain = _chain(left[1:] if fork is not None else left, _Result(value))
            if fork is None:
                root, count = chain, 0
            else:
                fork.ways.append((left[0][1], chain))
            assert root is not None
            self._known[key] = root, count + 1
            while len(self._known) > self.size:
                self._known.popitem(last=False)

    def count(self) -> CacheInfo:
        """How many formulas there are, and how often one helped."""
        return CacheInfo(self.hits, self.misses, self.size, len(self._known))

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._known.clear()
            self.hits = self.misses = 0


def _parting(
    place: _Fork | _Result | None, notes: list[tuple[Question, Any]]
) -> tuple[_Fork | None, list[tuple[Question, Any]]]:
    """The question at which an answer is new, and the notes from it on; None where there is none."""
    for i, (question, answer) in enumerate(notes):
        if not isinstance(place, _Fork) or place.question != question:
            return None, notes
        after = place.after(answer)
        if after is None:
            return place, notes[i:]
        place = after
    return None, notes


def _chain(notes: list[tuple[Question, Any]], result: _Result) -> _Fork | _Result:
    place: _Fork | _Result = result
    for question, answer in reversed(notes):
        place = _Fork(question, [(answer, place)])
    return place


def by_answers(size: int) -> Callable[[Function], Function]:
    """A function of a formula, of facts and of options whose results are kept by the facts' answers.

    Args:
        size: of how many formulas.
    """

    def decorate(function: Function) -> Function:
        results = Results(size)

        @wraps(function)
        def found(expression: Basic, facts: Facts, **options: Hashable) -> Any:
            key = (hashed(expression), *sorted(options.items()))
            known = results.find(key, facts)
            if known is not None:
                return known.value
            noting = Noting(facts)
            value = function(expression, cast(Facts, noting), **options)
            if noting.complete:
                results.keep(key, noting.notes, value)
            return value

        name = f"{function.__module__.removeprefix('symdgm.')}.{function.__name__}"
        register(name, results.count, results.clear)
        return cast(Function, found)

    return decorate
