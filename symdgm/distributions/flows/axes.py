"""The axes of a flow's values: batch, channels, and what lies behind them."""

from __future__ import annotations

from math import prod

from torch import Tensor

from symdgm.distributions.shapes import show
from symdgm.errors import ParameterError, ShapeError


def sum_event(slopes: Tensor, leading: int = 1) -> Tensor:
    """The sum over all but the leading axes.

    Example:
        >>> import torch
        >>> sum_event(torch.ones(2, 3, 4))
        tensor([12., 12.])
    """
    return slopes if slopes.ndim == leading else slopes.flatten(leading).sum(-1)


def pixels(x: Tensor) -> int:
    """How many values each channel has: 1 for a vector, ``H W`` for an image."""
    return prod(x.shape[2:])


def per_channel(coefficients: Tensor, x: Tensor) -> Tensor:
    """Coefficients ``[C]`` viewed so that they broadcast over ``[batch, C, ...]``."""
    return coefficients.view(-1, *[1] * (x.ndim - 2))


def read_count(value: int, option: str, owner: str, least: int = 1) -> int:
    """A number of features, channels or bins.

    Raises:
        ParameterError: it is no int, or too small.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ParameterError(
            f"`{option}` of {owner} is {value!r}", hint=f"write a whole number of at least {least}"
        )
    return value


def check_channels(x: Tensor, channels: int, owner: str) -> None:
    """Refuse values whose first axis behind the batch is not that of the channels."""
    if x.ndim < 2 or x.shape[1] != channels:
        raise ShapeError(
            f"{owner} is over {channels} channels, but got values of shape {show(x.shape)}",
            hint=f"values are [batch, {channels}] or [batch, {channels}, height, width]",
        )


def check_features(x: Tensor, features: int, owner: str) -> None:
    """Refuse values that are not vectors of the right length."""
    if x.ndim != 2 or x.shape[1] != features:
        raise ShapeError(
            f"{owner} is over vectors of {features}, but got values of shape {show(x.shape)}",
            hint=f"values are [batch, {features}]; `Flatten(event_shape)` makes vectors of images",
        )


def check_event(x: Tensor, event_shape: tuple[int, ...], owner: str) -> None:
    """Refuse values of another event shape."""
    if x.shape[1:] != event_shape:
        raise ShapeError(
            f"{owner} is over the event {show(event_shape)}, but got values of shape {show(x.shape)}",
            hint="values are [batch, *event]",
        )


def check_context(context: Tensor | None, features: int, owner: str) -> Tensor:
    """Refuse a context that is missing or has another number of features."""
    if context is None:
        raise ShapeError(
            f"{owner} takes a context of {features} features, but got none",
            hint="pass it as the second argument, `flow(x, context)`",
        )
    if context.ndim < 2 or context.shape[1] != features:
        raise ShapeError(
            f"{owner} takes a context of {features} features, but got one of shape {show(context.shape)}",
            hint=f"a context is [batch, {features}]",
        )
    return context
