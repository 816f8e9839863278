"""Laws of observed sequences whose latent chain is summed or integrated out exactly: ``p(x_{1:T})``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sympy import Basic, Integer
from sympy.core.symbol import Str

from symdgm.binding.environment import Environment, listing
from symdgm.binding.factors import Factor, Match, givens_of, reference, values_of
from symdgm.binding.paths import depends, first_factor, from_outside, mentions_time, step_factor, timeline
from symdgm.binding.timeline import Timeline
from symdgm.distributions import Deterministic, Family
from symdgm.distributions.linear_gaussian import GAUSSIAN, weights_of
from symdgm.errors import NotSupportedError
from symdgm.expressions.arithmetic import times
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import base


class Sort(Enum):
    """Which chains have an exact marginal."""

    FINITE = "finite"
    LINEAR = "linear-Gaussian"


@dataclass(frozen=True, eq=False, kw_only=True)
class Chain(Factor):
    """The law of observed sequences, without the latent chain that they depend on.

    Args:
        sort: how the chain is left out.
        latent: the factor of a step of the chain, ``p(z_t|z_{t-1})``.
        emissions: the factors of the observed steps, ``p(x_t|z_t)``.
    """

    sort: Sort
    latent: Factor
    emissions: tuple[Factor, ...]

    @property
    def sequence(self) -> Basic:
        """The latent sequence, without its index."""
        return base(self.latent.variables[0])

    @property
    def joint(self) -> tuple[Factor, ...]:
        """The factors of a step, ``p(x_t|z_t)`` and ``p(z_t|z_{t-1})``."""
        return (*self.emissions, self.latent)

    def path(self, environment: Environment) -> Basic:
        """The latent sequence as a whole, ``z_{1:T}``."""
        return timeline(environment).whole(self.sequence)


def exact_chain(environment: Environment, node: Basic, scope: frozenset[Basic]) -> Match | None:
    """The law ``p(x_{1:T})`` that leaves a latent chain out; it is made once.

    None where nothing is left out: every sequence that a step depends on is named, observed or bound.

    Args:
        environment: what is bound.
        node: the density.
        scope: the variables that expectations around it bind.

    Raises:
        NotSupportedError: what is left out is neither finite nor linear-Gaussian, or no chain.
    """
    emissions = _emissions(environment, node)
    if emissions is None:
        return None
    named = {base(v) for v in (*values_of(node), *givens_of(node), *scope)}
    if not _latent(environment, node.args[0], emissions, named, now=True):
        return None
    hidden = _latent(environment, node.args[0], emissions, named, now=False)
    chain = _chain(environment, node, emissions, hidden)
    known = [f for f in environment.factors if isinstance(f, Chain) and f.joint == chain.joint]
    if known:
        chain = known[0]
    else:
        environment.factors += (chain,)
    written = reference(node.args[0], values_of(node), chain.givens)
    return environment.match_derived(written) or Match(chain, chain.variables, chain.givens)


def is_posterior(environment: Environment, node: Basic) -> bool:
    """Whether a law is over latent sequences given what they generate, ``p(z_{1:T}|x_{1:T})``.

    It does not follow from the steps of the latent sequences alone: their product would be the prior. What is
    generated may depend on the step before only; where both depend on each other's past, as ``x_t`` on
    ``h_{t-1}`` and ``z_t`` too, that which depends on the other's step of now is what is generated.

    Args:
        environment: what is bound.
        node: the law.
    """
    time = environment.time
    if time is None or not any(time.is_range(g) for g in givens_of(node)):
        return False
    values, givens = (
        [base(v) for v in vs] for vs in (values_of(node), filter(time.is_range, givens_of(node)))
    )
    if _generates(environment, node.args[0], values, givens, now=True):
        return True
    past = _generates(environment, node.args[0], values, givens, now=False)
    return past and not _generates(environment, node.args[0], givens, values, now=False)


def _generates(
    environment: Environment, head: Basic, sources: Sequence[Basic], made: Sequence[Basic], *, now: bool
) -> bool:
    """Whether a step of some sequences depends on random steps of others, within one step or at all."""
    found = [step_factor(environment, sequence, head) for sequence in made]
    latent = _latent(environment, head, [f for f in found if f is not None], set(made), now=now)
    return any(base(f.variables[0]) in sources for f in latent)


def _emissions(environment: Environment, node: Basic) -> list[Factor] | None:
    """The factors of one step of the sequences that a density is over."""
    if not mentions_time(environment, node) or environment.data_law(node) is not None:
        return None
    time = timeline(environment)
    if not all(time.is_range(v) for v in values_of(node)):
        return None
    found = [step_factor(environment, base(v), node.args[0]) for v in values_of(node)]
    kept = [f for f in found if f is not None]
    return kept if len(kept) == len(found) else None


def _latent(
    environment: Environment, head: Basic, factors: Sequence[Factor], named: set[Basic], *, now: bool
) -> list[Factor]:
    """The factors of the sequences on which steps depend, and which nothing names.

    Args:
        environment: what is bound.
        head: the name of the distributions.
        factors: the factors of the steps.
        named: the sequences that are named.
        now: whether only dependence within one step counts.
    """
    time = timeline(environment)
    found: dict[Basic, Factor] = {}
    seen = set(named)
    waiting = [g for f in factors for g in f.givens]
    while waiting:
        given = waiting.pop(0)
        offset = time.offset(given)
        if base(given) in seen or offset is None or (now and offset != 0):
            continue
        seen.add(base(given))
        drawn = step_factor(environment, base(given), head)
        maker = drawn or step_factor(environment, base(given))
        if drawn is not None and not isinstance(drawn.distribution, Deterministic):
            found[base(given)] = drawn
        waiting += maker.givens if maker is not None else ()
    return list(found.values())


def _chain(
    environment: Environment, node: Basic, emissions: Sequence[Factor], hidden: Sequence[Factor]
) -> Chain:
    if len(hidden) != 1:
        raise _refused(environment, node, hidden, f"{listing(hidden)} are more than one latent chain")
    (latent,) = hidden
    why = _no_chain(environment, latent, emissions)
    if why:
        raise _refused(environment, node, hidden, why)
    sort = Sort.FINITE if _is_finite(latent) else Sort.LINEAR
    if sort is Sort.LINEAR:
        odd = [
            f for f in (latent, *emissions, *_first(environment, latent)) if not _is_linear(environment, f)
        ]
        if odd:
            verb = "is" if len(odd) == 1 else "are"
            why = f"{listing(odd)} {verb} neither finite nor linear-Gaussian"
            raise _refused(environment, node, hidden, why)
    own = {base(v) for f in (*emissions, latent) for v in f.variables}
    outer = dict.fromkeys(from_outside(environment, timeline(environment), (*emissions, latent), own))
    time = timeline(environment)
    values = [time.whole(base(v)) for e in emissions for v in e.variables]
    whole = reference(node.args[0], values, list(outer))
    return Chain(
        len(environment.factors),
        whole,
        emissions[0].distribution,
        True,
        sort=sort,
        latent=latent,
        emissions=tuple(emissions),
    )


def _is_finite(factor: Factor) -> bool:
    return isinstance(factor.distribution, Family) and factor.distribution.finite


def _first(environment: Environment, latent: Factor) -> list[Factor]:
    first = first_factor(environment, latent)
    return [] if first is None else [first]


def _no_chain(environment: Environment, latent: Factor, emissions: Sequence[Factor]) -> str:
    """Why some factors are no chain with observations; empty if they are."""
    time = timeline(environment)
    sequence = base(latent.variables[0])
    for factor in (latent, *emissions):
        lag = -1 if factor is latent else 0
        for given in factor.givens:
            if base(given) == sequence and time.offset(given) != lag:
                return f"`{factor.node}` is given `{given}`, but only `{time.step(sequence, lag)}` may be"
            if (
                time.covers(given)
                and base(given) != sequence
                and depends(environment, base(given), {sequence})
            ):
                return f"`{given}` depends on `{time.step(sequence, -1)}` too"
    begun = [f for e in emissions for f in _first(environment, e)]
    return f"{listing(begun)} is an observation with a factor of its own" if begun else ""


def _is_linear(environment: Environment, factor: Factor) -> bool:
    """Whether a factor is Gaussian with a mean that is linear in what it is given, or over the first step."""
    distribution, time = factor.distribution, timeline(environment)
    if not isinstance(distribution, GAUSSIAN):
        return False
    if time.number(factor.variables[0]) is not None:
        return True
    assert isinstance(distribution, Family)
    return bool(factor.givens) and weights_of(distribution) is not None


def joint_over_time(environment: Environment, chain: Chain) -> Basic:
    """``prod_t p(x_t|z_t) p(z_t|z_{t-1})``; a law of the first state stands apart."""
    time = timeline(environment)
    emissions = [e.node for e in chain.emissions]
    first = _first(environment, chain.latent)
    if not first:
        return _product(time, 1, *emissions, chain.latent.node)
    return times(_product(time, 1, *emissions), first[0].node, _product(time, 2, chain.latent.node))


def _product(time: Timeline, start: int, *factors: Basic) -> Basic:
    body = times(*factors) if len(factors) > 1 else factors[0]
    return Aggregate(Str("prod"), body, Index(time.index, Integer(start), time.length))


def _refused(environment: Environment, node: Basic, hidden: Sequence[Factor], why: str) -> NotSupportedError:
    time = timeline(environment)
    latents = ", ".join(str(time.whole(base(f.variables[0]))) for f in hidden)
    values = ", ".join(map(str, values_of(node)))
    q, p = f"q({latents}|{values})", node.args[0]
    return NotSupportedError(
        f"`{node}` leaves out `{latents}`, which has no closed form: {why}",
        hint=f"bind a law of its steps and write the bound over its path, "
        f"`E_{q}[log {p}({values}|{latents})] - KL[{q}||{p}({latents})]`",
    )
