"""From plan nodes to PyTorch text, node by node; each statement runs as soon as it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from numbers import Real
from typing import Any

import torch
from sympy import Basic, Number, Rational, preorder_traversal

from symdgm.distributions import Family
from symdgm.errors import NonFiniteError, ShapeError, SymdgmError
from symdgm.expressions.applications import Call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.families import PI
from symdgm.expressions.names import spelled
from symdgm.lowering.emitters import EMITTERS
from symdgm.lowering.freeze import Frozen
from symdgm.lowering.laws import LawValues
from symdgm.lowering.logdensities import densities_by_element
from symdgm.lowering.naming import Names
from symdgm.lowering.networks import Called
from symdgm.lowering.opaque import scored_samples
from symdgm.lowering.operands import ACTIVE, ATOM, BATCH, STEPS, UNARY, Axis, Operand, aligned, lead
from symdgm.lowering.operations import LAST_AXIS, number, write
from symdgm.lowering.plan import Kind, PlanNode, ordered, uses
from symdgm.lowering.ranges import LabelRange, ParameterRange
from symdgm.lowering.stable import stable
from symdgm.lowering.statements import Script, environment
from symdgm.lowering.time.layout import Layout, layout

SHARED = {"mean over draws": "mean", "log mean over draws": "log_mean", "discrete": "discrete"}
"""What a value that several others read is called, by the last word of its detail."""


class Writer:
    """Writes a plan node by node; each handler of `EMITTERS` turns one node into an operand.

    Args:
        frozen: the plan.
        inputs: identifier → value, for everything that the function may take.
        arguments: what the plan calls it → identifier.
        batch: the text of the batch's size.
    """

    def __init__(
        self, frozen: Frozen, inputs: Mapping[str, Any], arguments: Mapping[str, str], batch: str
    ) -> None:
        self.frozen = frozen
        self.environment = frozen.bound.environment
        self.arguments = arguments
        self.batch = batch
        self.inputs = inputs
        self.script = Script({**environment(), **inputs}, Names(list(inputs)))
        nodes = [n for r in frozen.roots for n in (r.value, *r.scalars)]
        self.planned = ordered(nodes)
        self.layout: Layout | None = None
        self.kept: dict[PlanNode, dict[tuple[object, ...], Operand]] = {}
        self.paths: tuple[PlanNode, ...] = ()
        self.known: dict[str, str] = {}
        self.histories: dict[str, str] = {}
        self.counts, self.scored = uses(nodes), scored_samples(nodes)
        self.operands: dict[PlanNode, Operand] = {}
        self.called: dict[PlanNode, Called] = {}
        self.laws: dict[PlanNode, LawValues] = {}
        self.densities: dict[tuple[PlanNode, PlanNode], Operand] = {}
        self.elements: dict[tuple[PlanNode, PlanNode], Operand] = {}
        self.by_element = densities_by_element(nodes)
        self.drawn: dict[PlanNode, dict[str, Operand]] = {}
        self.log_probs: dict[PlanNode, Operand] = {}
        self.weights: dict[PlanNode, Operand] = {}
        self.axes: list[Axis] = [STEPS, ACTIVE, BATCH]
        self.lengths: dict[PlanNode, int | str] = {}
        self.events: dict[str, tuple[torch.Size, str]] = {}
        self.labels: list[LabelRange] = []
        self.ranges: list[ParameterRange] = []
        self.used: dict[str, None] = {}
        self.positional = {i for key, i in arguments.items() if key.startswith("data:")}
        self._agree_declared()

    def write(self, nodes: list[PlanNode]) -> None:
        """Write nodes and all that they read, each once."""
        for node in ordered(nodes):
            if node not in self.operands:
                self.operands[node] = self._emit(node)

    def forget(self, nodes: AbstractSet[PlanNode]) -> None:
        """Let nodes be written again, for they hold only within the step of a loop that was written."""
        for table in (self.operands, self.called, self.laws, self.drawn, self.log_probs, self.weights):
            for node in table.keys() & nodes:
                del table[node]
        for pairs in (self.densities, self.elements):
            for pair in [pair for pair in pairs if not nodes.isdisjoint(pair)]:
                del pairs[pair]

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
        if isinstance(axis, PlanNode):
            return str(self.lengths[axis]) if axis in self.lengths else str(axis.number(2))
        if axis == STEPS:
            return f"len({layout(self).rows})"
        if axis == ACTIVE:
            return "count"
        return self.batch_size()

    def batch_size(self) -> str:
        """The text of the number of examples."""
        if "." in self.batch:
            self.used.setdefault(self.batch.split(".", 1)[0], None)
        else:
            self.argument("n")
        return self.batch

    def flip(self, steps: Layout) -> str:
        """The place of each step when every sequence is read from its end."""
        return self.shared("backward", f"backwards({steps.rows}, {steps.counts})")

    def shared(self, hint: str, text: str) -> str:
        """A name for what several places need, written where it is first needed."""
        if text not in self.known:
            self.known[text] = self.script.assign(hint, text)
        return self.known[text]

    def combine(self, name: str, operands: list[Operand]) -> Operand:
        """An elementwise operation on operands.

        Raises:
            ShapeError: events that do not fit together, or a function over the classes of what has none.
            NonFiniteError: an operation on numbers that has no finite value.
        """
        if all(o.number for o in operands):
            text, level = write(name, operands)
            return _checked_number(Operand(text, level, number=True), self.script)
        fitted, axes, rank = aligned(operands, self.axes)
        if name in LAST_AXIS and not rank:
            raise ShapeError(
                f"`{name}` is over the last axis of an event, but here is one number per example",
                hint="let the network return [batch, classes]",
            )
        text, level = write(name, fitted)
        return Operand(text, level, axes, rank)

    def aligned(self, operands: list[Operand]) -> tuple[list[Operand], tuple[Axis, ...], int]:
        """Operands that broadcast by axis name, the axes of the result, and its event rank."""
        return aligned(operands, self.axes)

    def lead(self, operand: Operand, axes: tuple[Axis, ...]) -> Operand:
        """The operand with an axis for each of ``axes``."""
        return lead(operand, axes)

    def event_sum(self, operand: Operand) -> Operand:
        """The sum over the event."""
        if not operand.rank:
            return operand
        dims = "-1" if operand.rank == 1 else str(tuple(range(-operand.rank, 0)))
        if operand.text.startswith("-") and _is_call(operand.text[1:]):
            return Operand(f"{operand.text}.sum({dims})", UNARY, operand.axes, 0)
        return Operand(f"{operand.at(ATOM)}.sum({dims})", ATOM, operand.axes, 0)

    def formula(self, node: Basic, symbols: Mapping[Basic, Operand]) -> Operand:
        """A formula of a family on operands."""
        if node in symbols:
            return symbols[node]
        if isinstance(node, Number):
            return number(Rational(node))
        if node == PI:
            return number("pi")
        name, operands = _operation(node, symbols)
        return self.combine(name, [self.formula(a, symbols) for a in operands])

    def agree(self, variable: str, event: torch.Size, owner: str) -> None:
        """Refuse two event shapes of one variable.

        Raises:
            ShapeError: another shape was seen before.
        """
        known, first = self.events.setdefault(variable, (event, owner))
        if known != event:
            raise ShapeError(
                f"`{variable}` has the event shape {list(known)} in {first}, but {list(event)} in {owner}",
                hint="all distributions over a variable have one event shape",
            )

    def pointed(self, error: SymdgmError, origin: Basic | None) -> SymdgmError:
        """The error with a caret where the author wrote what failed; unchanged if it was not written so."""
        bound = self.frozen.bound
        if origin is None or bound.text is None or bound.written.get(origin, origin) not in bound.text.spans:
            return error
        return bound.point(error, origin)

    def _agree_declared(self) -> None:
        for factor in self.environment.factors:
            distribution = factor.distribution
            if isinstance(distribution, Family) and distribution.event_shape is not None:
                self.agree(spelled(factor.variables[0]), distribution.event_shape, distribution.described)

    def _emit(self, node: PlanNode) -> Operand:
        try:
            operand = EMITTERS[node.kind](self, node)
        except SymdgmError as error:
            raise self.pointed(error, node.origin) from error.__cause__
        again = self.counts[node] > 1 and node.kind in (Kind.APPLY, Kind.REDUCE, Kind.AGGREGATE)
        shared = again and not operand.number
        hint = SHARED.get(str(node.detail[-1]) if node.detail else "", "shared")
        return self.named(hint, operand, node.origin) if shared else operand


def _is_call(text: str) -> bool:
    """Whether a text is a name or one call of a function, so that a method may follow without brackets."""
    name, bracket, rest = text.partition("(")
    if not name.isidentifier():
        return False
    depth = len(bracket)
    for i, character in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return i == len(rest) - 1
    return not bracket


def _checked_number(operand: Operand, script: Script) -> Operand:
    """An operand of exact numbers, unless Python finds no finite real value for it."""
    try:
        value = script.run(operand.text)
        finite = isinstance(value, Real) and math.isfinite(value)
    except (ArithmeticError, ValueError) as error:
        finite, why = False, f": {error}"
    else:
        why = ""
    if not finite:
        raise NonFiniteError(
            f"`{operand.text}` has no finite real value{why}", hint="look at the numbers here"
        )
    return operand


_ARITHMETIC: dict[type, str] = {Plus: "add", Minus: "neg", Times: "mul", Quotient: "div", Power: "pow"}


def _operation(node: Basic, symbols: Mapping[Basic, Operand]) -> tuple[str, tuple[Basic, ...]]:
    """The operation of a node of a family's formula, and its operands; ``a log b`` is one operation."""
    if isinstance(node, Call):
        return stable(node) or (node.function, tuple(node.args[1:]))
    if isinstance(node, Times) and len(node.args) == 2 and _is_log_of_probability(node.args[1], symbols):
        return "xlogy", (node.args[0], node.args[1].args[1])
    if isinstance(node, Times) and len(node.args) == 2 and _is_log_softmax(node.args):
        return "weighted", tuple(node.args)
    return _ARITHMETIC[type(node)], tuple(node.args)


def _is_log_softmax(factors: tuple[Basic, ...]) -> bool:
    """Whether the second factor is the log of class probabilities, which may be that of 0."""
    form = stable(factors[1]) if isinstance(factors[1], Call) else None
    return form is not None and form[0] == "log_softmax"


def _is_log_of_probability(node: Basic, symbols: Mapping[Basic, Operand]) -> bool:
    if not isinstance(node, Call) or node.function != "log" or stable(node) is not None:
        return False
    argument = node.args[1]
    return argument == 0 or any(part in symbols for part in preorder_traversal(argument))
