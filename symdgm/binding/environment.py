"""What the names of a formula are bound to; it lives beside the tree, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sympy import Basic

from symdgm.binding.factors import DATA_NAMES, DataLaw, Factor, Match, assign, givens_of, joint, values_of
from symdgm.binding.scalars import Scalars
from symdgm.distributions import Data
from symdgm.errors import NameResolutionError
from symdgm.expressions.names import Labelled, Name, Subscripted, spelled


@dataclass
class Environment:
    """The factors, networks, scalars and event shapes that a formula is bound to.

    Args:
        factors: the distributions, by number.
        networks: name → any module or callable.
        scalars: the scalars' current values.
        shapes: variable → its event shape, where the user declared one.
    """

    factors: tuple[Factor, ...]
    networks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    scalars: Scalars = field(default_factory=lambda: Scalars({}))
    shapes: Mapping[str, torch.Size] = field(default_factory=dict)

    def named(self, head: Basic) -> list[Factor]:
        """The factors called ``head``; without its parameter subscript (``q_phi`` → ``q``) if the full name is not bound."""
        exact = [f for f in self.factors if f.head == head]
        if exact or not isinstance(head, Subscripted):
            return exact
        return [f for f in self.factors if f.head == head.head]

    def match(self, node: Basic) -> Match | None:
        """The one factor that a reference names, with its actual arguments.

        Raises:
            NameResolutionError: if more than one factor fits equally well.
        """
        found = []
        for factor in self.named(node.args[0]):
            values = assign(factor.variables, values_of(node))
            givens = assign(factor.givens, givens_of(node))
            if values is not None and givens is not None:
                found.append(Match(factor, values, givens))
        if len(found) > 1:
            exact = [m for m in found if m.values == m.factor.variables and m.givens == m.factor.givens]
            found = exact or found
        if len(found) > 1:
            raise NameResolutionError(
                f"`{node}` fits more than one factor: {listing([m.factor for m in found])}",
                hint="write the variables of the one that is meant, or bind the others under other names",
            )
        return found[0] if found else None

    def joint(self, node: Basic) -> list[Factor] | None:
        """The factors whose product is the joint that a reference names, in ancestral order."""
        return joint(self.named(node.args[0]), values_of(node), givens_of(node))

    def data_law(self, node: Basic) -> DataLaw | None:
        """The data distribution that a reference names."""
        matched = next((f for f in self.named(node.args[0]) if isinstance(f.distribution, Data)), None)
        if matched is not None:
            return DataLaw(node, values_of(node) or matched.variables)
        if not self.named(node.args[0]) and spelled(node.args[0]).replace("{", "").replace("}", "") in DATA_NAMES:
            return DataLaw(node, values_of(node))
        return None

    def network(self, head: Basic) -> str | None:
        """The name under which a network is bound, with or without its parameter subscript."""
        return self._bound(head, self.networks)

    def scalar(self, node: Basic) -> str | None:
        """The name under which a scalar is bound."""
        return self._bound(node, self.scalars)

    def candidates(self, head: Basic | None = None) -> Sequence[Factor]:
        """The factors worth naming in an error: those of that name, or all."""
        return (self.named(head) if head is not None else []) or self.factors

    @staticmethod
    def _bound(node: Basic, names: Mapping[str, object]) -> str | None:
        if spelled(node) in names:
            return spelled(node)
        if isinstance(node, Subscripted) and isinstance(node.head, Name | Labelled) and spelled(node.head) in names:
            return spelled(node.head)
        return None


def listing(factors: Sequence[Factor]) -> str:
    """Factors as a list for an error message."""
    return ", ".join(f"`{f.node}`" for f in factors) or "none"
