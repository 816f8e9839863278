"""The answers that the rewriting asks for, from an environment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sympy import Basic, Number, preorder_traversal

from symdgm.binding.environment import Environment
from symdgm.binding.factors import ATOMS, Match, givens_of, product, values_of
from symdgm.binding.gradients import is_fixed, is_listed, is_pathwise, is_stratified
from symdgm.distributions import Custom, Data, Deterministic, Family
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.families import conversion, family
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.node import to_node

ARITHMETIC = (Plus, Minus, Times, Quotient, Power)


@dataclass
class BoundFacts:
    """The answers, and the names that it gave to the parameters of laws.

    Args:
        environment: what is bound.
        formula: the bound formula; no parameter is called as one of its names.
        parameter_names: name → (law, parameter), for every name that was handed out.
    """

    environment: Environment
    formula: Basic | None = None
    parameter_names: dict[Basic, tuple[Law, str]] = field(default_factory=dict)
    _given: dict[tuple[int, Basic, str], Basic] = field(default_factory=dict)

    def law(self, node: Basic) -> Law | None:
        """The one factor that a reference names."""
        if not isinstance(node, Apply | Density):
            return None
        data = self.environment.data_law(node)
        if data is not None:
            return Law(-1, node, data.variables, (), None, "Data", False, "data")
        match = self.environment.match(node)
        return None if match is None else self._described(match)

    def factorise(self, node: Basic) -> Sequence[Basic] | None:
        """The factors of a joint by the chain rule."""
        if not isinstance(node, Apply | Density) or self.law(node) is not None:
            return None
        factors = self.environment.joint(node)
        if not factors:
            return None
        whole = product(factors)
        return (whole,) if isinstance(whole, Apply | Density) else tuple(whole.args)

    def is_scalar(self, node: Basic) -> bool:
        """Whether a node is a number, a bound scalar, or made of those."""
        if isinstance(node, Number) or node == Name("pi"):
            return True
        if self.environment.scalar(node) is not None:
            return True
        return isinstance(node, ARITHMETIC) and all(self.is_scalar(a) for a in node.args)

    def parameters(self, law: Law, *, specialise: bool) -> Mapping[str, Basic]:
        """The names of a law's parameters, or the numbers that they are."""
        assert law.family is not None
        distribution = self.environment.factors[law.identity].distribution
        constants = distribution.constants if isinstance(distribution, Family) else {}
        result: dict[str, Basic] = {}
        for parameter, symbol in law.family.symbols.items():
            value = constants.get(parameter)
            number = specialise and isinstance(value, float)
            result[parameter] = to_node(value) if number else self._name(law, parameter, symbol)
        return result

    def _name(self, law: Law, parameter: str, symbol: Name) -> Basic:
        """A fresh name for a parameter: ``mu_q``, or ``mu_{q,z}``, or ``mu'_q`` where that is taken."""
        key = (law.identity, law.node, parameter)
        if key not in self._given:
            taken = self._taken()
            name = next(
                n
                for n in _proposals(law, symbol)
                if n not in self.parameter_names and spelled(n) not in taken
            )
            self._given[key] = name
            self.parameter_names[name] = (law, parameter)
        return self._given[key]

    def _taken(self) -> set[str]:
        variables = {
            spelled(v) for f in self.environment.factors for v in (*values_of(f.node), *givens_of(f.node))
        }
        return variables | self._written | set(self.environment.scalars) | set(self.environment.networks)

    @cached_property
    def _written(self) -> set[str]:
        """All names of the formula: data, variables that an expectation binds, functions."""
        return {spelled(n) for n in preorder_traversal(self.formula) if isinstance(n, ATOMS)}

    def _described(self, match: Match) -> Law:
        distribution = match.factor.distribution
        if isinstance(distribution, Deterministic):
            kind = "deterministic"
        else:
            kind = "data" if isinstance(distribution, Data) else "density"
        formulas = None
        if isinstance(distribution, Family):
            formulas = family(distribution.family, parametrisation(distribution))
        name = distribution.family if isinstance(distribution, Family) else type(distribution).__name__
        return Law(
            identity=match.factor.index,
            node=match.node,
            values=match.values,
            givens=match.givens,
            family=formulas,
            family_name=name,
            finite=is_listed(distribution),
            kind=kind,
            pathwise=is_pathwise(distribution),
            stratified=is_stratified(distribution),
            fixed=is_fixed(distribution),
            drawn=not isinstance(distribution, Custom),
        )


def parametrisation(distribution: Family) -> tuple[str, ...]:
    """The parameters that a distribution has before it ran: those written, else the canonical ones.

    Those that are converted when it runs, such as a variance, are canonical already.
    """
    written = set(distribution.constants) | {n for s in distribution.sources for n in s.names or ()}
    for names in distribution.alternatives:
        if written and written <= set(names):
            canonical = tuple(distribution.parameter_names)
            return canonical if conversion(names, canonical) else tuple(names)
    return tuple(distribution.parameter_names)


def _proposals(law: Law, symbol: Name) -> Iterator[Basic]:
    head = _flat(law.node.args[0])
    yield Subscripted(symbol, *head)
    yield Subscripted(symbol, *head, *(v for value in law.values for v in _flat(value)))
    for primes in itertools.count(1):
        yield Subscripted(Name(symbol.text + "'" * primes), *head)


def _flat(node: Basic) -> tuple[Basic, ...]:
    """A name as a list of subscripts: ``q_phi`` is ``q, phi``."""
    return (node.head, *node.indices) if isinstance(node, Subscripted) else (node,)
