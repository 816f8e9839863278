"""What a big operator runs over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sympy import Basic
from sympy.core.symbol import Str

from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import Labelled, Name, Placeholder, Subscripted
from symdgm.parsing.numbers import check_index
from symdgm.parsing.pieces import Piece, piece
from symdgm.parsing.refusals import refusal


@dataclass(slots=True)
class IndexSpec:
    """``k``, ``k=1``, ``k=1..K``, ``k != i`` as written below the sign."""

    variable: Piece
    lower: Piece | None = None
    upper: Piece | None = None
    condition: Piece | None = None

    @classmethod
    def conditioned(cls, relation: Piece) -> IndexSpec:
        """An index with a condition, which names it on the left."""
        return cls(relation.parts[0], condition=relation)


def aggregate(c: list[Any], indices: list[IndexSpec], upper: Piece | None, body: Piece) -> Piece:
    """A sum, product or mean; several indices nest, the first outermost."""
    _share_bounds(indices, upper)
    made = body
    for index in reversed(indices):
        found = _index(index)
        node = Aggregate(Str(c[0].text), made.node, found.node)
        made = piece(c, node, [found, made])
    return made


def _share_bounds(indices: list[IndexSpec], upper: Piece | None) -> None:
    """``sum_{i,j=1}^N``: the bounds hold for all indices that have none."""
    if upper is None:
        return
    last = indices[-1]
    if last.lower is None or last.upper is not None:
        raise refusal("upper-without-lower", upper.span)
    for index in indices:
        if index.condition is not None:
            raise refusal("upper-without-lower", upper.span)
        index.lower = index.lower or last.lower
        index.upper = index.upper or check_index(upper)


def _index(index: IndexSpec) -> Piece:
    variable = index.variable
    if not isinstance(variable.node, (Name, Subscripted, Labelled)):
        raise refusal("not-an-index", variable.span)
    if index.condition is not None:
        return piece(
            [index.condition], Index(variable.node, index.condition.node), [variable, index.condition]
        )
    bounds = [p for p in (index.lower, index.upper) if p is not None]
    nodes: list[Basic] = [p.node for p in bounds]
    if index.lower is not None and index.upper is None:
        nodes.append(Placeholder())
    return piece([variable, *bounds], Index(variable.node, *nodes), [variable, *bounds])
