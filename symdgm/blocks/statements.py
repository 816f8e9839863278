"""The statements of a block, sorted by what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sympy import Basic, Tuple

from symdgm.binding import Written
from symdgm.binding.factors import givens_of, values_of
from symdgm.blocks.sums import Sum, sum_of
from symdgm.errors import GrammarError, NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.macros import Function, Macros, arguments_of
from symdgm.expressions.names import Name, Subscripted, base
from symdgm.expressions.scope import free_names
from symdgm.expressions.statements import Abbreviation, Block, Definition, Proportional
from symdgm.families import FAMILIES, family_of
from symdgm.games.sides import has_players
from symdgm.statement import is_factor, is_objective
from symdgm.written_factors import check_sides

NAMES = (Name, Subscripted)


@dataclass
class Statements:
    """What the statements of a block say.

    Args:
        factors: densities by family.
        densities: unnormalised densities.
        sums: densities that are sums over an index.
        flows: values of flows, which have a density.
        factorisations: joints as products of factors.
        values: the values of formulas, by name; they are abbreviations too.
        macros: abbreviations.
        states: the values of each step of a sequence, ``h_t = rnn(x_t, h_{t-1})``, by name.
        beginnings: the values before the first step, ``h_0 = 0``, by name.
        objectives: what is optimised.
        places: the statement of each abbreviation, value or function.
    """

    factors: list[Basic] = field(default_factory=list)
    densities: list[Basic] = field(default_factory=list)
    sums: list[tuple[Basic, Sum]] = field(default_factory=list)
    flows: list[Basic] = field(default_factory=list)
    factorisations: list[Basic] = field(default_factory=list)
    values: dict[Basic, Basic] = field(default_factory=dict)
    macros: Macros = field(default_factory=Macros)
    states: dict[Basic, Basic] = field(default_factory=dict)
    beginnings: dict[Basic, Basic] = field(default_factory=dict)
    objectives: list[Basic] = field(default_factory=list)
    places: dict[Basic, Basic] = field(default_factory=dict)

    @property
    def defining(self) -> list[Basic]:
        """The statements of all densities."""
        return [*self.factors, *self.densities, *(s for s, _ in self.sums)]

    @property
    def lefts(self) -> list[Basic]:
        """The left sides of all densities."""
        return [s.args[0] for s in self.defining]

    def written_out(self, declared: frozenset[Basic], reading: Written) -> Statements:
        """The same with all abbreviations written out.

        Args:
            declared: the heads of densities of Python.
            reading: the block, for carets.

        Raises:
            NameResolutionError: abbreviations that stand on each other in a circle.
            NotSupportedError: an equation of a density that says nothing about how to build it.
            GrammarError: formulas that become too long.
        """
        heads = declared | {left.args[0] for left in self.lefts}
        for head in sorted(heads & set(self.macros.functions), key=str):
            raise NotSupportedError(
                f"`{head}` is a density, so an equation of it is no abbreviation",
                hint="define it by a family, by `propto`, as a product of factors, or as a sum over an index",
            ).at(reading.source, reading.spans.get(self.places[head]))
        try:
            macros = replace(self.macros, factors=heads).resolve()
        except SymdgmError as error:
            circle = self.macros.circle()
            span = reading.spans.get(self.places[circle[0]]) if circle else None
            raise error.at(reading.source, span) from None
        out = macros.write_out
        return replace(
            self,
            factors=[
                Definition(d.args[0], _parameters_out(d.args[1], _within(macros, d.args[0])))
                for d in self.factors
            ],
            densities=[
                Proportional(d.args[0], _within(macros, d.args[0])(d.args[1])) for d in self.densities
            ],
            values={name: macros.names[name] for name in self.values},
            states={name: out(formula) for name, formula in self.states.items()},
            macros=macros,
            objectives=[out(o) for o in self.objectives],
        )


def _within(macros: Macros, left: Basic) -> Callable[[Basic], Basic]:
    """What writes abbreviations out on a right side; variables of the left side are variables there."""
    own = {*values_of(left), *givens_of(left)}
    names = {name: value for name, value in macros.names.items() if name not in own}
    return replace(macros, names=names).write_out


def _parameters_out(family: Basic, out: Callable[[Basic], Basic]) -> Basic:
    """A family with abbreviations written out in its parameters; its variable is no use of a name."""
    if not isinstance(family, Density):
        return family
    parameters = [
        Definition(p.args[0], out(p.args[1])) if isinstance(p, Definition) else out(p)
        for p in family.parameters
    ]
    return Density(*family.args[:3], Tuple(*parameters))


def sort(reading: Written, is_flow: Callable[[Basic], bool] = lambda formula: False) -> Statements:
    """The statements of a block by what they do.

    Args:
        reading: the block.
        is_flow: whether a formula applies a flow.

    Raises:
        NotSupportedError: a statement that a model cannot be built from; no objective, or several where one
            has no player.
        GrammarError: two meanings of one name.
    """
    found = Statements()
    expression = reading.expression
    for statement in expression.args if isinstance(expression, Block) else (expression,):
        try:
            _put(statement, found, is_flow)
        except SymdgmError as error:
            place = statement.args[1] if is_factor(statement) else statement
            raise error.at(reading.source, reading.spans.get(place)) from None
    alone = [o for o in found.objectives if not has_players(o)]
    if not found.objectives or (alone and len(found.objectives) > 1):
        count = len(found.objectives) or "none"
        raise NotSupportedError(
            f"a model has one objective, or one for each player, but the block has {count}",
            hint="write one line `maximize ...` or `minimize ...`; several say whose parameters they move: "
            "`loss_d: minimize ... over D`",
            source=reading.source,
            span=reading.spans.get(alone[-1]) if alone else None,
        )
    return found


def _put(statement: Basic, found: Statements, is_flow: Callable[[Basic], bool]) -> None:
    if is_objective(statement):
        found.objectives.append(statement)
    elif isinstance(statement, Abbreviation):
        _abbreviate(statement, found)
    elif is_factor(statement):
        family_of(statement.args[1])
        check_sides(*statement.args)
        found.factors.append(statement)
    elif isinstance(statement, Proportional):
        _check_density(statement)
        found.densities.append(statement)
    elif isinstance(statement, Definition) and isinstance(statement.args[0], NAMES):
        _put_value(statement, found, is_flow)
    elif isinstance(statement, Definition) and isinstance(statement.args[0], Apply | Density):
        _put_equation(statement, found)
    else:
        raise _no_statement(statement)


def _put_value(statement: Basic, found: Statements, is_flow: Callable[[Basic], bool]) -> None:
    """``h = f(x)``."""
    name, formula = statement.args
    if is_flow(formula):
        found.flows.append(statement)
        return
    free = free_names(formula)
    earlier = [n for n in free if isinstance(n, Subscripted) and base(n) == base(name) and n != name]
    if isinstance(name, Subscripted) and earlier:
        if name in found.states:
            raise GrammarError(f"`{name}` is defined twice", hint="leave one of the lines out")
        found.states[name] = formula
        return
    if name in free:
        raise NameResolutionError(
            f"`{name}` is defined by itself", hint="give the new value another name, as in `x' = f(x)`"
        )
    _abbreviate(statement, found)
    found.values[name] = formula


def _put_equation(statement: Basic, found: Statements) -> None:
    """``p(x, z) = p(x|z) p(z)``, ``p(x) = sum_k ...`` or ``L(x) = ...``."""
    left, right = statement.args
    mixed = sum_of(left, right)
    if mixed is not None:
        found.sums.append((statement, mixed))
    elif is_product_over_index(right) or _is_factorisation(left, right):
        found.factorisations.append(statement)
    else:
        _abbreviate(statement, found)


def is_product_over_index(node: Basic) -> bool:
    """Whether a right side is a product of densities over an index, or has such a factor."""
    parts = node.args if isinstance(node, Times) else (node,)
    return any(isinstance(p, Aggregate) and p.kind == "prod" and _is_of_densities(p.body) for p in parts)


def _is_of_densities(node: Basic) -> bool:
    parts = node.args if isinstance(node, Times) else (node,)
    return all(isinstance(p, Apply | Density) for p in parts)


def _is_factorisation(left: Basic, right: Basic) -> bool:
    if not isinstance(right, Times):
        return False
    applied = [f for f in right.args if isinstance(f, Apply | Density)]
    return any(f.args[0] == left.args[0] or (isinstance(f, Density) and f.givens) for f in applied)


def _abbreviate(statement: Basic, found: Statements) -> None:
    name, value = statement.args
    macros = found.macros
    key = name if isinstance(name, NAMES) else name.args[0]
    if key in macros.names or key in macros.functions:
        raise GrammarError(f"`{name}` is an abbreviation of two things", hint="leave one of the lines out")
    found.places[key] = statement
    if isinstance(name, NAMES):
        macros.names[name] = value
        return
    parameters = arguments_of(name) if isinstance(name, Apply | Density) else ()
    if not parameters or not all(isinstance(p, NAMES) for p in parameters):
        raise NotSupportedError(
            f"`{name}` is no name, and no name with names as arguments",
            hint="write `where a = ...`, or `L(x) = ...`",
        )
    macros.functions[key] = Function(parameters, value)


def _check_density(statement: Basic) -> None:
    left = statement.args[0]
    if not isinstance(left, Apply | Density) or not values_of(left):
        raise NameResolutionError(
            f"`{left}` is no density", hint="write its variables, as in `p(x) propto exp(-U(x))`"
        )


def _no_statement(statement: Basic) -> NotSupportedError:
    return NotSupportedError(
        f"the statement `{statement}` is read, but a model cannot be built from it yet",
        hint="a factor is written by a family, such as `p(z) = Normal(z; 0, 1)`, an objective by "
        f"`maximize` or `minimize`; families: {', '.join(FAMILIES)}",
    )
