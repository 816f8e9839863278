"""What an index takes an entry of: ``u_k``, ``pi_k``, ``f_k(x)``, ``a_t`` (LANGUAGE.md 8.28)."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real

import torch
from sympy import Basic
from torch import Tensor, nn

from symdgm.errors import OptionError
from symdgm.expressions.depth import nodes
from symdgm.expressions.names import Subscripted, spelled

LISTS = (list, tuple, nn.ParameterList, nn.ModuleList)


def indexed_names(expressions: Iterable[Basic]) -> set[str]:
    """The names that stand with an index somewhere: ``u`` of ``u_k``, ``f`` of ``f_k(x)``."""
    return {spelled(n.head) for e in expressions for n in nodes(e, Subscripted)}


def is_table(value: object) -> bool:
    """Whether the entries of a value can be taken by an index."""
    if isinstance(value, Tensor):
        return value.dim() > 0
    return isinstance(value, LISTS) or (callable(value) and not isinstance(value, nn.Module))


def table(name: str, value: object) -> object:
    """What is bound as a table, with weights as a module: a tensor, a list of networks, or a function.

    Args:
        name: the name, for errors.
        value: a tensor whose leading axis is the index, a list of tensors, numbers or networks, or a function
            of the index.

    Raises:
        OptionError: an empty list, or one whose entries are of several kinds.

    Example:
        >>> table("pi", [0.25, 0.75])
        tensor([0.2500, 0.7500])
    """
    if not isinstance(value, list | tuple):
        return value
    entries = list(value)
    if entries and all(isinstance(e, nn.Parameter) for e in entries):
        return nn.ParameterList(entries)
    if entries and all(isinstance(e, Tensor) for e in entries):
        return torch.stack(entries)
    if entries and all(isinstance(e, Real) for e in entries):
        return torch.tensor([float(e) for e in entries])
    if entries and all(isinstance(e, nn.Module) for e in entries):
        return nn.ModuleList(entries)
    if entries and all(callable(e) for e in entries):
        return entries
    kinds = ", ".join(sorted({type(e).__name__ for e in entries})) or "nothing"
    raise OptionError(
        f"`{name}` is bound to a list of {kinds}, of which an index cannot take an entry",
        hint="give a tensor with the index on its first axis, or a list of tensors, numbers, or networks",
    )


def is_list_of_networks(value: object) -> bool:
    """Whether the entries are applied: ``f_k(x)``."""
    return isinstance(value, nn.ModuleList) or (isinstance(value, list) and callable(value[0]))


def length(value: object) -> int | None:
    """How many entries there are; None for a function of the index."""
    if isinstance(value, Tensor):
        return len(value)
    return len(value) if isinstance(value, list | nn.ParameterList | nn.ModuleList) else None
