"""Latent steps behind given ones, drawn from the exact posterior of a chain that no factor infers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sympy import Basic
from torch import Tensor

from symdgm.binding.factors import reference
from symdgm.binding.paths import timeline
from symdgm.chain import Chain
from symdgm.errors import DataError, NameResolutionError, NotSupportedError
from symdgm.expressions.names import base, spelled
from symdgm.generation import Generator
from symdgm.roles import Roles, is_certain


def latent_steps(
    roles: Roles, given: Mapping[Basic, int], read: Callable[[Basic, int], Tensor]
) -> dict[Basic, Tensor]:
    """A draw of ``p(z_{1:T}|x_{1:T})`` up to the last given step; nothing where no chain is exact.

    Args:
        roles: what each factor is for.
        given: how many steps of which sequences are given.
        read: the value of a variable, ``[n, *event]``, or of so many first steps, ``[n, steps, *event]``.

    Returns:
        Latent sequence → ``[n, steps, *event]``.

    Raises:
        DataError: the observed sequences are given for different numbers of steps.
    """
    known = [s for s in roles.generated() if s in given]
    extents = {given[s] for s in known}
    if len(extents) > 1:
        listed = ", ".join(f"`{spelled(s)}` for {given[s]} steps" for s in known)
        raise DataError(f"a chain is inferred from {listed}", hint="give all of them for as many steps")
    chain = _chain(roles, known)
    if chain is None:
        return {}
    (steps,) = extents
    names = {name: read(node, steps) for name, node in _inputs(chain, roles).items()}
    return {chain.chain.sequence: chain.sample(names)}


def _chain(roles: Roles, known: list[Basic]) -> Chain | None:
    """The chain of the generative factors behind some sequences."""
    generator, time = roles.generator, roles.time
    factors = [f for f in generator.environment.factors if f.head == roles.head or is_certain(f)]
    own = [f for f in factors if not f.derived or is_certain(f)]
    density = reference(roles.head, [time.whole(s) for s in known], []) if roles.head is not None else None
    names: dict[str, Any] = {f"{spelled(s)}_0": v for s, v in time.initial.items()}
    names |= _shapes(generator, [v for f in own for v in f.variables])
    try:
        return Chain(str(density), *(f.distribution for f in own), **names)
    except (NotSupportedError, NameResolutionError):
        return None


def _shapes(generator: Generator, variables: list[Basic]) -> dict[str, tuple[int, ...]]:
    """The event shapes that were declared for some variables."""
    names = {name for v in variables for name in (spelled(v), spelled(base(v)))}
    return {name: tuple(s) for name, s in generator.environment.shapes.items() if name in names}


def _inputs(chain: Chain, roles: Roles) -> dict[str, Basic]:
    """The data of a chain: whole sequences, and what has no steps."""
    time = timeline(roles.generator.environment)
    sequences = {spelled(s): time.whole(s) for s in time.sequences}
    lengths = chain.objective.bound.lengths
    variables = {spelled(g): g for f in roles.generator.factors for g in f.givens}
    return {n: sequences.get(n, variables.get(n, time.length)) for n in chain.objective.data if n != lengths}
