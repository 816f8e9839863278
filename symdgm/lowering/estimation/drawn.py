"""The special draws of estimators in generated code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from symdgm.lowering.family_objects import draw_text
from symdgm.lowering.laws import LawValues
from symdgm.lowering.operands import ATOM, SUM, Axis, Operand
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

REMARKS = {
    "antithetic": ", in antithetic pairs",
    "stacked": ": discrete, relaxed, and relaxed given the discrete ones",
    "relaxed": ", relaxed",
    "relaxed, hard": ", with the gradient of relaxed ones",
    "straight-through": ", with the gradient of their mean",
}
"""What the comment above a draw says of it."""


def special(
    writer: Writer, node: PlanNode, law: LawValues, event: torch.Size, axes: tuple[Axis, ...]
) -> Operand:
    """A draw of an estimator of its own, from the logits of a law."""
    return _DRAWS[node.word(3)](writer, node, law, event, axes)


def _relaxed(
    writer: Writer, node: PlanNode, law: LawValues, event: torch.Size, axes: tuple[Axis, ...]
) -> Operand:
    logits, temperature = (writer.operands[a] for a in node.args[1:3])
    moved = writer.combine("add", [logits, _noise(writer, node, law, event, axes, _counts(node))])
    scaled = writer.combine("div", [moved, temperature])
    soft = writer.combine("softmax" if law.family.event_rank else "sigmoid", [scaled])
    if node.word(3) == "relaxed":
        return soft
    soft = writer.named(f"{node.word()}_relaxed", soft)
    hard = f"{soft.text}.round()"
    if law.family.event_rank:
        hard = f"torch.zeros_like({soft.text}).scatter(-1, {soft.text}.argmax(-1, keepdim=True), 1)"
    return Operand(f"{hard} + ({soft.text} - {soft.text}.detach())", SUM, soft.axes, soft.rank)


def _straight_through(
    writer: Writer, node: PlanNode, law: LawValues, event: torch.Size, axes: tuple[Axis, ...]
) -> Operand:
    count = node.number(2)
    drawn_axes: tuple[Axis, ...] = (node, *axes) if count > 1 else axes
    hard = Operand(draw_text(writer, law, event, axes, count), ATOM, drawn_axes, len(event))
    hard = writer.named(f"{node.word()}_drawn", hard)
    mean = writer.combine("softmax" if law.family.event_rank else "sigmoid", [writer.operands[node.args[1]]])
    mean = writer.named(f"{node.word()}_mean", mean)
    stopped = Operand(f"{mean.text}.detach()", ATOM, mean.axes, mean.rank)
    return writer.combine("add", [hard, writer.combine("add", [mean, writer.combine("neg", [stopped])])])


def _antithetic(
    writer: Writer, node: PlanNode, law: LawValues, event: torch.Size, axes: tuple[Axis, ...]
) -> Operand:
    noise = _uniform(writer, event, axes, (node.number(2) // 2,))
    logits = writer.operands[node.args[1]]
    (first, second), drawn_axes, rank = writer.aligned(
        [logits, Operand(noise, ATOM, (node, *axes), len(event))]
    )
    return Operand(f"antithetic({first.text}, {second.text})", ATOM, drawn_axes, rank)


def _stacked(
    writer: Writer, node: PlanNode, law: LawValues, event: torch.Size, axes: tuple[Axis, ...]
) -> Operand:
    logits, temperature = (writer.operands[a] for a in node.args[1:3])
    noises = [_noise(writer, node, law, event, axes, (node.number(2) // 3,)) for _ in range(2)]
    (first, *others), drawn_axes, rank = writer.aligned([logits, *noises])
    texts = [first.text, *(o.text for o in others), temperature.text]
    return Operand(f"stacked({', '.join(texts)})", ATOM, drawn_axes, rank)


def _noise(
    writer: Writer,
    node: PlanNode,
    law: LawValues,
    event: torch.Size,
    axes: tuple[Axis, ...],
    counts: tuple[int, ...],
) -> Operand:
    """Gumbel noise for classes, logistic noise for bits."""
    dtype = writer.argument("dtype")
    uniform = _uniform(writer, event, axes, counts)
    eps = f"torch.finfo({dtype}).eps"
    text = f"-(-{uniform}.clamp_min(torch.finfo({dtype}).tiny).log()).log()"
    if not law.family.event_rank:
        text = f"{uniform}.logit({eps})"
    drawn_axes: tuple[Axis, ...] = (node, *axes) if counts else axes
    return writer.named(f"{node.word()}_noise", Operand(text, ATOM, drawn_axes, len(event)))


def _counts(node: PlanNode) -> tuple[int, ...]:
    """The length of the axis of draws, where there is one."""
    return (node.number(2),) if node.number(2) > 1 else ()


def _uniform(writer: Writer, event: torch.Size, axes: tuple[Axis, ...], counts: tuple[int, ...]) -> str:
    sizes = ", ".join([*map(str, counts), *(writer.size(a) for a in axes), *map(str, event)])
    return f"torch.rand({sizes}, dtype={writer.argument('dtype')}, device={writer.argument('device')})"


_DRAWS: dict[str, Callable[[Writer, PlanNode, LawValues, torch.Size, tuple[Axis, ...]], Operand]] = {
    "relaxed": _relaxed,
    "relaxed, hard": _relaxed,
    "straight-through": _straight_through,
    "antithetic": _antithetic,
    "stacked": _stacked,
}
