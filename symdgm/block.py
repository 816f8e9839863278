"""A model block: its statements become distributions, abbreviations and objectives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import final

from sympy import Basic
from torch import Tensor

from symdgm.binding import Environment, Excerpt, Factor, Written, bind
from symdgm.binding.classify import classify, is_shape
from symdgm.binding.factors import ATOMS, givens_of, values_of
from symdgm.binding.timeline import Timeline
from symdgm.blocks.custom import Custom
from symdgm.blocks.experts import experts
from symdgm.blocks.factorisations import check_factorisation
from symdgm.blocks.statements import Statements, sort
from symdgm.blocks.steps import beginning, over_time, state
from symdgm.blocks.sums import Mixer, Sum, indexed
from symdgm.blocks.values import certain, flow_of, transformed
from symdgm.distributions import Distribution
from symdgm.errors import NameResolutionError, SymdgmError
from symdgm.expressions.macros import in_order
from symdgm.expressions.names import Name, Subscripted, base, spelled
from symdgm.expressions.scope import free_names
from symdgm.expressions.scope import replace as replaced
from symdgm.expressions.statements import Definition
from symdgm.families import parameters_of
from symdgm.inline_laws import InlineLaws
from symdgm.parsing import parse
from symdgm.statement import is_factor, statement_of
from symdgm.written_factors import Builder

Node = tuple[Basic, Distribution]


def build(
    reading: Written,
    declared: Sequence[Node],
    names: Mapping[str, object],
    options: Sequence[str] = (),
) -> tuple[list[Written], Environment]:
    """The objectives of a block, and the environment that its statements and keywords make.

    Args:
        reading: the block.
        declared: distributions that were built in Python, with their notation.
        names: keyword → network, scalar, tensor, event shape or distribution.
        options: keywords that are no names, to suggest for a misspelt one.

    Raises:
        NameResolutionError: an unknown family, or a name that is not bound.
        NotSupportedError: a statement that a model cannot be built from.
        OptionError: a keyword that the block does not use.
        ParameterError: parameters that do not fit a family.
    """
    return _Build(reading, declared, names, options).run()


@final
class _Build:
    """One block while it is built; densities may stand in any order."""

    def __init__(
        self, reading: Written, declared: Sequence[Node], names: Mapping[str, object], options: Sequence[str]
    ) -> None:
        self.reading = reading
        self.declared = declared
        self.names = {keyword: (spelled(parse(keyword)), value) for keyword, value in names.items()}
        self.options = options
        self.values = dict(self.names.values())
        statements = sort(reading, lambda formula: flow_of(formula, self.values) is not None)
        heads = {node.args[0] for node, _ in declared}
        heads |= {parse(k) for k, (_, value) in self.names.items() if isinstance(value, Distribution)}
        self._check_abbreviations(statements)
        statements, self.time = over_time(statements, [node for node, _ in declared], reading)
        self.statements: Statements = statements.written_out(frozenset(heads), reading)
        self.shapes: dict[str, object] = {}
        self.tensors: dict[str, Tensor] = {}

    def run(self) -> tuple[list[Written], Environment]:
        self._check_once()
        environment = self._environment()
        time, environment = environment.time, replace(environment, time=None)
        for definition in self.statements.factors:
            built = self._builder(environment).build(definition)
            environment = _with(environment, (definition.args[0], built))
        environment = self._densities(environment)
        environment = self._shaped(environment)
        for name, formula in self.statements.values.items():
            environment = self._certain(name, formula, environment)
        for name, formula in self.statements.states.items():
            environment = self._state(name, formula, environment)
        environment = replace(environment, time=self._begun(time))
        for factorisation in self.statements.factorisations:
            self._check_factorisation(factorisation, environment)
        environment = replace(environment, inline=InlineLaws(self.reading))
        completed = [self._completed(o, environment) for o in self.statements.objectives]
        return [Excerpt(o, self.reading) for o in completed], environment

    def _check_abbreviations(self, statements: Statements) -> None:
        """Refuse a keyword for what a statement defines; of a value it may be the event shape."""
        for key, statement in statements.places.items():
            value = self.values.get(spelled(key))
            if value is not None and not (key in statements.values and is_shape(value)):
                raise self._at(
                    NameResolutionError(
                        f"`{key}` is defined by a statement, and bound by a keyword",
                        hint="leave one of them out",
                    ),
                    statement,
                )

    def _check_once(self) -> None:
        """Refuse two densities of the same variables under the same name."""
        seen = {_key(node) for node, _ in self.declared}
        for statement in self.statements.defining:
            if _key(statement.args[0]) in seen:
                place = statement.args[1] if is_factor(statement) else statement
                raise self._at(_bound_twice(statement.args[0]), place)
            seen.add(_key(statement.args[0]))

    # What the keywords are.

    def _environment(self) -> Environment:
        """The networks and scalars, and the factors that were built in Python."""
        formulas = self._formulas()
        variables = self._variables()
        self.shapes = {k: v for k, (name, v) in self.names.items() if name in variables and is_shape(v)}
        mixed = [p for _, found in self.statements.sums for p in _parameters(found.component)]
        whole = {spelled(f) for f in (*formulas, *mixed) if isinstance(f, Name | Subscripted)}
        tables = {name for _, found in self.statements.sums for name in indexed(found)}
        tensors = {
            k: v
            for k, (name, v) in self.names.items()
            if name in whole | tables and isinstance(v, Tensor) and v.dim()
        }
        _check_tables({k: v for k, (name, v) in self.names.items() if name in tables}, tensors)
        self.tensors = {self.names[k][0]: v for k, v in tensors.items()}
        begun = {spelled(f) for f in self.statements.beginnings.values() if isinstance(f, ATOMS)}
        objectives = [statement_of(o).body for o in self.statements.objectives]
        used = [*objectives, *formulas, *self._right_sides()]
        alone = [e for e in (*objectives, *formulas) if not isinstance(e, ATOMS)]
        within = {spelled(n) for e in alone for n in free_names(e)} - tables
        wholly = {k for k in tensors if self.names[k][0] not in within}
        taken = {*self.shapes, *wholly, *(k for k, (name, _) in self.names.items() if name in begun)}
        others = {k: v for k, (_, v) in self.names.items() if k not in taken}
        return classify(used, self.declared, others, parse, self.options, self.time, variables=variables)

    def _formulas(self) -> list[Basic]:
        """The parameters of all families."""
        return [p for d in self.statements.factors for p in _parameters(d.args[1])]

    def _right_sides(self) -> list[Basic]:
        found = self.statements
        equations = [*found.densities, *(s for s, _ in found.sums), *found.flows]
        return [*(e.args[1] for e in equations), *found.values.values(), *found.states.values()]

    def _variables(self) -> set[str]:
        found = {spelled(v) for left in self.statements.lefts for v in (*values_of(left), *givens_of(left))}
        flows = {spelled(n) for s in self.statements.flows for n in (s.args[0], *s.args[1].args[1:])}
        steps = self.time.sequences if self.time is not None else ()
        return found | flows | {spelled(name) for name in (*self.statements.values, *steps)}

    def _builder(self, environment: Environment) -> Builder:
        return Builder(self.reading, environment, self._declared(), self.tensors)

    def _declared(self) -> dict[str, object]:
        """The event shapes of variables; that of a sequence is that of its steps."""
        declared = {self.names[k][0]: v for k, v in self.shapes.items()}
        time, values = self.time, [v for left in self.statements.lefts for v in values_of(left)]
        steps = [v for v in values if time is not None and time.covers(v)]
        return {spelled(v): declared[n] for v in steps if (n := spelled(base(v))) in declared} | declared

    # The densities.

    def _densities(self, environment: Environment) -> Environment:
        """All densities that stand on others, each when those are there."""
        left: list[tuple[Basic, Callable[[Environment], Node | None]]] = [
            *((s, self._density(s)) for s in self.statements.densities),
            *((s, self._flow(s)) for s in self.statements.flows),
            *((s, self._sum(s, found)) for s, found in self.statements.sums),
        ]
        while left:
            waiting, problem = [], None
            for statement, make in left:
                try:
                    made = make(environment)
                except NameResolutionError as error:
                    waiting.append((statement, make))
                    problem = problem or self._at(error, statement)
                except SymdgmError as error:
                    raise self._at(error, statement) from error.__cause__
                else:
                    self._check_new(made, environment, statement)
                    environment = environment if made is None else _with(environment, made)
            if problem is not None and len(waiting) == len(left):
                raise self._circle([s for s, _ in waiting]) or problem
            left = waiting
        return environment

    def _check_new(self, made: Node | None, environment: Environment, statement: Basic) -> None:
        """Refuse the density of a flow's value where there is another."""
        if made is not None and _key(made[0]) in {_key(f.node) for f in environment.factors if not f.derived}:
            raise self._at(_bound_twice(made[0]), statement)

    def _circle(self, waiting: Sequence[Basic]) -> SymdgmError | None:
        """The refusal of densities that are made of each other."""
        uses = {s: {t for t in waiting if s.args[1].has(t.args[0])} for s in waiting}
        _, circle = in_order(uses)
        if not circle:
            return None
        listed = ", ".join(f"`{s.args[0]}`" for s in circle)
        return self._at(
            NameResolutionError(
                f"{listed} is defined by itself"
                if len(circle) == 1
                else f"{listed} are defined by each other in a circle",
                hint="define one of them by a family, as in `p(z) = Normal(z; 0, 1)`, or by a formula of its "
                "variables",
            ),
            circle[0],
        )

    def _density(self, statement: Basic) -> Callable[[Environment], Node]:
        left, right = statement.args

        def make(environment: Environment) -> Node:
            normal = experts(left, right, environment, self.reading)
            if normal is not None:
                return left, normal
            return left, Custom.of(left, right, environment, self.reading)

        return make

    def _flow(self, statement: Basic) -> Callable[[Environment], Node]:
        name, formula = statement.args
        flow = flow_of(formula, self.values)
        assert flow is not None
        return lambda environment: transformed(name, formula, flow, environment)

    def _sum(self, statement: Basic, found: Sum) -> Callable[[Environment], Node | None]:
        left = statement.args[0]

        def make(environment: Environment) -> Node | None:
            mixer = Mixer(self._builder, environment, self.tensors, self._declared(), self.reading)
            law = mixer.build(left, found)
            return None if law is None else (left, law)

        return make

    def _at(self, error: SymdgmError, statement: Basic) -> SymdgmError:
        return error.at(self.reading.source, self.reading.spans.get(statement))

    # Values, and the objective.

    def _shaped(self, environment: Environment) -> Environment:
        """With the event shapes of variables, and no factor bound twice."""
        factors = [(f.node, f.distribution) for f in environment.factors]
        shaped = classify([], factors, self.shapes, parse, self.options, self.time)
        shapes = {**environment.shapes, **shaped.shapes}
        return replace(environment, factors=shaped.factors, shapes=shapes)

    def _state(self, name: Basic, formula: Basic, environment: Environment) -> Environment:
        """With ``h(h_t|x_t, h_{t-1})`` of ``h_t = rnn(x_t, h_{t-1})``."""
        try:
            self._check_value(name, environment)
            return _with(environment, state(name, formula, environment, self.reading))
        except SymdgmError as error:
            raise self._at(error, Definition(name, formula)) from error.__cause__

    def _begun(self, time: Timeline | None) -> Timeline | None:
        """Time with the values before the first step that statements give."""
        if time is None:
            return None
        begun = dict(time.initial)
        for name, formula in self.statements.beginnings.items():
            try:
                begun[base(name)] = beginning(name, formula, self.values)
            except SymdgmError as error:
                raise self._at(error, Definition(name, formula)) from error.__cause__
        return replace(time, initial=begun)

    def _check_factorisation(self, statement: Basic, environment: Environment) -> None:
        try:
            check_factorisation(statement, environment)
        except SymdgmError as error:
            raise self._at(error, statement) from error.__cause__

    def _certain(self, name: Basic, formula: Basic, environment: Environment) -> Environment:
        """With ``p(h|x)`` of ``h = f(x)``."""
        statement = Definition(name, formula)
        try:
            self._check_value(name, environment)
            made = certain(name, formula, environment, self.reading)
        except SymdgmError as error:
            raise self._at(error, statement) from error.__cause__
        return environment if made is None else _with(environment, made, derived=True)

    def _check_value(self, name: Basic, environment: Environment) -> None:
        over = [f for f in environment.factors if name in f.variables]
        if over:
            raise NameResolutionError(
                f"`{name}` is certain by its statement, but `{over[0].node}` is a density of it",
                hint="leave one of them out, or give one of the two variables another name",
            )

    def _completed(self, objective: Basic, environment: Environment) -> Basic:
        """The objective with values written out that only its resolution shows, as in ``KL[q || p]``."""
        values = self.statements.values
        if not any(v in f.givens for v in values for f in environment.factors if not f.derived):
            return objective
        body = statement_of(objective).body
        bound = bind(body, environment, Excerpt(body, self.reading))
        if not any(spelled(name) in bound.data for name in values):
            return objective
        heads = frozenset(f.head for f in environment.factors)
        return objective.xreplace({body: replaced(bound.expression, values, factors=heads, capture=True)})


def _parameters(family: Basic) -> list[Basic]:
    return [p.args[1] if isinstance(p, Definition) else p for p in parameters_of(family)]


def _check_tables(values: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Refuse what is bound in place of a table whose rows an index names."""
    for keyword in values.keys() - tensors.keys():
        raise NameResolutionError(
            f"`{keyword}` is bound to {type(values[keyword]).__name__}, which is no table of rows",
            hint="bind it to a tensor or a parameter [K, ...], as by `torch.stack(rows)`",
        )


def _bound_twice(node: Basic) -> NameResolutionError:
    return NameResolutionError(
        f"`{node}` is bound twice", hint="leave one out, or write another name, as in `p_2`"
    )


def _key(node: Basic) -> tuple[object, ...]:
    return node.args[0], frozenset(values_of(node)), frozenset(givens_of(node))


def _with(environment: Environment, made: Node, *, derived: bool = False) -> Environment:
    """The environment with one more factor."""
    node, distribution = made
    factor = Factor(len(environment.factors), node, distribution, derived)
    return replace(environment, factors=(*environment.factors, factor))
