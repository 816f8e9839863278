"""A model block: its statements become distributions, abbreviations and one objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Basic, Number, Tuple
from torch import nn

from symdgm.binding import Environment, Excerpt, Factor, Written
from symdgm.binding.classify import classify, is_shape
from symdgm.binding.factors import givens_of, values_of
from symdgm.distributions import (
    Bernoulli,
    Categorical,
    Data,
    Deterministic,
    Distribution,
    Family,
    Normal,
    OneHotCategorical,
)
from symdgm.errors import NameResolutionError, NotSupportedError, ParameterError, SymdgmError, suggest
from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Minus, Power, Times
from symdgm.expressions.names import Name, spelled
from symdgm.expressions.scope import replace
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize
from symdgm.formula import Formula
from symdgm.parsing import parse

FAMILIES: dict[str, type[Family]] = {
    "Normal": Normal,
    "N": Normal,
    "Bernoulli": Bernoulli,
    "Categorical": Categorical,
    "OneHotCategorical": OneHotCategorical,
}
"""The families of a block by name; ``N`` takes the mean and the variance."""


@dataclass
class Statements:
    """The statements of a block, sorted by what they do."""

    factors: list[Definition] = field(default_factory=list)
    factorisations: list[Definition] = field(default_factory=list)
    abbreviations: dict[Basic, Basic] = field(default_factory=dict)
    objectives: list[Basic] = field(default_factory=list)


def statements_of(expression: Basic) -> Statements:
    """Sort the statements of a block.

    Raises:
        NotSupportedError: a statement that this version does not understand.
    """
    found = Statements()
    for statement in expression.args if isinstance(expression, Block) else (expression,):
        if isinstance(statement, Abbreviation):
            found.abbreviations[statement.args[0]] = statement.args[1]
        elif isinstance(statement, Optimize | Labeled) or _is_objective(statement):
            found.objectives.append(statement)
        elif isinstance(statement, Definition) and _is_family(statement.args[1]):
            found.factors.append(statement)
        elif isinstance(statement, Definition) and isinstance(statement.args[1], Times):
            found.factorisations.append(statement)
        else:
            raise NotSupportedError(
                f"the statement `{statement}` is read, but a model cannot be built from it yet",
                hint=f"a factor is written by a family, such as `p(z) = Normal(z; 0, 1)`; families: {', '.join(FAMILIES)}",
            )
    return found


def _is_objective(statement: Basic) -> bool:
    return isinstance(statement, Definition) and isinstance(statement.args[1], Optimize)


def _is_family(node: Basic) -> bool:
    return isinstance(node, Density | Apply) and (spelled(node.args[0]) in FAMILIES or bool(getattr(node, "parameters", ())))


def build(reading: Written, declared: Sequence[tuple[Basic, Distribution]], names: Mapping[str, object]) -> tuple[Written, Environment]:
    """The objective of a block, and the environment that its statements and keywords make.

    Args:
        reading: the block.
        declared: distributions that were built in Python, with their notation.
        names: keyword → network, scalar, event shape or distribution.

    Raises:
        NameResolutionError: an unknown family, or a name that is not bound.
        ParameterError: parameters that do not fit a family.
    """
    statements = statements_of(reading.expression)
    objective = _only_objective(statements)
    objective = replace(objective, statements.abbreviations) if statements.abbreviations else objective
    variables = {spelled(v) for d in statements.factors for v in (*values_of(d.args[0]), *givens_of(d.args[0]))}
    shapes = {k: v for k, v in names.items() if spelled(parse(k)) in variables and is_shape(v)}
    parameters = [p for d in statements.factors for p in _parameters(d.args[1])]
    environment = classify([objective, *parameters], declared, {k: v for k, v in names.items() if k not in shapes}, parse)
    builder = _Builder(reading, environment, {spelled(parse(k)): v for k, v in shapes.items()})
    factors = [*environment.factors]
    for definition in statements.factors:
        factors.append(Factor(len(factors), definition.args[0], builder.build(definition)))
    whole = Environment(
        tuple(factors), environment.networks, environment.scalars, classify([], [(f.node, f.distribution) for f in factors], shapes, parse).shapes
    )
    _check_factorisations(statements, whole, reading)
    return Excerpt(objective, reading), whole


def _only_objective(statements: Statements) -> Basic:
    if len(statements.objectives) == 1:
        (objective,) = statements.objectives
        return objective
    count = len(statements.objectives)
    raise NotSupportedError(
        "a model has one objective, but the block has " + ("none" if not count else str(count)),
        hint="write one line `maximize ...` or `minimize ...`",
    )


def _parameters(family: Basic) -> list[Basic]:
    return [p.args[1] if isinstance(p, Definition) else p for p in getattr(family, "parameters", ())]


def _check_factorisations(statements: Statements, environment: Environment, reading: Written) -> None:
    for statement in statements.factorisations:
        joint, product = statement.args
        factors = environment.joint(joint)
        written = {(f.args[0], frozenset(values_of(f)), frozenset(givens_of(f))) for f in product.args if isinstance(f, Apply | Density)}
        bound = {(f.head, frozenset(f.variables), frozenset(f.givens)) for f in factors or ()}
        if written != bound:
            listed = ", ".join(f"`{f.node}`" for f in environment.named(joint.args[0])) or "none"
            raise NameResolutionError(
                f"`{joint}` is not the product of the factors that are bound: {listed}",
                hint="bind every factor of the product, and no other of that name over these variables",
            ).at(reading.source, reading.spans.get(statement))


class _Builder:
    """Makes a distribution from ``q(z|x) = Normal(z; enc(x))``."""

    def __init__(self, reading: Written, environment: Environment, shapes: Mapping[str, object]) -> None:
        self.reading = reading
        self.environment = environment
        self.shapes = shapes

    def build(self, definition: Definition) -> Distribution:
        left, right = definition.args
        try:
            return self._build(left, right)
        except SymdgmError as error:
            raise error.at(self.reading.source, self.reading.spans.get(right)) from error.__cause__

    def _build(self, left: Basic, right: Basic) -> Distribution:
        name = spelled(right.args[0])
        if name not in FAMILIES:
            raise NameResolutionError(f"no family is called `{name}`", hint=suggest(name, FAMILIES))
        if tuple(values_of(right)) != tuple(values_of(left)):
            raise NameResolutionError(
                f"the left side is over `{', '.join(map(str, values_of(left)))}`, "
                f"but the family is over `{', '.join(map(str, values_of(right)))}`",
                hint="write the same variable on both sides, as in `p(z) = Normal(z; 0, 1)`",
            )
        family, given = FAMILIES[name], tuple(map(spelled, givens_of(left)))
        formulas = self._named(name, family, right)
        declaration = str(left)
        if formulas is None:
            network = self._network(getattr(right, "parameters", ())[0], given)
            assert network is not None
            return family(declaration, network)
        values = {k: self._value(v, given) for k, v in formulas.items()}
        compound = {k: formulas[k] for k, v in values.items() if v is None}
        if compound:
            formula = Formula(formulas, given, self.environment, self.reading)
            return family(declaration, formula)
        shape = self.shapes.get(spelled(values_of(left)[0])) if all(isinstance(v, float) for v in values.values()) else None
        return family(declaration, event_shape=shape, **values)  # type: ignore[arg-type]

    def _named(self, name: str, family: type[Family], right: Basic) -> dict[str, Basic] | None:
        """Parameter → formula; None where one network gives all of them."""
        parameters = getattr(right, "parameters", ())
        named = {spelled(p.args[0]): p.args[1] for p in parameters if isinstance(p, Definition)}
        positional = [p for p in parameters if not isinstance(p, Definition)]
        wanted = family.parameter_names
        if len(positional) == 1 and not named and len(wanted) >= 1 and self._is_network(positional[0]):
            if len(wanted) > 1 or self._network(positional[0], tuple(map(spelled, positional[0].args[1:]))) is not None:
                return None
        if len(positional) > len(wanted):
            raise ParameterError(
                f"{name} takes {len(wanted)} parameters ({', '.join(wanted)}), not {len(positional)}",
                hint=f"write `{name}({values_of(right)[0]}; {', '.join(wanted)})`",
            )
        result = dict(zip(wanted, positional, strict=False)) | named
        if name == "N" and len(positional) == 2:
            result["scale"] = _square_root(positional[1])
        if not result:
            raise ParameterError(f"{name} has no parameters", hint=f"write `{name}({values_of(right)[0]}; {', '.join(wanted)})`")
        return result

    def _is_network(self, node: Basic) -> bool:
        return isinstance(node, Apply) and self.environment.network(node.args[0]) is not None

    def _network(self, node: Basic, given: tuple[str, ...]) -> Callable[..., object] | None:
        """The network of ``enc(x)``, if it is applied to just the given variables in their order."""
        if not self._is_network(node) or tuple(map(spelled, node.args[1:])) != given:
            if self._is_network(node):
                raise ParameterError(
                    f"`{node}` is applied to `{', '.join(map(str, node.args[1:]))}`, but what is given is `{', '.join(given) or 'nothing'}`",
                    hint="apply the network to the variables behind the bar, in their order",
                )
            return None
        name = self.environment.network(node.args[0])
        return self.environment.networks[name] if name is not None else None

    def _value(self, node: Basic, given: tuple[str, ...]) -> object:
        """A number, a scalar's tensor or a network as it is; None for a compound formula."""
        if isinstance(node, Number):
            return float(node)
        if isinstance(node, Minus) and isinstance(node.args[0], Number):
            return -float(node.args[0])
        if self._is_network(node) and tuple(map(spelled, node.args[1:])) == given:
            return self._network(node, given)
        return None


def _square_root(variance: Basic) -> Basic:
    """The scale of a variance, in the simplest form."""
    if isinstance(variance, Power) and variance.args[1] == 2:
        return variance.args[0]
    if isinstance(variance, Number) and variance >= 0:
        root = variance**0.5
        return variance if variance in (0, 1) else Number(float(root))
    return call("sqrt", variance)


