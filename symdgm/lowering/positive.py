"""What is known to be positive before anything is computed, so that its logarithm may be taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Basic, Number

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Name, spelled
from symdgm.lowering.streams import streams

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering

POSITIVE = ("exp", "sigmoid", "softmax", "softplus")
"""Functions whose values are positive."""


def is_ratio_of_densities(lowering: Lowering, node: Basic) -> bool:
    """Whether a quotient is of densities, which may be as small as no number is, and draws nothing."""
    densities = any(has_density(lowering, n) for n in node.atoms(Apply, Density))
    return densities and is_positive(lowering, node) and not streams(node, lowering.streams)


def is_positive(lowering: Lowering, node: Basic) -> bool:
    """Whether a value is positive, whatever its parameters are."""
    if isinstance(node, Number):
        return bool(node > 0)
    if isinstance(node, Call):
        stopped = node.function == "sg" and is_positive(lowering, node.args[1])
        return stopped or node.function in POSITIVE
    if isinstance(node, Plus | Times | Quotient):
        return all(is_positive(lowering, a) for a in node.args)
    if isinstance(node, Power):
        return is_positive(lowering, node.args[0])
    if isinstance(node, Expect | Aggregate):
        return is_positive(lowering, node.body)
    if isinstance(node, Name):
        return spelled(node) in (lowering.bound.environment.sizes | lowering.bound.environment.batch_sizes)
    return isinstance(node, Apply | Density) and has_density(lowering, node)


def has_density(lowering: Lowering, node: Basic) -> bool:
    """Whether a reference is to a density."""
    law = lowering.facts.law(node)
    return law is not None and law.kind == "density"


def is_weighted(lowering: Lowering, node: Aggregate) -> bool:
    """Whether a sum is of densities with weights, ``sum_k pi_k p(x|u_k)``, which are no densities."""
    factors = node.body.args if isinstance(node.body, Times) else ()
    densities = [f for f in factors if is_positive(lowering, f)]
    timed = lowering.facts.is_time(node.index)
    plain = node.kind in ("sum", "mean") and len(node.index.args) < 4 and not timed
    return (
        plain
        and 0 < len(densities) < len(factors)
        and any(has_density(lowering, n) for f in densities for n in f.atoms(Apply, Density))
    )
