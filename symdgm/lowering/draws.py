"""Draws and enumerated states in generated code."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from symdgm.distributions import Bernoulli, Family
from symdgm.errors import EstimatorError, ShapeError
from symdgm.expressions.families import NOISE, family
from symdgm.expressions.folding import fold
from symdgm.expressions.scope import replace
from symdgm.lowering.estimators import MAX_STATES
from symdgm.lowering.laws import LawValues
from symdgm.lowering.operands import ATOM, BATCH, Operand
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.emit import Writer


def _law(writer: Writer, node: PlanNode) -> tuple[LawValues, Family, torch.Size]:
    law = writer.laws[node.args[0]]
    distribution = writer.environment.factors[int(node.args[0].detail[0])].distribution  # type: ignore[call-overload]
    assert isinstance(distribution, Family)
    if law.event is None:
        raise ShapeError(
            f"the event shape of {law.owner} is not known", hint="declare it, as in `event_shape=16` or `z=16` in a model"
        )
    return law, distribution, law.event


def emit_draw(writer: Writer, node: PlanNode) -> Operand:
    """A pathwise draw, ``z = mu + sigma * eps``; several draws have an axis of their own before the others."""
    law, distribution, event = _law(writer, node)
    count = int(node.detail[2])  # type: ignore[call-overload]
    formulas = family(distribution.family, tuple(distribution.parameter_names))
    assert formulas is not None and formulas.draw is not None
    axes = law.axes or (BATCH,)
    if count > 1:
        writer.axes.insert(0, node)
    noise_axes = ((node,) if count > 1 else ()) + axes
    noise = Operand(_noise(writer, law, event, count), ATOM, noise_axes, len(event))
    symbols = {formulas.symbols[k]: p for k, p in law.parameters.items()}
    operand = writer.formula(fold(replace(formulas.draw, law.constants(formulas.symbols))), {NOISE: noise, **symbols})
    writer.script.comment(f"{node.detail[0]} ~ {node.args[0].origin}: {_many(count)}, differentiable by the parameters")
    return writer.named(str(node.detail[0]), operand, node.origin)


def _many(count: int) -> str:
    return "one draw an example" if count == 1 else f"{count} draws an example"


def _noise(writer: Writer, law: LawValues, event: torch.Size, count: int) -> str:
    full = law.full()
    if full is not None and law.axes and full.text.isidentifier():
        if count == 1:
            return f"torch.randn_like({full.text})"
        return f"torch.randn({count}, *{full.text}.shape, dtype={full.text}.dtype, device={full.text}.device)"
    axes = [writer.size(a) for a in law.axes or (BATCH,)]
    sizes = ", ".join([*([str(count)] if count > 1 else []), *axes, *map(str, event)])
    return f"torch.randn({sizes}, dtype={writer.argument('dtype')}, device={writer.argument('device')})"


def emit_states(writer: Writer, node: PlanNode) -> Operand:
    """All states of a finite variable along an axis of their own."""
    law, distribution, event = _law(writer, node)
    one_hot = distribution.event_rank == 1
    elements = event[:-1] if one_hot else event
    single = _single(writer, law, distribution)
    classes = 2 if isinstance(distribution, Bernoulli) else _classes(writer, law)
    total = classes ** prod(elements)
    if total > MAX_STATES:
        raise EstimatorError(
            f"`{node.detail[0]}` has {classes}^{prod(elements)} states, more than the {MAX_STATES} that are enumerated",
            hint="use fewer elements; no other estimator of a discrete variable is known to this version",
        )
    text = single if not elements else _product(single, elements, total, one_hot)
    writer.axes.insert(0, node)
    writer.lengths[node] = total
    rank = len(event)
    axes = (node, *law.axes)
    if law.axes:
        index = ", ".join([":"] + ["None"] * len(law.axes))
        sizes = ", ".join([str(total), *(writer.size(a) for a in law.axes), *["-1"] * rank])
        text = f"{text}[{index}].expand({sizes})"
    writer.script.comment(f"{node.detail[0]} ~ {node.args[0].origin}: all {total} states")
    return writer.named(str(node.detail[0]), Operand(text, ATOM, axes, rank), node.origin)


def _single(writer: Writer, law: LawValues, distribution: Family) -> str:
    """The states of one element."""
    device, dtype = f"device={writer.argument('device')}", f"dtype={writer.argument('dtype')}"
    if isinstance(distribution, Bernoulli):
        return f"torch.tensor([0.0, 1.0], {dtype}, {device})"
    if distribution.event_rank:
        return f"torch.eye({_classes(writer, law)}, {dtype}, {device})"
    return f"torch.arange({_classes(writer, law)}, {device})"


def _classes(writer: Writer, law: LawValues) -> int:
    parameter = next(iter(law.parameters.values()))
    return int(writer.value(parameter).shape[-1])


def _product(single: str, elements: torch.Size, total: int, one_hot: bool) -> str:
    """The states of several elements: all combinations."""
    count, shape = prod(elements), ", ".join(map(str, elements))
    if one_hot:
        index = f"torch.cartesian_prod(*[torch.arange({single}.shape[0], device={single}.device)] * {count})"
        return f"{single}[{index}.reshape({total}, {shape})]"
    return f"torch.cartesian_prod(*[{single}] * {count}).reshape({total}, {shape})"
