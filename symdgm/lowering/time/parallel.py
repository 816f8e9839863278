"""Lowering a path in which nothing is carried: all steps are drawn at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from symdgm.binding.gradients import is_fixed, is_pathwise
from symdgm.binding.paths import Path
from symdgm.distributions import Deterministic
from symdgm.expressions.names import base, spelled
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.sources import is_opaque
from symdgm.lowering.time.drawing import Drawing

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


def is_parallel(lowering: Lowering, path: Path, drawing: Drawing) -> bool:
    """Whether no step of a path is given another step of it, such as ``q(z_t|x_t)``.

    Several paths are drawn at once only where a single variable is drawn: its axis is that of the paths; so
    are draws without a gradient, on which alone their scores depend.
    """
    time = lowering.bound.environment.time
    assert time is not None
    own = {base(v) for f in path.steps for v in f.variables}
    carried = any(base(g) in own and time.offset(g) != 0 for f in path.steps for g in f.givens)
    drawn = [f for f in path.steps if not isinstance(f.distribution, Deterministic)]
    scored = not all(is_pathwise(f.distribution) or is_fixed(f.distribution) for f in path.steps)
    opaque = any(is_opaque(f.distribution) or len(f.variables) > 1 for f in path.steps)
    return not carried and not opaque and (len(drawn) == 1 or (drawing.count == 1 and not scored))


def lower_parallel(lowering: Lowering, path: Path, scope: Scope, drawing: Drawing) -> tuple[Scope, PlanNode]:
    """The scope in which the steps of a path have values, and the draw whose axis is that of the paths."""
    inside = replace(scope, rows="steps", outer=None)
    traces, laws = dict(scope.traces), dict(scope.laws)
    drawn = None
    for factor in path.steps:
        law = lowering.facts.law(factor.node)
        assert law is not None
        parameters = lowering.law(law, inside)
        (variable,) = factor.variables
        name = spelled(variable)
        if isinstance(factor.distribution, Deterministic):
            value = lowering.plan.node(Kind.PARAMETER, parameters, detail=(name,), origin=variable)
        else:
            value = drawn = drawing.draw(lowering, factor, parameters, variable, many=True, rows="steps")
            laws[(factor.index, factor.givens)] = parameters
        traces[base(variable)] = value
        inside = replace(inside, traces=traces)
    assert drawn is not None
    return replace(scope, traces=traces, laws=laws), drawn
