"""What the rules may ask about what is bound; the binding room answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sympy import Basic

from symdgm.expressions.laws import Law


class Facts(Protocol):
    """The questions."""

    def law(self, node: Basic) -> Law | None:
        """The one factor that a reference names; None for a joint."""

    def factorise(self, node: Basic) -> Sequence[Basic] | None:
        """The factors of a joint by the chain rule, as references; None if it is none."""

    def over_time(self, node: Basic) -> Basic | None:
        """The product over time that a density of whole sequences is; None if it is none."""

    def is_time(self, index: Basic) -> bool:
        """Whether an index runs over the steps of sequences."""

    def parameters(self, law: Law, *, specialise: bool) -> Mapping[str, Basic]:
        """Parameter → the name that stands for it, or the number that it is where ``specialise`` is set."""

    def is_scalar(self, node: Basic) -> bool:
        """Whether a node is a number or a bound scalar."""
