"""From a plan to PyTorch that a person could have written; what is written here is what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from sympy import Basic
from torch import Tensor

from symdgm.errors import SymdgmError
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy
from symdgm.lowering.freeze import Frozen, Root
from symdgm.lowering.naming import literal
from symdgm.lowering.operands import ATOM, Operand
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.ranges import LabelRange, ParameterRange
from symdgm.lowering.reductions import event_shaped, one_number
from symdgm.lowering.statements import Statement, function_text
from symdgm.lowering.time.uneven import Uneven, uneven
from symdgm.lowering.writer import Writer

FUNCTION = "objective"
"""The name of the generated function."""


class Output(Enum):
    """What a generated function returns of each term."""

    MEAN = "the mean over the batch"
    EXAMPLES = "one number per example"
    EVENTS = "a value with its event per example"


@dataclass(frozen=True)
class Emission:
    """What the first evaluation leaves.

    Args:
        text: the source of the function.
        inputs: the names of its arguments, in order.
        statements: its statements, for looking at intermediate values.
        events: the event shape of each variable, as far as it was seen.
        labels: the observed variables whose values are classes.
        ranges: the parameters that may leave their range.
        draws: the names of draws and states whose first axis is their own.
        uneven: what differs from batch to batch.
        result: the value and the terms of this evaluation.
    """

    text: str
    inputs: tuple[str, ...]
    statements: tuple[Statement, ...]
    events: Mapping[str, torch.Size]
    labels: tuple[LabelRange, ...]
    ranges: tuple[ParameterRange, ...]
    draws: tuple[str, ...]
    uneven: Uneven
    result: tuple[Tensor, dict[str, Tensor]]


def emit(
    frozen: Frozen,
    inputs: Mapping[str, Any],
    *,
    arguments: Mapping[str, str],
    names: Sequence[str],
    batch: str,
    output: Output,
    docstring: str,
    helpers: Mapping[str, Any] | None = None,
) -> Emission:
    """Write the function for a plan while running it once on its inputs.

    Args:
        frozen: the plan.
        inputs: identifier → value, for everything that the function may take.
        arguments: what the plan calls it (``data:x``, ``scalar:beta``, ``network:encoder``, ``tensor:…``)
            → identifier.
        names: how each term is called.
        batch: the text of the batch's size, such as ``x.shape[0]``.
        output: whether the terms are averaged over the batch, kept by example, or kept with their events.
        docstring: one line about the function.
        helpers: what takes the place of helpers of generated code, with the same results.

    Raises:
        ShapeError: shapes of values, parameters and outputs of networks that do not fit together.
        ParameterError: a network does not return what its distribution needs.
        SupportError: an observed class that the parameters do not have.
        EstimatorError: a finite variable has too many states.
        NonFiniteError: an operation on numbers has no finite value.
    """
    writer = Writer(frozen, inputs, arguments, batch)
    writer.script.values.update(helpers or {})
    finished = [_term(writer, root, name, output) for root, name in zip(frozen.roots, names, strict=True)]
    result = _finish(writer, frozen.roots, names, finished, output)
    data = [i for i in writer.used if i in writer.positional]
    others = [i for i in writer.used if i not in writer.positional]
    text = function_text(FUNCTION, docstring, data, others, writer.script.statements, "value, terms")
    events = {name: shape for name, (shape, _) in writer.events.items()}
    statements, labels, ranges = writer.script.statements, writer.labels, writer.ranges
    found = (tuple(statements), events, tuple(labels), tuple(ranges), _draws(writer), uneven(writer))
    return Emission(text, tuple(writer.used), *found, result)


def _draws(writer: Writer) -> tuple[str, ...]:
    """What has an axis of draws or of states before all others."""
    found = [o for n, o in writer.operands.items() if n.kind in (Kind.DRAW, Kind.STATES, Kind.SAMPLE)]
    return tuple(o.text for o in found if o.axes and isinstance(o.axes[0], PlanNode))


def _term(writer: Writer, root: Root, name: str, output: Output) -> Operand:
    """Write what a term needs, and the term."""
    writer.script.comment(name)
    try:
        writer.write([*root.scalars, root.value])
    except SymdgmError as error:
        raise writer.frozen.bound.point(error, root.term.name) from error.__cause__
    operand = writer.operands[root.value]
    if output is not Output.EVENTS:
        operand = one_number(writer, operand)
    if operand.rank and output is not Output.EVENTS:
        raise writer.pointed(event_shaped(operand), root.term.name)
    if not operand.number:
        operand = writer.named(_hint(root.term.name), operand, root.term.name)
    if output is not Output.EVENTS:
        operand = _real(writer, operand)
    writer.script.pending.clear()
    if operand.axes and output is Output.MEAN:
        return Operand(f"{operand.text}.mean()", ATOM)
    return operand


def _real(writer: Writer, operand: Operand) -> Operand:
    """A term that is made of whole numbers, such as the lengths ``T``, as one that has a mean."""
    if operand.number or writer.value(operand).is_floating_point():
        return operand
    return Operand(f"{operand.at(ATOM)}.to({writer.argument('dtype')})", ATOM, operand.axes, operand.rank)


def _finish(
    writer: Writer, roots: Sequence[Root], names: Sequence[str], finished: Sequence[Operand], output: Output
) -> tuple[Tensor, dict[str, Tensor]]:
    """Write the terms and their sum, and return the values of both."""
    script = writer.script
    entries = {name: _as_tensor(writer, o) for name, o in zip(names, finished, strict=True)}
    lines = [f"    {literal(name)}: {text}," for name, text in entries.items()]
    terms = script.run("{" + ", ".join(f"{literal(n)}: {t}" for n, t in entries.items()) + "}")
    script.values["terms"] = terms
    script.comment(
        "the terms" if any(o.text.endswith(".mean()") for o in finished) else "the terms, by example"
    )
    script.record("\n".join(["terms = {", *lines, "}"]), ("terms",))
    parts = [_weighted(writer, root, name) for root, name in zip(roots, names, strict=True)]
    if output is Output.EVENTS:
        parts = parts[:1]  # terms of different events have no sum; they are read one by one
    total = writer.combine("add", parts) if len(parts) > 1 else parts[0]
    value = script.values["value"] = script.run(total.text)
    script.record(f"value = {total.text}", ("value",))
    return value, terms


def _as_tensor(writer: Writer, operand: Operand) -> str:
    if not operand.number:
        return operand.text
    like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
    return f"torch.full((), {operand.text}, {like})"


def _weighted(writer: Writer, root: Root, name: str) -> Operand:
    """A term with its sign and scalar factors."""
    term = Operand(f"terms[{literal(name)}]")
    scalars = [writer.operands[s] for s in root.scalars]
    weighted = writer.combine("mul", [*scalars, term]) if scalars else term
    return writer.combine("neg", [weighted]) if root.term.sign < 0 else weighted


def _hint(name: Basic) -> str:
    """``kl_q_p`` for KL[q || p]."""
    if isinstance(name, DivergenceBetween):
        return f"{name.kind.lower()}_{name.args[1].args[0]}_{name.args[2].args[0]}"
    if isinstance(name, Entropy | CrossEntropy):
        return "entropy_" + "_".join(str(a.args[0]) for a in name.args)
    return "term"
