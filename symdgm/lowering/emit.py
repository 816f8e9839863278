"""From a plan to PyTorch that a person could have written; what is written here is what runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from sympy import Basic, Rational
from torch import Tensor

from symdgm.binding import Factor
from symdgm.distributions import Family
from symdgm.errors import ShapeError, SymdgmError
from symdgm.expressions.expectations import CrossEntropy, Divergence, Entropy
from symdgm.expressions.names import spelled
from symdgm.lowering.draws import emit_draw, emit_states
from symdgm.lowering.freeze import Frozen, Root
from symdgm.lowering.laws import LawValues
from symdgm.lowering.logdensities import emit_law, emit_log_density, emit_parameter
from symdgm.lowering.naming import Names
from symdgm.lowering.networks import emit_network
from symdgm.lowering.operands import ATOM, BATCH, UNARY, Axis, Operand, aligned
from symdgm.lowering.operations import number, write
from symdgm.lowering.plan import Kind, PlanNode, ordered, uses
from symdgm.lowering.statements import Script, Statement, environment, function_text

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
        result: the value and the terms of this evaluation.
    """

    text: str
    inputs: tuple[str, ...]
    statements: tuple[Statement, ...]
    events: Mapping[str, torch.Size]
    result: tuple[Tensor, dict[str, Tensor]]


def emit(
    frozen: Frozen,
    inputs: Mapping[str, Any],
    *,
    arguments: Mapping[str, str],
    names: list[str],
    batch: str,
    output: Output,
    docstring: str,
) -> Emission:
    """Write the function for a plan while running it once on its inputs.

    Args:
        frozen: the plan.
        inputs: identifier → value, for everything that the function may take.
        arguments: what the plan calls it (``data:x``, ``scalar:beta``, ``network:encoder``, ``tensor:…``) → identifier.
        names: how each term is called.
        batch: the text of the batch's size, such as ``x.shape[0]``.
        output: whether the terms are averaged over the batch, kept by example, or kept with their events.
        docstring: one line about the function.
    """
    writer = Writer(frozen, inputs, arguments, batch)
    finished = [writer.term(root, name, output) for root, name in zip(frozen.roots, names, strict=True)]
    value, terms = writer.finish(frozen.roots, names, finished)
    text = function_text(
        FUNCTION,
        docstring,
        [i for i in writer.used if i in writer.positional],
        [i for i in writer.used if i not in writer.positional],
        writer.script.statements,
        "value, terms",
    )
    events = {name: shape for name, (shape, _) in writer.events.items()}
    return Emission(text, tuple(writer.used), tuple(writer.script.statements), events, (value, terms))


class Writer:
    """Writes a plan node by node; each handler of `_EMITTERS` turns one node into an operand."""

    def __init__(self, frozen: Frozen, inputs: Mapping[str, Any], arguments: Mapping[str, str], batch: str) -> None:
        self.frozen = frozen
        self.environment = frozen.bound.environment
        self.arguments = arguments
        self.batch = batch
        self.inputs = inputs
        self.script = Script({**environment(), **inputs}, Names(list(inputs)))
        self.counts = uses([n for r in frozen.roots for n in (r.value, *r.scalars)])
        self.operands: dict[PlanNode, Operand] = {}
        self.outputs: dict[PlanNode, dict[str, Operand]] = {}
        self.laws: dict[PlanNode, LawValues] = {}
        self.axes: list[Axis] = [BATCH]
        self.lengths: dict[PlanNode, int] = {}
        self.events: dict[str, tuple[torch.Size, str]] = {}
        for factor in self.environment.factors:
            self._agree_declared(factor)
        self.used: dict[str, None] = {}
        self.positional = {i for key, i in arguments.items() if key.startswith("data:")}

    # What handlers use.

    def argument(self, key: str) -> str:
        """The identifier of an input of the function; it becomes one of its arguments."""
        name = self.arguments[key]
        self.used.setdefault(name, None)
        return name

    def named(self, hint: str, operand: Operand, origin: Basic | None = None) -> Operand:
        """The operand under a name of its own; a name stays what it is."""
        if operand.text.isidentifier():
            return operand
        name = self.script.assign(hint, operand.text, origin)
        return Operand(name, ATOM, operand.axes, operand.rank, operand.number)

    def value(self, operand: Operand) -> Any:
        """The tensor of an operand in this evaluation."""
        return self.script.run(operand.text)

    def size(self, axis: Axis) -> str:
        """The text of an axis' length."""
        if axis == BATCH:
            if "." in self.batch:
                self.used.setdefault(self.batch.split(".", 1)[0], None)
            else:
                self.argument("n")
            return self.batch
        if not isinstance(axis, PlanNode):
            raise TypeError(f"{axis!r} is no axis")
        return str(self.lengths[axis]) if axis in self.lengths else str(axis.detail[2])

    def combine(self, name: str, operands: list[Operand]) -> Operand:
        """An elementwise operation on operands."""
        if all(o.number for o in operands):
            text, level = write(name, operands)
            return Operand(text, level, number=True)
        fitted, axes, rank = aligned(operands, self.axes)
        text, level = write(name, fitted)
        return Operand(text, level, axes, rank)

    def event_sum(self, operand: Operand) -> Operand:
        """The sum over the event."""
        if not operand.rank:
            return operand
        dims = "-1" if operand.rank == 1 else str(tuple(range(-operand.rank, 0)))
        if operand.level == UNARY and operand.text.startswith("-"):
            return Operand(f"{operand.text}.sum({dims})", UNARY, operand.axes, 0)
        return Operand(f"{operand.at(ATOM)}.sum({dims})", ATOM, operand.axes, 0)

    def formula(self, node: Basic, symbols: Mapping[Basic, Operand]) -> Operand:
        """A formula of a family on operands."""
        if node in symbols:
            return symbols[node]
        if node.is_Number:
            return number(Rational(node))
        if str(node) == "pi":
            return number("pi")
        return self.combine(_OPERATIONS[type(node).__name__](node), [self.formula(a, symbols) for a in _operands(node)])

    def agree(self, variable: str, event: torch.Size, owner: str) -> None:
        """Refuse two event shapes of one variable."""
        known, first = self.events.setdefault(variable, (event, owner))
        if known != event:
            raise ShapeError(
                f"`{variable}` has the event shape {list(known)} in {first}, but {list(event)} in {owner}",
                hint="all distributions over a variable have one event shape",
            )

    def _agree_declared(self, factor: Factor) -> None:
        shape = factor.distribution.event_shape if isinstance(factor.distribution, Family) else None
        if shape is not None:
            self.agree(spelled(factor.variables[0]), shape, factor.distribution.described)  # type: ignore[attr-defined]

    # The walk.

    def term(self, root: Root, name: str, output: Output) -> Operand:
        """Write what a term needs, and the term."""
        self.script.comment(name)
        for node in ordered([*root.scalars, root.value]):
            if node not in self.operands:
                self.operands[node] = self._emit(node)
        operand = self.operands[root.value]
        if operand.rank and output is not Output.EVENTS:
            raise self._pointed(_event_shaped(operand), root.term.name)
        if not operand.number:
            operand = self.named(_hint(root.term.name), operand, root.term.name)
        self.script.pending.clear()
        if operand.axes and output is Output.MEAN:
            return Operand(f"{operand.text}.mean()", ATOM)
        return operand

    def _emit(self, node: PlanNode) -> Operand:
        try:
            operand = _EMITTERS[node.kind](self, node)
        except SymdgmError as error:
            raise self._pointed(error, node.origin) from error.__cause__
        shared = self.counts[node] > 1 and node.kind in (Kind.APPLY, Kind.REDUCE) and not operand.number
        return self.named("shared", operand, node.origin) if shared else operand

    def _pointed(self, error: SymdgmError, origin: Basic | None) -> SymdgmError:
        return error if origin is None else self.frozen.bound.point(error, origin)

    def finish(self, roots: tuple[Root, ...], names: list[str], finished: list[Operand]) -> tuple[Tensor, dict[str, Tensor]]:
        """Write the terms and their sum, and return the values of both."""
        self.script.pending.clear()
        entries = {name: self._as_tensor(o) for name, o in zip(names, finished, strict=True)}
        lines = [f"    {name!r}: {text}," for name, text in entries.items()]
        terms = self.script.run("{" + ", ".join(f"{n!r}: {t}" for n, t in entries.items()) + "}")
        self.script.values["terms"] = terms
        self.script.comment("the terms" if any(o.text.endswith(".mean()") for o in finished) else "the terms, by example")
        self.script.record("\n".join(["terms = {", *lines, "}"]), ("terms",))
        parts = [self._weighted(root, name) for root, name in zip(roots, names, strict=True)]
        value = self.combine("add", parts) if len(parts) > 1 else parts[0]
        self.script.values["value"] = self.script.run(value.text)
        self.script.record(f"value = {value.text}", ("value",))
        return self.script.values["value"], terms

    def _as_tensor(self, operand: Operand) -> str:
        if not operand.number:
            return operand.text
        return f"torch.tensor({operand.text}, dtype={self.argument('dtype')}, device={self.argument('device')})"

    def _weighted(self, root: Root, name: str) -> Operand:
        term = Operand(f"terms[{name!r}]")
        scalars = [self.operands[s] for s in root.scalars]
        weighted = self.combine("mul", [*scalars, term]) if scalars else term
        return self.combine("neg", [weighted]) if root.term.sign < 0 else weighted


def _event_shaped(operand: Operand) -> ShapeError:
    return ShapeError(
        f"the body is event-shaped (it has {operand.rank} event axes), but one number per example is wanted",
        hint="write `||.||^2`, `<., .>` or `sum(.)` to get one number per example",
    )


def _hint(name: Basic) -> str:
    if isinstance(name, Divergence):
        return f"{name.kind.lower()}_{name.args[1].args[0]}_{name.args[2].args[0]}"
    if isinstance(name, Entropy | CrossEntropy):
        return "entropy_" + "_".join(str(a.args[0]) for a in name.args)
    return "term"


_OPERATIONS: dict[str, Callable[[Any], str]] = {
    "Plus": lambda node: "add",
    "Minus": lambda node: "neg",
    "Times": lambda node: "mul",
    "Quotient": lambda node: "div",
    "Power": lambda node: "pow",
    "Call": lambda node: node.function,
}


def _operands(node: Basic) -> tuple[Basic, ...]:
    return tuple(node.args[1:] if type(node).__name__ == "Call" else node.args)


def _observe(writer: Writer, node: PlanNode) -> Operand:
    name = writer.argument(f"data:{node.detail[0]}")
    return Operand(name, ATOM, (BATCH,), writer.inputs[name].dim() - 1)


def _scalar(writer: Writer, node: PlanNode) -> Operand:
    return Operand(writer.argument(f"scalar:{node.detail[0]}"))


def _number(writer: Writer, node: PlanNode) -> Operand:
    return number(node.detail[0])  # type: ignore[arg-type]


def _apply(writer: Writer, node: PlanNode) -> Operand:
    return writer.combine(str(node.detail[0]), [writer.operands[a] for a in node.args])


def _reduce(writer: Writer, node: PlanNode) -> Operand:
    operation, value = node.detail[0], writer.operands[node.args[0]]
    if operation == "sum":
        return writer.event_sum(value)
    if operation == "scalar":
        if value.rank:
            raise _event_shaped(value)
        return value
    if operation == "weighted sum":
        weight, axis = writer.operands[node.args[1]], node.args[2]
        if axis not in value.axes:
            return value
        product = writer.combine("mul", [weight, value])
        return _over(product, axis, "sum")
    axis_of: Axis = BATCH if operation == "mean" else node.args[1]
    return _over(value, axis_of, "mean") if axis_of in value.axes else value


def _over(operand: Operand, axis: Axis, method: str) -> Operand:
    index = operand.axes.index(axis)
    rest = tuple(a for a in operand.axes if a is not axis)
    return Operand(f"{operand.at(ATOM)}.{method}({index})", ATOM, rest, operand.rank)


_EMITTERS: dict[Kind, Callable[[Writer, PlanNode], Operand]] = {
    Kind.OBSERVE: _observe,
    Kind.SCALAR: _scalar,
    Kind.NUMBER: _number,
    Kind.NETWORK: emit_network,
    Kind.LAW: emit_law,
    Kind.PARAMETER: emit_parameter,
    Kind.DRAW: emit_draw,
    Kind.STATES: emit_states,
    Kind.APPLY: _apply,
    Kind.LOG_DENSITY: emit_log_density,
    Kind.REDUCE: _reduce,
}
