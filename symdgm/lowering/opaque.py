"""Distributions without formulas or parameters of their own: generated code calls their methods.

A flow, a mixture or a marginal is an argument of the function; `log_prob`, `sample` and `sample_and_log_prob`
are all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sympy import Basic
from torch import Tensor

from symdgm.distributions import Distribution, Transformed
from symdgm.errors import EstimatorError, ShapeError
from symdgm.expressions.names import spelled
from symdgm.lowering.draws import comment_draw
from symdgm.lowering.estimation.drawing import DETACHED, ONCE, rows_of, special_of
from symdgm.lowering.estimation.exact import MAX_STATES
from symdgm.lowering.naming import literal
from symdgm.lowering.networks import run_call
from symdgm.lowering.operands import ACTIVE, ATOM, BATCH, STEPS, Axis, Operand, with_axes
from symdgm.lowering.plan import Kind, PlanNode, ordered

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_opaque(writer: Writer, node: PlanNode) -> Operand:
    """The object; nothing is written."""
    return Operand(writer.argument(f"factor:{node.number()}"))


def emit_sample(writer: Writer, node: PlanNode) -> Operand:
    """A draw of all variables of an object, with its log-density in one pass where that is wanted too."""
    law, (points, count) = node.args[0], _several(node)
    distribution = distribution_of(writer, law)
    rows: Axis = BATCH if rows_of(node) == ONCE else rows_of(node)
    operands = _operands(writer, distribution.given, law.args, rows)
    given = dict(zip(distribution.given, operands, strict=True))
    axes = tuple(a for a in writer.axes if a == rows or any(a in o.axes for o in given.values()))
    texts, sample_axes = _named(writer, given, axes)
    options = [] if given else [f"n={writer.size(rows)}"]
    own = (*(writer.paths if rows == ACTIVE else ()), *(a for a in node.args[1:] if a.kind is Kind.INDEX))
    plates = [a for a in own if a not in axes]
    sizes = [*([str(count)] if count > 1 else []), *map(writer.size, plates)]
    options += [f"shape=({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"] if sizes else []
    arguments = ", ".join([*([texts] if given else []), *options, *sample_axes, "check=False"])
    axes = (*([points] if count > 1 else []), *plates, *axes)
    if points is node and count > 1:
        writer.axes.insert(0, node)
    scored = isinstance(distribution, Transformed) and node in writer.scored and special_of(node) != DETACHED
    call = f"{writer.operands[law].text}.sample{'_and_log_prob' if scored else ''}({arguments})"
    drawn = run_call(writer, call, list(given.values()))
    comment_draw(writer, node, count, ", by the object itself")
    _record(writer, node, call, drawn, axes)
    return next(iter(writer.drawn[node].values()))


def _several(node: PlanNode) -> tuple[PlanNode, int]:
    """The axis of several draws, the draw's own or one of points that it reads, and its length."""
    points = next((a for a in node.args[1:] if a.kind is Kind.POINTS), node)
    return points, points.number(2)


def emit_strata(writer: Writer, node: PlanNode) -> Operand:
    """A draw from each component of an object along an axis of their own, with their probabilities.

    Raises:
        EstimatorError: there are more than `MAX_STATES`.
    """
    law, count, name = node.args[0], strata_count(node), node.word()
    arguments, given, axes = _conditions(writer, law, f"count={count}" * (count > 1))
    call = f"{writer.operands[law].text}.strata({arguments})"
    values, weights = run_call(writer, call, given)
    assert isinstance(weights, Tensor)
    if len(weights) > MAX_STATES:
        raise EstimatorError(
            f"`{name}` has {len(weights)} states, more than the {MAX_STATES} that are enumerated",
            hint="use fewer components or elements",
        )
    axes = (node, *axes)
    writer.axes.insert(0, node)
    writer.lengths[node] = len(weights)
    variable = distribution_of(writer, law).variables[0]
    script = writer.script
    script.comment(f"{name} ~ {law.origin}: all {len(weights)} components, by the object itself")
    names = [script.names.fresh(f"{name}_{what}") for what in ("values", "weights")]
    script.values.update(zip(names, (values, weights), strict=True))
    script.record(f"{', '.join(names)} = {call}", tuple(names), node.origin)
    writer.weights[node] = Operand(names[1], ATOM, axes)
    value = values[variable]
    entry = Operand(f"{names[0]}[{literal(variable)}]", ATOM, axes, value.dim() - len(axes))
    writer.agree(variable, value.shape[len(axes) :], str(distribution_of(writer, law)))
    return writer.named(name, entry, node.origin)


def strata_count(node: PlanNode) -> int:
    """How many draws of each component states are."""
    count = node.detail[2] if len(node.detail) > 2 else 1
    return count if isinstance(count, int) else 1


def _conditions(writer: Writer, law: PlanNode, option: str) -> tuple[str, list[Operand], tuple[Axis, ...]]:
    """The arguments of a draw by an object, what it is given, and the leading axes of the draw."""
    distribution = distribution_of(writer, law)
    found = [r for r in (STEPS, ACTIVE) if any(r in writer.operands[n].axes for n in law.args)]
    rows = found[0] if found else BATCH
    given = dict(zip(distribution.given, _operands(writer, distribution.given, law.args, rows), strict=True))
    axes = tuple(a for a in writer.axes if a == rows or any(a in o.axes for o in given.values()))
    texts, sample_axes = _named(writer, given, axes)
    options = [texts if given else f"n={writer.size(rows)}", *([option] if option else [])]
    return ", ".join([*options, *sample_axes, "check=False"]), list(given.values()), axes


def emit_entry(writer: Writer, node: PlanNode) -> Operand:
    """One variable of a draw."""
    return writer.drawn[node.args[0]][node.word()]


def opaque_log_density(
    writer: Writer, law: PlanNode, values: Sequence[PlanNode], hint: str, origin: Basic | None
) -> Operand:
    """The log-density of values by the object, under a name of its own; it is called once."""
    distribution = distribution_of(writer, law)
    names = (*distribution.variables, *distribution.given)
    nodes = (*values, *law.args)
    found = [r for r in (STEPS, ACTIVE) if any(r in writer.operands[n].axes for n in nodes)]
    rows = found[0] if found else BATCH
    operands = dict(zip(names, _operands(writer, names, nodes, rows), strict=True))
    axes = tuple(a for a in writer.axes if a == rows or any(a in o.axes for o in operands.values()))
    texts, sample_axes = _named(writer, operands, axes)
    call = f"{writer.operands[law].text}.log_prob({', '.join([texts, *sample_axes, 'check=False'])})"
    name = writer.script.names.fresh(hint)
    writer.script.values[name] = run_call(writer, call, list(operands.values()))
    writer.script.record(f"{name} = {call}", (name,), origin)
    return Operand(name, ATOM, axes)


def distribution_of(writer: Writer, law: PlanNode) -> Distribution:
    """The object of a law."""
    return writer.environment.factors[law.number()].distribution


def scored_samples(nodes: list[PlanNode]) -> set[PlanNode]:
    """The draws whose log-density under their own law is wanted too."""
    found = set()
    for node in ordered(nodes):
        if node.kind is Kind.LOG_DENSITY and node.args[0].kind is Kind.OPAQUE:
            law, *values = node.args
            draws = {v.args[0] for v in values if v.kind is Kind.ENTRY and v.args[0].args[0] is law}
            found |= draws if len(values) == 1 else set()
    return found


def _record(writer: Writer, node: PlanNode, call: str, drawn: object, axes: tuple[Axis, ...]) -> None:
    """Write the statements that draw, whose values are known, and name each variable."""
    script, names = writer.script, []
    law = node.args[0]
    variables = distribution_of(writer, law).variables
    values: object = drawn
    if isinstance(drawn, tuple):
        values, log_prob = drawn
        names = [
            script.names.fresh(f"{node.word()}_drawn"),
            script.names.fresh(f"log_{_head(law)}_{node.word()}"),
        ]
        script.values.update(zip(names, drawn, strict=True))
        script.record(f"{', '.join(names)} = {call}", tuple(names), node.origin)
        assert isinstance(log_prob, Tensor)
        writer.log_probs[node] = Operand(names[1], ATOM, axes)
    elif len(variables) > 1:
        names = [script.names.fresh(f"{node.word()}_drawn")]
        script.values[names[0]] = drawn
        script.record(f"{names[0]} = {call}", tuple(names), node.origin)
    assert isinstance(values, Mapping)
    writer.drawn[node] = {}
    for variable in variables:
        hint = node.word() if len(variables) == 1 else variable
        name = script.names.fresh(hint)
        value = values[variable].detach() if special_of(node) == DETACHED else values[variable]
        script.values[name] = value
        stop = ".detach()" if special_of(node) == DETACHED else ""
        script.record(
            f"{name} = {names[0] if names else call}[{literal(variable)}]{stop}", (name,), node.origin
        )
        rank = value.dim() - len(axes)
        writer.drawn[node][variable] = Operand(name, ATOM, axes, rank)
        writer.agree(variable, value.shape[len(axes) :], str(distribution_of(writer, law)))


def _head(law: PlanNode) -> str:
    assert law.origin is not None
    return spelled(law.origin.args[0])


def _operands(writer: Writer, names: Sequence[str], nodes: Sequence[PlanNode], rows: Axis) -> list[Operand]:
    """Values as tensors with a batch axis, under names."""
    found = []
    for variable, node in zip(names, nodes, strict=True):
        operand = writer.operands[node]
        if operand.number:
            operand = _full(writer, variable, operand)
        found.append(writer.named(variable, _batched(writer, operand, rows), node.origin))
    return found


def _full(writer: Writer, variable: str, number: Operand) -> Operand:
    """A number as a tensor over the event of a variable."""
    if variable not in writer.events:
        raise ShapeError(
            f"`{variable}` is the number {number.text}, but nothing says its event shape",
            hint=f"pass a tensor [batch, *event], or declare the shape, as in `{variable}=2`",
        )
    event = tuple(writer.events[variable][0])
    like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
    return Operand(f"torch.full({event}, {number.text}, {like})", ATOM, (), len(event))


def _batched(writer: Writer, operand: Operand, rows: Axis) -> Operand:
    """A value with a batch axis, behind those that it has."""
    if rows in operand.axes:
        return operand
    own = len(operand.axes)
    index = f"[{', '.join([':'] * own + ['None'])}]" if own else ""
    sizes = ", ".join(["-1"] * own + [writer.size(rows)] + ["-1"] * operand.rank)
    return Operand(f"{operand.at(ATOM)}{index}.expand({sizes})", ATOM, (*operand.axes, rows), operand.rank)


def _named(writer: Writer, operands: Mapping[str, Operand], axes: tuple[Axis, ...]) -> tuple[str, list[str]]:
    """Values as a dict, and the option that says which of their axes are samples."""
    entries = [f"{literal(name)}: {with_axes(o, axes)}" for name, o in operands.items()]
    counts = {name: len(axes) - axes.index(o.axes[0]) - 1 for name, o in operands.items()}
    told = ", ".join(f"{literal(name)}: {count}" for name, count in counts.items() if count)
    return "{" + ", ".join(entries) + "}", [f"sample_axes={{{told}}}"] if told else []
