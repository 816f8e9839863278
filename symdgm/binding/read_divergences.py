"""Reading what compares laws or measures one: divergences, cross-entropies and entropies, of products too."""

from __future__ import annotations

from sympy import Basic

from symdgm.binding.environment import Environment, listing
from symdgm.binding.factors import Factor, Match, values_of
from symdgm.binding.known_integrals import refuse_infinite
from symdgm.binding.read_laws import names_of, read_law
from symdgm.binding.read_time import refuse_marginal
from symdgm.binding.reader import Reader
from symdgm.binding.resolve import resolve
from symdgm.errors import NameResolutionError, SymdgmError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.places import value_names


def read_divergence(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A divergence between two laws over the same variables.

    Raises:
        SupportError: it is infinite, since the first law takes values that the second one cannot.
    """
    left = _side(reader, node.args[1], scope)
    right = _compared(reader, "a divergence", left, node.args[2], scope)
    _refuse_infinite(reader.environment, node.kind, left, right)
    return DivergenceBetween(node.args[0], left, right, *(reader.read(a, scope) for a in node.args[3:]))


def read_entropy(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """The entropy of a law."""
    return Entropy(_side(reader, node.args[0], scope))


def read_cross_entropy(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """The cross-entropy of two laws over the same variables."""
    left = _side(reader, node.args[0], scope)
    return CrossEntropy(left, _compared(reader, "a cross-entropy", left, node.args[1], scope))


def _side(
    reader: Reader, node: Basic, scope: frozenset[Basic], over: tuple[Basic, ...] | None = None
) -> Basic:
    """A law, or a product of laws such as ``q(z|x) q(w|z)``, whose variables are its own."""
    if not isinstance(node, Times):
        law = read_law(reader, node, scope, over=over)
        try:
            refuse_marginal(reader.environment, node, law)
        except SymdgmError as error:
            raise reader.pointed(error, node) from None
        return law
    inside = scope | set(value_names(node))
    laws = [read_law(reader, part, inside) for part in node.args]
    drawn = [v for law in laws for v in values_of(law)]
    twice = next((v for i, v in enumerate(drawn) if v in drawn[:i]), None)
    if twice is not None:
        raise NameResolutionError(
            f"two factors of `{node}` are over `{twice}`",
            hint="a product of laws is a law only if each variable has one factor",
        )
    return Times(*laws)


def _compared(reader: Reader, what: str, left: Basic, node: Basic, scope: frozenset[Basic]) -> Basic:
    """The second of two laws, which must be over the variables of the first."""
    ours = _variables(left)
    if isinstance(node, Aggregate) and node.kind == "prod":
        return reader.read(node, scope | set(ours))
    right = _side(reader, node, scope, over=ours)
    if set(ours) != set(_variables(right)):
        heads = [law.args[0] for law in (right.args if isinstance(right, Times) else (right,))]
        raise NameResolutionError(
            f"{what} compares two distributions over the same variables, but `{left}` is over "
            f"{names_of(ours)} and `{right}` over {names_of(_variables(right))}",
            hint="; ".join(f"factors of `{h}`: {listing(reader.environment.named(h))}" for h in heads),
        )
    return right


def _variables(law: Basic) -> tuple[Basic, ...]:
    """The variables of a law or of a product of laws."""
    return tuple(v for part in (law.args if isinstance(law, Times) else (law,)) for v in values_of(part))


def _refuse_infinite(environment: Environment, kind: str, left: Basic, right: Basic) -> None:
    """Look at the factors of both sides over the same variables."""
    theirs = {frozenset(f.variables): f for f in _factors(environment, right)}
    for factor in _factors(environment, left):
        other = theirs.get(frozenset(factor.variables))
        if other is not None:
            refuse_infinite(kind, factor.distribution, other.distribution)


def _factors(environment: Environment, law: Basic) -> list[Factor]:
    """The bound factors of a law, as far as it is made of such."""
    if isinstance(law, Times):
        return [f for part in law.args for f in _factors(environment, part)]
    if not isinstance(law, Apply | Density):
        return []
    found = resolve(environment, law)
    if isinstance(found, Match):
        return [found.factor]
    return found if isinstance(found, list) else []
