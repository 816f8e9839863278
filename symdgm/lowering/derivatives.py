"""Derivatives by the value of a variable: exact, by automatic differentiation, and differentiable again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.errors import NameResolutionError, ShapeError
from symdgm.expressions.calculus import DerivativeBy
from symdgm.expressions.names import Labelled, Name, Subscripted
from symdgm.lowering.operands import ATOM, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode, ordered
from symdgm.lowering.reductions import one_number

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope
    from symdgm.lowering.writer import Writer

ATOMS = (Name, Subscripted, Labelled)


def lower_derivative(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The derivative of a body by the value of a variable, however that was made.

    Inside of the body the variable is a point of its own: what else depends on it, such as a draw that an
    expectation outside has made from it, stays as it is.

    Raises:
        NameResolutionError: the body does not depend on the variable.
    """
    assert isinstance(node, DerivativeBy)
    _, body, variable = node.args
    point = lowering.plan.node(Kind.POINT, lowering.lower(variable, scope), origin=variable)
    inside = scope.at(variable, point)
    value = lowering.lower(body, inside)
    if point not in ordered([value]):
        raise NameResolutionError(
            f"`{body}` does not depend on `{variable}`, so its derivative is zero",
            hint="differentiate by a variable that stands in it, as in `grad_x D(x)`",
        )
    return lowering.plan.node(Kind.DERIVATIVE, value, point, detail=(node.kind,), origin=node)


def emit_point(writer: Writer, node: PlanNode) -> Operand:
    """The value again, as a point by which one can differentiate.

    Raises:
        ShapeError: a value that is no floating tensor.
    """
    of = writer.operands[node.args[0]]
    made = Operand(f"torch.full((), {of.text}, {_like(writer)})") if of.number else of
    if not writer.value(made).is_floating_point():
        raise ShapeError(
            f"`{node.origin}` has whole values, by which nothing can be differentiated",
            hint="give floating values, as by `x.float()`",
        )
    hint = f"{made.text}_at" if made.text.isidentifier() else "point"
    text = f"differentiable({made.text})"
    return writer.named(hint, Operand(text, ATOM, made.axes, made.rank), node.origin)


def emit_derivative(writer: Writer, node: PlanNode) -> Operand:
    """The gradient, the Jacobian, the divergence or the Laplacian."""
    kind, (value, at) = node.word(), (writer.operands[a] for a in node.args)
    value = writer.named("inner", value, node.args[0].origin)
    assert isinstance(node.origin, DerivativeBy)
    by = node.origin.args[2] if isinstance(node.origin.args[2], ATOMS) else "at"
    if kind != "div":
        value = one_number(writer, value)
    if kind == "grad":
        return writer.named(f"grad_{by}", _gradient(writer, value, at), node.origin)
    if kind == "laplacian":
        _refuse_event(value, f"the Laplacian of `{node.origin.args[1]}`")
        value = writer.named(f"grad_{by}", _gradient(writer, value, at), node.origin)
    return writer.named(f"{kind}_{by}", _divergence(writer, value, at), node.origin)


def _gradient(writer: Writer, value: Operand, at: Operand) -> Operand:
    """``d value / d at`` for each example; of an event, its Jacobian ``[*event, *event of the variable]``."""
    axes = tuple(a for a in writer.axes if a in value.axes or a in at.axes)
    own = [a for a in value.axes if a not in at.axes]
    if not own and not value.rank:
        whole = value.at(ATOM).removesuffix(".squeeze(-1)")
        text = f"torch.autograd.grad({whole}.sum(), {at.text}, create_graph=True)[0]"
        return Operand(text, ATOM, at.axes, at.rank)
    order = [value.axes.index(a) for a in (*own, *(a for a in value.axes if a not in own))]
    moved = _permuted(value, [*order[: len(own)], *_event(value), *order[len(own) :]])
    text = f"jacobian({moved}, {at.text}, {len(own) + value.rank})"
    return _restored(text, own, value.rank, at, axes)


def _restored(text: str, own: list[Axis], rank: int, at: Operand, axes: tuple[Axis, ...]) -> Operand:
    """``[*own, *event, *axes of the variable, *its event]`` with the axes in front, in their order."""
    have = [*own, *("event",) * rank, *at.axes]
    leading = [have.index(a) for a in axes]
    events = range(len(own), len(own) + rank)
    count = len(have)
    order = [*leading, *events, *range(count, count + at.rank)]
    if order != list(range(len(order))):
        text = f"{text}.permute({', '.join(map(str, order))})"
    return Operand(text, ATOM, axes, rank + at.rank)


def _divergence(writer: Writer, value: Operand, at: Operand) -> Operand:
    """``sum_i d value_i / d at_i``."""
    sizes = [writer.value(o).shape[len(o.axes) :] for o in (value, at)]
    if sizes[0] != sizes[1]:
        raise ShapeError(
            f"the divergence of an event {list(sizes[0])} by one of {list(sizes[1])} has no meaning",
            hint="both have one event shape; the gradient of anything is `grad_x f(x)`",
        )
    axes = tuple(a for a in writer.axes if a in value.axes or a in at.axes)
    full = _gradient(writer, value, at)
    return Operand(f"diagonal_sum({full.text}, {at.rank})", ATOM, axes) if value.rank else full


def _refuse_event(value: Operand, what: str) -> None:
    if value.rank:
        raise ShapeError(
            f"{what} is that of an event, but one number per example is wanted",
            hint="write `sum(.)`, or a component by an inner product",
        )


def _permuted(value: Operand, order: list[int]) -> str:
    if order == list(range(len(order))):
        return value.text
    return f"{value.at(ATOM)}.permute({', '.join(map(str, order))})"


def _event(value: Operand) -> list[int]:
    return list(range(len(value.axes), len(value.axes) + value.rank))


def _like(writer: Writer) -> str:
    return f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
