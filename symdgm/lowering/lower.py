"""Lowering an expression to plan nodes: names, arithmetic, functions, networks and densities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MethodType

from sympy import Basic, Number, Rational

from symdgm.binding import Bound, BoundFacts
from symdgm.binding.chains import Chain
from symdgm.binding.factors import Factor
from symdgm.distributions import NetworkSource
from symdgm.errors import NotSupportedError
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.families import PI
from symdgm.expressions.laws import Law
from symdgm.expressions.names import spelled
from symdgm.lowering.comparisons import Comparisons
from symdgm.lowering.estimation.choices import Choices
from symdgm.lowering.expectations import Estimate
from symdgm.lowering.indices import component_density, read_along, through
from symdgm.lowering.known_integrals import lower_row_sum
from symdgm.lowering.logarithms import lower_log, splits
from symdgm.lowering.plan import Kind, Plan, PlanNode
from symdgm.lowering.sources import function_source, is_opaque, network_name, sources_of
from symdgm.lowering.stable import stable
from symdgm.lowering.time.chains import lower_chain
from symdgm.lowering.time.sequences import in_rows, joined_law, leaf, lower_step, own_first, reads_the_past

LowerNode = Callable[["Lowering", Basic, "Scope"], PlanNode]
"""Lowers one node at the place where it stands."""


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
        draws: the axes of draws of the expectations around it, the outermost first.
        averaged: whether it stands inside the logarithm of an average over several values.
        rows: what stands for the batch: ``batch``, all ``steps``, or those ``active`` in a loop.
        laws: (factor, givens) → a law whose parameters are known already.
        traces: latent sequence → the loop that draws it.
        outer: where the loop stands in whose body this is.
        first: the step from which the sum over time around it runs.
    """

    values: Mapping[Basic, PlanNode] = field(default_factory=dict)
    stream: int = 0
    active: frozenset[tuple[object, ...]] = frozenset()
    linear: bool = True
    logged: bool = False
    draws: tuple[PlanNode, ...] = ()
    averaged: bool = False
    rows: str = "batch"
    laws: Mapping[tuple[object, ...], PlanNode] = field(default_factory=dict)
    traces: Mapping[Basic, PlanNode] = field(default_factory=dict)
    outer: Scope | None = None
    first: int = 1

    def nonlinear(self) -> Scope:
        """The same place inside a nonlinear function: what is estimated here is biased outside."""
        return replace(self, linear=False, logged=False) if self.linear or self.logged else self

    def at(self, variable: Basic, value: PlanNode) -> Scope:
        """The same place where a variable, or an expression that stands for one, has a value."""
        return replace(self, values={**self.values, variable: value})

    def logarithm(self) -> Scope:
        """The same place inside a logarithm, which is concave."""
        return replace(self, linear=False, logged=self.linear or self.logged)


class Lowering:
    """The plan of an objective while it is built.

    Args:
        bound: the bound formula.
        facts: what is bound, with the names of the parameters.
        counts: variable → number of draws.
        lowerings: what lowers each kind of node.
        comparisons: how divergences of samples are estimated.
        choices: how expectations are estimated, where the user says it.
    """

    def __init__(
        self,
        bound: Bound,
        facts: BoundFacts,
        counts: Mapping[str, int],
        lowerings: Mapping[type, LowerNode],
        comparisons: Comparisons,
        choices: Choices,
    ) -> None:
        self.lowerings = lowerings
        self.plan = Plan()
        self.bound = bound
        self.facts = facts
        self.counts = counts
        self.comparisons = comparisons
        self.sources: dict[str, NetworkSource] = {}
        self.readings: dict[PlanNode, NetworkSource] = {}
        self.estimates: dict[tuple[object, ...], Estimate] = {}
        self._names: dict[tuple[int, int], str] = {}
        self.streams: dict[Basic, int] = {}
        self.choices = choices
        self.stopped: dict[PlanNode, PlanNode] = {}
        self.running: dict[tuple[Basic, str], str] = {}
        self.loops: dict[tuple[object, ...], PlanNode] = {}

    def lower(self, node: Basic, scope: Scope) -> PlanNode:
        """The plan node of an expression.

        Raises:
            NotSupportedError: a construct that cannot be computed.
        """
        if node in scope.values:
            return self.in_place(scope.values[node], scope)
        if isinstance(node, Number):
            return self.plan.node(Kind.NUMBER, detail=(Rational(node),), origin=node)
        if type(node) not in self.lowerings:
            raise NotSupportedError(f"`{node}` cannot be computed as a number yet")
        return self.lowerings[type(node)](self, node, scope)

    def law(self, law: Law, scope: Scope, *, joined: bool = True) -> PlanNode:
        """The parameters of a law at its givens; with those of its first step, where that has its own."""
        factor = self.bound.environment.factors[law.identity]
        if law.stopped:
            _refuse_stopped(law, factor)
            plain = replace(law, node=law.node.args[0], stopped=False)
            return self.stopped_law(self.law(plain, scope, joined=joined))
        known = scope.laws.get((law.identity, law.givens))
        if known is not None:
            return known
        if is_opaque(factor.distribution):
            nodes = [self.lower(g, scope.nonlinear()) for g in law.givens]
            return self.plan.node(Kind.OPAQUE, *nodes, detail=(law.identity,), origin=law.node)
        first = own_first(self, law, scope) if joined else None
        later = scope if first is None else replace(scope, first=max(2, scope.first))
        # By place: the declaration and the parsed node may spell one variable in two ways, x_1_2 and x_{1,2}.
        given = dict(zip(factor.distribution.given, law.givens, strict=True))
        networks = [
            self._network(source, [given[name] for name in source.arguments], law.node, later)
            for source in sources_of(factor.distribution)
        ]
        own = self.plan.node(Kind.LAW, *networks, detail=(law.identity,), origin=law.node)
        return own if first is None else joined_law(self, law, first, own, scope)

    def stopped_law(self, law: PlanNode) -> PlanNode:
        """A law whose parameters get no gradient."""
        if law.kind is Kind.LAW:
            detail = (*law.detail, "stopped")
            return self.plan.node(Kind.LAW, *law.args, detail=detail, origin=law.origin)
        return self.plan.node(Kind.STOPPED, law, origin=law.origin)

    def apply(self, operation: str, node: Basic, operands: list[PlanNode]) -> PlanNode:
        """An elementwise operation."""
        return self.plan.node(Kind.APPLY, *operands, detail=(operation,), origin=node)

    def event_sum(self, value: PlanNode, node: Basic) -> PlanNode:
        """The sum over an event."""
        return self.plan.node(Kind.REDUCE, value, detail=("sum", "event"), origin=node)

    def name(self, node: Basic, scope: Scope) -> PlanNode:
        """A variable, a parameter of a law, a scalar or an observation."""
        if node in scope.values:
            return self.in_place(scope.values[node], scope)
        if scope.outer is not None and node in scope.outer.values:
            return leaf(self, self.in_place(scope.outer.values[node], scope.outer))
        step = lower_step(self, node, scope)
        if step is not None:
            return step
        if node in self.facts.parameter_names:
            law, parameter = self.facts.parameter_names[node]
            return self.plan.node(Kind.PARAMETER, self.law(law, scope), detail=(parameter,), origin=node)
        scalar = self.bound.environment.scalar(node)
        if scalar is not None:
            if scalar in self.bound.environment.sizes:
                return self.plan.node(Kind.SIZE, detail=("scalar", scalar), origin=node)
            return self.plan.node(Kind.SCALAR, detail=(scalar,), origin=node)
        if spelled(node) in self.bound.environment.batch_sizes:
            return self.plan.node(Kind.SIZE, detail=("batch",), origin=node)
        if node == PI and spelled(node) not in self.bound.data:
            return self.plan.node(Kind.NUMBER, detail=("pi",), origin=node)
        observed = self.plan.node(Kind.OBSERVE, detail=(spelled(node),), origin=node)
        return in_rows(self, observed, scope)

    def _network(self, source: NetworkSource, inputs: list[Basic], origin: Basic, scope: Scope) -> PlanNode:
        """A call; what is estimated inside is biased outside, since a network is no linear function."""
        nodes = [self.lower(i, scope.nonlinear()) for i in inputs]
        return self.call_network(source, nodes, origin, whole=reads_the_past(self, inputs))

    def call_network(
        self, source: NetworkSource, inputs: list[PlanNode], origin: Basic, *, whole: bool = False
    ) -> PlanNode:
        """A call of a network on nodes; on whole sequences, where it reads the past of each step."""
        values, reading = through(inputs)
        detail = (self.network_name(source, origin), *(("whole",) if whole else ()))
        called = self.plan.node(Kind.NETWORK, *values, detail=detail, origin=origin)
        self.readings.setdefault(called, source)
        return read_along(self, called, reading)

    def in_place(self, value: PlanNode, scope: Scope) -> PlanNode:
        """A bound value where every step needs it."""
        if scope.rows != "steps" or value.kind in (Kind.POSITION, Kind.INDEX):
            return value
        return in_rows(self, value, scope)

    def network_name(self, source: NetworkSource, origin: Basic) -> str:
        """One name for one callable, however many factors use it."""
        call = source.call
        key = (id(call.__self__), id(call.__func__)) if isinstance(call, MethodType) else (id(call), 0)
        if key not in self._names:
            name = network_name(source, origin, self.bound.environment.networks)
            while name in self.sources:
                name += "_"
            self._names[key], self.sources[name] = name, source
        return self._names[key]

    def density(self, node: Basic, scope: Scope) -> PlanNode:
        """The density of a law, or of a joint as it stands in what a network reads, or a function's value."""
        law = self.facts.law(node)
        joint = self.facts.factorise(node) if law is None else None
        if joint:
            return self.lower(Times(*joint) if len(joint) > 1 else joint[0], scope)
        if law is None:
            return self._function_value(node, scope)
        return self.apply("exp", node, [self._log_density(node, law, scope)])

    def _function_value(self, node: Basic, scope: Scope) -> PlanNode:
        """A function of the formula, such as ``G(z)``; it returns one tensor."""
        name = spelled(node.args[0])
        source = function_source(name, self.bound.environment.networks[name], len(node.args) - 1)
        called = self._network(source, list(node.args[1:]), node, scope)
        if called.kind is Kind.ALONG:
            output = self.plan.node(Kind.OUTPUT, called.args[0], detail=(name,), origin=node)
            return read_along(self, output, called)
        return self.plan.node(Kind.OUTPUT, called, detail=(name,), origin=node)

    def _log_density(self, node: Basic, law: Law, scope: Scope) -> PlanNode:
        if law.kind != "density":
            raise NotSupportedError(
                f"`{node}` has no density: it is {law.family_name.lower()}",
                hint="compare values instead, as in `||x - f(z)||^2`",
            )
        chain = self.bound.environment.factors[law.identity]
        if isinstance(chain, Chain):
            return lower_chain(self, law, chain, scope)
        component = component_density(self, node, law, scope)
        if component is not None:
            return component
        parameters, values = self.law(law, scope), [self.lower(v, scope.nonlinear()) for v in law.values]
        if self.stopped.get(values[0]) is parameters:
            parameters = self.stopped_law(parameters)
        return self.plan.node(Kind.LOG_DENSITY, parameters, *values, origin=node)

    def scalar(self, name: str, value: object) -> PlanNode:
        """A scalar of an estimator, such as a temperature; it is one of the objective's."""
        scalars = self.bound.environment.scalars
        if name not in self.choices.scalars:
            free = name
            while free in scalars:
                free += "_"
            scalars.add(free, value)
            self.choices.scalars[name] = free
        return self.plan.node(Kind.SCALAR, detail=(self.choices.scalars[name],))

    def call(self, node: Basic, scope: Scope) -> PlanNode:
        """A function of its arguments; a logarithm is taken apart where that is exact."""
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
        if function == "logsumexp":
            value = self.lower(arguments[0], scope.nonlinear())
            return self.plan.node(Kind.AGGREGATE, value, detail=(function,), origin=node)
        if function == "row_sum":
            return lower_row_sum(self, node, scope)
        inside = scope if function == "sg" else scope.nonlinear()
        if function == "log":
            inside = scope.logarithm()
        return self.apply(function, node, [self.lower(a, inside) for a in arguments])


def _refuse_stopped(law: Law, factor: Factor) -> None:
    """Refuse to stop the gradient through a law that is computed as a whole."""
    if is_opaque(factor.distribution):
        raise NotSupportedError(
            f"`{law.node}` is computed by a {law.family_name} as a whole, whose parameters cannot be stopped",
            hint="stop the gradient through a value, `sg[...]`, or give a copy without gradient",
        )
