"""An expectation over a joint, or over a product of laws, as draws from one factor after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sympy import Basic, Tuple

from symdgm.binding.environment import Environment
from symdgm.binding.factors import Match, assign, product, values_of
from symdgm.errors import NameResolutionError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import Binder


def single(
    environment: Environment, binders: Iterable[Binder], resolutions: dict[Basic, Basic]
) -> Iterator[Binder]:
    """Binders of one factor each, ancestors first.

    ``E_{q(z,w|x)}`` becomes ``E_{q(z|x), q(w|z)}``, and so does ``E_{q(w|z) q(z|x)}``.

    Args:
        environment: what is bound.
        binders: as they were read.
        resolutions: where it is noted what a joint stands for.

    Raises:
        NameResolutionError: if the factors depend on each other in a circle.
    """
    for binder in binders:
        parts = _split(environment, binder)
        joint = None if len(parts) == 1 or isinstance(binder.law, Times) else environment.joint(binder.law)
        if joint:
            resolutions.setdefault(binder.law, product(joint))
        yield from parts


def _split(environment: Environment, binder: Binder) -> list[Binder]:
    laws = binder.law.args if isinstance(binder.law, Times) else (binder.law,)
    found = [_factors(environment, law) for law in laws]
    matches = [m for some in found for m in some]
    if len(matches) < 2 or not all(found):
        return [binder]
    written = tuple(v for law in laws for v in values_of(law))
    drawn = binder.variables or written
    if len(drawn) != len(written):
        return [binder]
    names = dict(zip(written, assign(written, drawn) or drawn, strict=True))
    return [_binder(m, names) for m in _ordered(matches, binder.law)]


def _factors(environment: Environment, law: Basic) -> list[Match]:
    """The factors of one law at their arguments; none where it is no law of bound factors."""
    if not isinstance(law, Apply | Density) or environment.data_law(law) is not None:
        return []
    match = environment.match(law)
    if match is not None:
        return [match]
    return [Match(f, f.variables, f.givens) for f in environment.joint(law) or ()]


def _ordered(matches: list[Match], law: Basic) -> list[Match]:
    """Each after those whose variables it is given."""
    left, result = list(matches), []
    while left:
        waiting = {v for m in left for v in m.values}
        ready = next((m for m in left if not waiting & set(m.givens)), None)
        if ready is None:
            raise NameResolutionError(
                f"the factors of `{law}` depend on each other in a circle",
                hint="each factor may be given only variables of the factors before it",
            )
        left.remove(ready)
        result.append(ready)
    return result


def _binder(match: Match, names: dict[Basic, Basic]) -> Binder:
    values = tuple(names[v] for v in match.values)
    givens = tuple(names.get(g, g) for g in match.givens)
    own = match.factor.variables
    return Binder(Tuple(*(() if values == own else values)), Match(match.factor, own, givens).node)
