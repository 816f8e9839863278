"""An index outside of the sum that binds it: the missing bracket of ``sum_k a_k + b_k`` (LANGUAGE.md 8.8)."""

from __future__ import annotations

from sympy import Basic

from symdgm.binding.reader import Reader
from symdgm.errors import NameResolutionError
from symdgm.expressions.arithmetic import Plus
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Subscripted


def free_index(reader: Reader, node: Subscripted, scope: frozenset[Basic]) -> None:
    """Refuse a name whose index belongs to a sum that has ended before.

    Raises:
        NameResolutionError: with the bracketed text, ready to be pasted.
    """
    index = next((i for i in node.indices if i in reader.dummies and i not in scope), None)
    if index is None or reader.environment.scalar(index) is not None or reader.is_variable(index):
        return
    shown = node if node.head != index else index
    bracketed = next((b for p in reversed(reader.path) if (b := _bracketed(p, index)) is not None), None)
    hint = f"write `{bracketed}`" if bracketed is not None else f"move it into the sum over `{index}`"
    raise NameResolutionError(
        f"the index of `{shown}` is free: the sum over `{index}` ends before it"
        if shown is node
        else f"the index `{index}` is free: the sum over it ends before",
        hint=hint,
    )


def _bracketed(node: Basic, index: Basic) -> Basic | None:
    """A sum with all terms after a big operator taken into it."""
    if not isinstance(node, Plus):
        return None
    for place, term in enumerate(node.args[:-1]):
        operator = next(
            (a for a in term.atoms(Aggregate) if a.index.variable == index and _ends(term, a)), None
        )
        if operator is not None:
            body = Plus(operator.body, *node.args[place + 1 :])
            inside = _with(term, operator, Aggregate(operator.args[0], body, operator.index))
            return Plus(*node.args[:place], inside) if place else inside
    return None


def _ends(term: Basic, operator: Basic) -> bool:
    """Whether a term ends with an operator."""
    while term != operator and term.args:
        term = term.args[-1]
    return bool(term == operator)


def _with(term: Basic, old: Basic, new: Basic) -> Basic:
    """A term whose last part is another one."""
    return new if term == old else term.func(*term.args[:-1], _with(term.args[-1], old, new))
