"""Reading divergences that are computed from draws of two laws, whatever their densities."""

from __future__ import annotations

from sympy import Basic, Integer

from symdgm.binding.factors import ATOMS, Match
from symdgm.binding.read_divergences import read_divergence
from symdgm.binding.reader import Reader
from symdgm.binding.sample_laws import Sampled, sampled
from symdgm.errors import NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.arithmetic import Power
from symdgm.expressions.expectations import SAMPLED, DivergenceBetween


def read_any_divergence(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A divergence of either kind: by densities, or by draws."""
    by_draws = isinstance(node, DivergenceBetween) and node.kind in SAMPLED
    return read_sample_divergence(reader, node, scope) if by_draws else read_divergence(reader, node, scope)


def read_sample_divergence(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A divergence between two laws that can be drawn from, over the same variables.

    Raises:
        NameResolutionError: a law that nothing draws, or laws over different variables.
        NotSupportedError: the square of what is a square already.
    """
    _refuse_square(reader, node)
    left, right = node.args[1:3]
    if isinstance(left, ATOMS) and not isinstance(right, ATOMS):  # it is over what the other side is over
        second = _side(reader, right, scope, None)
        first = _side(reader, left, scope, second.values)
    else:
        first = _side(reader, left, scope, None)
        second = _side(reader, right, scope, first.values)
    if set(first.values) != set(second.values):
        raise NameResolutionError(
            f"a divergence compares two distributions over the same variables, but `{first.node}` is over "
            f"{_names(first.values)} and `{second.node}` over {_names(second.values)}",
            hint="write both laws with their variables, as in `MMD[q(z) || p(z)]`",
        )
    return node.func(node.args[0], first.node, second.node, *node.args[3:])


def _side(reader: Reader, law: Basic, scope: frozenset[Basic], over: tuple[Basic, ...] | None) -> Sampled:
    """One law; what it is given, and the rows that it reads, are noted."""
    try:
        found = _read_givens(reader, sampled(reader.environment, law, over), scope)
    except SymdgmError as error:
        raise reader.pointed(error, law) from error.__cause__
    for row in found.rows:
        reader.observe(row, argument=True, row=True)
    if found.node != law:
        reader.resolutions.setdefault(law, found.node)
    return found


def _read_givens(reader: Reader, law: Sampled, scope: frozenset[Basic]) -> Sampled:
    read = tuple(reader.argument(g, scope) for g in law.givens)
    if read == law.givens or len(law.matches) != 1 or law.stopped:
        return law
    own = Match(law.matches[0].factor, law.values, read)
    return Sampled(own.node, own.values, (own,), givens=own.givens)


def _refuse_square(reader: Reader, node: Basic) -> None:
    """Refuse ``MMD^2[q || p]``, which papers write for what ``MMD[q || p]`` is here."""
    parent = reader.path[-2] if len(reader.path) > 1 else None
    squared = isinstance(parent, Power) and parent.args[1] == Integer(2)
    if squared and node.kind == "MMD":
        raise NotSupportedError(
            f"`{node}` is the squared MMD already, so its square can be read in two ways",
            hint=f"write `{node}` for the squared MMD, or `{node} * {node}` for the square of that",
        )


def _names(variables: tuple[Basic, ...]) -> str:
    return ", ".join(f"`{v}`" for v in variables)
