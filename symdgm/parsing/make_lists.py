"""From rules to nodes: what stands in lists: indices, labels, arguments, laws, conditions."""

from __future__ import annotations

from typing import Any

from sympy.core.symbol import Str

from symdgm.expressions.names import IndexRange, Listing, Placeholder, Relation
from symdgm.parsing.binders import Law, family
from symdgm.parsing.ellipses import DOTS, fold_ellipses
from symdgm.parsing.indices import IndexSpec
from symdgm.parsing.numbers import check_index
from symdgm.parsing.pieces import Piece, piece, pieces
from symdgm.parsing.words import Word

Arguments = tuple[list[Piece], list[Piece], list[Piece]]
"""Values, givens, parameters."""


def several(c: list[Any]) -> list[Piece]:
    """``a, b``, ``(a, b)``."""
    return pieces(c)


def inside(c: list[Any]) -> Piece:
    """What stands between two words."""
    found: Piece = c[1]
    return found


def indexed(c: list[Any]) -> list[Piece]:
    """``_{i, j}``."""
    return fold_ellipses([check_index(p) for p in pieces(c)])


def label_text(c: list[Any]) -> Piece:
    r"""``^{\text{o}}``."""
    return piece(c, Str(c[0].text), [])


def interval(c: list[Any]) -> Piece:
    """``1:T``, ``:t``, ``t:``."""
    at = next(k for k, child in enumerate(c) if isinstance(child, Word))
    ends = [c[:at], c[at + 1 :]]
    nodes = [check_index(end[0]).node if end else Placeholder() for end in ends]
    return piece(c, IndexRange(*nodes), pieces(c))


def half_relation(c: list[Any]) -> Piece:
    """``<= t``."""
    return piece(c, Relation(Str(c[0].text), Placeholder(), c[1].node), [c[1]])


def relation(c: list[Any]) -> Piece:
    """``k != i``."""
    left, right = pieces(c)
    return piece(c, Relation(Str(c[1].text), left.node, right.node), [left, right])


def equality(c: list[Any]) -> Piece:
    """``k = i`` of an indicator."""
    left, right = pieces(c)
    return piece(c, Relation(Str("=="), left.node, right.node), [left, right])


def ellipsis(c: list[Any]) -> Piece:
    """``…``."""
    return piece(c, DOTS, [])


def placeholder(c: list[Any]) -> Piece:
    """``·``."""
    return piece(c, Placeholder(), [])


def arguments(c: list[Any]) -> Arguments:
    """``x, y | z; theta``."""
    found: Arguments = (c[0], [], [])
    for mark, group in zip(c[1::2], c[2::2], strict=True):
        found[1 if mark.type == "GIVEN" else 2].extend(group)
    return found


def values(c: list[Any]) -> list[Piece]:
    """``x, y``."""
    return fold_ellipses(pieces(c))


def listing(c: list[Any]) -> Piece:
    """A set; ``{1..T}`` and ``{1, …, T}`` are ranges."""
    held = fold_ellipses(pieces(c))
    if len(held) == 1 and isinstance(held[0].node, IndexRange):
        return piece(c, held[0].node, held[0].parts)
    return piece(c, Listing(*(p.node for p in held)), held)


def laws(c: list[Any]) -> list[Any]:
    """``x ~ p, y ~ q``."""
    return [child for child in c if not isinstance(child, Word)]


def law(c: list[Any]) -> Law:
    """``x ~ p``."""
    return Law(c[0] if isinstance(c[0], list) else [c[0]], c[2])


def family_of(c: list[Any]) -> Piece:
    r"""``\{z_k\}_{k=1}^K``."""
    return family(c, c[1], c[4], c[6] if len(c) > 6 else None)


def indices(c: list[Any]) -> list[IndexSpec]:
    """``i, j``."""
    return [
        child if isinstance(child, IndexSpec) else IndexSpec.conditioned(child)
        for child in c
        if not isinstance(child, Word)
    ]


def free_index(c: list[Any]) -> IndexSpec:
    """``k``."""
    return IndexSpec(c[0])


def from_index(c: list[Any]) -> IndexSpec:
    """``k=1``."""
    return IndexSpec(c[0], check_index(c[2]))


def range_index(c: list[Any]) -> IndexSpec:
    """``k=1..K``."""
    return IndexSpec(c[0], check_index(c[2]), check_index(c[4]))


RULES = {
    "list": several,
    "several": several,
    "subscript": inside,
    "label": inside,
    "indexed": indexed,
    "label_text": label_text,
    "range": interval,
    "half_relation": half_relation,
    "relation": relation,
    "equality": equality,
    "ellipsis": ellipsis,
    "placeholder": placeholder,
    "arguments": arguments,
    "values": values,
    "listing": listing,
    "laws": laws,
    "law": law,
    "family": family_of,
    "indices": indices,
    "free_index": free_index,
    "from_index": from_index,
    "range_index": range_index,
}
