"""Which operations can be done for all steps at once: those that treat rows alike, or sum over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch

from symdgm.runtime.carried.recording import Operation, Ref
from symdgm.runtime.carried.tracing import Rows, has_rows

Shape = tuple[int | Rows, ...]

VIEWS = {"t", "transpose", "permute", "view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "expand",
         "alias", "detach", "clone", "slice", "select", "_to_copy"}  # fmt: skip
PLACED = {"slice_backward", "select_backward"}
"""Operations that put a value into zeros."""
FILLED = {"new_zeros", "zeros", "new_ones", "ones", "new_full", "full", "expand"}
"""Operations whose result has equal rows, as many as they are told."""
LINEAR = {"add", "neg", "mul", "div", "sum"}
"""Operations that may be done after a sum over steps, where all else that they read are numbers."""


@dataclass(frozen=True)
class Kind:
    """What a value is to the rows of a step.

    Args:
        axis: the axis of rows, if it has one.
        fixed: whether it is the same at every step; what has no rows and is not, such as a part of a weight's
            gradient, is wanted as the sum over steps.
        odd: whether its shape depends on the number of rows in another way.
    """

    axis: int | None = None
    fixed: bool = False
    odd: bool = False

    @property
    def summed(self) -> bool:
        """Whether its sum over steps is wanted."""
        return self.axis is None and not self.fixed and not self.odd


def kind(shape: Shape, *, fixed: bool) -> Kind:
    """The kind of a value of some shape."""
    axes = [i for i, size in enumerate(shape) if isinstance(size, Rows)]
    if len(axes) > 1 or any(isinstance(s, Rows) and s.times != 1 for s in shape):
        return Kind(odd=True)
    return Kind(axes[0] if axes else None, fixed and not axes)


def together(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    """Whether an operation on the rows of all steps gives what it gives step by step.

    Args:
        operation: the operation.
        shapes: of all values.
        kinds: of all values; those of the results count as not fixed.
    """
    read = operation.reads
    here = [kinds[i] for i in (*read, *operation.results)]
    if operation.random or any(k.odd for k in here):
        return False
    rows = [i for i in read if kinds[i].axis is not None]
    out = [kinds[i] for i in operation.results]
    if any(kinds[i].summed for i in read):
        return (
            _linear(operation, [kinds[i] for i in read]) and not rows and not has_rows(_arguments(operation))
        )
    if not rows:
        counted = has_rows(_arguments(operation))
        return operation.name in FILLED if any(k.axis is not None for k in out) else not counted
    rule = RULES.get(operation.name)
    if rule is not None:
        return rule(operation, shapes, kinds)
    return torch.Tag.pointwise in operation.function.tags and _pointwise(operation, shapes, kinds)


def _arguments(operation: Operation) -> object:
    return (operation.args, dict(operation.kwargs))


def _linear(operation: Operation, read: Sequence[Kind]) -> bool:
    if operation.name in VIEWS | PLACED:
        return True
    if operation.name == "add":
        return all(k.summed for k in read) and len(read) == 2
    return operation.name in LINEAR and len(read) == 1


def _pointwise(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    """Rows stand at one place from the right, where what has none is broadcast."""
    if has_rows(_arguments(operation)):
        return False
    places = {len(shapes[i]) - _axis(kinds[i]) for i in (*operation.reads, *operation.results)
              if kinds[i].axis is not None}  # fmt: skip
    if len(places) != 1 or any(kinds[i].axis is None for i in operation.results):
        return False
    (place,) = places
    rest = [shapes[i] for i in operation.reads if kinds[i].axis is None]
    return all(len(shape) < place or shape[-place] == 1 for shape in rest)


def _axis(kind: Kind) -> int:
    assert kind.axis is not None
    return kind.axis


def _view(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    """Rows stay one axis of their own, with as much in front of them as before."""
    first = operation.args[0]
    if not isinstance(first, Ref) or len(operation.reads) != 1:
        return False
    (result,) = operation.results
    before, after = kinds[first.index].axis, kinds[result].axis
    if before is None or after is None:
        return False
    if operation.name in ("t", "transpose", "permute"):
        return True
    if operation.name in ("slice", "select"):
        dim = operation.args[1] if len(operation.args) > 1 else 0
        return bool(dim % len(shapes[first.index]) != before)
    front, behind = shapes[first.index][:before], shapes[result][:after]
    return operation.name in ("unsqueeze", "squeeze", "expand") or _size(front) == _size(behind)


def _size(shape: Shape) -> int:
    return prod(s for s in shape if isinstance(s, int))


def _product(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    """A product with a fixed matrix, or one that sums over rows."""
    left, right = (kinds[a.index].axis for a in operation.args[-2:])
    return (left, right) in ((0, None), (None, 1), (1, 0))


def _affine(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    added = operation.args[0].index
    left, right = (kinds[a.index].axis for a in operation.args[-2:])
    if (left, right) != (0, None):
        return False
    return kinds[added].axis == 0 if kinds[added].axis is not None else len(shapes[added]) < 2


def _sum(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    return operation.function._overloadname in ("dim_IntList", "default")


def _over_classes(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    """An operation along an axis that is not that of rows."""
    dim = next((a for a in operation.args if isinstance(a, int) and not isinstance(a, bool)), 0)
    read = operation.reads
    return all(kinds[i].axis is not None and kinds[i].axis != dim % len(shapes[i]) for i in read)


def _parts(operation: Operation, shapes: Sequence[Shape], kinds: Sequence[Kind]) -> bool:
    """Parts of rows, put together or taken apart along another axis."""
    every = [*operation.reads, *operation.results]
    axes = {kinds[i].axis for i in every}
    place = 1 if operation.name == "cat" else 2
    dim = operation.args[place] if len(operation.args) > place else 0
    if len(axes) != 1 or None in axes:
        return False
    return bool(axes != {dim % len(shapes[every[0]])})


Rule = Callable[[Operation, Sequence[Shape], Sequence[Kind]], bool]
RULES: dict[str, Rule] = {
    **dict.fromkeys(VIEWS, _view),
    "mm": _product,
    "addmm": _affine,
    "sum": _sum,
    "_softmax": _over_classes,
    "_log_softmax": _over_classes,
    "_softmax_backward_data": _over_classes,
    "_log_softmax_backward_data": _over_classes,
    "cat": _parts,
    "split": _parts,
    "split_with_sizes": _parts,
    "slice_backward": _parts,
}
"""Operations that are neither pointwise nor on what has no rows; any other is done step by step."""
