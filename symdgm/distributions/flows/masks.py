"""Which elements of a value a coupling leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symdgm.distributions.shapes import show
from symdgm.errors import ParameterError, refuse_unknown

KINDS = ("channel", "checkerboard")


def read_mask(mask: str | Tensor, event_shape: Sequence[int], flip: bool, owner: str) -> Tensor:
    """A boolean mask of the event, true where an element is left as it is.

    Args:
        mask: ``"channel"`` leaves the first half of the channels (of the features of a vector),
            ``"checkerboard"`` every second pixel (every second feature); or a boolean tensor of the event.
        event_shape: the shape of one value.
        flip: whether to leave the others instead.
        owner: for errors.

    Raises:
        OptionError: the kind is unknown.
        ParameterError: the tensor is not boolean or of another shape, or nothing or everything is left.

    Example:
        >>> read_mask("channel", (5,), False, "a coupling").int()
        tensor([1, 1, 0, 0, 0], dtype=torch.int32)
        >>> read_mask("checkerboard", (1, 2, 3), False, "a coupling").int()
        tensor([[[1, 0, 1],
                 [0, 1, 0]]], dtype=torch.int32)
    """
    found = _check(mask, event_shape, owner) if isinstance(mask, Tensor) else _make(mask, event_shape)
    if bool(found.all()) or not bool(found.any()):
        raise ParameterError(
            f"the mask of {owner} over the event {show(event_shape)} leaves all or nothing",
            hint="a coupling changes some elements by the others: it needs two features, or two pixels",
        )
    return ~found if flip else found


def _make(kind: str, event_shape: Sequence[int]) -> Tensor:
    refuse_unknown([kind], KINDS, what="mask")
    axes = torch.meshgrid(*(torch.arange(length) for length in event_shape), indexing="ij")
    if kind == "channel":
        return axes[0] < event_shape[0] // 2
    spatial = axes[1:] if len(axes) > 1 else axes
    return torch.stack(spatial).sum(0) % 2 == 0


def _check(mask: Tensor, event_shape: Sequence[int], owner: str) -> Tensor:
    if mask.dtype != torch.bool or mask.shape != torch.Size(event_shape):
        raise ParameterError(
            f"the mask of {owner} is {mask.dtype} of shape {show(mask.shape)}, "
            f"for the event {show(event_shape)}",
            hint="a mask is a boolean tensor of the event, true where an element is left as it is",
        )
    return mask.clone()
