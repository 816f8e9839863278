"""Scalars that estimators have: temperatures and weights."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Scalar = float | Tensor | Callable[[int], object]
"""A number, a 0-d tensor, a trained parameter, or a function of the training step."""
