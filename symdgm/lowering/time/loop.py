"""The loop over time in generated code: it holds what is carried from step to step, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from symdgm.errors import NotSupportedError, ShapeError
from symdgm.expressions.names import spelled
from symdgm.lowering.opaque import opaque_log_density
from symdgm.lowering.operands import ACTIVE, ATOM, STEPS, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode, ordered, uses
from symdgm.lowering.statements import Script
from symdgm.lowering.time.beginning import initial, keep_first
from symdgm.lowering.time.keeper import Keeper, What
from symdgm.lowering.time.layout import layout
from symdgm.lowering.time.loops import Body, Step
from symdgm.lowering.time.steps import StepFunction

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer

INDENT = "    "


def emit_loop(writer: Writer, node: PlanNode) -> Operand:
    """Write the loop over time that draws a path, and what it keeps of every step."""
    loop = _Loop(writer, node)
    loop.outside()
    loop.begin()
    loop.write_step()
    writer.kept[node] = loop.finish()
    return next(iter(writer.kept[node].values()))


@final
class _Loop:
    """A loop while it is written; its first step runs while it is written, the others after that.

    Args:
        writer: writes the code.
        node: the loop.
    """

    def __init__(self, writer: Writer, node: PlanNode) -> None:
        (body,) = node.detail
        assert isinstance(body, Body)
        self.writer, self.node, self.body = writer, node, body
        self.counts = layout(writer).counts
        self.roots = [n for s in body.steps for n in (s.value, *([s.law] if s.law else []))]
        self.nodes = ordered(self.roots)
        self.inside = _inside(self.nodes)
        self.lead: tuple[Axis, ...] = ()
        self.kept = Keeper(writer, node)
        self.slices: dict[str, tuple[str, int]] = {}
        self.carried: dict[PlanNode, Operand] = {}
        self.outer = self.script = writer.script
        self.started = int(any(s.first is not None for s in body.steps))
        self.some = len(writer.script.run(self.counts)) > self.started
        self.onward: dict[str, str] = {}
        self.function: StepFunction | None = None

    def outside(self) -> None:
        """What the body reads, and no step changes."""
        writer = self.writer
        writer.forget(self.inside)
        writer.counts.update(uses(self.roots))
        writer.scored |= {
            s.value.args[0] for s in self.body.steps if s.law is not None and s.law.kind is Kind.OPAQUE
        }
        writer.write([n for n in self.nodes if n not in self.inside and n.kind is not Kind.LEAF])
        if self.body.count > 1:
            writer.axes.insert(0, self.node)
            writer.lengths[self.node] = self.body.count
        for leaf in self.nodes:
            if leaf.kind is Kind.LEAF and leaf.word() == "slice":
                self._slice(leaf)
        writer.paths = (self.node,) if self.body.count > 1 else ()
        self.lead = (*self._axes(), ACTIVE)

    def _axes(self) -> list[Axis]:
        """The axes of draws that carried values have: that of the paths, and those of what the body reads."""
        read = [n for n in self.nodes if n in self.writer.operands]
        found = {a for n in read for a in self.writer.operands[n].axes if isinstance(a, PlanNode)}
        if found and self.started:
            raise NotSupportedError(
                f"`{self.node.origin}` has a first step of its own, and stands inside of several draws or "
                "states of another variable, which this version cannot compute yet",
                hint="draw that variable once, or begin the sequence by a value, such as `z_0=0.0`",
            )
        return [a for a in self.writer.axes if a in found or a in self.writer.paths]

    def _slice(self, leaf: PlanNode) -> None:
        """A loop variable that runs over the steps of a sequence from outside."""
        source = leaf.detail[1]
        assert isinstance(source, PlanNode)
        operand = self.writer.operands[source]
        if STEPS not in operand.axes:
            self.writer.operands[leaf] = operand
            return
        operand = self.writer.named("outside", operand, leaf.origin)
        dim = operand.axes.index(STEPS)
        name = self.script.names.fresh(f"{operand.text}_now")
        self.slices[name] = (operand.text, dim)
        axes = tuple(ACTIVE if a == STEPS else a for a in operand.axes)
        self.writer.operands[leaf] = Operand(name, ATOM, axes, operand.rank)

    def _splits(self) -> dict[str, str]:
        """The name of what a step reads of a sequence from outside → the text of its steps."""
        return {
            name: f"{text}.split({self.counts}{f', {dim}' if dim else ''})"
            for name, (text, dim) in self.slices.items()
        }

    def begin(self) -> None:
        """What is carried into the first step of the loop."""
        for step in self.body.steps:
            if step.before in self.nodes:
                self.carried[step.before] = initial(self.writer, step, self.lead)
        if self.started:
            keep_first(self.writer, self.body, self.kept, self.carried, self.lead)
        elif self._is_function():
            self.function = StepFunction(self.writer, self.counts)

    def _is_function(self) -> bool:
        """Whether a step can be a function of what is carried and read; networks over the past read more."""
        past = any(n.kind is Kind.NETWORK and len(n.detail) > 1 for n in self.inside)
        return (
            bool(self.carried) and len(self.lead) == 1 and not past and not self.writer.frozen.segments.some
        )

    def write_step(self) -> None:
        """Write one step while running the first; for no sequence at all where there is no step left."""
        writer, values = self.writer, self.outer.values
        self.script = writer.script = Script(values, self.outer.names)
        values["count"] = self.outer.run(f"{self.counts}[{self.started}]") if self.some else 0
        for name, text in self._splits().items():
            values[name] = self.outer.run(f"{text}[{self.started}]" if self.some else f"{text}[0][:0]")
        cut = ", ".join([*[":"] * (len(self.lead) - 1), ":count"])
        for before, operand in self.carried.items():
            now = Operand(f"{operand.text}[{cut}]", ATOM, self.lead, operand.rank)
            if self.function is not None:
                writer.operands[before] = self.function.read(f"{operand.text}_before", now)
            else:
                writer.operands[before] = writer.named(f"{operand.text}_before", now)
        writer.write([n for n in self.nodes if n in self.inside])
        for step in self.body.steps:
            self._close(step)
        writer.script, writer.paths = self.outer, ()

    def _close(self, step: Step) -> None:
        """The end of a step: what is kept, and what is carried on."""
        writer, wanted, name = self.writer, self.kept.wanted, spelled(step.sequence)
        value = writer.named(name, writer.operands[step.value], step.value.origin)
        if ("draw", step.sequence) in wanted:
            self.kept.keep(("draw", step.sequence), value, name)
        if ("before", step.sequence) in wanted:
            self.kept.keep(("before", step.sequence), writer.operands[step.before], f"{name}_before")
        if ("law", step.sequence) in wanted and step.law is not None:
            self._keep_law(step, step.law)
        start = self.carried.get(step.before)
        if start is None or start.text == value.text:
            return
        value = self._spread(value)
        if value.rank != start.rank:
            raise ShapeError(
                f"a step of `{name}` has {value.rank} event axes, but its beginning has {start.rank}",
                hint=f"give `{name}_0` the event shape of `{name}`",
            )
        self.onward[start.text] = value.text
        if self.function is None:
            self.script.record(f"{start.text} = {value.text}", (start.text,))
            self.script.values[start.text] = writer.value(value)

    def _spread(self, value: Operand) -> Operand:
        """A value with all axes that carried ones have."""
        if value.axes == self.lead:
            return value
        sizes = ", ".join([*map(self.writer.size, self.lead), *["-1"] * value.rank])
        wide = self.writer.lead(value, self.lead)
        return Operand(f"{wide.at(ATOM)}.expand({sizes})", ATOM, self.lead, value.rank)

    def _keep_law(self, step: Step, law: PlanNode) -> None:
        """Keep the parameters of a law; of one that is computed as a whole, the log-density of its draw."""
        writer = self.writer
        if law.kind is Kind.OPAQUE:
            known = writer.log_probs.get(step.value.args[0])
            hint = f"log_{step.sequence}"
            log = known or opaque_log_density(writer, law, [step.value], hint, step.factor.node)
            self.kept.keep(("log_prob", step.sequence), log, hint)
            return
        for parameter, operand in writer.laws[law].parameters.items():
            if ACTIVE in operand.axes:
                self.kept.keep(("law", step.sequence, parameter), operand, operand.text)

    def finish(self) -> dict[What, Operand]:
        """Run the steps that are left, and write the loop over all; what it kept of them."""
        values, entries = self.outer.values, self.kept.entries
        self._begin_histories()
        drawn = [f"{s.value.origin} ~ {s.law.origin}" for s in self.body.steps if s.law is not None]
        self.outer.comment(f"{' and '.join(drawn)}: step by step" if drawn else "step by step")
        if self.function is not None:
            onward = {o.text: self.onward.get(o.text, o.text) for o in self.carried.values()}
            given = {name: text for name, (text, _) in self.slices.items()}
            return self.function.finish(self._lines(), onward, given, self.kept)
        exec(compile(self._text(self.started + int(self.some)), "<symdgm>", "exec"), values)
        if entries:
            self.outer.record(f"{', '.join(entries)} = {self.kept.begun}", tuple(entries))
        self.outer.record(self._text(self.started), ())
        return self.kept.finished()

    def _begin_histories(self) -> None:
        """The lists of all steps so far, for networks that read the past."""
        histories = self.writer.histories
        if histories and self.started:
            raise NotSupportedError(
                f"`{self.node.origin}` reads all steps so far, and has a first step of its own",
                hint="begin the sequence by a value, such as `z_0=0.0`",
            )
        if histories:
            names = tuple(histories.values())
            self.outer.record(f"{', '.join(names)} = {', '.join('[]' for _ in names)}", names)
            histories.clear()

    def _text(self, skipped: int) -> str:
        """The loop without its first steps."""
        sources = {"count": self.counts, **self._splits()}
        if self.writer.frozen.segments.truncate:
            sources = {"time": f"range(len({self.counts}))", **sources}
        over = [f"{text}[{skipped}:]" if skipped else text for text in sources.values()]
        head = ", ".join(sources)
        text = f"zip({', '.join(over)})" if len(over) > 1 else over[0]
        if self.writer.frozen.segments.checkpoint:
            return self._in_segments(head, text)
        return f"for {head} in {text}:\n{_indented(self._filled())}"

    def _in_segments(self, head: str, over: str) -> str:
        """The loop in segments that are computed anew when gradients are formed."""
        names = [o.text for o in self.carried.values()]
        lists = list(self.kept.entries)
        result = ", ".join([*names, f"[{', '.join(lists)}]"])
        segment = [
            *([f"{', '.join(lists)} = {', '.join(['[]'] * len(lists))}"] if lists else []),
            f"for {head} in steps:",
            *_indented(self._filled()).split("\n"),
            f"return {result}",
        ]
        length = self.writer.frozen.segments.checkpoint
        arguments = ", ".join(["segment", f"steps[start:start + {length}]", *names])
        body = [
            f"{', '.join([*names, 'kept'])} = checkpoint({arguments}, use_reentrant=False)",
            *(f"{name} += kept[{i}]" for i, name in enumerate(lists)),
        ]
        lines = [
            f"def segment({', '.join(['steps', *names])}):",
            f"{INDENT}# some steps, computed anew when gradients are formed",
            *_indented(segment).split("\n"),
            f"steps = list({over})" if over.startswith("zip") else f"steps = {over}",
            f"for start in range(0, len(steps), {length}):",
            *_indented(body).split("\n"),
        ]
        return "\n".join(lines)

    def _lines(self) -> list[str]:
        """The body."""
        every, lines = self.writer.frozen.segments.truncate, []
        if every and self.carried:
            names = [o.text for o in self.carried.values()]
            cut = ", ".join(f"{name}.detach()" for name in names)
            lines += [f"if time and time % {every} == 0:", f"{INDENT}{', '.join(names)} = {cut}"]
        for statement in self.script.statements:
            lines += [f"# {line}" for line in statement.comment.split("\n") if line]
            lines += statement.text.split("\n")
        return lines

    def _filled(self) -> list[str]:
        """The body, and what it appends to lists."""
        return [*self._lines(), *(f"{name}.append({text})" for name, text in self.kept.entries.items())]


def _indented(lines: list[str]) -> str:
    return "\n".join(INDENT + line for line in lines)


def _inside(nodes: list[PlanNode]) -> set[PlanNode]:
    """The nodes that every step computes anew: they depend on the step, or draw."""
    found: set[PlanNode] = set()
    for node in nodes:
        if node.kind in (Kind.DRAW, Kind.SAMPLE) or any(a in found or a.kind is Kind.LEAF for a in node.args):
            found.add(node)
    return found
