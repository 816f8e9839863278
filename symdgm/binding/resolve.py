"""Resolution of references to distributions, by the rules of probability (LANGUAGE.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic

from symdgm.binding.aggregated import aggregate_rows
from symdgm.binding.chains import is_posterior
from symdgm.binding.derive_law import derive_law
from symdgm.binding.environment import Environment, called_nothing, is_data_name, listing
from symdgm.binding.factors import DataLaw, Factor, Match, givens_of, product, reference, values_of
from symdgm.binding.given_the_past import given_the_past
from symdgm.binding.joint_values import joint_at
from symdgm.binding.paths import mentions_time, resolve_path
from symdgm.binding.unsupported import LAWS
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.names import Name, Subscripted, base, spelled
from symdgm.expressions.statements import Definition

Law = Match | DataLaw | list[Factor]
"""What a reference stands for: one factor, the data, or the factors of a joint."""


def resolve(environment: Environment, node: Basic) -> Law:
    """What a reference with its variables written stands for.

    Raises:
        NameResolutionError: if nothing that is bound fits; the candidates are listed.
        NotSupportedError: for a marginal or a posterior that has no exact sum.
    """
    data = environment.data_law(node)
    if data is not None:
        return data
    matched = environment.match(node)
    if matched is not None:
        _refuse_whole_sequences(environment, matched.factor)
        return matched
    if is_posterior(environment, node):
        raise _posterior(node)
    past = given_the_past(environment, node)
    if past:
        return past[0] if len(past) == 1 else [match.factor for match in past]
    if mentions_time(environment, node):
        return resolve_path(environment, node)
    factors = environment.joint(node)
    if factors:
        return factors
    parts = joint_at(environment, node)
    if parts:
        return [match.factor for match in parts]
    derived = derive_law(environment, node) or aggregate_rows(environment, node)
    if derived is not None:
        return derived
    raise _unresolved(environment, node)


def _refuse_whole_sequences(environment: Environment, factor: Factor) -> None:
    """Refuse a law of one variable by a network that would read sequences of different lengths."""
    time = environment.time
    if time is None or factor.derived or any(map(time.covers, factor.variables)):
        return
    whole = next((g for g in factor.givens if time.is_range(g)), None)
    if whole is not None:
        last = Subscripted(Name("h"), time.length)
        raise NotSupportedError(
            f"`{factor.node}` is given a whole sequence, which this version cannot compute yet",
            hint=f"let a recurrence read it, `h_t = rnn({time.step(base(whole))}, h_{{t-1}})`, and bind "
            f"`{reference(factor.head, factor.variables, [last])}`, of its last state",
        )


def resolve_bare(environment: Environment, head: Basic, over: Sequence[Basic] | None = None) -> Basic:
    """What a bare name stands for: the only factor of that name, or the one exactly over some variables.

    Raises:
        NameResolutionError: if there is none, or more than one.
    """
    named = environment.named(head)
    if not named:
        raise _unknown(environment, head)
    found = _over(named, over)
    if len(found) == 1:
        return found[0].node
    if not found and over is not None and environment.joint(reference(head, over, ())):
        return reference(head, over, ())
    about = "" if over is None else f" over {', '.join(f'`{v}`' for v in over)} alone"
    if not found:
        hint = f"bound: {listing(named)}; write the one that is meant"
        if over is not None:
            missing = reference(head, over, ())
            hint += f', or bind it, as by `sd.Normal("{missing}", loc=0.0, scale=1.0, event_shape=...)`'
        raise NameResolutionError(f"`{head}` has no factor{about}", hint=hint)
    raise NameResolutionError(
        f"`{head}` is the name of more than one factor{about}: {listing(found)}",
        hint=f"write `{found[0].node}`, say",
    )


def _over(factors: Sequence[Factor], over: Sequence[Basic] | None) -> list[Factor]:
    """The factors exactly over some variables; by their base names (``z'`` stands for ``z``) if none is."""
    if over is None:
        return list(factors)
    exact = [f for f in factors if set(f.variables) == set(over)]
    bases = sorted(spelled(base(v)) for v in over)
    return exact or [f for f in factors if sorted(spelled(base(v)) for v in f.variables) == bases]


def _unknown(environment: Environment, head: Basic) -> NameResolutionError | NotSupportedError:
    """The error for a name under which no distribution is bound."""
    if is_data_name(head):
        hint = f"name the variables that are observed, as in `E_{head}(x)[...]`"
        return NameResolutionError(f"`{head}` does not say over what", hint=hint)
    if is_inline_law(head):
        return NotSupportedError(
            f"`{head}` is read as a law that is written in place, which this version cannot compute yet",
            hint='bind it as a distribution, as in `sd.Normal("p(eps)", loc=0.0, scale=1.0)`, and '
            "write `E_p(eps)[...]`",
        )
    return called_nothing(environment, head)


def is_inline_law(head: Basic) -> bool:
    """Whether a name means a family of distributions where it is not bound."""
    return spelled(head) in LAWS


def _unresolved(environment: Environment, node: Basic) -> NameResolutionError | NotSupportedError:
    same = environment.named(node.args[0])
    if not same and is_data_name(node.args[0]) and givens_of(node):
        return NotSupportedError(
            f"`{node}` is a conditional of the data distribution, which this version cannot compute yet",
            hint="take the expectation over all observed variables at once, as in `E_data(x, y)[...]`",
        )
    if not same:
        return _unknown(environment, node.args[0])
    generated = {v for f in same for v in f.variables}
    known = generated | {v for f in same for v in f.givens}
    if set(values_of(node)) <= generated and set(givens_of(node)) <= known:
        if len(same) == 1 and same[0].givens and not givens_of(node):
            data = ", ".join(map(str, same[0].givens))
            return NameResolutionError(
                f"`{node}` is the average of `{same[0].node}` over `{data}`, but nothing says that "
                f"`{data}` is data",
                hint=f'if it is, bind it: `sd.Data("data({data})")`',
            )
        return _not_derived(node, same, [v for v in known if v not in generated and v not in givens_of(node)])
    return NameResolutionError(
        f"`{node}` is no factor that is bound, nor a joint of them", hint=_candidates(node, same, generated)
    )


def _posterior(node: Basic) -> NotSupportedError:
    observed = ", ".join(map(str, givens_of(node)))
    return NotSupportedError(
        f"`{node}` is a posterior of sequences, which this version cannot compute in a formula yet",
        hint=f"the gradient of `log {node.args[0]}({observed})` is that of the expectation of the joint's "
        "logarithm over it; `sd.Chain` filters, smooths and draws the states of a chain",
    )


def _candidates(node: Basic, factors: Sequence[Factor], generated: set[Basic]) -> str:
    """What could be meant; a value by a formula that nothing generates has a density by a flow only."""
    named = [v.args[0] for v in values_of(node) if isinstance(v, Definition)]
    loose = [f"`{name}`" for name in named if name not in generated]
    if not loose:
        return f"did you mean {listing(factors)}?"
    return (
        f"{', '.join(loose)} is the value of a formula, which has a density only where the formula is a flow "
        "applied to a variable, as in `x = f(z)` with `f=AffineCoupling(2)`"
    )


def _not_derived(node: Basic, factors: Sequence[Factor], missing: Sequence[Basic]) -> NotSupportedError:
    """The error for a marginal or a posterior that does not follow from the factors of its name."""
    names = ", ".join(f"`{v}`" for v in sorted(missing, key=str))
    whole = reference(node.args[0], values_of(node), (*givens_of(node), *sorted(missing, key=str)))
    return NotSupportedError(
        f"`{node}` is a marginal or a posterior of {listing(factors)}, which does not follow from them"
        + (f": they are given {names}, which has no distribution" if missing else ""),
        hint=f"write `{whole}`, or bind a distribution of {names}"
        if missing
        else f"write the joint by its factors, `{product(factors)}`, and take an expectation over what is "
        "not observed",
    )
