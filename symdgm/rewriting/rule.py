"""Rules as data, and the record of what they did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sympy import Basic

from symdgm.rewriting.facts import Facts


class Kind(Enum):
    """What the two sides of a step are to each other."""

    EQUALITY = "equality"
    UNBIASED = "unbiased estimator"
    BIASED = "biased estimator"
    UP_TO_A_CONSTANT = "equality up to a constant"
    LOWER_BOUND = "estimator of a lower bound"
    LOWER = "lower bound"
    UPPER = "upper bound"
    ASSUMPTION = "assumption"

    @property
    def sign(self) -> str:
        """The sign between the two sides."""
        signs = {
            Kind.EQUALITY: "=",
            Kind.ASSUMPTION: "=",
            Kind.UP_TO_A_CONSTANT: "=",
            Kind.LOWER_BOUND: "≳",
            Kind.LOWER: "≤",
            Kind.UPPER: "≥",
        }
        return signs.get(self, "≈")


@dataclass(frozen=True)
class Rule:
    """One rewriting rule.

    Args:
        name: what it is called in a derivation.
        kind: what the two sides are to each other.
        why: the reason, in the words of the field.
        apply: the new form of a node, or None where the rule does not apply.
        at: the types of the nodes to which it may apply.
        reference: where to read about it.
        in_logs: whether it applies to what a logarithm is taken of.
    """

    name: str
    kind: Kind
    why: str
    apply: Callable[[Basic, Facts], Basic | None]
    at: tuple[type[Basic], ...]
    reference: str = ""
    in_logs: bool = True


@dataclass(frozen=True)
class Change:
    """One place where a rule was applied.

    Args:
        before: what stood there.
        after: what stands there now.
        note: words in place of what stands there now, with ``{0}``, ``{1}``, … for the formulas in them.
        formulas: these formulas.
    """

    before: Basic
    after: Basic
    note: str = ""
    formulas: tuple[Basic, ...] = ()


@dataclass(frozen=True)
class Step:
    """All applications of one rule in one pass, and the whole formula after it."""

    name: str
    kind: Kind
    why: str
    changes: tuple[Change, ...]
    result: Basic
    reference: str = ""
