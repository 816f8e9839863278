"""Fused, stable log-densities of an element, by family and parameter; a family without an entry is lowered from its formula."""

from __future__ import annotations

from collections.abc import Callable

from symdgm.lowering.operands import ATOM, UNARY, Operand

Kernel = Callable[[Operand, Operand], tuple[str, int]]
"""From the value and the parameter to the text of the log-density, and how tightly it binds."""


def _bernoulli_logits(x: Operand, logits: Operand) -> tuple[str, int]:
    target = x.text if x.axes == logits.axes else f"{x.at(ATOM)}.expand_as({logits.text})"
    if len(x.axes) > len(logits.axes) or not set(x.axes) <= set(logits.axes):
        return f"({x.at(UNARY)} * {logits.at(UNARY)} - softplus({logits.text}, threshold=50))", ATOM
    return f'-binary_cross_entropy_with_logits({logits.text}, {target}, reduction="none")', UNARY


def _bernoulli_probs(x: Operand, probs: Operand) -> tuple[str, int]:
    return f"(torch.xlogy({x.text}, {probs.text}) + torch.special.xlog1py(1 - {x.at(UNARY)}, {_negative(probs)}))", ATOM


def _categorical_logits(y: Operand, logits: Operand) -> tuple[str, int]:
    return f"torch.take_along_dim({logits.at(ATOM)}.log_softmax(-1), {y.at(ATOM)}[..., None], -1)[..., 0]", ATOM


def _categorical_probs(y: Operand, probs: Operand) -> tuple[str, int]:
    return f"torch.take_along_dim({probs.text}, {y.at(ATOM)}[..., None], -1)[..., 0].log()", ATOM


def _one_hot_logits(y: Operand, logits: Operand) -> tuple[str, int]:
    return f"({y.at(UNARY)} * {logits.at(ATOM)}.log_softmax(-1))", ATOM


def _one_hot_probs(y: Operand, probs: Operand) -> tuple[str, int]:
    return f"torch.xlogy({y.text}, {probs.text})", ATOM


def _negative(operand: Operand) -> str:
    return f"-{operand.at(UNARY)}"


KERNELS: dict[tuple[str, str], Kernel] = {
    ("Bernoulli", "logits"): _bernoulli_logits,
    ("Bernoulli", "probs"): _bernoulli_probs,
    ("Categorical", "logits"): _categorical_logits,
    ("Categorical", "probs"): _categorical_probs,
    ("OneHotCategorical", "logits"): _one_hot_logits,
    ("OneHotCategorical", "probs"): _one_hot_probs,
}
