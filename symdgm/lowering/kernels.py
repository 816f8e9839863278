"""Fused, stable log-densities of an element, by family and parameter; a family without an entry is lowered from its formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from symdgm.lowering.operands import ATOM, PRODUCT, SUM, UNARY, Operand
from symdgm.lowering.operations import xlogy

Kernel = Callable[[Operand, Operand], tuple[str, int]]
"""From the value and the parameter, aligned by axis, to the text of the log-density, and how tightly it binds."""


def _bernoulli_logits(x: Operand, logits: Operand) -> tuple[str, int]:
    if not set(x.axes) <= set(logits.axes):
        return f"({x.at(UNARY)} * {logits.at(UNARY)} - softplus({logits.text}, threshold=50))", ATOM
    target = x.text if x.axes == logits.axes else f"{x.at(ATOM)}.expand_as({logits.text})"
    return f'-binary_cross_entropy_with_logits({logits.text}, {target}, reduction="none")', UNARY


def _bernoulli_probs(x: Operand, probs: Operand) -> tuple[str, int]:
    return f"{xlogy(x, probs)} + {xlogy(_one_minus(x), _one_minus(probs))}", SUM


def _index_logits(y: Operand, logits: Operand) -> tuple[str, int]:
    return _picked(f"{logits.at(ATOM)}.log_softmax(-1)", y), ATOM


def _index_probs(y: Operand, probs: Operand) -> tuple[str, int]:
    return f"{_picked(probs.text, y)}.log()", ATOM


def _one_hot_logits(y: Operand, logits: Operand) -> tuple[str, int]:
    return f"{y.at(UNARY)} * {logits.at(ATOM)}.log_softmax(-1)", PRODUCT


def _one_hot_probs(y: Operand, probs: Operand) -> tuple[str, int]:
    return xlogy(y, probs), PRODUCT


def _picked(table: str, index: Operand) -> str:
    return f"torch.take_along_dim({table}, {index.at(ATOM)}[..., None], -1)[..., 0]"


def _one_minus(a: Operand) -> Operand:
    return replace(a, text=f"1 - {a.at(UNARY)}", level=SUM)


KERNELS: dict[tuple[str, str], Kernel] = {
    ("Bernoulli", "logits"): _bernoulli_logits,
    ("Bernoulli", "probs"): _bernoulli_probs,
    ("Categorical", "logits"): _index_logits,
    ("Categorical", "probs"): _index_probs,
    ("OneHotCategorical", "logits"): _one_hot_logits,
    ("OneHotCategorical", "probs"): _one_hot_probs,
}
