"""The networks of distributions and formulas, and what the generated code calls them."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Basic

from symdgm.distributions import Data, Deterministic, Distribution, Family, NetworkSource
from symdgm.distributions.networks import Network
from symdgm.lowering.naming import identifier, snake

GENERIC = (
    "Formula", "Sequential", "Module", "ModuleList", "Linear", "network", "forward", "function", "method",
)  # fmt: skip
"""Labels that say nothing about what a network is for."""


def sources_of(distribution: Distribution) -> tuple[NetworkSource, ...]:
    """The networks of a distribution; data have none."""
    return distribution.sources if isinstance(distribution, Family | Deterministic) else ()


def is_opaque(distribution: Distribution) -> bool:
    """Whether a distribution is computed by its own methods: it is of no family, and no function."""
    return not isinstance(distribution, Family | Deterministic | Data)


def function_source(name: str, call: Network, arity: int) -> NetworkSource:
    """A function of the formula as a network that returns one tensor."""
    arguments = tuple(f"argument {i + 1}" for i in range(arity))
    return NetworkSource(
        label=name,
        call=call,
        arguments=arguments,
        by_keyword=False,
        names=None,
        alternatives=(("value",),),
        family=f"the function {name}",
        any_dtype=True,
    )


def network_name(source: NetworkSource, origin: Basic, named: Mapping[str, object]) -> str:
    """How a network is called in the generated code: as it was bound, by its class, or by its factor."""
    for name, call in named.items():
        if call is source.call:
            return identifier(name)
    if source.label not in GENERIC and source.label.isidentifier():
        return snake(source.label)
    return identifier(f"{origin.args[0]}_network")
