"""Binding: from what was written to what is meant. Names become references to what is bound."""

from __future__ import annotations

from collections.abc import Collection

from sympy import Basic

from symdgm.binding.aggregated import observed_names
from symdgm.binding.bound import Bound
from symdgm.binding.environment import Environment
from symdgm.binding.plates import note_sizes
from symdgm.binding.read_aggregates import read_aggregate
from symdgm.binding.read_derivative import read_derivative
from symdgm.binding.read_divergences import read_cross_entropy, read_entropy
from symdgm.binding.read_indices import (
    as_it_is,
    read_applied,
    read_indexed,
    read_indexed_argument,
    read_labelled,
    read_labelled_argument,
    read_name,
)
from symdgm.binding.read_information import read_information
from symdgm.binding.read_laws import read_density, read_expectation
from symdgm.binding.read_products import read_power, read_quotient
from symdgm.binding.read_sample_divergence import read_any_divergence
from symdgm.binding.reader import Reader, ReadNode
from symdgm.binding.written import Excerpt, Written
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Power, Quotient
from symdgm.expressions.calculus import DerivativeBy
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import (
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Labelled, Name, Subscripted
from symdgm.expressions.resolved import Component, EntryOf, OwnRow, RowOf


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
    note_sizes(expression, environment)
    environment.observed = observed_names(expression, environment)
    reader = Reader(environment, text or Excerpt(expression), observed, READERS, ARGUMENTS)
    reader.dummies = frozenset(a.index.variable for a in nodes(expression, Aggregate))
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
    Name: read_name,
    Subscripted: read_indexed,
    Labelled: read_labelled,
    Apply: read_applied,
    Aggregate: read_aggregate,
    Quotient: read_quotient,
    Power: read_power,
    MutualInformation: read_information,
    **dict.fromkeys((Component, RowOf, EntryOf, OwnRow), as_it_is),
    Density: read_density,
    Expect: read_expectation,
    DivergenceBetween: read_any_divergence,
    Entropy: read_entropy,
    CrossEntropy: read_cross_entropy,
    DerivativeBy: read_derivative,
}
"""What reads each kind of node."""
ARGUMENTS: dict[type, ReadNode] = {Subscripted: read_indexed_argument, Labelled: read_labelled_argument}
"""What reads each kind of name where an observed variable may stand."""
