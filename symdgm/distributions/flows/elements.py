"""Monotone maps of one number, with coefficients from a network: what couplings and autoregression apply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from symdgm.errors import ParameterError


class Element(ABC):
    """An increasing map of each element; at coefficients of zero it is the identity."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many coefficients each element takes."""

    @abstractmethod
    def apply(self, x: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """The image of each element and the logarithm of its slope.

        Args:
            x: the elements, any shape.
            coefficients: the same shape and one axis more, of length `count`.
        """

    @abstractmethod
    def invert(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """The element whose image is ``z``, and the logarithm of the slope of the inverse."""


@final
@dataclass(frozen=True)
class Affine(Element):
    r"""``z = x e^s + t``, with ``s`` kept between two bounds, so that training cannot blow up.

    .. math:: s = b \tanh(s_\text{raw} / b)

    Args:
        bound: the greatest absolute value ``b`` of the logarithm of the scale.

    Raises:
        ParameterError: the bound is not positive.

    Example:
        >>> Affine().apply(torch.tensor([2.0]), torch.tensor([[0.0, 1.0]]))
        (tensor([3.]), tensor([0.]))
    """

    bound: float = 3.0

    def __post_init__(self) -> None:
        check_positive("bound", self.bound, "Affine")

    @property
    def count(self) -> int:
        """Two: the log-scale and the shift."""
        return 2

    def apply(self, x: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """``x e^s + t`` and ``s``."""
        s, t = self._scale_and_shift(coefficients)
        return x * s.exp() + t, s

    def invert(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """``(z - t) e^{-s}`` and ``-s``."""
        s, t = self._scale_and_shift(coefficients)
        return (z - t) * (-s).exp(), -s

    def _scale_and_shift(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        # Along the axis of the channels, as networks return them: the gradient is then put together in place.
        axis = min(1, coefficients.ndim - 1)
        raw, shift = coefficients.movedim(-1, axis).unbind(axis)
        return self.bound * torch.tanh(raw / self.bound), shift


@final
@dataclass(frozen=True)
class Additive(Element):
    """``z = x + t``: volumes are kept (NICE).

    Example:
        >>> Additive().apply(torch.tensor([2.0]), torch.tensor([[1.0]]))
        (tensor([3.]), tensor([0.]))
    """

    @property
    def count(self) -> int:
        """One: the shift."""
        return 1

    def apply(self, x: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """``x + t`` and zero."""
        z = x + coefficients.squeeze(-1)
        return z, torch.zeros_like(z)

    def invert(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """``z - t`` and zero."""
        x = z - coefficients.squeeze(-1)
        return x, torch.zeros_like(x)


def check_positive(option: str, value: float, owner: str) -> None:
    """Refuse a number that is not positive and finite."""
    if not 0 < value < float("inf"):
        raise ParameterError(f"`{option}` of {owner} is {value!r}", hint="write a positive number")
