"""What is remembered between calls: bounded, counted, and cleared in one place.

Only what depends on nothing but its arguments is remembered here, and no tensor or network is: texts that
were read, spellings and free names of formulas, what rewriting made of a formula where what is bound gave the
same answers, the layout of generated functions. What belongs to an objective is kept by it, and goes with it.

Example:
    >>> @remembered(2)
    ... def twice(number):
    ...     return 2 * number
    >>> twice(1), twice(1), cache_info()["caches.twice"]
    (2, 2, CacheInfo(hits=1, misses=1, maxsize=2, currsize=1))
    >>> cache_clear()
    >>> cache_info()["caches.twice"].currsize
    0
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar, cast, final

Function = TypeVar("Function", bound=Callable[..., Any])
Key = TypeVar("Key")
Value = TypeVar("Value")


class CacheInfo(NamedTuple):
    """The state of a cache.

    Args:
        hits: how often an entry was there.
        misses: how often one was made.
        maxsize: the most entries; the one that was not used for the longest time goes first.
        currsize: the entries of now.
    """

    hits: int
    misses: int
    maxsize: int
    currsize: int


_COUNTS: dict[str, Callable[[], CacheInfo]] = {}
_CLEARS: dict[str, Callable[[], None]] = {}


def register(name: str, count: Callable[[], CacheInfo], clear: Callable[[], None]) -> None:
    """Let `cache_info` and `cache_clear` know of a cache."""
    _COUNTS[name], _CLEARS[name] = count, clear


def remembered(size: int) -> Callable[[Function], Function]:
    """A function whose last results are kept; threads may share it.

    Args:
        size: how many results.
    """

    def decorate(function: Function) -> Function:
        kept = lru_cache(maxsize=size)(function)
        name = f"{function.__module__.removeprefix('symdgm.')}.{function.__name__.lstrip('_')}"
        register(name, lambda: CacheInfo(*cast(Any, kept.cache_info())), kept.cache_clear)
        return cast(Function, kept)

    return decorate


@final
class Table(Generic[Key, Value]):
    """What a function found for parts of its arguments, by part; when it is full, it starts anew.

    Args:
        name: what `cache_info` calls it.
        size: the most entries.
    """

    def __init__(self, name: str, size: int) -> None:
        self.size, self.hits, self.misses = size, 0, 0
        self._kept: dict[Key, Value] = {}
        register(name, lambda: CacheInfo(self.hits, self.misses, self.size, len(self._kept)), self.clear)

    def get(self, key: Key) -> Value | None:
        """The entry, if there is one."""
        found = self._kept.get(key)
        self.hits += found is not None
        return found

    def keep(self, key: Key, value: Value) -> None:
        """Adds an entry that was not there."""
        if len(self._kept) >= self.size:
            self._kept.clear()
        self._kept[key] = value
        self.misses += 1

    def clear(self) -> None:
        """Forget all entries."""
        self._kept.clear()
        self.hits = self.misses = 0


def cache_info() -> dict[str, CacheInfo]:
    """How full each cache is and how often it helped, by its name; there are no others.

    Example:
        >>> import symdgm as sd
        >>> sd.cache_clear()
        >>> first, second = sd.parse("KL[q||p] + 1"), sd.parse("KL[q||p] + 1")
        >>> sd.cache_info()["parsing.reading.reduced"]
        CacheInfo(hits=1, misses=1, maxsize=256, currsize=1)
    """
    return {name: count() for name, count in sorted(_COUNTS.items())}


def cache_clear() -> None:
    """Forget all that is remembered; it is made anew when it is asked for, with the same results."""
    for clear in tuple(_CLEARS.values()):
        clear()
