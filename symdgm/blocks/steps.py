"""Statements over the steps of sequences: ``h_t = rnn(x_t, h_{t-1})``, ``z_0 = 0``, products over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sympy import Basic, Integer, Number
from torch import Tensor

from symdgm.binding import Environment, Written
from symdgm.binding.factors import ATOMS, reference
from symdgm.binding.timeline import Timeline, initial_value, is_initial, timeline_of
from symdgm.blocks.statements import Statements
from symdgm.blocks.values import variables_of
from symdgm.distributions import Deterministic
from symdgm.errors import NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.applications import Apply
from symdgm.expressions.arithmetic import Minus
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import IndexRange, Subscripted, base, spelled
from symdgm.expressions.scope import free_names
from symdgm.expressions.statements import Definition
from symdgm.formula import Formula
from symdgm.statement import statement_of

ONE = Integer(1)


def over_time(
    statements: Statements, declared: Sequence[Basic], reading: Written
) -> tuple[Statements, Timeline | None]:
    """The statements of a block with those of steps told from abbreviations, and the time of the block.

    A value is a state of each step where a density is given it, or where it is made from step to step, or for
    a whole sequence at once. Any other, such as ``m_t = f(z_t)`` of a parameter, is written out.

    Args:
        statements: all of them.
        declared: the notation of densities of Python.
        reading: the block, for carets.

    Raises:
        NotSupportedError: a recurrence without time, or a product over another index.
    """
    recurrent = [_node(name, formula) for name, formula in statements.states.items()]
    whole = [_node(name, formula) for name, formula in statements.values.items() if _is_whole(name)]
    nodes = [*declared, *statements.lefts, *recurrent, *whole]
    formulas = [statement_of(o).body for o in statements.objectives]
    formulas += [side for product in statements.factorisations for side in product.args]
    formulas += [*statements.macros.names.values(), *(f.body for f in statements.macros.functions.values())]
    time = timeline_of(formulas, nodes, recurrent)
    _refuse_products(statements, time, reading)
    if time is None:
        for name in statements.states:
            raise _without_time(name).at(reading.source, _span(statements, name, reading))
        return statements, None
    given = {base(n) for node in nodes for n in node.atoms(Subscripted) if time.covers(n)}
    moved = [n for n in statements.values if base(n) in given and _is_state(time, n)]
    begun = [n for n in statements.values if is_initial(time, n)]
    return _moved(statements, moved, begun), time


def _refuse_products(statements: Statements, time: Timeline | None, reading: Written) -> None:
    for statement in statements.factorisations:
        left, right = statement.args
        indices = {p.index.variable for p in right.atoms(Aggregate)}
        if indices - ({time.index} if time is not None else set()):
            raise NotSupportedError(
                f"`{left}` is a product over an index, which this version cannot build a density of yet",
                hint="write one factor over the whole event, which is a product over its elements",
            ).at(reading.source, reading.spans.get(statement))


def _moved(statements: Statements, moved: Sequence[Basic], begun: Sequence[Basic]) -> Statements:
    """The statements with values that are states, or stand before the first step, no more abbreviations."""
    away = {*moved, *begun}
    names = {n: v for n, v in statements.macros.names.items() if n not in away}
    return replace(
        statements,
        macros=replace(statements.macros, names=names),
        values={n: v for n, v in statements.values.items() if n not in away},
        states={**statements.states, **{n: statements.values[n] for n in moved}},
        beginnings={n: statements.values[n] for n in begun},
    )


def _is_state(time: Timeline, name: Basic) -> bool:
    return time.offset(name) == 0 or time.number(name) is not None or time.is_range(name)


def _is_whole(name: Basic) -> bool:
    return isinstance(name, Subscripted) and isinstance(name.indices[0], IndexRange)


def _node(name: Basic, formula: Basic) -> Basic:
    """``h(h_t|x_t, h_{t-1})`` of a value and its formula, as far as it depends on steps."""
    given = sorted((n for n in free_names(formula) if isinstance(n, Subscripted)), key=str)
    return reference(base(name), (name,), given)


def _span(statements: Statements, name: Basic, reading: Written) -> tuple[int, int] | None:
    return reading.spans.get(Definition(name, statements.states[name]))


def _without_time(name: Basic) -> SymdgmError:
    assert isinstance(name, Subscripted)
    return NotSupportedError(
        f"`{name}` is made from step to step, but the objective sums over no steps",
        hint=f"write `sum_{{{name.indices[0]}=1}}^T (...)`, or name whole sequences, `{name.head}_{{1:T}}`",
    )


def state(
    name: Basic, formula: Basic, environment: Environment, reading: Written
) -> tuple[Basic, Deterministic]:
    """``h(h_t|x_t, h_{t-1})`` of ``h_t = rnn(x_t, h_{t-1})``; a network that stands alone is taken as it is.

    Raises:
        NameResolutionError: a name of the formula is not bound.
        NotSupportedError: a construct that cannot be computed; a whole sequence by more than one network.
    """
    given = variables_of(formula, environment)
    head = environment.network(formula.args[0]) if isinstance(formula, Apply) else None
    alone = head is not None and all(isinstance(a, ATOMS) for a in formula.args[1:])
    if head is not None and alone and sorted(given, key=str) == sorted(formula.args[1:], key=str):
        node = reference(base(name), (name,), formula.args[1:])
        return node, Deterministic(str(node), environment.networks[head])
    if _is_whole(name):
        raise NotSupportedError(
            f"`{name}` is no network of whole sequences, which this version cannot compute yet",
            hint=f"apply one network, as in `{name} = f(x_{{1:T}})`, and write the rest step by step",
        )
    node = reference(base(name), (name,), given)
    names = tuple(map(spelled, given))
    network = Formula({spelled(name): formula}, names, environment, reading, f"`{name}` depends")
    return node, Deterministic(str(node), network)


def beginning(name: Basic, formula: Basic, bound: Mapping[str, object]) -> float | Tensor:
    """The value before the first step, ``z_0 = 0`` or ``h_0 = start``.

    Args:
        name: ``z_0``.
        formula: as it is written.
        bound: name → what a keyword bound it to.

    Raises:
        NotSupportedError: a formula that is no number and no name.
        NameResolutionError: a name that is not bound.
        OptionError: a name that is bound to something else than a number or a tensor.
    """
    if isinstance(formula, ATOMS):
        if spelled(formula) not in bound:
            raise NameResolutionError(
                f"`{name}` is `{formula}`, which is not bound",
                hint=f"bind a number, a tensor of the event's shape, or an nn.Parameter: `{formula}=...`",
            )
        return initial_value(spelled(formula), bound[spelled(formula)])
    number = formula.args[0] if isinstance(formula, Minus) else formula
    if not isinstance(number, Number):
        raise NotSupportedError(
            f"`{name} = {formula}` is no value before the first step that can be computed yet",
            hint="write a number, or a name that is bound to a tensor or an nn.Parameter",
        )
    return float(number) if number is formula else -float(number)
