"""The answers that the rewriting asks for, from an environment."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sympy import Basic, Integer, Number
from sympy.core.symbol import Str
from torch import Tensor

from symdgm.binding.aggregated import data_reference
from symdgm.binding.chains import Chain
from symdgm.binding.environment import Environment
from symdgm.binding.factors import ATOMS, Match, givens_of, product, values_of
from symdgm.binding.given_the_past import given_the_past
from symdgm.binding.gradients import is_fixed, is_listed, is_pathwise, is_stratified
from symdgm.binding.joint_values import joint_at
from symdgm.binding.known_integrals import is_linear, knows
from symdgm.binding.paths import Path, first_factor, product_over_time, read_now
from symdgm.binding.read_time import is_time
from symdgm.distributions import Custom, Data, Deterministic, Family
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times, times
from symdgm.expressions.depth import nodes
from symdgm.expressions.families import conversion, family
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.node import to_node
from symdgm.expressions.resolved import StoppedLaw

ARITHMETIC = (Plus, Minus, Times, Quotient, Power)


@dataclass
class BoundFacts:
    """The answers, and the names that it gave to the parameters of laws.

    Args:
        environment: what is bound.
        formula: the bound formula; no parameter is called as one of its names.
        parameter_names: name → (law, parameter), for every name that was handed out.
        drawn: the variables for which an estimator was asked for, so that their expectations are estimated.
        unclosed: the variables over which not even a divergence has a closed form.
    """

    environment: Environment
    formula: Basic | None = None
    parameter_names: dict[Basic, tuple[Law, str]] = field(default_factory=dict)
    drawn: Collection[str] = ()
    unclosed: Collection[str] = ()
    _given: dict[tuple[int, Basic, str], Basic] = field(default_factory=dict)
    _laws: dict[tuple[Basic, int], Law | None] = field(default_factory=dict)
    _factors: dict[int, Law] = field(default_factory=dict)
    _products: dict[tuple[Basic, int], Sequence[Basic] | None] = field(default_factory=dict)

    def law(self, node: Basic) -> Law | None:
        """The one factor that a reference names."""
        # A factor that is derived later is one that a reference may name.
        key = (node, len(self.environment.factors))
        if key not in self._laws:
            self._laws[key] = self._law(node)
        return self._laws[key]

    def _law(self, node: Basic) -> Law | None:
        if isinstance(node, StoppedLaw):
            law = self.law(node.args[0])
            return None if law is None else replace(law, node=node, stopped=True)
        if not isinstance(node, Apply | Density):
            return None
        data = self.environment.data_law(node)
        if data is not None:
            return Law(-1, node, data.variables, (), None, "Data", False, "data")
        match = self.environment.match(node)
        return None if match is None else self._described(match)

    def factorise(self, node: Basic) -> Sequence[Basic] | None:
        """The factors of a joint by the chain rule."""
        key = (node, len(self.environment.factors))
        if key not in self._products:
            self._products[key] = self._factorised(node)
        return self._products[key]

    def _factorised(self, node: Basic) -> Sequence[Basic] | None:
        if isinstance(node, Times):
            return tuple(node.args)
        if not isinstance(node, Apply | Density) or self.law(node) is not None:
            return None
        factors = self.environment.joint(node)
        if not factors:
            parts = joint_at(self.environment, node) or given_the_past(self.environment, node)
            return tuple(m.node for m in reversed(parts)) if parts else None
        whole = product(factors)
        return (whole,) if isinstance(whole, Apply | Density) else tuple(whole.args)

    def over_time(self, node: Basic) -> Basic | None:
        """The product over time that a density of whole sequences is."""
        time = self.environment.time
        if time is None or not isinstance(node, Apply | Density):
            return None
        derived = self.environment.match_derived(node)
        if derived is not None and isinstance(derived.factor, Chain):
            return None
        factors = product_over_time(self.environment, node)
        if factors is None:
            return None
        return Aggregate(Str("prod"), times(*factors), Index(time.index, Integer(1), time.length))

    def read_now(self, law: Law) -> set[Basic]:
        """The variables of one step that a law reads, also where it is the first, and what makes them."""
        first = first_factor(self.environment, self.environment.factors[law.identity])
        return read_now(self.environment, (*law.givens, *(first.givens if first is not None else ())))

    def is_time(self, index: Basic) -> bool:
        """Whether an index runs over the steps of sequences."""
        return isinstance(index, Index) and is_time(self.environment, index)

    def is_scalar(self, node: Basic) -> bool:
        """Whether a node is a number, a bound scalar, or made of those."""
        if isinstance(node, Number) or node == Name("pi"):
            return True
        if self.environment.scalar(node) is not None:
            return True
        if isinstance(node, Name) and node.text in self.environment.batch_sizes:
            return True
        return isinstance(node, ARITHMETIC) and all(self.is_scalar(a) for a in node.args)

    def value(self, node: Basic) -> float | None:
        """The present value of a bound scalar; None for what is none."""
        name = self.environment.scalar(node) if isinstance(node, ATOMS) else None
        if name is None:
            return None
        value = self.environment.scalars[name]
        return value.item() if isinstance(value, Tensor) else float(value)

    def rows(self, law: Law) -> tuple[Basic, Basic]:
        """What an aggregated law is the average of, and the data that it is averaged over."""
        rows = self.environment.factors[law.identity].rows
        assert rows is not None
        return Match(rows, law.values, rows.givens).node, data_reference(self.environment, rows.givens)

    def data_size(self, law: Law) -> int | None:
        """The number of rows of the data that an aggregated law is averaged over, where it is known."""
        rows = self.environment.factors[law.identity].rows
        found = [f for f in self.environment.factors if isinstance(f.distribution, Data)]
        over = [f for f in found if rows is not None and set(rows.givens) <= set(f.variables)]
        return next((f.distribution.size for f in over if isinstance(f.distribution, Data)), None)

    def batch_size(self) -> Basic:
        """A name for the number of examples."""
        name = next(iter(self.environment.batch_sizes), None)
        if name is None:
            name = next(n for n in ("B", "B'", "B''") if n not in self.environment.scalars)
            self.environment.batch_sizes[name] = None
        return Name(name)

    def knows(self, what: str, *laws: Law) -> bool:
        """Whether laws know an integral by a method: ``mean``, ``variance``, ``entropy``, ``KL``."""
        if any(self._is_unclosed(law.values) for law in laws):
            return False
        return knows(what, *(self.environment.factors[law.identity].distribution for law in laws))

    def _is_unclosed(self, variables: Collection[Basic]) -> bool:
        return any(spelled(v) in self.unclosed for v in variables)

    def is_linear(self, law: Law) -> bool:
        """Whether a law's log-density is linear in the value, though it has no formulas."""
        return is_linear(self.environment.factors[law.identity].distribution)

    def formals(self, law: Law) -> tuple[Basic, ...]:
        """The variables with which the factor was declared."""
        return self.environment.factors[law.identity].variables

    def reads(self, name: Basic) -> tuple[Basic, ...]:
        """What a name depends on: the givens of the law whose parameter it is, else itself."""
        return self.parameter_names[name][0].givens if name in self.parameter_names else (name,)

    def is_drawn(self, variables: Collection[Basic]) -> bool:
        """Whether a user asked for an estimator of one of some variables."""
        return any(spelled(v) in self.drawn for v in variables)

    def parameters(self, law: Law, *, specialise: bool) -> Mapping[str, Basic]:
        """The names of a law's parameters, or the numbers that they are."""
        assert law.family is not None
        distribution = self.environment.factors[law.identity].distribution
        constants = distribution.constants if isinstance(distribution, Family) else {}
        if first_factor(self.environment, self.environment.factors[law.identity]) is not None:
            specialise = False  # the first step has parameters of its own
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
        return set() if self.formula is None else {spelled(n) for n in nodes(self.formula, *ATOMS)}

    def _described(self, match: Match) -> Law:
        """The law of a factor at actual arguments; what does not hang on these is found once."""
        index = match.factor.index
        if index not in self._factors:
            self._factors[index] = self._law_of(match)
        law = self._factors[index]
        givens = match.givens if match.factor.rows is None else ()
        formulas = None if self._is_unclosed(match.values) else law.family
        return replace(law, node=match.node, values=match.values, givens=givens, family=formulas)

    def _law_of(self, match: Match) -> Law:
        distribution = match.factor.distribution
        if match.factor.rows is not None:
            return Law(
                identity=match.factor.index,
                node=match.node,
                values=match.values,
                givens=(),
                family=None,
                family_name="aggregated posterior",
                finite=False,
                kind="aggregated",
            )
        whole = isinstance(match.factor, Path | Chain)
        if isinstance(match.factor, Path):
            kind = "path"
        elif isinstance(distribution, Deterministic):
            kind = "deterministic"
        else:
            kind = "data" if isinstance(distribution, Data) else "density"
        formulas = None
        if isinstance(distribution, Family) and not whole:
            formulas = family(distribution.family, parametrisation(distribution))
        name = distribution.family if isinstance(distribution, Family) else type(distribution).__name__
        return Law(
            identity=match.factor.index,
            node=match.node,
            values=match.values,
            givens=match.givens,
            family=formulas,
            family_name=name,
            finite=is_listed(distribution) and not whole,
            kind=kind,
            pathwise=is_pathwise(distribution),
            stratified=is_stratified(distribution),
            fixed=is_fixed(distribution),
            scored=not isinstance(distribution, Custom),
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
    node = law.node.args[0] if law.stopped else law.node
    head = _flat(node.args[0])
    yield Subscripted(symbol, *head)
    yield Subscripted(symbol, *head, *(v for value in law.values for v in _flat(value)))
    for primes in itertools.count(1):
        yield Subscripted(Name(symbol.text + "'" * primes), *head)


def _flat(node: Basic) -> tuple[Basic, ...]:
    """A name as a list of subscripts: ``q_phi`` is ``q, phi``."""
    return (node.head, *node.indices) if isinstance(node, Subscripted) else (node,)
