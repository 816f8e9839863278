"""Networks in half precision, and everything else in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

HALVES = (torch.bfloat16, torch.float16)


@final
class Narrowed:
    """A network whose products are computed in half precision; what it returns is in single precision again.

    Densities, sums over events and means over draws then have all digits of what the networks gave, which is
    where half precision would cost most: a sum of 784 terms has three digits left in bfloat16.

    Args:
        network: any module or callable.
        dtype: of the products, ``torch.bfloat16``.
    """

    def __init__(self, network: Callable[..., Any], dtype: torch.dtype) -> None:
        self.network = network
        self.dtype = dtype

    def __call__(self, *values: Any, **named: Any) -> Any:
        """What the network returns."""
        # Within another autocast the cast weights would be kept till its end, past steps of the optimiser.
        torch.clear_autocast_cache()
        with torch.autocast(_device(values, named), self.dtype):
            result = self.network(*values, **named)
        torch.clear_autocast_cache()
        return widened(result)


def widened(value: Any) -> Any:
    """A result of a network with its tensors of half precision in single precision.

    Example:
        >>> widened((torch.ones(2, dtype=torch.bfloat16), torch.zeros(1, dtype=torch.int64)))
        (tensor([1., 1.]), tensor([0]))
    """
    if isinstance(value, Tensor):
        return value.float() if value.dtype in HALVES else value
    if isinstance(value, PackedSequence):
        return value._replace(data=widened(value.data))
    if isinstance(value, Mapping):
        return {name: widened(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [widened(part) for part in value]
        named = bool(getattr(value, "_fields", ()))
        return type(value)(*parts) if named else type(value)(parts)
    return value


def surrounding(device: str) -> torch.dtype | None:
    """The precision that a `torch.autocast` around a call asks for, or None where there is none."""
    if has_autocast(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None


def full_precision(device: str) -> AbstractContextManager[object]:
    """Inside, a `torch.autocast` around has no effect."""
    return nullcontext() if surrounding(device) is None else torch.autocast(device, enabled=False)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def has_autocast(device: str) -> bool:
    """Whether a kind of device has autocast; to ask others, as ``meta``, whether it is on is an error."""
    return torch.amp.is_autocast_available(device)


def _device(values: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """The kind of device on which a network is called."""
    for value in (*values, *named.values()):
        if isinstance(value, PackedSequence):
            return value.data.device.type
        if isinstance(value, Tensor):
            return value.device.type
    return "cpu"
