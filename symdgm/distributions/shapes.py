"""Axes of a value: sample axes, then one batch axis, then the event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from symdgm.errors import OptionError, ShapeError

Shape = int | Sequence[int]
"""A shape as a user writes it: one length or several."""


def show(shape: Sequence[int]) -> str:
    """A shape in square brackets.

    Example:
        >>> show(torch.Size([8, 16]))
        '[8, 16]'
    """
    return str(list(shape))


def read_shape(shape: Shape, option: str) -> torch.Size:
    """A shape option as a size; an int is one axis.

    Raises:
        OptionError: a length is not a positive int.

    Example:
        >>> read_shape(16, "event_shape")
        torch.Size([16])
    """
    lengths = (shape,) if isinstance(shape, int) else shape
    if not isinstance(lengths, (tuple, list)) or not all(_is_length(length) for length in lengths):
        raise OptionError(
            f"`{option}` is {shape!r}", hint=f"write positive lengths, such as `{option}=16` or `(3, 32)`"
        )
    return torch.Size(lengths)


def _is_length(length: object) -> bool:
    return isinstance(length, int) and not isinstance(length, bool) and length > 0


def broadcast_leading(tensors: Sequence[Tensor], axes: Sequence[int]) -> torch.Size:
    """The common leading axes of tensors, aligned at the batch axis.

    Raises:
        ShapeError: a tensor lacks its axes, batch sizes differ, or sample axes do not broadcast.
    """
    for tensor, count in zip(tensors, axes, strict=True):
        if tensor.ndim < count:
            raise ShapeError(f"a tensor of shape {show(tensor.shape)} has no {count} leading axes")
    return join_leading([tensor.shape[:count] for tensor, count in zip(tensors, axes, strict=True)])


def broadcast(*shapes: Sequence[int]) -> torch.Size:
    """The shape to which all broadcast, by the rules of torch."""
    # The common case, for which torch takes ten microseconds; a set would make constants of dynamic sizes.
    if all(tuple(shape) == tuple(shapes[0]) for shape in shapes[1:]):
        return torch.Size(shapes[0])
    return torch.Size(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]


def join_leading(shapes: Sequence[Sequence[int]]) -> torch.Size:
    """The common shape of several leading axes; batch sizes must be equal, sample axes broadcast."""
    shapes = [shape for shape in shapes if len(shape)]
    if not shapes:
        return torch.Size()
    try:
        if any(shape[-1] != shapes[0][-1] for shape in shapes):
            raise RuntimeError
        return broadcast(*shapes)
    except RuntimeError:
        sizes = ", ".join(show(shape) for shape in shapes)
        raise ShapeError(
            f"the leading axes {sizes} do not fit together",
            hint="all values have the same batch size, and sample axes stand before it",
        ) from None


def element_shapes(
    tensors: Mapping[str, Tensor], ranks: Mapping[str, int], leading: torch.Size, owner: str
) -> dict[str, torch.Size]:
    """The shape over which each parameter holds one distribution per element, if it is not one number.

    Args:
        tensors: the parameters.
        ranks: the trailing axes of each that belong to one element, such as the class axis of logits.
        leading: the leading axes that each carries, unless it is one number for all.
        owner: for errors.

    Raises:
        ShapeError: the leading axes of a parameter are not those of the batch.
    """
    found: dict[str, torch.Size] = {}
    for name, tensor in tensors.items():
        core = tensor.shape[: max(0, tensor.ndim - ranks[name])]
        if tensor.ndim < ranks[name] or (core and core[: len(leading)] != leading):
            raise ShapeError(
                f"{name} of {owner} has shape {show(tensor.shape)}"
                + (f" for a batch {show(leading)}" * bool(leading)),
                hint="a parameter is [batch, *event], and has a class axis last where it is over classes",
            )
        if core:
            found[name] = core[len(leading) :]
    return found


def same_elements(shapes: Mapping[str, torch.Size], owner: str) -> torch.Size | None:
    """The one shape of all; None if there is none. Nothing is broadcast but single numbers."""
    found = list(shapes.values())
    if any(shape != found[0] for shape in found):
        table = ", ".join(f"{name} {show(shape)}" for name, shape in shapes.items())
        raise ShapeError(
            f"the parameters of {owner} have different event shapes: {table}",
            hint="give equal shapes, or one number for all; `scale.expand_as(loc)` repeats it",
        )
    return found[0] if found else None


def leading_of(values: Mapping[str, Tensor], axes: Mapping[str, int]) -> torch.Size:
    """The common leading axes of named values; the error is a table of their shapes."""
    for name, value in values.items():
        if value.ndim < axes[name]:
            raise ShapeError(
                f"{name} has shape {show(value.shape)}, which has no batch axis"
                if axes[name] == 1
                else f"{name} has shape {show(value.shape)}, which has no {axes[name]} leading axes",
                hint=f"every value is [batch, *event]: `{name}.unsqueeze(0)` is a batch of one",
            )
    try:
        return broadcast_leading(list(values.values()), [axes[name] for name in values])
    except ShapeError as error:
        table = "; ".join(f"{name} {show(value.shape)}" for name, value in values.items())
        raise ShapeError(f"batch sizes do not fit together: {table}", hint=error.hint) from None


def read_batch(n: int | None, given: tuple[str, ...], owner: str) -> torch.Size:
    """The batch of a distribution that is given nothing: ``n``, or one.

    Raises:
        OptionError: ``n`` is not a positive int, or the conditions already have a batch.
    """
    if n is None:
        return torch.Size([1])
    if given:
        raise OptionError(
            f"`n` is for what is given nothing; the batch of {owner} is that of {', '.join(given)}",
            hint=f"draw several times for each condition with `shape=({n},)`",
        )
    if not _is_length(n):
        raise OptionError(f"`n` is {n!r}", hint="write a positive number of draws, such as `n=64`")
    return torch.Size([n])
