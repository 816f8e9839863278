"""Fused log-densities of an element, where a family's formula would not do."""

from __future__ import annotations

from collections.abc import Callable

from symdgm.lowering.operands import ATOM, UNARY, Operand

Kernel = Callable[[Operand, Operand], tuple[str, int]]
"""From the value and the parameter, aligned by axis, to the log-density, and how tightly its text binds."""


def bernoulli_logits(x: Operand, logits: Operand) -> tuple[str, int]:
    """The cross-entropy of a value whose axes are among those of the logits."""
    target = x.text if x.axes == logits.axes else f"{x.at(ATOM)}.expand_as({logits.text})"
    return f'-binary_cross_entropy_with_logits({logits.text}, {target}, reduction="none")', UNARY


def index_logits(y: Operand, logits: Operand) -> tuple[str, int]:
    """The entry of a class, where y has an axis of length one for the classes."""
    return f"torch.take_along_dim({logits.at(ATOM)}.log_softmax(-1), {y.text}, -1)[..., 0]", ATOM


def index_probs(y: Operand, probs: Operand) -> tuple[str, int]:
    """The logarithm of `picked`."""
    return f"{picked(y, probs)}.log()", ATOM


def picked(y: Operand, probs: Operand) -> str:
    """The probability of a class, where y has an axis of length one for the classes."""
    return f"torch.take_along_dim({probs.text}, {y.text}, -1)[..., 0]"


INDEXED: dict[str, Kernel] = {"logits": index_logits, "probs": index_probs}
"""The kernels of a categorical law, whose values are numbers of classes."""
