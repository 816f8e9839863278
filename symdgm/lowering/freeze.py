"""From the terms of a derivation to a plan. The symbols end here: what follows knows tensors only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sympy import Basic, Integer, Number, Rational

from symdgm.binding import Bound, BoundFacts
from symdgm.distributions import Distribution
from symdgm.distributions.networks import NetworkSource
from symdgm.errors import NotSupportedError, SymdgmError
from symdgm.expressions.applications import Apply, Call, Density, Inner, Norm
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Labelled, Name, Subscripted, spelled
from symdgm.lowering.estimators import CERTAIN, ENUMERATION, MINIBATCH, PATHWISE, Estimator, choose
from symdgm.lowering.naming import identifier, snake
from symdgm.lowering.plan import Kind, Plan, PlanNode
from symdgm.rewriting import Derivation, Term

TWO = Integer(2)


@dataclass(frozen=True)
class Scope:
    """Where an expression stands.

    Args:
        values: bound variable → its node.
        stream: which of several independent draws this place uses.
        active: the draws of the expectations around it, which an inner one must not repeat.
    """

    values: Mapping[Basic, PlanNode] = field(default_factory=dict)
    stream: tuple[int, ...] = ()
    active: frozenset[tuple[object, ...]] = frozenset()


@dataclass(frozen=True)
class Estimate:
    """An expectation and how it is computed."""

    expectation: Basic
    law: Law
    estimator: Estimator
    count: int
    nonlinear: bool = False


@dataclass(frozen=True)
class Root:
    """A term of the plan: sign, scalar factors and value."""

    term: Term
    scalars: tuple[PlanNode, ...]
    value: PlanNode


@dataclass
class Frozen:
    """A plan with what it was made from.

    Args:
        roots: the terms.
        sources: network name → how it is called and read; the callable of a plain function in the formula is read as one tensor.
        estimates: the estimators, in the order in which they were chosen.
    """

    bound: Bound
    roots: tuple[Root, ...]
    sources: dict[str, NetworkSource]
    estimates: tuple[Estimate, ...]


def freeze(bound: Bound, derivation: Derivation, facts: BoundFacts, counts: Mapping[str, int]) -> Frozen:
    """Lower the terms of a derivation to a plan.

    Args:
        bound: the bound formula.
        derivation: its terms.
        facts: what is bound, with the names of the parameters.
        counts: variable → number of draws.

    Raises:
        NotSupportedError: a construct that cannot be computed.
        EstimatorError: an expectation without a sound estimator.
    """
    freezer = _Freezer(bound, facts, counts)
    roots = []
    for term in derivation.terms:
        try:
            value = freezer.lower(term.expression, Scope())
            scalars = tuple(freezer.lower(s, Scope()) for s in term.scalars)
        except SymdgmError as error:
            raise bound.point(error, term.name) from error.__cause__
        roots.append(Root(term, scalars, value))
    return Frozen(bound, tuple(roots), freezer.sources, tuple(freezer.estimates.values()))


class _Freezer:
    def __init__(self, bound: Bound, facts: BoundFacts, counts: Mapping[str, int]) -> None:
        self.plan = Plan()
        self.bound = bound
        self.facts = facts
        self.counts = counts
        self.sources: dict[str, NetworkSource] = {}
        self.estimates: dict[tuple[object, ...], Estimate] = {}
        self._names: dict[int, str] = {}
        self._linear = True

    def lower(self, node: Basic, scope: Scope) -> PlanNode:
        if isinstance(node, Number):
            return self.plan.node(Kind.NUMBER, detail=(Rational(node),), origin=node)
        return _LOWERINGS[type(node)](self, node, scope)

    def _name(self, node: Basic, scope: Scope) -> PlanNode:
        if node in scope.values:
            return scope.values[node]
        if node in self.facts.parameter_names:
            law, parameter = self.facts.parameter_names[node]
            return self.plan.node(Kind.PARAMETER, self.law(law, scope), detail=(parameter,), origin=node)
        scalar = self.bound.environment.scalar(node)
        if scalar is not None:
            return self.plan.node(Kind.SCALAR, detail=(scalar,), origin=node)
        if node == Name("pi"):
            return self.plan.node(Kind.NUMBER, detail=("pi",), origin=node)
        return self.plan.node(Kind.OBSERVE, detail=(spelled(node),), origin=node)

    def law(self, law: Law, scope: Scope) -> PlanNode:
        """The parameters of a law at its givens."""
        factor = self.bound.environment.factors[law.identity]
        given = dict(zip(map(spelled, factor.givens), law.givens, strict=True))
        networks = [
            self._network(source, [self.lower(given[name], scope) for name in source.arguments], law.node)
            for source in sources_of(factor.distribution)
        ]
        return self.plan.node(Kind.LAW, *networks, detail=(law.identity,), origin=law.node)

    def _network(self, source: NetworkSource, inputs: list[PlanNode], origin: Basic) -> PlanNode:
        name = self._network_name(source, origin)
        return self.plan.node(Kind.NETWORK, *inputs, detail=(name,), origin=origin)

    def _network_name(self, source: NetworkSource, origin: Basic) -> str:
        """One name for one callable, however many factors use it."""
        key = id(source.call)
        if key not in self._names:
            name = network_name(source, origin, self.bound.environment.networks)
            while name in self.sources:
                name += "_"
            self._names[key], self.sources[name] = name, source
        return self._names[key]

    def _plus(self, node: Basic, scope: Scope) -> PlanNode:
        return self._apply("add", node, scope)

    def _apply(self, operation: str, node: Basic, scope: Scope, *args: Basic) -> PlanNode:
        operands = [self.lower(a, scope) for a in args or node.args]
        return self.plan.node(Kind.APPLY, *operands, detail=(operation,), origin=node)

    def _minus(self, node: Basic, scope: Scope) -> PlanNode:
        return self._apply("neg", node, scope)

    def _times(self, node: Basic, scope: Scope) -> PlanNode:
        """A product; expectations in different factors use independent draws, so that the product stays unbiased."""
        random = [i for i, f in enumerate(node.args) if f.has(Expect)]
        operands = [
            self.lower(f, replace(scope, stream=(*scope.stream, i)) if i in random[1:] else scope)
            for i, f in enumerate(node.args)
        ]
        return self.plan.node(Kind.APPLY, *operands, detail=("mul",), origin=node)

    def _quotient(self, node: Basic, scope: Scope) -> PlanNode:
        numerator, denominator = node.args
        below = self._nonlinear(denominator, replace(scope, stream=(*scope.stream, -1)))
        return self.plan.node(Kind.APPLY, self.lower(numerator, scope), below, detail=("div",), origin=node)

    def _power(self, node: Basic, scope: Scope) -> PlanNode:
        base, exponent = node.args
        if isinstance(base, Norm) and base.args[1] == TWO and exponent == TWO:
            square = self._squared(self.lower(base.args[0], scope), node)
            return self.plan.node(Kind.REDUCE, square, detail=("sum", "event"), origin=node)
        if exponent == TWO and base.has(Expect):
            return self._times(Times(base, base), scope)
        return self.plan.node(
            Kind.APPLY, self._nonlinear(base, scope), self._nonlinear(exponent, scope), detail=("pow",), origin=node
        )

    def _squared(self, value: PlanNode, origin: Basic) -> PlanNode:
        two = self.plan.node(Kind.NUMBER, detail=(TWO,))
        return self.plan.node(Kind.APPLY, value, two, detail=("pow",), origin=origin)

    def _norm(self, node: Basic, scope: Scope) -> PlanNode:
        value, order = self.lower(node.args[0], scope), node.args[1]
        if order == TWO:
            total = self.plan.node(Kind.REDUCE, self._squared(value, node), detail=("sum", "event"), origin=node)
            return self.plan.node(Kind.APPLY, total, detail=("sqrt",), origin=node)
        if order == Integer(1):
            size = self.plan.node(Kind.APPLY, value, detail=("abs",), origin=node)
            return self.plan.node(Kind.REDUCE, size, detail=("sum", "event"), origin=node)
        raise NotSupportedError(f"the norm of order {order} cannot be computed yet", hint="write order 1 or 2")

    def _inner(self, node: Basic, scope: Scope) -> PlanNode:
        product = self._apply("mul", node, scope)
        return self.plan.node(Kind.REDUCE, product, detail=("sum", "event"), origin=node)

    def _density(self, node: Basic, scope: Scope) -> PlanNode:
        if not self._is_reference(node):
            return self._network_value(node, scope)
        return self.plan.node(Kind.APPLY, self._log_density(node, scope), detail=("exp",), origin=node)

    def _is_reference(self, node: Basic) -> bool:
        return self.facts.law(node) is not None

    def _network_value(self, node: Basic, scope: Scope) -> PlanNode:
        """A function of the formula, such as ``G(z)``; it returns one tensor."""
        name = spelled(node.args[0])
        source = function_source(name, self.bound.environment.networks[name], len(node.args) - 1)
        return self._network(source, [self.lower(a, scope) for a in node.args[1:]], node)

    def _log_density(self, node: Basic, scope: Scope) -> PlanNode:
        law = self.facts.law(node)
        assert law is not None
        if law.kind != "density":
            raise NotSupportedError(
                f"`{node}` has no density: it is {law.family_name.lower()}",
                hint="compare values instead, as in `||x - f(z)||^2`",
            )
        (value,) = law.values
        return self.plan.node(Kind.LOG_DENSITY, self.law(law, scope), self.lower(value, scope), origin=node)

    def _call(self, node: Basic, scope: Scope) -> PlanNode:
        function, arguments = node.function, node.args[1:]
        if function == "log" and isinstance(arguments[0], Apply | Density) and self._is_reference(arguments[0]):
            return self._log_density(arguments[0], scope)
        stable = _stable(function, arguments)
        if stable is not None:
            return self._apply(stable[0], node, scope, *stable[1])
        if function == "sum":
            return self.plan.node(Kind.REDUCE, self.lower(arguments[0], scope), detail=("sum", "event"), origin=node)
        operands = [self.lower(a, scope) if function == "sg" else self._nonlinear(a, scope) for a in arguments]
        return self.plan.node(Kind.APPLY, *operands, detail=(function,), origin=node)

    def _nonlinear(self, node: Basic, scope: Scope) -> PlanNode:
        """An operand of a nonlinear function: what is estimated inside is biased outside."""
        before, self._linear = self._linear, False
        try:
            return self.lower(node, scope)
        finally:
            self._linear = before

    def _expect(self, node: Basic, scope: Scope) -> PlanNode:
        reductions: list[tuple[Law, PlanNode, Estimator]] = []
        for binder in node.binders:
            law = self.facts.law(binder.law)
            if law is None:
                raise NotSupportedError(
                    f"an expectation over the joint `{binder.law}` cannot be computed yet",
                    hint="write one expectation for each factor, `E_{q(a|x)} E_{q(z|a)}[...]`",
                )
            estimator = choose(law)
            drawn = binder.variables or law.values
            scope, axis = self._bind(law, drawn, estimator, scope)
            if axis is not None:
                reductions.append((law, axis, estimator))
            self._record(node, law, estimator, drawn)
        value = self.lower(node.body, scope)
        checked = self.plan.node(Kind.REDUCE, value, detail=("scalar", "event"), origin=node)
        for law, axis, estimator in reversed(reductions):
            checked = self._reduce(checked, law, axis, estimator, node, scope)
        return checked

    def _record(self, node: Basic, law: Law, estimator: Estimator, drawn: tuple[Basic, ...]) -> None:
        count = self._count(drawn) if estimator is PATHWISE else 1
        key = (law.node, law.identity, drawn, self._linear, node)
        self.estimates.setdefault(key, Estimate(node, law, estimator, count, not self._linear))

    def _count(self, drawn: tuple[Basic, ...]) -> int:
        return self.counts.get(spelled(drawn[0]), self.counts.get("", 1))

    def _bind(
        self, law: Law, drawn: tuple[Basic, ...], estimator: Estimator, scope: Scope
    ) -> tuple[Scope, PlanNode | None]:
        """The scope in which the drawn variables have values, and the node whose axis is averaged away."""
        if estimator is MINIBATCH:
            observed = {v: self.plan.node(Kind.OBSERVE, detail=(spelled(v),), origin=v) for v in drawn}
            return replace(scope, values={**scope.values, **observed}), next(iter(observed.values()))
        parameters = self.law(law, scope)
        if estimator is CERTAIN:
            values = {
                v: self.plan.node(Kind.PARAMETER, parameters, detail=(spelled(f),), origin=v)
                for v, f in zip(drawn, self.bound.environment.factors[law.identity].variables, strict=True)
            }
            return replace(scope, values={**scope.values, **values}), None
        stream = scope.stream
        while (key := (id(parameters), drawn, stream)) in scope.active:
            stream = (*stream, 0)
        count = self._count(drawn)
        kind = Kind.STATES if estimator is ENUMERATION else Kind.DRAW
        detail = (spelled(drawn[0]), stream) if kind is Kind.STATES else (spelled(drawn[0]), stream, count)
        value = self.plan.node(kind, parameters, detail=detail, origin=drawn[0])
        inner = replace(scope, values={**scope.values, drawn[0]: value}, active=scope.active | {key})
        return inner, value if kind is Kind.STATES or count > 1 else None

    def _reduce(
        self, value: PlanNode, law: Law, axis: PlanNode, estimator: Estimator, node: Basic, scope: Scope
    ) -> PlanNode:
        if estimator is ENUMERATION:
            parameters = axis.args[0]
            log_weight = self.plan.node(Kind.LOG_DENSITY, parameters, axis, origin=law.node)
            weight = self.plan.node(Kind.APPLY, log_weight, detail=("exp",), origin=law.node)
            return self.plan.node(Kind.REDUCE, value, weight, axis, detail=("weighted sum",), origin=node)
        if estimator is MINIBATCH:
            return self.plan.node(Kind.REDUCE, value, detail=("mean", "batch"), origin=node)
        return self.plan.node(Kind.REDUCE, value, axis, detail=("mean over draws",), origin=node)


def _stable(function: str, arguments: tuple[Basic, ...]) -> tuple[str, tuple[Basic, ...]] | None:
    """The atomic form of a composition that would lose digits: log softmax, log sigmoid, log(1 + exp), log sum exp."""
    inner = arguments[0]
    if function != "log" or not isinstance(inner, Call | Plus):
        return None
    if isinstance(inner, Call) and inner.function in ("softmax", "sigmoid"):
        return f"log_{inner.function}", tuple(inner.args[1:])
    if isinstance(inner, Call) and inner.function == "exp":
        return "identity", tuple(inner.args[1:])
    if isinstance(inner, Plus) and len(inner.args) == 2 and inner.args[0] == Integer(1):
        second = inner.args[1]
        if isinstance(second, Call) and second.function == "exp":
            return "softplus", tuple(second.args[1:])
        if isinstance(second, Minus) and isinstance(second.args[0], Call) and second.args[0].function == "sigmoid":
            return "log_one_minus_sigmoid", tuple(second.args[0].args[1:])
    return None


def sources_of(distribution: Distribution) -> tuple[NetworkSource, ...]:
    """The networks of a distribution."""
    return distribution.sources  # type: ignore[attr-defined, no-any-return]


def function_source(name: str, call: object, arity: int) -> NetworkSource:
    """A function of the formula as a network that returns one tensor."""
    return NetworkSource(name, call, tuple(f"argument {i + 1}" for i in range(arity)), False, None, (("value",),), f"the function {name}", any_dtype=True)  # type: ignore[arg-type]


GENERIC = ("Formula", "Sequential", "Module", "ModuleList", "Linear", "network", "forward", "function", "method")


def network_name(source: NetworkSource, origin: Basic, named: Mapping[str, object]) -> str:
    """How a network is called in the generated code: as it was bound, by its class, or by its factor."""
    for name, call in named.items():
        if call is source.call:
            return identifier(name)
    if source.label not in GENERIC and source.label.isidentifier():
        return snake(source.label)
    return identifier(f"{origin.args[0]}_network")


_LOWERINGS = {
    Name: _Freezer._name,
    Subscripted: _Freezer._name,
    Labelled: _Freezer._name,
    Plus: _Freezer._plus,
    Minus: _Freezer._minus,
    Times: _Freezer._times,
    Quotient: _Freezer._quotient,
    Power: _Freezer._power,
    Norm: _Freezer._norm,
    Inner: _Freezer._inner,
    Apply: _Freezer._density,
    Density: _Freezer._density,
    Call: _Freezer._call,
    Expect: _Freezer._expect,
}
