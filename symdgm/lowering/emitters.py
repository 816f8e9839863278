"""What turns each kind of plan node into text; a new kind is a file with its function, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sympy import Rational

from symdgm.lowering.derivatives import emit_derivative, emit_point
from symdgm.lowering.draws import emit_draw
from symdgm.lowering.estimation.emission import emit_path, emit_reweighted, emit_state, emit_surrogate
from symdgm.lowering.index_steps import (
    emit_aggregate,
    emit_along,
    emit_index,
    emit_indicator,
    emit_pick,
    emit_position,
    emit_size,
)
from symdgm.lowering.known_integrals import emit_known
from symdgm.lowering.logdensities import emit_log_density, emit_weight
from symdgm.lowering.networks import emit_network, emit_output
from symdgm.lowering.opaque import emit_entry, emit_opaque, emit_sample
from symdgm.lowering.operands import ATOM, BATCH, Operand
from symdgm.lowering.operations import number
from symdgm.lowering.parameters import emit_law, emit_parameter, emit_stopped
from symdgm.lowering.permutations import emit_permuted
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.reductions import emit_reduce
from symdgm.lowering.sample_points import emit_axis, emit_comparison
from symdgm.lowering.states import emit_states
from symdgm.lowering.table_steps import emit_calls, emit_table
from symdgm.lowering.time.chain import emit_chain
from symdgm.lowering.time.joined import emit_joined, emit_lag
from symdgm.lowering.time.kalman import emit_offset
from symdgm.lowering.time.keeper import emit_trace
from symdgm.lowering.time.layout import emit_first, emit_gather, emit_step_of, emit_steps, emit_time
from symdgm.lowering.time.loop import emit_loop
from symdgm.lowering.time.networks import emit_sequence
from symdgm.lowering.time.states import emit_every_state, emit_initial

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def _observe(writer: Writer, node: PlanNode) -> Operand:
    name = writer.argument(f"data:{node.word()}")
    return Operand(name, ATOM, (BATCH,), writer.inputs[name].dim() - 1)


def _scalar(writer: Writer, node: PlanNode) -> Operand:
    return Operand(writer.argument(f"scalar:{node.word()}"))


def _number(writer: Writer, node: PlanNode) -> Operand:
    return number("pi" if node.detail == ("pi",) else Rational(node.detail[0]))


def _apply(writer: Writer, node: PlanNode) -> Operand:
    return writer.combine(node.word(), [_real(writer, a) for a in node.args])


def _real(writer: Writer, node: PlanNode) -> Operand:
    """An operand of arithmetic; the number of a step, which networks get as it is, with full precision."""
    operand, source = writer.operands[node], node
    while source.kind in (Kind.GATHER, Kind.LEAF) and (source.args or source.word() == "slice"):
        inner = source.args[0] if source.args else source.detail[1]
        assert isinstance(inner, PlanNode)
        source = inner
    if source.kind is not Kind.TIME or operand.number:
        return operand
    return Operand(f"{operand.at(ATOM)}.to({writer.argument('dtype')})", ATOM, operand.axes)


EMITTERS: dict[Kind, Callable[[Writer, PlanNode], Operand]] = {
    Kind.OBSERVE: _observe,
    Kind.SCALAR: _scalar,
    Kind.NUMBER: _number,
    Kind.NETWORK: emit_network,
    Kind.OUTPUT: emit_output,
    Kind.LAW: emit_law,
    Kind.PARAMETER: emit_parameter,
    Kind.DRAW: emit_draw,
    Kind.STATES: emit_states,
    Kind.WEIGHT: emit_weight,
    Kind.APPLY: _apply,
    Kind.LOG_DENSITY: emit_log_density,
    Kind.REDUCE: emit_reduce,
    Kind.OPAQUE: emit_opaque,
    Kind.SAMPLE: emit_sample,
    Kind.ENTRY: emit_entry,
    Kind.STATE: emit_state,
    Kind.PATH: emit_path,
    Kind.REWEIGHED: emit_reweighted,
    Kind.SURROGATE: emit_surrogate,
    Kind.KNOWN: emit_known,
    Kind.POINTS: emit_axis,
    Kind.COMPARE: emit_comparison,
    Kind.SIZE: emit_size,
    Kind.INDEX: emit_index,
    Kind.POSITION: emit_position,
    Kind.ALONG: emit_along,
    Kind.PICK: emit_pick,
    Kind.AGGREGATE: emit_aggregate,
    Kind.TABLE: emit_table,
    Kind.CALLS: emit_calls,
    Kind.INDICATOR: emit_indicator,
    Kind.PERMUTED: emit_permuted,
    Kind.POINT: emit_point,
    Kind.DERIVATIVE: emit_derivative,
    Kind.STEPS: emit_steps,
    Kind.GATHER: emit_gather,
    Kind.FIRST: emit_first,
    Kind.TIME: emit_time,
    Kind.STEP_OF: emit_step_of,
    Kind.JOINED: emit_joined,
    Kind.STOPPED: emit_stopped,
    Kind.LAG: emit_lag,
    Kind.SEQUENCE: emit_sequence,
    Kind.LOOP: emit_loop,
    Kind.TRACE: emit_trace,
    Kind.EVERY_STATE: emit_every_state,
    Kind.INITIAL: emit_initial,
    Kind.OFFSET: emit_offset,
    Kind.CHAIN: emit_chain,
}
