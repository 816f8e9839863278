"""One call of a network over sample axes and the batch axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from symdgm.distributions.outputs import is_named_tuple
from symdgm.distributions.shapes import broadcast_leading, show
from symdgm.errors import ShapeError


def apply_over_leading_axes(
    call: Callable[..., object], tensors: Sequence[Tensor], batch_axes: int | Sequence[int]
) -> object:
    """Call a network that knows one batch axis on tensors that may have sample axes before it.

    With at most one leading axis the call is plain. Else the leading axes are broadcast against each other
    from the right, flattened to one batch axis, and restored in every tensor that comes back. The network is
    called exactly once.

    Args:
        call: the network.
        tensors: its arguments, each ``[*samples, batch, *event]``.
        batch_axes: the number of leading axes, sample axes and the batch axis; one for all, or one each.

    Raises:
        ShapeError: the leading axes do not fit together, or the network does not keep the batch axis.

    Example:
        >>> z, y = torch.zeros(5, 8, 2), torch.zeros(8, 3)
        >>> apply_over_leading_axes(lambda z, y: torch.cat([z, y], 1), [z, y], [2, 1]).shape
        torch.Size([5, 8, 5])
    """
    axes = [batch_axes] * len(tensors) if isinstance(batch_axes, int) else list(batch_axes)
    if max(axes, default=0) <= 1:
        return call(*tensors)
    leading = broadcast_leading(tensors, axes)
    last = len(leading) - 1
    flat = [t.expand(leading + t.shape[k:]).flatten(0, last) for t, k in zip(tensors, axes, strict=True)]
    return _restore(call(*flat), leading)


def _restore(output: Any, leading: torch.Size) -> object:
    """Give the leading axes back to every tensor of a nested output; numbers and 0-d tensors pass."""
    if isinstance(output, Tensor):
        return _restore_tensor(output, leading)
    if isinstance(output, Mapping):
        return {key: _restore(value, leading) for key, value in output.items()}
    if is_named_tuple(output):
        return type(output)(*(_restore(value, leading) for value in output))
    if isinstance(output, (tuple, list)):
        return [_restore(value, leading) for value in output]
    return output


def _restore_tensor(output: Tensor, leading: torch.Size) -> Tensor:
    if output.ndim == 0:
        return output
    if output.shape[0] != prod(leading):
        raise ShapeError(
            f"a network was called on a batch of {prod(leading)} and returned shape {show(output.shape)}",
            hint="a network keeps the batch as the first axis of all that it returns",
        )
    return output.reshape(leading + output.shape[1:])
