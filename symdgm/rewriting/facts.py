"""What the rules may ask about what is bound; the binding room answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sympy import Basic

from symdgm.expressions.laws import Law


class Facts(Protocol):
    """The questions."""

    def law(self, node: Basic) -> Law | None:
        """The one factor that a reference names; None for a joint."""

    def factorise(self, node: Basic) -> Sequence[Basic] | None:
        """The factors of a joint by the chain rule, as references; None if it is none."""

    def read_now(self, law: Law) -> set[Basic]:
        """The variables of one step that a law reads, also where it is the first, and what makes them."""

    def over_time(self, node: Basic) -> Basic | None:
        """The product over time that a density of whole sequences is; None if it is none."""

    def is_time(self, index: Basic) -> bool:
        """Whether an index runs over the steps of sequences."""

    def parameters(self, law: Law, *, specialise: bool) -> Mapping[str, Basic]:
        """Parameter → the name that stands for it, or the number that it is where ``specialise`` is set."""

    def knows(self, what: str, *laws: Law) -> bool:
        """Whether laws know an integral by a method: ``mean``, ``variance``, ``entropy``, ``KL``."""

    def is_linear(self, law: Law) -> bool:
        """Whether a law's log-density is linear in the value, though it has no formulas."""

    def formals(self, law: Law) -> tuple[Basic, ...]:
        """The variables with which the factor was declared."""

    def reads(self, name: Basic) -> tuple[Basic, ...]:
        """What a name depends on: the givens of the law whose parameter it is, else itself."""

    def is_drawn(self, variables: Collection[Basic]) -> bool:
        """Whether a user asked for an estimator of one of some variables."""

    def rows(self, law: Law) -> tuple[Basic, Basic]:
        """What an aggregated law is the average of, and the data that it is averaged over."""

    def data_size(self, law: Law) -> int | None:
        """The number of rows of the data that an aggregated law is averaged over, where it is known."""

    def batch_size(self) -> Basic:
        """A name for the number of examples."""

    def is_scalar(self, node: Basic) -> bool:
        """Whether a node is a number or a bound scalar."""

    def value(self, node: Basic) -> float | None:
        """The present value of a bound scalar; None for what is none."""
