"""Resolution of references to distributions, by the rules of probability (LANGUAGE.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic

from symdgm.binding.environment import Environment, listing
from symdgm.binding.factors import DataLaw, Factor, Match, givens_of, product, reference, values_of
from symdgm.errors import NameResolutionError, NotSupportedError

Law = Match | DataLaw | list[Factor]
"""What a reference stands for: one factor, the data, or the factors of a joint."""


def resolve(environment: Environment, node: Basic) -> Law:
    """What a reference with its variables written stands for.

    Raises:
        NameResolutionError: if nothing that is bound fits; the candidates are listed.
        NotSupportedError: for a marginal or a posterior, which this version does not derive.
    """
    data = environment.data_law(node)
    if data is not None:
        return data
    matched = environment.match(node)
    if matched is not None:
        return matched
    factors = environment.joint(node)
    if factors:
        return factors
    raise _unresolved(environment, node)


def resolve_bare(environment: Environment, head: Basic, over: Sequence[Basic] | None = None) -> Basic:
    """The reference that a bare name stands for: the only factor of that name, or the one exactly over some variables.

    Raises:
        NameResolutionError: if there is none, or more than one.
    """
    found = [f for f in environment.named(head) if over is None or set(f.variables) == set(over)]
    if len(found) == 1:
        return found[0].node
    if not found and over is not None and environment.joint(reference(head, over, ())):
        return reference(head, over, ())
    if not environment.named(head):
        raise NameResolutionError(f"no distribution is called `{head}`", hint=f"bound: {listing(environment.factors)}")
    about = "" if over is None else f" over {', '.join(f'`{v}`' for v in over)} alone"
    if not found:
        raise NameResolutionError(
            f"`{head}` has no factor{about}", hint=f"bound: {listing(environment.named(head))}; write the one that is meant"
        )
    raise NameResolutionError(
        f"`{head}` is the name of more than one factor{about}: {listing(found)}", hint=f"write `{found[0].node}`, say"
    )


def _unresolved(environment: Environment, node: Basic) -> NameResolutionError | NotSupportedError:
    head, same = node.args[0], environment.named(node.args[0])
    if not same:
        return NameResolutionError(f"no distribution is called `{head}`", hint=f"bound: {listing(environment.factors)}")
    generated = {v for f in same for v in f.variables}
    known = generated | {v for f in same for v in f.givens}
    if set(values_of(node)) <= generated and set(givens_of(node)) <= known:
        return NotSupportedError(
            f"`{node}` is a marginal or a posterior of {listing(same)}, which this version does not derive",
            hint=f"write the joint by its factors, `{product(same)}`, and take an expectation over what is not observed",
        )
    return NameResolutionError(
        f"`{node}` is no factor that is bound, nor a joint of them", hint=f"did you mean {listing(same)}?"
    )
