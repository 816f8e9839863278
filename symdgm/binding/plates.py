"""Indices while a formula is read: what they run over, and how they are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sympy import Basic, Integer

from symdgm.binding.environment import Environment
from symdgm.binding.tables import length
from symdgm.errors import NameResolutionError
from symdgm.expressions.depth import nodes
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import IndexRange, Name, Subscripted, spelled

ROWS = ("B", "N", "M")
"""Names that mean a number of examples where an index runs to them (LANGUAGE.md 8.7 and 8.29)."""


@dataclass
class Plate:
    """An index while its body is read.

    Args:
        lower: where it begins.
        upper: where it ends, or None where nothing says so.
        condition: a condition that it must meet, or None.
        uses: what it was the index of: ``sample``, ``entry``, ``component``, ``row``.
    """

    lower: Basic = field(default_factory=lambda: Integer(1))
    upper: Basic | None = None
    condition: Basic | None = None
    uses: dict[str, Basic] = field(default_factory=dict)

    @property
    def runs_over_rows(self) -> bool:
        """Whether it is written as an index over the examples."""
        return isinstance(self.upper, Name) and self.upper.text in ROWS

    def use(self, what: str, node: Basic) -> None:
        """Note what it is the index of."""
        self.uses.setdefault(what, node)


def sizes_of(expression: Basic, environment: Environment) -> dict[str, int]:
    """Names of upper bounds that are not bound, but are the length of a table that is.

    Raises:
        NameResolutionError: two tables of different lengths have one index.
    """
    found: dict[str, int] = {}
    for aggregate in sorted(nodes(expression, Aggregate), key=str):
        upper = _upper(aggregate)
        if upper is None or environment.scalar(upper) is not None:
            continue
        for name, count in _lengths(aggregate, environment):
            known = found.setdefault(spelled(upper), count)
            if known != count:
                raise NameResolutionError(
                    f"`{upper}` is {known} by one table, but `{name}` has {count} entries",
                    hint=f"bind `{spelled(upper)}=...`, or give the index of the other table another name",
                )
    return found


def batch_sizes_of(expression: Basic, environment: Environment, known: dict[str, int]) -> dict[str, None]:
    """Names of upper bounds that are not bound, and so mean the number of examples: ``B``, ``N``, ``M``."""
    families = {
        spelled(n.indices[0].args[1])
        for n in nodes(expression, Subscripted)
        if isinstance(n.indices[0], IndexRange)
    }
    uppers = {spelled(u) for a in nodes(expression, Aggregate) if (u := _upper(a)) is not None}
    unbound = uppers - families - set(known) - set(environment.scalars)
    return dict.fromkeys(name for name in ROWS if name in unbound)


def _upper(aggregate: Aggregate) -> Name | None:
    bounds = aggregate.index.args[1:]
    return bounds[1] if len(bounds) == 2 and isinstance(bounds[1], Name) else None


def _lengths(aggregate: Aggregate, environment: Environment) -> Iterator[tuple[str, int]]:
    """The tables that stand with the index itself, with their lengths."""
    for node in sorted(nodes(aggregate.body, Subscripted), key=str):
        name = spelled(node.head)
        if node.indices[0] == aggregate.index.variable and name in environment.tables:
            count = length(environment.tables[name])
            if count is not None:
                yield name, count - 1 if aggregate.index.args[1] == 0 else count


def note_sizes(expression: Basic, environment: Environment) -> None:
    """Note what the names stand for to which indices run, and which nothing else binds."""
    environment.lengths.update(sizes_of(expression, environment))
    environment.batch_sizes.update(batch_sizes_of(expression, environment, environment.lengths))
