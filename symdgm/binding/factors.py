"""What a reference such as ``p(x|z)`` may stand for: one factor, a joint of factors, or the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
from sympy import Basic, Tuple
from torch import Tensor

from symdgm.binding.timeline import is_past, is_range
from symdgm.caches import remembered
from symdgm.distributions import Distribution, Family
from symdgm.distributions.linear_gaussian import GAUSSIAN, bias_of, weights_of
from symdgm.errors import NameResolutionError
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import times
from symdgm.expressions.names import Labelled, Name, Subscripted, base
from symdgm.expressions.resolved import StoppedLaw
from symdgm.expressions.statements import Definition
from symdgm.expressions.steps import counted_from, offsets, shift

ATOMS = (Name, Subscripted, Labelled)
DATA_NAMES = ("data", "p_data", "q_data", "p_D", "p_hat", "p_hat_data", "p_star", "P_r")
"""Names that mean the data distribution unless they are bound to something else (LANGUAGE.md 8.10)."""


@dataclass(frozen=True, eq=False)
class Factor:
    """A bound distribution and the notation under which it was declared.

    Args:
        index: its number in the environment, which is its identity: two factors may print alike.
        node: the declaration, such as ``q(z|x)``.
        distribution: the torch-backed distribution.
        derived: whether it follows from other factors, which own its networks, instead of being bound.
        rows: the factor whose average over the data it is, ``q(z|x)`` of an aggregated posterior ``q(z)``.
    """

    index: int
    node: Basic
    distribution: Distribution
    derived: bool = False
    rows: Factor | None = None

    @cached_property
    def head(self) -> Basic:
        """The name, ``q``."""
        return self.node.args[0]

    @cached_property
    def variables(self) -> tuple[Basic, ...]:
        """The formal variables, ``(z,)``."""
        return values_of(self.node)

    @cached_property
    def givens(self) -> tuple[Basic, ...]:
        """The formal variables behind the bar, ``(x,)``."""
        return givens_of(self.node)

    @property
    def constants(self) -> Mapping[str, float | Tensor]:
        """The parameters that no network gives, as they are now."""
        return self.distribution.constants if isinstance(self.distribution, Family) else {}

    @property
    def matrices(self) -> Mapping[str, Tensor]:
        """The matrix by which a linear normal law depends on each condition; under ``""`` what it adds."""
        if self.derived or not isinstance(self.distribution, GAUSSIAN) or not self.givens:
            return {}
        weights = weights_of(self.distribution)
        bias = None if weights is None else bias_of(self.distribution)
        return {**(weights or {}), **({} if bias is None else {"": bias})}


@dataclass(frozen=True)
class Match:
    """A factor at actual arguments, in the order of its formal variables."""

    factor: Factor
    values: tuple[Basic, ...]
    givens: tuple[Basic, ...]

    @property
    def node(self) -> Basic:
        """The reference in the factor's own notation; `Environment.match` reads it back as this match."""
        values = _named_outright(self.factor.variables, self.values)
        givens = _named_outright(self.factor.givens, self.givens)
        parameters = parameters_of(self.factor.node)
        if parameters:
            return Density(self.factor.head, Tuple(*values), Tuple(*givens), Tuple(*parameters))
        return reference(self.factor.head, values, givens)


@dataclass(frozen=True)
class DataLaw:
    """The data distribution over some observed variables."""

    node: Basic
    variables: tuple[Basic, ...]


def reference(head: Basic, values: Sequence[Basic], givens: Sequence[Basic]) -> Basic:
    """``head(values|givens)``, an `Apply` where nothing is given."""
    if not givens:
        return Apply(head, *values)
    return Density(head, Tuple(*values), Tuple(*givens), Tuple())


def values_of(node: Basic) -> tuple[Basic, ...]:
    """What stands before the bar."""
    if isinstance(node, StoppedLaw):
        return values_of(node.args[0])
    return node.values if isinstance(node, Density) else tuple(node.args[1:])


def givens_of(node: Basic) -> tuple[Basic, ...]:
    """What stands behind the bar."""
    if isinstance(node, StoppedLaw):
        return givens_of(node.args[0])
    return node.givens if isinstance(node, Density) else ()


def parameters_of(node: Basic) -> tuple[Basic, ...]:
    """What stands behind the semicolon: the parameters of a law that is written in place."""
    return node.parameters if isinstance(node, Density) else ()


@remembered(4096)
def assign(formals: tuple[Basic, ...], actuals: tuple[Basic, ...]) -> tuple[Basic, ...] | None:
    """Actual arguments in the order of the formal variables, or None where they do not fit.

    Steps go to steps where all are as far from each other: ``b_{t-1}, b_t`` to ``b_t, b_{t+1}``. Else a name
    goes to the formal variable that it equals, then to the one with its base name (``z_k``, ``z'`` stand for
    ``z``);
    ``x = G(z)`` names its formal variable outright; any other expression takes the next one that is left.
    """
    if len(formals) != len(actuals):
        return None
    moved = _some_steps_later(formals, actuals)
    if moved is not None:
        return moved
    found: dict[Basic, Basic] = {}
    left = list(actuals)
    for same in (_named, _equal, same_base):
        for actual in list(left):
            formal = next((f for f in formals if f not in found and same(f, _unstopped(actual))), None)
            if formal is not None:
                found[formal] = actual.args[1] if isinstance(actual, Definition) else actual
                left.remove(actual)
    if any(isinstance(_unstopped(a), (*ATOMS, Definition)) for a in left):
        return None
    for formal in formals:
        if formal not in found:
            found[formal] = left.pop(0)
    return tuple(found[f] for f in formals)


def _some_steps_later(formals: Sequence[Basic], actuals: Sequence[Basic]) -> tuple[Basic, ...] | None:
    """The formal variables some steps earlier or later, where these are the actual arguments."""
    stepped = [f for f in formals if isinstance(f, Subscripted) and len(f.indices) == 1]
    for time in {counted_from(f.indices[0]) for f in stepped}:
        ours, theirs = ([o for n in names for o in offsets(n, time)] for names in (formals, actuals))
        if ours and len(ours) == len(theirs):
            later = tuple(shift(f, time, max(theirs) - max(ours)) for f in formals)
            named = {_unstopped(actual): actual for actual in actuals}
            if set(later) == set(named):
                return tuple(named[step] for step in later)
    return None


def _unstopped(actual: Basic) -> Basic:
    """``z`` of ``sg(z)``, which stands for the same variable."""
    return actual.args[1] if isinstance(actual, Call) and actual.function == "sg" else actual


def _named_outright(formals: tuple[Basic, ...], actuals: tuple[Basic, ...]) -> tuple[Basic, ...]:
    """Actual arguments, with the formal variable where it would not be told: ``p(x|z=w)``."""
    if assign(formals, actuals) == actuals:
        return actuals
    return tuple(a if a == f else Definition(f, a) for f, a in zip(formals, actuals, strict=True))


def _named(formal: Basic, actual: Basic) -> bool:
    return isinstance(actual, Definition) and actual.args[0] == formal


def _equal(formal: Basic, actual: Basic) -> bool:
    return bool(formal == actual)


def same_base(formal: Basic, actual: Basic) -> bool:
    """Whether a name stands for a formal variable by its base name; a slice stands for the same steps."""
    slices = [v.indices if is_range(v) or is_past(v) else None for v in (formal, actual)]
    return isinstance(actual, ATOMS) and base(formal) == base(actual) and slices[0] == slices[1]


def joint(factors: Iterable[Factor], values: Sequence[Basic], givens: Sequence[Basic]) -> list[Factor] | None:
    """The factors whose product is the joint over ``values``, in ancestral order; None if there are none.

    What is given must be used, and must not itself come from ``values``: ``p(z|x)`` is no product of
    ``p(z)`` and ``p(x|z)``.

    Raises:
        NameResolutionError: if two factors have a variable in common, or if the factors depend on each other
            in a circle.
    """
    named, wanted, known = list(factors), set(values), set(givens)
    chosen: dict[Basic, Factor] = {}
    for factor in named:
        if not wanted.issuperset(factor.variables) or not (wanted | known).issuperset(factor.givens):
            continue
        for variable in factor.variables:
            if variable in chosen:
                raise NameResolutionError(
                    f"two factors have the variable `{variable}`: `{chosen[variable].node}` and "
                    f"`{factor.node}`",
                    hint="leave one of them out, or give them different names",
                )
            chosen[variable] = factor
    used = {g for f in chosen.values() for g in f.givens}
    if set(chosen) != wanted or not known <= used or known & _descendants(named, wanted):
        return None
    return ancestral(list(dict.fromkeys(chosen.values())))


def _descendants(factors: Sequence[Factor], variables: set[Basic]) -> set[Basic]:
    """The variables that depend on some of ``variables``, near or far."""
    found: set[Basic] = set()
    front = variables
    while front:
        front = {v for f in factors if front & set(f.givens) for v in f.variables} - found
        found |= front
    return found


def ancestral(factors: Sequence[Factor]) -> list[Factor]:
    """The factors ordered so that each comes after those that it is given.

    Raises:
        NameResolutionError: if they depend on each other in a circle.
    """
    owner = {v: f.index for f in factors for v in f.variables}
    edges = [(owner[g], f.index) for f in factors for g in f.givens if g in owner]
    if not edges:
        return sorted(factors, key=lambda f: f.index)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(f.index for f in factors)
    graph.add_edges_from(edges)
    by_index = {f.index: f for f in factors}
    try:
        return [by_index[i] for i in nx.lexicographical_topological_sort(graph)]
    except nx.NetworkXUnfeasible:
        circle = ", ".join(f"`{f.node}`" for f in factors)
        raise NameResolutionError(
            f"the factors {circle} depend on each other in a circle, so they are no joint distribution",
            hint="a joint is a product in which every factor is given only variables of factors before it",
        ) from None


def product(factors: Sequence[Factor]) -> Basic:
    """The product of factors as the chain rule writes it, ``p(x|z) p(z)``: ancestors last."""
    nodes = [f.node for f in reversed(factors)]
    return times(*nodes) if len(nodes) > 1 else nodes[0]
