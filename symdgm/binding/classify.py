"""What each keyword of an objective is: a distribution, a network, a scalar or an event shape, by its value and its use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from sympy import Basic

from symdgm.binding.environment import Environment
from symdgm.binding.factors import Factor, reference
from symdgm.binding.scalars import Scalars, is_scalar
from symdgm.distributions import Distribution
from symdgm.errors import NameResolutionError, OptionError, nearest
from symdgm.expressions.names import Subscripted, spelled
from symdgm.expressions.scope import heads

Declared = Sequence[tuple[Basic, Distribution]]


def classify(
    expressions: Iterable[Basic], declared: Declared, names: Mapping[str, object], read: Callable[[str], Basic]
) -> Environment:
    """The environment of a formula.

    Args:
        expressions: what uses the names.
        declared: the distributions with their notation.
        names: keyword → value; a distribution here is bound under the keyword as its name.
        read: text → name node.

    Raises:
        OptionError: a value that can be none of these.
        NameResolutionError: one factor is declared twice.
    """
    applied = {head for e in expressions for head in heads(e)}
    called = {spelled(h) for h in applied} | {spelled(h.head) for h in applied if isinstance(h, Subscripted)}
    factors = [*declared]
    networks: dict[str, Callable[..., object]] = {}
    scalars: dict[str, object] = {}
    shapes: dict[str, torch.Size] = {}
    for keyword, value in names.items():
        node = read(keyword)
        name = spelled(node)
        if isinstance(value, Distribution):
            factors.append((_renamed(node, declared_node(value, read)), value))
        elif is_shape(value) and any(name in (*d.variables, *d.given) for _, d in factors):
            shapes[name] = torch.Size((value,) if isinstance(value, int) else value)  # type: ignore[arg-type]
        elif callable(value) and name in called and not isinstance(value, torch.Tensor):
            networks[name] = value
        elif is_scalar(value):
            scalars[name] = value
        else:
            raise OptionError(
                f"`{keyword}` is bound to {type(value).__name__}, which has no meaning in this formula",
                hint="bind a distribution, a network that the formula applies, a number, or the event shape of a variable",
            )
    numbered = tuple(Factor(i, node, d) for i, (node, d) in enumerate(factors))
    _refuse_duplicates(numbered)
    return Environment(numbered, networks, Scalars(scalars), shapes)


def is_shape(value: object) -> bool:
    """Whether a value can be an event shape."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, tuple | list) and all(isinstance(v, int) for v in value))


def declared_node(distribution: Distribution, read: Callable[[str], Basic]) -> Basic:
    """The notation of a distribution's declaration."""
    return read(distribution.declaration.text)


def refuse_unused(names: Mapping[str, object], used: Iterable[str], options: Iterable[str], read: Callable[[str], Basic]) -> None:
    """Raise `OptionError` for a keyword that the formula does not use."""
    known = set(used)
    for keyword in names:
        if spelled(read(keyword)) not in known:
            close = nearest(keyword, options)
            raise OptionError(
                f"`{keyword}` is no option, and the formula does not use it",
                hint=f"did you mean `{close}`?" if close else f"leave it out, or write `{keyword}` in the formula",
            )


def _renamed(head: Basic, node: Basic) -> Basic:
    """A declaration under another name."""
    givens = node.givens if hasattr(node, "givens") else ()
    values = node.values if hasattr(node, "values") else node.args[1:]
    return reference(head, values, givens)


def _refuse_duplicates(factors: Sequence[Factor]) -> None:
    seen: dict[tuple[object, ...], Factor] = {}
    for factor in factors:
        key = (factor.head, frozenset(factor.variables), frozenset(factor.givens))
        first = seen.setdefault(key, factor)
        if first is not factor:
            raise NameResolutionError(
                f"`{factor.node}` is bound twice",
                hint="leave one out, or bind it under another name by a keyword, as in `p_2=...`",
            )
