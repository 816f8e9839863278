"""Lowering an expression to plan nodes: names, arithmetic, functions, networks and densities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MethodType

from sympy import Basic, Integer, Number, Rational

from symdgm.binding import Bound, BoundFacts
from symdgm.distributions import NetworkSource
from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply, Call, Density, Inner, Norm
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.families import PI
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Labelled, Name, Subscripted, spelled
from symdgm.lowering.expectations import Estimate, lower_expectation
from symdgm.lowering.logarithms import lower_log, splits
from symdgm.lowering.plan import Kind, Plan, PlanNode
from symdgm.lowering.sources import function_source, is_opaque, network_name, sources_of
from symdgm.lowering.stable import stable
from symdgm.lowering.streams import copies, squared_norm, streams

ONE, TWO = Integer(1), Integer(2)


@dataclass(frozen=True)
class Scope:
    """Where an expression stands.

    Args:
        values: bound variable → its node.
        stream: which of several independent draws this place uses.
        active: the draws of the expectations around it, which an inner one must not repeat.
        linear: whether the value enters the objective linearly, so that an unbiased estimate
            of it leaves no bias.
        logged: whether its logarithm enters linearly, so that an unbiased estimate leaves a lower bound.
    """

    values: Mapping[Basic, PlanNode] = field(default_factory=dict)
    stream: int = 0
    active: frozenset[tuple[object, ...]] = frozenset()
    linear: bool = True
    logged: bool = False

    def nonlinear(self) -> Scope:
        """The same place inside a nonlinear function: what is estimated here is biased outside."""
        return replace(self, linear=False, logged=False)

    def logarithm(self) -> Scope:
        """The same place inside a logarithm, which is concave."""
        return replace(self, linear=False, logged=self.linear or self.logged)


class Lowering:
    """The plan of an objective while it is built.

    Args:
        bound: the bound formula.
        facts: what is bound, with the names of the parameters.
        counts: variable → number of draws.
    """

    def __init__(self, bound: Bound, facts: BoundFacts, counts: Mapping[str, int]) -> None:
        self.plan = Plan()
        self.bound = bound
        self.facts = facts
        self.counts = counts
        self.sources: dict[str, NetworkSource] = {}
        self.readings: dict[PlanNode, NetworkSource] = {}
        self.estimates: dict[tuple[object, ...], Estimate] = {}
        self._names: dict[tuple[int, int], str] = {}
        self.streams: dict[Basic, int] = {}

    def lower(self, node: Basic, scope: Scope) -> PlanNode:
        """The plan node of an expression.

        Raises:
            NotSupportedError: a construct that cannot be computed.
        """
        if isinstance(node, Number):
            return self.plan.node(Kind.NUMBER, detail=(Rational(node),), origin=node)
        if type(node) not in _LOWERINGS:
            raise NotSupportedError(f"`{node}` cannot be computed as a number yet")
        return _LOWERINGS[type(node)](self, node, scope)

    def law(self, law: Law, scope: Scope) -> PlanNode:
        """The parameters of a law at its givens."""
        factor = self.bound.environment.factors[law.identity]
        if is_opaque(factor.distribution):
            nodes = [self.lower(g, scope.nonlinear()) for g in law.givens]
            return self.plan.node(Kind.OPAQUE, *nodes, detail=(law.identity,), origin=law.node)
        # By place: the declaration and the parsed node may spell one variable in two ways, x_1_2 and x_{1,2}.
        given = dict(zip(factor.distribution.given, law.givens, strict=True))
        networks = [
            self._network(source, [given[name] for name in source.arguments], law.node, scope)
            for source in sources_of(factor.distribution)
        ]
        return self.plan.node(Kind.LAW, *networks, detail=(law.identity,), origin=law.node)

    def apply(self, operation: str, node: Basic, operands: list[PlanNode]) -> PlanNode:
        """An elementwise operation."""
        return self.plan.node(Kind.APPLY, *operands, detail=(operation,), origin=node)

    def event_sum(self, value: PlanNode, node: Basic) -> PlanNode:
        """The sum over an event."""
        return self.plan.node(Kind.REDUCE, value, detail=("sum", "event"), origin=node)

    def _name(self, node: Basic, scope: Scope) -> PlanNode:
        if node in scope.values:
            return scope.values[node]
        if node in self.facts.parameter_names:
            law, parameter = self.facts.parameter_names[node]
            return self.plan.node(Kind.PARAMETER, self.law(law, scope), detail=(parameter,), origin=node)
        scalar = self.bound.environment.scalar(node)
        if scalar is not None:
            return self.plan.node(Kind.SCALAR, detail=(scalar,), origin=node)
        if node == PI and spelled(node) not in self.bound.data:
            return self.plan.node(Kind.NUMBER, detail=("pi",), origin=node)
        return self.plan.node(Kind.OBSERVE, detail=(spelled(node),), origin=node)

    def _network(self, source: NetworkSource, inputs: list[Basic], origin: Basic, scope: Scope) -> PlanNode:
        """A call; what is estimated inside is biased outside, since a network is no linear function."""
        nodes = [self.lower(i, scope.nonlinear()) for i in inputs]
        called = self.plan.node(
            Kind.NETWORK, *nodes, detail=(self._network_name(source, origin),), origin=origin
        )
        self.readings.setdefault(called, source)
        return called

    def _network_name(self, source: NetworkSource, origin: Basic) -> str:
        """One name for one callable, however many factors use it."""
        call = source.call
        key = (id(call.__self__), id(call.__func__)) if isinstance(call, MethodType) else (id(call), 0)
        if key not in self._names:
            name = network_name(source, origin, self.bound.environment.networks)
            while name in self.sources:
                name += "_"
            self._names[key], self.sources[name] = name, source
        return self._names[key]

    def _plus(self, node: Basic, scope: Scope) -> PlanNode:
        return self.apply("add", node, [self.lower(a, scope) for a in node.args])

    def _minus(self, node: Basic, scope: Scope) -> PlanNode:
        return self.apply("neg", node, [self.lower(node.args[0], scope)])

    def _times(self, node: Basic, scope: Scope) -> PlanNode:
        if self._is_density_times_log(node):
            weight, log = node.args
            return self.apply("xlogy", node, [self.lower(weight, scope), self.lower(log.args[1], scope)])
        if self._is_weighted_by_classes(node):
            return self.apply("weighted", node, [self.lower(a, scope) for a in node.args])
        return self.apply("mul", node, self._independent(node.args, scope))

    def _is_weighted_by_classes(self, node: Basic) -> bool:
        """Whether it is ``softmax(l) a`` of a closed form, which is 0 for a class that is excluded."""
        first = node.args[0]
        if len(node.args) != 2 or not isinstance(first, Call) or first.function != "softmax":
            return False
        return first.args[1] in self.facts.parameter_names

    def _is_density_times_log(self, node: Basic) -> bool:
        """Whether it is ``a log b`` of a family's formula, which is 0 where both are 0."""
        if len(node.args) != 2 or not isinstance(node.args[1], Call) or stable(node.args[1]) is not None:
            return False
        log = node.args[1]
        probability = log.args[1] == 0 or any(name in self.facts.parameter_names for name in _names(log))
        return log.function == "log" and probability

    def _independent(self, factors: tuple[Basic, ...], scope: Scope) -> list[PlanNode]:
        """Factors, each with draws of its own, so that the product of unbiased estimates stays unbiased."""
        lowered = []
        for factor in factors:
            lowered.append(self.lower(factor, scope))
            scope = replace(scope, stream=scope.stream + streams(factor, self.streams))
        return lowered

    def _quotient(self, node: Basic, scope: Scope) -> PlanNode:
        numerator, denominator = node.args
        after = replace(scope, stream=scope.stream + streams(numerator, self.streams))
        operands = [self.lower(numerator, scope), self.lower(denominator, after.nonlinear())]
        return self.apply("div", node, operands)

    def _power(self, node: Basic, scope: Scope) -> PlanNode:
        base, exponent = node.args
        vector = squared_norm(node)
        if vector is not None:
            return self.event_sum(self._squared(vector, node, scope), node)
        count = copies(node)
        if count is not None and streams(base, self.streams):
            return self.apply("mul", node, self._independent((base,) * count, scope))
        return self.apply("pow", node, [self.lower(a, scope.nonlinear()) for a in (base, exponent)])

    def _squared(self, base: Basic, node: Basic, scope: Scope) -> PlanNode:
        """The square of each element; that of an expectation multiplies two independent estimates."""
        if streams(base, self.streams):
            return self.apply("mul", node, self._independent((base, base), scope))
        return self.apply("pow", node, [self.lower(base, scope), self.lower(TWO, scope)])

    def _norm(self, node: Basic, scope: Scope) -> PlanNode:
        vector, order = node.args
        scope = scope.nonlinear()
        if order == TWO:
            square = self.apply("pow", node, [self.lower(vector, scope), self.lower(TWO, scope)])
            return self.apply("sqrt", node, [self.event_sum(square, node)])
        if order == ONE:
            return self.event_sum(self.apply("abs", node, [self.lower(vector, scope)]), node)
        raise NotSupportedError(
            f"the norm of order {order} cannot be computed yet", hint="write order 1 or 2"
        )

    def _inner(self, node: Basic, scope: Scope) -> PlanNode:
        return self.event_sum(self.apply("mul", node, self._independent(node.args, scope)), node)

    def _density(self, node: Basic, scope: Scope) -> PlanNode:
        law = self.facts.law(node)
        if law is None:
            return self._function_value(node, scope)
        return self.apply("exp", node, [self._log_density(node, law, scope)])

    def _function_value(self, node: Basic, scope: Scope) -> PlanNode:
        """A function of the formula, such as ``G(z)``; it returns one tensor."""
        name = spelled(node.args[0])
        source = function_source(name, self.bound.environment.networks[name], len(node.args) - 1)
        called = self._network(source, list(node.args[1:]), node, scope)
        return self.plan.node(Kind.OUTPUT, called, detail=(name,), origin=node)

    def _log_density(self, node: Basic, law: Law, scope: Scope) -> PlanNode:
        if law.kind != "density":
            raise NotSupportedError(
                f"`{node}` has no density: it is {law.family_name.lower()}",
                hint="compare values instead, as in `||x - f(z)||^2`",
            )
        operands = [self.law(law, scope), *(self.lower(v, scope.nonlinear()) for v in law.values)]
        return self.plan.node(Kind.LOG_DENSITY, *operands, origin=node)

    def _call(self, node: Basic, scope: Scope) -> PlanNode:
        if node.function == "log" and splits(self, node.args[1]):
            return self.log(node.args[1], scope.logarithm())
        return self.plain_call(node, scope)

    def log(self, node: Basic, scope: Scope) -> PlanNode:
        """The logarithm of an expression, where ``scope`` stands inside of it."""
        return lower_log(self, node, scope)

    def plain_call(self, node: Basic, scope: Scope) -> PlanNode:
        """A function of its arguments as they are."""
        function, arguments = node.function, node.args[1:]
        law = self.facts.law(arguments[0]) if function == "log" else None
        if law is not None:
            return self._log_density(arguments[0], law, scope)
        atomic = stable(node)
        if atomic is not None:
            inside = scope if atomic[0] == "identity" else scope.nonlinear()
            return self.apply(atomic[0], node, [self.lower(a, inside) for a in atomic[1]])
        if function == "sum":
            return self.event_sum(self.lower(arguments[0], scope), node)
        inside = scope if function == "sg" else scope.nonlinear()
        if function == "log":
            inside = scope.logarithm()
        return self.apply(function, node, [self.lower(a, inside) for a in arguments])


def _names(node: Basic) -> list[Basic]:
    """All names in an expression."""
    found, stack = [], [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Name | Subscripted):
            found.append(part)
        else:
            stack.extend(part.args)
    return found


_LOWERINGS: dict[type, Callable[[Lowering, Basic, Scope], PlanNode]] = {
    Name: Lowering._name,
    Subscripted: Lowering._name,
    Labelled: Lowering._name,
    Plus: Lowering._plus,
    Minus: Lowering._minus,
    Times: Lowering._times,
    Quotient: Lowering._quotient,
    Power: Lowering._power,
    Norm: Lowering._norm,
    Inner: Lowering._inner,
    Apply: Lowering._density,
    Density: Lowering._density,
    Call: Lowering._call,
    Expect: lower_expectation,
}
