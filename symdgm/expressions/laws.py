"""A reference to a distribution, with all that rewriting and lowering may know of it."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Basic

from symdgm.expressions.families import Family


@dataclass(frozen=True)
class Law:
    """A reference to one bound factor.

    Args:
        identity: the factor's number; two factors that print alike have different ones.
        node: the reference, such as ``q(z|x)``.
        values: its actual values, in the order of the formal variables.
        givens: its actual givens, likewise.
        family: its formulas, or None where it has none.
        family_name: for messages.
        finite: whether its support is a finite set.
        kind: ``density``, ``deterministic``, ``data``, ``aggregated`` over the data, or ``path`` of a whole
            sequence.
        pathwise: whether a draw carries the gradient by all that its law depends on.
        stratified: whether it has finitely many components, each of which is pathwise.
        fixed: whether nothing that is trained or given enters the law, so that a draw needs no gradient.
        stopped: whether no gradient goes through its parameters.
        scored: whether its draws have a normalised log-density.
        drawn: whether there are draws of it; of some only the log-density is known.
    """

    identity: int
    node: Basic
    values: tuple[Basic, ...]
    givens: tuple[Basic, ...]
    family: Family | None
    family_name: str
    finite: bool
    kind: str = "density"
    pathwise: bool = False
    stratified: bool = False
    fixed: bool = False
    stopped: bool = False
    scored: bool = True
    drawn: bool = True
