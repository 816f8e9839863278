"""A model block: its statements become distributions, abbreviations and one objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Basic
from torch import Tensor

from symdgm.binding import Environment, Excerpt, Written
from symdgm.binding.classify import classify, is_shape
from symdgm.binding.factors import givens_of, values_of
from symdgm.distributions import Distribution
from symdgm.errors import GrammarError, NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.abbreviations import write_out
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.statements import Abbreviation, Block, Definition, Proportional
from symdgm.families import FAMILIES, family_of, parameters_of
from symdgm.games.sides import has_players
from symdgm.inline_laws import InlineLaws
from symdgm.parsing import parse
from symdgm.statement import is_factor, is_objective, statement_of
from symdgm.written_factors import Builder, check_sides


@dataclass
class Statements:
    """The statements of a block, sorted by what they do."""

    factors: list[Basic] = field(default_factory=list)
    factorisations: list[Basic] = field(default_factory=list)
    abbreviations: dict[Basic, Basic] = field(default_factory=dict)
    objectives: list[Basic] = field(default_factory=list)


def build(
    reading: Written,
    declared: Sequence[tuple[Basic, Distribution]],
    names: Mapping[str, object],
    options: Sequence[str] = (),
) -> tuple[list[Written], Environment]:
    """The objectives of a block, and the environment that its statements and keywords make.

    Args:
        reading: the block.
        declared: distributions that were built in Python, with their notation.
        names: keyword → network, scalar, event shape or distribution.
        options: keywords that are no names, to suggest for a misspelt one.

    Raises:
        NameResolutionError: an unknown family, or a name that is not bound.
        NotSupportedError: a statement that a model cannot be built from.
        OptionError: a keyword that the block does not use.
        ParameterError: parameters that do not fit a family.
    """
    statements = _written_out(sort(reading))
    read = {keyword: parse(keyword) for keyword in names}
    variables = {
        spelled(v) for d in statements.factors for v in (*values_of(d.args[0]), *givens_of(d.args[0]))
    }
    shapes = {k: v for k, v in names.items() if spelled(read[k]) in variables and is_shape(v)}
    formulas = [
        p.args[1] if isinstance(p, Definition) else p
        for d in statements.factors
        for p in parameters_of(d.args[1])
    ]
    whole = {spelled(f) for f in formulas if isinstance(f, Name | Subscripted)}
    tensors = {
        k: v for k, v in names.items() if spelled(read[k]) in whole and isinstance(v, Tensor) and v.dim()
    }
    others = {k: v for k, v in names.items() if k not in shapes and k not in tensors}
    objectives = [statement_of(objective).body for objective in statements.objectives]
    environment = classify([*objectives, *formulas], declared, others, parse, options)
    by_name = {spelled(read[k]): v for k, v in tensors.items()}
    builder = Builder(reading, environment, {spelled(read[k]): v for k, v in shapes.items()}, by_name)
    factors = [*((f.node, f.distribution) for f in environment.factors)]
    factors += [(definition.args[0], builder.build(definition)) for definition in statements.factors]
    shaped = classify([], factors, shapes, parse, options)
    joined = Environment(
        shaped.factors,
        environment.networks,
        environment.scalars,
        {**environment.shapes, **shaped.shapes},
        environment.tables,
        inline=InlineLaws(reading),
    )
    for factorisation in statements.factorisations:
        _check_factorisation(factorisation, joined, reading)
    return [Excerpt(objective, reading) for objective in statements.objectives], joined


def sort(reading: Written) -> Statements:
    """The statements of a block by what they do.

    Raises:
        NotSupportedError: a statement that a model cannot be built from; no objective, or several where one
            has no player.
        GrammarError: two abbreviations of one name.
    """
    found = Statements()
    expression = reading.expression
    for statement in expression.args if isinstance(expression, Block) else (expression,):
        try:
            _put(statement, found)
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


def _put(statement: Basic, found: Statements) -> None:
    if isinstance(statement, Abbreviation):
        name, value = statement.args
        if name in found.abbreviations:
            raise GrammarError(
                f"`{name}` is an abbreviation of two things", hint="leave one of the lines out"
            )
        if not isinstance(name, Name | Subscripted):
            raise NotSupportedError(
                f"an abbreviation with arguments, `{name}`, cannot be written out yet",
                hint="abbreviate a name: `where a = ...`",
            )
        found.abbreviations[name] = value
    elif is_objective(statement):
        found.objectives.append(statement)
    elif is_factor(statement):
        family_of(statement.args[1])
        check_sides(*statement.args)
        found.factors.append(statement)
    elif isinstance(statement, Definition) and isinstance(statement.args[1], Times):
        found.factorisations.append(statement)
    else:
        raise NotSupportedError(
            f"the statement `{statement}` is read{_kind(statement)}, but a model cannot be built from it yet",
            hint="a factor is written by a family, such as `p(z) = Normal(z; 0, 1)`, an objective by "
            "`maximize` or `minimize`; "
            f"families: {', '.join(FAMILIES)}",
        )


def _kind(statement: Basic) -> str:
    """What a statement is that no model is built from."""
    if isinstance(statement, Proportional):
        return " as an unnormalised density"
    if isinstance(statement, Definition) and isinstance(statement.args[0], Name | Subscripted):
        return f" as a deterministic value, `{statement.args[0]}`"
    return ""


def _written_out(statements: Statements) -> Statements:
    """The statements with all abbreviations replaced by what they stand for."""
    swaps = statements.abbreviations
    if not swaps:
        return statements
    for _ in swaps:  # an abbreviation may stand on others, at most all of them
        swaps = {name: write_out(value, statements.abbreviations) for name, value in swaps.items()}
    circular = [name for name, value in swaps.items() if any(value.has(other) for other in swaps)]
    if circular:
        names = ", ".join(f"`{name}`" for name in circular)
        raise NameResolutionError(
            f"the abbreviations {names} stand on each other in a circle", hint="write one of them out"
        )
    return Statements(
        [Definition(d.args[0], write_out(d.args[1], swaps)) for d in statements.factors],
        statements.factorisations,
        swaps,
        [write_out(o, swaps) for o in statements.objectives],
    )


def _check_factorisation(statement: Basic, environment: Environment, reading: Written) -> None:
    """Refuse a factorisation that is not the chain rule of the factors that are bound."""
    joint, product = statement.args
    matches = [environment.match(f) for f in product.args if isinstance(f, Apply | Density)]
    written = sorted(m.factor.index for m in matches if m is not None)
    bound = sorted(f.index for f in environment.joint(joint) or ())
    if written != bound or len(written) != len(product.args):
        listed = ", ".join(f"`{f.node}`" for f in environment.named(joint.args[0])) or "none"
        raise NameResolutionError(
            f"`{joint}` is not the product of the factors that are bound: {listed}",
            hint="bind every factor of the product, and no other of that name over these variables",
        ).at(reading.source, reading.spans.get(statement))
