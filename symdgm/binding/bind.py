"""Binding: from what was written to what is meant. Names become references to what is bound."""

from __future__ import annotations

from collections.abc import Collection

from sympy import Basic

from symdgm.binding.bound import Bound
from symdgm.binding.environment import Environment
from symdgm.binding.factors import ATOMS
from symdgm.binding.read_laws import (
    read_cross_entropy,
    read_density,
    read_divergence,
    read_entropy,
    read_expectation,
)
from symdgm.binding.read_time import read_aggregate
from symdgm.binding.reader import Reader, ReadNode
from symdgm.binding.written import Excerpt, Written
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate


def bind(
    expression: Basic, environment: Environment, text: Written | None = None, observed: Collection[str] = ()
) -> Bound:
    """Resolve every name of a formula.

    Args:
        expression: the formula as it was read.
        environment: what is bound.
        text: where it was read, for carets.
        observed: names of variables that need not be declared by a factor.

    Raises:
        NameResolutionError: a name that refers to nothing or to several things; the candidates are listed.
        NotSupportedError: a construct that this version cannot compute; it is named.
    """
    reader = Reader(environment, text or Excerpt(expression), observed, READERS)
    bound = reader.read(expression, frozenset())
    return Bound(
        expression=bound,
        environment=environment,
        written=reader.written,
        resolutions=tuple(reader.resolutions.items()),
        data=reader.data_names(),
        scalars=tuple(reader.scalars),
        networks=tuple(reader.networks),
        text=text,
    )


READERS: dict[type, ReadNode] = {
    **dict.fromkeys(ATOMS, Reader.name),
    Apply: Reader.apply,
    Density: read_density,
    Expect: read_expectation,
    Aggregate: read_aggregate,
    DivergenceBetween: read_divergence,
    Entropy: read_entropy,
    CrossEntropy: read_cross_entropy,
}
"""What reads each kind of node."""
