"""What the names of a formula are bound to; it lives beside the tree, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sympy import Basic

from symdgm.binding.factors import (
    ATOMS,
    DATA_NAMES,
    DataLaw,
    Factor,
    Match,
    assign,
    givens_of,
    joint,
    parameters_of,
    values_of,
)
from symdgm.binding.scalars import Scalars
from symdgm.binding.timeline import Timeline
from symdgm.distributions import Data
from symdgm.errors import NameResolutionError
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import Labelled, Name, Subscripted, spelled


@dataclass
class Environment:
    """The factors, networks, scalars and event shapes that a formula is bound to.

    Args:
        factors: the distributions, by number.
        networks: name → any module or callable.
        scalars: the scalars' current values.
        shapes: variable → its event shape, where the user declared one.
        tables: name → what its indices take an entry of: a tensor, a list, or a function of the index.
        sizes: the scalars that an index runs to, which are whole numbers.
        batch_sizes: names that stand for the number of examples of the batch.
        lengths: names that stand for the length of a table.
        observed: the variables of the formula that are data.
        inline: makes a factor of a law that is written in place, ``eps ~ N(0, I)``.
        time: the sequences of the formula, if it has any.
    """

    factors: tuple[Factor, ...]
    networks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    scalars: Scalars = field(default_factory=lambda: Scalars({}))
    shapes: Mapping[str, torch.Size] = field(default_factory=dict)
    tables: Mapping[str, object] = field(default_factory=dict)
    sizes: dict[str, None] = field(default_factory=dict)
    batch_sizes: dict[str, None] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    observed: frozenset[Basic] = frozenset()
    inline: Callable[[Environment, Binder], Factor] | None = None
    time: Timeline | None = None

    def named(self, head: Basic) -> list[Factor]:
        """The factors called ``head``; if there are none, without its parameter subscript."""
        bound = [f for f in self.factors if not f.derived]
        exact = [f for f in bound if f.head == head]
        short = None if exact or is_data_name(head) else without_parameters(head)
        return exact if short is None else [f for f in bound if f.head == short]

    def match(self, node: Basic) -> Match | None:
        """The one factor that a reference names, with its actual arguments.

        Raises:
            NameResolutionError: if more than one factor fits equally well.
        """
        found = _fitting(self.named(node.args[0]), node)
        if len(found) > 1:
            exact = [m for m in found if m.values == m.factor.variables and m.givens == m.factor.givens]
            found = exact or found
        if len(found) > 1:
            raise NameResolutionError(
                f"`{node}` fits more than one factor: {listing([m.factor for m in found])}",
                hint="write the variables of the one that is meant, or bind the others under other names",
            )
        return found[0] if found else self.match_derived(node)

    def match_derived(self, node: Basic) -> Match | None:
        """The marginal or posterior that was derived for a reference before."""
        derived = [
            f
            for f in self.factors
            if f.derived and f.head == node.args[0] and parameters_of(f.node) == parameters_of(node)
        ]
        return next(iter(_fitting(derived, node)), None)

    def joint(self, node: Basic) -> list[Factor] | None:
        """The factors whose product is the joint that a reference names, in ancestral order."""
        return joint(self.named(node.args[0]), values_of(node), givens_of(node))

    def data_law(self, node: Basic) -> DataLaw | None:
        """The data distribution that a reference names: what is bound to `sd.Data`, else by `DATA_NAMES`."""
        bound, values = self.named(node.args[0]), values_of(node)
        if givens_of(node):
            return None
        for factor in bound:
            if isinstance(factor.distribution, Data) and set(values) <= set(factor.variables):
                return DataLaw(node, values or factor.variables)
        if not bound and is_data_name(node.args[0]):
            return DataLaw(node, values)
        return None

    def network(self, head: Basic) -> str | None:
        """The name under which a network is bound, with or without its parameter subscript."""
        for name in (head, without_parameters(head)):
            if name is not None and spelled(name) in self.networks:
                return spelled(name)
        return None

    def scalar(self, node: Basic) -> str | None:
        """The name under which a scalar is bound; its subscripts are part of it."""
        return spelled(node) if isinstance(node, ATOMS) and spelled(node) in self.scalars else None


def without_parameters(head: Basic) -> Basic | None:
    """``q`` for ``q_phi``; None where there is no subscript that names parameters: ``p_1`` is not ``p``."""
    if isinstance(head, Subscripted) and isinstance(head.head, Name | Labelled):
        return head.head if all(isinstance(i, Name) for i in head.indices) else None
    return None


def is_data_name(head: Basic) -> bool:
    """Whether a name means the data distribution where it is not bound to something else."""
    return spelled(head).replace("{", "").replace("}", "") in DATA_NAMES


def listing(factors: Sequence[Factor]) -> str:
    """Factors as a list for an error message."""
    return ", ".join(f"`{f.node}`" for f in factors) or "none"


def called_nothing(environment: Environment, head: Basic) -> NameResolutionError:
    """The error for a name that no factor has; a factor may have it with a subscript, ``q_phi`` for ``q``."""
    bound = [f for f in environment.factors if not f.derived]
    meant = dict.fromkeys(f"`{f.head}`" for f in bound if without_parameters(f.head) == head)
    hint = f"did you mean {', '.join(meant)}? bound: " if meant else "bound: "
    if spelled(head).startswith("data"):
        hint = f'data under a name of their own are declared, as in `sd.Data("{head}(x)")`; {hint}'
    return NameResolutionError(f"no distribution is called `{head}`", hint=hint + listing(bound))


def _fitting(factors: Sequence[Factor], node: Basic) -> list[Match]:
    """The factors to which the arguments of a reference can be assigned."""
    found = []
    for factor in factors:
        values = assign(factor.variables, values_of(node))
        givens = assign(factor.givens, givens_of(node))
        if values is not None and givens is not None:
            found.append(Match(factor, values, givens))
    return found
