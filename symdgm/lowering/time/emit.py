"""Loops over time and networks that read whole sequences, in generated code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from sympy import Basic
from torch import Tensor, nn

from symdgm.distributions import Deterministic
from symdgm.errors import NameResolutionError, ParameterError, ShapeError
from symdgm.expressions.names import base, spelled
from symdgm.lowering.networks import run_call
from symdgm.lowering.opaque import opaque_log_density
from symdgm.lowering.operands import ACTIVE, ATOM, BATCH, STEPS, Axis, Operand
from symdgm.lowering.parameters import known_event, spread
from symdgm.lowering.plan import Kind, PlanNode, ordered, uses
from symdgm.lowering.statements import Script
from symdgm.lowering.time.layout import layout, longest_first
from symdgm.lowering.time.loops import Body, Step
from symdgm.lowering.time.sequences import FUSED

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

INDENT = "    "


@dataclass
class Kept:
    """A list that a loop fills, one entry a step.

    Args:
        name: its name in the code.
        operand: an entry.
    """

    name: str
    operand: Operand


def emit_loop(writer: Writer, node: PlanNode) -> Operand:
    """Write the loop over time that draws a path, and what it keeps of every step."""
    (body,) = node.detail
    assert isinstance(body, Body)
    steps, outer = layout(writer), writer.script
    roots = [n for s in body.steps for n in (s.value, *([s.law] if s.law else []))]
    inside = _inside(roots)
    writer.counts.update(uses(roots))
    writer.scored |= {
        s.value.args[0] for s in body.steps if s.law is not None and s.law.kind is Kind.OPAQUE
    }
    writer.write([n for n in ordered(roots) if n not in inside and n.kind is not Kind.LEAF])
    if body.count > 1:
        writer.axes.insert(0, node)
        writer.lengths[node] = body.count
    lead: tuple[Axis, ...] = (node, ACTIVE) if body.count > 1 else (ACTIVE,)
    slices = _slices(writer, [n for n in ordered(roots) if n.kind is Kind.LEAF and n.word() == "slice"])
    begun = any(s.first is not None for s in body.steps)
    kept = _Keeper(writer, node)
    carried = {
        s.before: _initial(writer, s, lead, steps.counts) for s in body.steps if s.before in ordered(roots)
    }
    if begun:
        _keep_first(writer, body, kept, carried, lead)
    script = Script(outer.values, outer.names)
    started = int(begun)
    some = len(outer.run(steps.counts)) > started  # else the body is written for no sequence at all
    writer.script, outer.values["count"] = script, outer.run(f"{steps.counts}[{started}]") if some else 0
    for name, (text, leaf) in slices.items():
        outer.values[name] = outer.run(f"{text}[{started}]" if some else f"{text}[0][:0]")
        writer.operands[leaf] = _active(writer, leaf, name)
    cut = ", ".join([*[":"] * (len(lead) - 1), ":count"])
    for before, operand in carried.items():
        text = f"{operand.text}[{cut}]"
        writer.operands[before] = writer.named(
            f"{operand.text}_before", Operand(text, ATOM, lead, operand.rank)
        )
    writer.write([n for n in ordered(roots) if n in inside])
    for step in body.steps:
        _close(writer, step, carried, kept)
    writer.script = outer
    _record(writer, body, script, slices, kept, steps.counts, started, some)
    writer.kept[node] = kept.finished(lead)
    return next(iter(writer.kept[node].values()))


def _inside(roots: list[PlanNode]) -> set[PlanNode]:
    """The nodes that every step computes anew: they depend on the step, or draw."""
    found: set[PlanNode] = set()
    for node in ordered(roots):
        if node.kind in (Kind.DRAW, Kind.SAMPLE) or any(a in found or a.kind is Kind.LEAF for a in node.args):
            found.add(node)
    return found


def _slices(writer: Writer, leaves: list[PlanNode]) -> dict[str, tuple[str, PlanNode]]:
    """The loop variables that run over sequences from outside: name → (what it runs over, leaf)."""
    found = {}
    counts = layout(writer).counts
    for leaf in leaves:
        source = leaf.detail[1]
        assert isinstance(source, PlanNode)
        operand = writer.operands[source]
        if STEPS not in operand.axes:
            writer.operands[leaf] = operand
            continue
        operand = writer.named("outside", operand, leaf.origin)
        dim = operand.axes.index(STEPS)
        name = writer.script.names.fresh(f"{operand.text}_now")
        found[name] = (f"{operand.text}.split({counts}{f', {dim}' if dim else ''})", leaf)
    return found


def _active(writer: Writer, leaf: PlanNode, name: str) -> Operand:
    source = leaf.detail[1]
    assert isinstance(source, PlanNode)
    operand = writer.operands[source]
    axes = tuple(ACTIVE if a == STEPS else a for a in operand.axes)
    return Operand(name, ATOM, axes, operand.rank)


def _initial(writer: Writer, step: Step, lead: tuple[Axis, ...], counts: str) -> Operand:
    """The value before the first step, with all axes.

    Raises:
        NameResolutionError: a latent without a beginning.
    """
    time = writer.environment.time
    assert time is not None
    value = time.initial.get(step.sequence)
    name = spelled(step.sequence)
    if step.first is not None:
        own = writer.operands[step.first]
        return Operand(writer.script.names.fresh(name), ATOM, lead, own.rank)
    if value is None and not isinstance(step.factor.distribution, Deterministic):
        first = f"{name}_0"
        raise NameResolutionError(
            f"the sequence `{name}` has no beginning: `{step.factor.node}` is given the step before the first",
            hint=f"bind `{first}=0.0`, or a tensor or an nn.Parameter of its event shape",
        )
    sizes = [*(str(writer.lengths[a]) for a in lead if isinstance(a, PlanNode)), f"{counts}[0]"]
    if isinstance(value, Tensor):
        key = writer.argument(f"initial:{name}")
        text = f"{key}.expand({', '.join([*sizes, *map(str, value.shape)])})"
        rank = value.dim()
    else:
        event = _event(writer, step)
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        shape = ", ".join([*sizes, *map(str, event)])
        text = f"torch.full(({shape},), {value}, {like})" if value else f"torch.zeros({shape}, {like})"
        rank = len(event)
    writer.script.comment(f"{name}_0, before the first step")
    return writer.named(name, Operand(text, ATOM, lead, rank), step.value.origin)


def _event(writer: Writer, step: Step) -> torch.Size:
    """The event shape of a sequence that a loop carries.

    Raises:
        ShapeError: nothing says it.
    """
    name, variable = spelled(step.sequence), spelled(step.factor.variables[0])
    declared = getattr(step.factor.distribution, "event_shape", None)
    known = declared or writer.environment.shapes.get(name) or writer.environment.shapes.get(variable)
    if known is None and variable in writer.events:
        known = writer.events[variable][0]
    for source in step.factor.distribution.sources if known is None else ():
        size = getattr(source.call, "hidden_size", None)
        known = torch.Size([size]) if isinstance(size, int) else None
    if known is None:
        raise ShapeError(
            f"the event shape of `{name}` before its first step is not known",
            hint=f"declare it, as in `event_shape=16` or `{name}=16` in a model",
        )
    return torch.Size(known)


def _keep_first(
    writer: Writer,
    body: Body,
    kept: _Keeper,
    carried: dict[PlanNode, Operand],
    lead: tuple[Axis, ...],
) -> None:
    """The first step, whose values have factors of their own: what the loop begins with.

    Raises:
        NameResolutionError: some sequences of a path have a first step of their own, and others have none.
    """
    for step in body.steps:
        if step.first is None or step.first_law is None:
            raise NameResolutionError(
                f"`{step.sequence}` has no factor for its first step, but others of its path have",
                hint=f"bind one over `{spelled(step.sequence)}_1`, or leave them all out",
            )
        value = writer.operands[step.first]
        text = longest_first(writer, value)
        start = carried.get(step.before)
        if start is not None:
            writer.script.values[start.text] = writer.script.run(text)
            writer.script.record(f"{start.text} = {text}", (start.text,))
            text = start.text
        kept.firsts[("draw", step.sequence)] = text
        before = start.text if start is not None else text
        kept.firsts[("before", step.sequence)] = f"torch.zeros_like({before})"
        law = writer.laws[step.first_law]
        if step.law is not None:
            for name in law.parameters:
                spreaded = spread(writer, law, name, known_event(writer, law))
                kept.firsts[("law", step.sequence, name)] = _filled(writer, spreaded, lead)


def _filled(writer: Writer, value: Operand, lead: tuple[Axis, ...]) -> str:
    """A parameter of the first step with an entry for every sequence."""
    text = longest_first(writer, value)
    if BATCH in value.axes:
        return text
    sizes = ", ".join([f"{layout(writer).counts}[0]", *["-1"] * value.rank])
    return f"{text}.expand({sizes})"


class _Keeper:
    """The lists that a loop fills, for what is read of it afterwards."""

    def __init__(self, writer: Writer, loop: PlanNode) -> None:
        self.writer = writer
        self.loop = loop
        self.wanted = {n.detail[:2] for n in writer.planned if n.kind is Kind.TRACE and n.args[0] is loop}
        self.lists: dict[tuple[object, ...], Kept] = {}
        self.names: dict[str, str] = {}
        self.begin: dict[str, str] = {}
        self.firsts: dict[tuple[object, ...], str] = {}

    def keep(self, what: tuple[object, ...], operand: Operand, hint: str) -> None:
        """Append an entry for this step to a list of its own."""
        name = self.names.setdefault(operand.text, self.writer.script.names.fresh(f"{hint}_steps"))
        first = self._begun(what, operand)
        start = self.writer.script.run(f"[{first}]") if first else []
        if first:
            self.begin[name] = f"[{first}]"
        now = self.writer.value(operand)
        self.writer.script.values[name] = [*start, *([now] if len(now) or not first else [])]
        self.lists[what] = Kept(name, operand)

    def _begun(self, what: tuple[object, ...], operand: Operand) -> str:
        """The entry of the first step, where that has factors of its own."""
        text = self.firsts.get(what, "")
        if text and len(operand.axes) > 1:
            value = self.writer.script.run(text)
            if value.dim() < len(operand.axes) + operand.rank:
                return f"{text}.expand({self.writer.lengths[self.loop]}, *{text}.shape)"
        return text

    def finished(self, lead: tuple[Axis, ...]) -> dict[tuple[object, ...], Operand]:
        """Each list as one tensor over all steps."""
        found = {}
        joined: dict[str, str] = {}
        for what, kept in self.lists.items():
            axes = tuple(STEPS if a == ACTIVE else a for a in kept.operand.axes)
            dim = axes.index(STEPS)
            if kept.name not in joined:
                text = f"torch.cat({kept.name}{f', {dim}' if dim else ''})"
                joined[kept.name] = self.writer.script.assign(_whole_name(what, kept), text)
            found[what] = Operand(joined[kept.name], ATOM, axes, kept.operand.rank)
        return found


def _whole_name(what: tuple[object, ...], kept: Kept) -> str:
    if what[0] in ("law", "log_prob"):
        return f"{kept.operand.text}_all"
    return f"{what[1]}_{'t' if what[0] == 'draw' else 'before_t'}"


def _close(writer: Writer, step: Step, carried: dict[PlanNode, Operand], kept: _Keeper) -> None:
    """The end of a step: what is carried on, and what is kept."""
    name = spelled(step.sequence)
    value = writer.named(name, writer.operands[step.value], step.value.origin)
    if ("draw", step.sequence) in kept.wanted:
        kept.keep(("draw", step.sequence), value, f"{name}")
    if ("before", step.sequence) in kept.wanted:
        kept.keep(("before", step.sequence), writer.operands[step.before], f"{name}_before")
    if ("law", step.sequence) in kept.wanted and step.law is not None:
        _keep_law(writer, step, kept)
    start = carried.get(step.before)
    if start is not None and start.text != value.text:
        if value.rank != start.rank:
            raise ShapeError(
                f"a step of `{name}` has {value.rank} event axes, but its beginning has {start.rank}",
                hint=f"give `{name}_0` the event shape of `{name}`",
            )
        writer.script.record(f"{start.text} = {value.text}", (start.text,))
        writer.script.values[start.text] = writer.value(value)


def _keep_law(writer: Writer, step: Step, kept: _Keeper) -> None:
    """Keep the parameters of a law; of one that is computed as a whole, the log-density of its draw."""
    assert step.law is not None
    if step.law.kind is Kind.OPAQUE:
        known = writer.log_probs.get(step.value.args[0])
        hint = f"log_{step.sequence}"
        log = known or opaque_log_density(writer, step.law, [step.value], hint, step.factor.node)
        kept.keep(("log_prob", step.sequence), log, hint)
        return
    for parameter, operand in writer.laws[step.law].parameters.items():
        if ACTIVE in operand.axes:
            kept.keep(("law", step.sequence, parameter), operand, operand.text)


def _record(
    writer: Writer,
    body: Body,
    script: Script,
    slices: dict[str, tuple[str, PlanNode]],
    kept: _Keeper,
    counts: str,
    started: int,
    some: bool,
) -> None:
    """Write the loop whose first step was run while it was written, and run the other steps."""
    lists = list(dict.fromkeys(k.name for k in kept.lists.values()))
    appended = [
        f"{k.name}.append({k.operand.text})" for k in {k.name: k for k in kept.lists.values()}.values()
    ]
    lines = []
    carries = [
        s for s in script.statements if s.names and s.text == f"{s.names[0]} = {s.text.split(' = ')[-1]}"
    ]
    for statement in script.statements:
        lines += [f"# {line}" for line in statement.comment.split("\n") if line]
        lines += statement.text.split("\n")
    del carries
    lines += appended
    head = ", ".join(["count", *slices])
    over = [counts, *(text for text, _ in slices.values())]
    body_text = "\n".join(INDENT + line for line in lines)

    def loop(sources: list[str]) -> str:
        text = f"zip({', '.join(sources)})" if len(sources) > 1 else sources[0]
        return f"for {head} in {text}:\n{body_text}"

    values = writer.script.values
    run = started + int(some)
    exec(compile(loop([f"{s}[{run}:]" for s in over]), "<symdgm>", "exec"), values)
    over = [f"{s}[{started}:]" for s in over] if started else over
    names = " and ".join(f"{s.value.origin} ~ {s.law.origin}" for s in body.steps if s.law is not None)
    writer.script.comment(f"{names}: step by step" if names else "step by step")
    if lists:
        begin = ", ".join(kept.begin.get(name, "[]") for name in lists)
        writer.script.record(f"{', '.join(lists)} = {begin}", tuple(lists))
    writer.script.record(loop(over), ())


def emit_trace(writer: Writer, node: PlanNode) -> Operand:
    """What a loop kept of every step."""
    loop, what = node.args[0], node.detail
    kept = writer.kept[loop]
    if what[0] != "law":
        return kept[what[:2]]
    (body,) = loop.detail
    assert isinstance(body, Body)
    step = next(s for s in body.steps if s.sequence == what[1])
    assert step.law is not None
    if step.law.kind is Kind.OPAQUE:
        return writer.operands[step.law]
    law = writer.laws[step.law]
    parameters = {k: kept.get(("law", step.sequence, k), p) for k, p in law.parameters.items()}
    axes = tuple(a for a in writer.axes if any(a in p.axes for p in parameters.values()))
    writer.laws[node] = replace(law, parameters=parameters, axes=axes)
    return next(iter(parameters.values()))


def emit_joined(writer: Writer, node: PlanNode) -> Operand:
    """The parameters of the first step before those of the others.

    Raises:
        ParameterError: the first step is of another family, or has other parameters.
    """
    first, rest = (writer.laws[a] for a in node.args)
    event = known_event(writer, rest if rest.event is not None else first)
    if set(first.parameters) != set(rest.parameters) or first.family.family != rest.family.family:
        raise ParameterError(
            f"{first.owner} and {rest.owner} are not of one family with the same parameters",
            hint="let the first step have the family and the parameters of the others",
        )
    steps = layout(writer)
    parameters: dict[str, Operand] = {}
    for name in rest.parameters:
        start = _filled(writer, spread(writer, first, name, event), (BATCH,))
        others = spread(writer, rest, name, event)
        dim = others.axes.index(STEPS) if STEPS in others.axes else 0
        if STEPS not in others.axes:
            sizes = ", ".join([f"len({steps.rows})", *["-1"] * others.rank])
            others = Operand(f"{others.at(ATOM)}.expand({sizes})", ATOM, (STEPS,), others.rank)
        cut = ", ".join([*[":"] * dim, f"{steps.counts}[0]:"])
        if dim:
            sizes = ", ".join([*(writer.size(a) for a in others.axes[:dim]), *["-1"] * (1 + others.rank)])
            start = f"{start}.expand({sizes})"
        text = f"torch.cat([{start}, {others.at(ATOM)}[{cut}]]{f', {dim}' if dim else ''})"
        hint = f"{_basic(node.origin).args[0]}_{rest.variable}_{name}"
        parameters[name] = writer.named(hint, Operand(text, ATOM, others.axes, others.rank), node.origin)
    axes = tuple(a for a in writer.axes if any(a in p.axes for p in parameters.values()))
    writer.laws[node] = replace(rest, parameters=parameters, axes=axes, event=event)
    return next(iter(parameters.values()))


def emit_lag(writer: Writer, node: PlanNode) -> Operand:
    """An earlier step of a sequence; before the first step stands its initial value.

    Raises:
        NameResolutionError: an observed sequence without a value before its first step.
    """
    value, steps = writer.named("steps", writer.operands[node.args[0]]), layout(writer)
    time = writer.environment.time
    assert time is not None
    lag, sequence = node.number(0), node.detail[1]
    assert isinstance(sequence, Basic)
    initial = time.initial.get(sequence, 0.0)
    like = f"{value.text}.new_full" if not isinstance(initial, Tensor) else ""
    event = writer.value(value).shape[len(value.axes) :]
    dim = value.axes.index(STEPS)
    for _ in range(lag):
        sizes = ", ".join(
            [*(writer.size(a) for a in value.axes[:dim]), f"{steps.counts}[0]", *map(str, event)]
        )
        first = f"{like}(({sizes},), {initial})"
        if isinstance(initial, Tensor):
            first = f"{writer.argument(f'initial:{spelled(sequence)}')}.expand({sizes})"
        at = f", {dim}" if dim else ""
        cut = ", ".join([*[":"] * dim, ":count"])
        text = (
            f"torch.cat([{first}, *(before[{cut}] for before, count in "
            f"zip({value.text}.split({steps.counts}{at}), {steps.counts}[1:]))]{at})"
        )
        value = writer.named(f"{sequence}_before", Operand(text, ATOM, value.axes, value.rank), node.origin)
    return value


def emit_sequence(writer: Writer, node: PlanNode) -> Operand:
    """A network over whole sequences: recurrent modules read packed steps, others padded ones.

    Raises:
        ShapeError: what it returns has not one value a step.
    """
    name, direction, sequence = node.detail
    source, steps = writer.frozen.readings[node], layout(writer)
    inputs = [writer.named("input", writer.operands[a], a.origin) for a in node.args]
    call = writer.argument(f"network:{name}")
    if isinstance(source.call, FUSED):
        return _packed(writer, node, inputs, call, str(direction) == "backward")
    padded = [_padded(writer, i) for i in inputs]
    options = [f"lengths={steps.lengths}"] if steps.lengths and _takes_lengths(source.call) else []
    text = f"{call}({', '.join([*padded, *options])})"
    found = run_call(writer, text, inputs)
    if not isinstance(found, Tensor) or found.dim() < 2:
        raise ShapeError(
            f"`{source.label}` returned no tensor [batch, time, *event]",
            hint="a network over whole sequences returns one value for each step",
        )
    hidden = writer.script.names.fresh(f"{base(_basic(sequence))}")
    writer.script.values[hidden] = found
    writer.script.record(f"{hidden} = {text}", (hidden,), node.origin)
    flat = f"{hidden}.transpose(0, 1).flatten(0, 1)"
    if steps.order:
        flat = f"{hidden}[{steps.order}].transpose(0, 1)[{steps.valid}]"
    return writer.named(f"{hidden}_t", Operand(flat, ATOM, (STEPS,), found.dim() - 2), node.origin)


def _basic(node: object) -> Basic:
    assert isinstance(node, Basic)
    return node


def _takes_lengths(call: object) -> bool:
    import inspect

    target = call.forward if isinstance(call, nn.Module) else call
    try:
        return "lengths" in inspect.signature(target).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _padded(writer: Writer, steps: Operand) -> str:
    """Steps as ``[batch, time, *event]`` again, with zeros beyond each length."""
    where = layout(writer)
    if not where.order:
        return f"{steps.text}.unflatten(0, (len({where.counts}), -1)).transpose(0, 1)"
    shape = f"(*{where.valid}.shape, *{steps.text}.shape[1:])"
    text = f"{steps.text}.new_zeros({shape})"
    name = writer.script.assign("padded", text)
    filled = (
        f"{name}.masked_scatter({where.valid}[{', '.join([':', ':', *['None'] * steps.rank])}], {steps.text})"
    )
    back = writer.script.assign("padded", f"{filled}[:, {where.order}.argsort()].transpose(0, 1)")
    return back


def _packed(writer: Writer, node: PlanNode, inputs: list[Operand], call: str, backward: bool) -> Operand:
    """A recurrent module over packed steps, forward or backward in time."""
    steps, script = layout(writer), writer.script
    text = inputs[0].text if len(inputs) == 1 else f"torch.cat([{', '.join(i.text for i in inputs)}], -1)"
    flip = ""
    if backward:
        flip = writer.flip(steps)
        text = f"{text}[{flip}]"
    sizes = f"torch.tensor({steps.counts})"
    run = f"{call}(PackedSequence({text}, {sizes}))[0].data"
    found = run_call(writer, run, inputs)
    name = script.names.fresh(f"{base(_basic(node.detail[2]))}_t")
    if flip:
        run = f"{run}[{flip}]"
        found = found[script.values[flip]]
    script.values[name] = found
    script.record(f"{name} = {run}", (name,), node.origin)
    return Operand(name, ATOM, (STEPS,), 1)
