"""Fused log-densities of an element, where a family's formula would not do."""

from __future__ import annotations

from dataclasses import dataclass

from symdgm.lowering.operands import ATOM, UNARY, Operand


def bernoulli_logits(x: Operand, logits: Operand) -> tuple[str, int]:
    """The cross-entropy of a value whose axes are among those of the logits."""
    target = x.text if x.axes == logits.axes else f"{x.at(ATOM)}.expand_as({logits.text})"
    return f'-binary_cross_entropy_with_logits({logits.text}, {target}, reduction="none")', UNARY


@dataclass(frozen=True)
class Lookup:
    """Classes to look up in a table; `torch.gather` refuses a class that the table does not have.

    Args:
        table: the parameters, the classes last.
        index: the numbers of classes, with a last axis of length one.
        spread: what expands the table over the axes that only the index has, or nothing.
    """

    table: Operand
    index: str
    spread: str

    def entry(self, function: str = "") -> str:
        """The entries of the table, after a function over its classes."""
        return f"{self.table.at(ATOM)}{function}{self.spread}.gather(-1, {self.index})[..., 0]"


def log_entry(lookup: Lookup, parameter: str) -> str:
    """The log-probabilities of classes; the logarithm of probabilities comes last."""
    return f"{lookup.entry()}.log()" if parameter == "probs" else lookup.entry(".log_softmax(-1)")
