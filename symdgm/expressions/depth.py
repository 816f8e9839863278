"""Recursion without Python frames: a pass over a tree is a generator that yields passes over the parts."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, TypeVar

from sympy import Basic

from symdgm.caches import remembered
from symdgm.expressions.node import walk

R = TypeVar("R")
K = TypeVar("K", bound=Basic)
Pass = Generator["Pass[Any]", Any, R]
"""A pass that yields the passes that it waits for and returns a result."""


def run(step: Pass[R]) -> R:
    """The result of a pass; depth costs memory, not frames.

    Example:
        >>> def length(items):
        ...     return 1 + (yield length(items[1:])) if items else 0
        >>> run(length(list(range(5000))))
        5000
    """
    stack: list[Pass[Any]] = [step]
    result: Any = None
    while stack:
        try:
            part = stack[-1].send(result)
        except StopIteration as end:
            stack.pop()
            result = end.value
        else:
            stack.append(part)
            result = None
    return result  # type: ignore[no-any-return]


def each(passes: Iterable[Pass[R]]) -> Pass[list[R]]:
    """The results of several passes, one after the other."""
    results = []
    for step in passes:
        results.append((yield step))
    return results


def done(result: R) -> Pass[R]:
    """A pass that has nothing to wait for."""
    yield from ()
    return result


def hashed(expression: Basic) -> Basic:
    """The expression, its parts hashed from the leaves up: SymPy keeps a hash, but finds one by recursion."""
    if expression._mhash is not None:
        return expression
    order: list[Basic] = []
    walk(expression, order.append)
    for node in reversed(order):
        hash(node)
    return expression


def nodes(expression: Basic, *kinds: type[K]) -> tuple[K, ...]:
    """The nodes of an expression, each once, parents first, in written order.

    Args:
        expression: any node, which is the first of them.
        kinds: only those of some kinds.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> nodes(Name("a") + Name("b") + Name("a"), Name)
        (a, b)
    """
    found: tuple[K, ...] = _nodes(hashed(expression), kinds)
    return found


@remembered(1024)
def _nodes(expression: Basic, kinds: tuple[type[Basic], ...]) -> tuple[Basic, ...]:
    if kinds:
        return tuple(n for n in _nodes(expression, ()) if isinstance(n, kinds))
    found: dict[Basic, None] = {}
    walk(expression, lambda node: found.setdefault(node))
    return tuple(found)
