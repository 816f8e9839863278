"""What lowers each kind of node; a new construct is a file with its function, and a line here."""

from __future__ import annotations

from symdgm.expressions.applications import Apply, Call, Density, Inner, Norm
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Labelled, Name, Subscripted
from symdgm.lowering.arithmetic import (
    lower_inner,
    lower_minus,
    lower_norm,
    lower_plus,
    lower_power,
    lower_quotient,
    lower_times,
)
from symdgm.lowering.expectations import lower_expectation
from symdgm.lowering.lower import Lowering, LowerNode
from symdgm.lowering.time.sums import lower_over_time

LOWERINGS: dict[type, LowerNode] = {
    Name: Lowering.name,
    Subscripted: Lowering.name,
    Labelled: Lowering.name,
    Plus: lower_plus,
    Minus: lower_minus,
    Times: lower_times,
    Quotient: lower_quotient,
    Power: lower_power,
    Norm: lower_norm,
    Inner: lower_inner,
    Apply: Lowering.density,
    Density: Lowering.density,
    Call: Lowering.call,
    Expect: lower_expectation,
    Aggregate: lower_over_time,
}
