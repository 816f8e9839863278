"""What lowers each kind of node; a new construct is a file with its function, and a line here."""

from __future__ import annotations

from symdgm.expressions.applications import Apply, Call, Density, Indicator, Inner, Norm
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.calculus import DerivativeBy
from symdgm.expressions.expectations import DivergenceBetween, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.known import KnownIntegral
from symdgm.expressions.names import Labelled, Name, Relation, Subscripted
from symdgm.expressions.resolved import Component, EntryOf, OwnRow, Permuted, RowOf
from symdgm.lowering.aggregates import lower_aggregate
from symdgm.lowering.arithmetic import (
    lower_inner,
    lower_minus,
    lower_norm,
    lower_plus,
    lower_power,
    lower_quotient,
    lower_times,
)
from symdgm.lowering.derivatives import lower_derivative
from symdgm.lowering.expectations import lower_expectation
from symdgm.lowering.indices import (
    lower_applied,
    lower_component,
    lower_entry,
    lower_indexed,
    lower_indicator,
    lower_relation,
)
from symdgm.lowering.known_integrals import lower_known
from symdgm.lowering.lower import Lowering, LowerNode
from symdgm.lowering.permutations import lower_permuted
from symdgm.lowering.rows import lower_own_row, lower_row
from symdgm.lowering.sample_divergences import lower_divergence

LOWERINGS: dict[type, LowerNode] = {
    Name: Lowering.name,
    Subscripted: lower_indexed,
    Labelled: Lowering.name,
    Plus: lower_plus,
    Minus: lower_minus,
    Times: lower_times,
    Quotient: lower_quotient,
    Power: lower_power,
    Norm: lower_norm,
    Inner: lower_inner,
    Apply: lower_applied,
    Density: Lowering.density,
    Call: Lowering.call,
    Aggregate: lower_aggregate,
    Component: lower_component,
    RowOf: lower_row,
    EntryOf: lower_entry,
    OwnRow: lower_own_row,
    Relation: lower_relation,
    Indicator: lower_indicator,
    Expect: lower_expectation,
    KnownIntegral: lower_known,
    DerivativeBy: lower_derivative,
    Permuted: lower_permuted,
    DivergenceBetween: lower_divergence,
}
