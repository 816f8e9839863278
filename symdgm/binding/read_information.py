"""Mutual information ``I[x; z]``: the mean over the data of a divergence from the aggregated law."""

from __future__ import annotations

from sympy import Basic, Tuple
from sympy.core.symbol import Str

from symdgm.binding.aggregated import data_reference
from symdgm.binding.environment import listing
from symdgm.binding.factors import Factor, reference
from symdgm.binding.read_divergences import read_divergence
from symdgm.binding.reader import Reader
from symdgm.errors import NameResolutionError
from symdgm.expressions.expectations import Binder, DivergenceBetween, Expect


def read_information(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """``I[x; z] = E_data(x)[KL[q(z|x) || q(z)]]``, where ``q(z|x)`` is bound and ``x`` is observed.

    Raises:
        NameResolutionError: no factor, or more than one, is over the one given the other, which is observed.
    """
    sides = [tuple(side) for side in node.args]
    found = [f for f in reader.environment.factors if not f.derived and _is_between(f, sides)]
    observed = [f for f in found if set(f.givens) <= reader.environment.observed]
    if len(observed) != 1:
        data, latent = sides
        hint = f'bind it, as by `sd.Normal("{reference_text(data, latent)}", ...)`, and the data'
        raise NameResolutionError(
            f"`{node}` is the information between data and a variable that is inferred from them, for which "
            f"one factor is wanted: {listing(observed or found)}",
            hint=hint,
        )
    (factor,) = observed
    for given in factor.givens:
        reader.observe(given, argument=True)
    marginal = reference(factor.head, factor.variables, ())
    divergence = read_divergence(reader, DivergenceBetween(Str("KL"), factor.node, marginal), scope)
    return Expect(divergence, Binder(Tuple(), data_reference(reader.environment, factor.givens)))


def reference_text(data: tuple[Basic, ...], latent: tuple[Basic, ...]) -> str:
    """``q(z|x)``."""
    return f"q({','.join(map(str, latent))}|{','.join(map(str, data))})"


def _is_between(factor: Factor, sides: list[tuple[Basic, ...]]) -> bool:
    """Whether a factor is over one side given the other."""
    own = [set(factor.variables), set(factor.givens)]
    return own in ([set(s) for s in sides], [set(s) for s in reversed(sides)])
