"""Lowering divergences of samples: draws of both laws become two sets of points, which are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.binding.factors import reference
from symdgm.binding.sample_laws import Sampled, sampled
from symdgm.errors import NotSupportedError
from symdgm.expressions.expectations import SAMPLED, DivergenceBetween
from symdgm.lowering.comparison_steps import step
from symdgm.lowering.divergence_options import MMD, Option, Sinkhorn
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.sample_draws import Side, count_of, draw_side
from symdgm.lowering.sources import function_source
from symdgm.lowering.time.sums import refuse_over_time

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope

KERNEL = "kernel"
"""What a kernel of the user is called in the generated code."""


@dataclass(frozen=True)
class Comparison:
    """Two sets of points and how they are compared; what a node of the plan carries.

    Args:
        option: how.
        kernel: the name of the user's kernel, if it is one.
        split: how many variables the points of the first law have.
        axes: the number of axes of points of each side that stand first among what the node reads.
        by_example: whether each example has points of its own.
        stopped: whether the points of each law carry no gradient.
    """

    option: Option
    kernel: str | None
    split: int
    axes: tuple[int, int]
    by_example: bool
    stopped: tuple[bool, bool]


def lower_divergence(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The divergence of draws from both laws: one number for the batch, or one for each example.

    Raises:
        NotSupportedError: a divergence not of samples, or one by example without draws by example.
        EstimatorError: draws that carry no gradient.
    """
    if not isinstance(node, DivergenceBetween) or node.kind not in SAMPLED:
        raise NotSupportedError(f"`{node}` cannot be computed as a number yet")
    refuse_over_time(node, scope)
    option = lowering.comparisons.option(node, lowering.bound.written.get(node, node))
    laws = [sampled(lowering.bound.environment, law) for law in node.args[1:3]]
    by_example = any(law.givens for law in laws)
    if by_example:
        _check_examples(lowering, node, laws)
    if isinstance(option, Sinkhorn):
        require_geomloss()
    first = draw_side(lowering, node, laws[0], scope if by_example else replace(scope, values={}))
    second = draw_side(lowering, node, laws[1], first.scope)
    said = step(node, option, (first, second), by_example=by_example, linear=scope.linear)
    lowering.comparisons.steps.setdefault(node, said)
    if not by_example:
        lowering.comparisons.of_batch.add(node)
    return _compare(lowering, node, option, (first, second), by_example)


def _compare(
    lowering: Lowering, node: Basic, option: Option, sides: tuple[Side, Side], by_example: bool
) -> PlanNode:
    """The node that compares the points of both laws."""
    first, second = sides
    variables = first.law.values
    comparison = Comparison(
        option,
        _kernel(lowering, option),
        len(variables),
        (len(first.points), len(second.points)),
        by_example,
        (first.law.stopped, second.law.stopped),
    )
    arguments = [*first.points, *second.points, *(s.values[v] for s in sides for v in variables)]
    return lowering.plan.node(Kind.COMPARE, *arguments, detail=(comparison,), origin=node)


def _check_examples(lowering: Lowering, node: Basic, laws: list[Sampled]) -> None:
    """Refuse a divergence by example without several draws for each, or against rows of the batch."""
    conditional = next(law for law in laws if law.givens)
    given = ", ".join(f"`{g}`" for g in conditional.givens)
    rows = next((law for law in laws if law.rows), None)
    if rows is not None:
        raise NotSupportedError(
            f"`{node}` compares `{conditional.node}`, which is another law for each {given}, "
            f"with `{rows.node}`, of which the batch holds one draw a row",
            hint="compare two laws of one kind: both given the same, or both of the whole batch",
        )
    for law in laws:
        if count_of(lowering, law) < 2:
            plain = node.func(node.args[0], *(_without_givens(side) for side in laws))
            raise NotSupportedError(
                f"`{conditional.node}` is another law for each {given}, of which one draw an example says "
                "nothing about a divergence",
                hint=f'ask for several, `samples={{"{law.values[0]}": 64}}`; or write `{plain}` for one '
                "number of the whole batch",
            )


def _without_givens(law: Sampled) -> Basic:
    """``q(z)`` for ``q(z|x)``."""
    return reference(law.matches[0].factor.head, law.values, ())


def _kernel(lowering: Lowering, option: Option) -> str | None:
    """The name under which the user's kernel is an argument of the generated code."""
    if not isinstance(option, MMD) or isinstance(option.kernel, str):
        return None
    named = lowering.bound.environment.networks
    name = next((n for n, call in named.items() if call is option.kernel), KERNEL)
    while name in lowering.sources and lowering.sources[name].call is not option.kernel:
        name += "_"
    lowering.sources.setdefault(name, function_source(name, option.kernel, 2))
    return name


def require_geomloss() -> None:
    """Refuse what geomloss computes where it is not installed.

    Raises:
        NotSupportedError: it is not.
    """
    if find_spec("geomloss") is None:
        raise NotSupportedError(
            "the Sinkhorn divergence is computed by geomloss, which is not installed",
            hint="`pip install 'symdgm[transport]'`; or write `SW[q || p]`, which needs nothing else",
        )
