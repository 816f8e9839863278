"""An expectation over a joint, or over a product of laws, as draws from one factor after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sympy import Basic, Tuple

from symdgm.binding.derive_law import derive_law
from symdgm.binding.environment import Environment
from symdgm.binding.factors import ATOMS, Match, assign, product, values_of
from symdgm.binding.given_the_past import given_the_past
from symdgm.binding.joint_values import some_steps_later
from symdgm.binding.sample_laws import sampled
from symdgm.errors import NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import Name


def single(
    environment: Environment,
    binders: Iterable[Binder],
    resolutions: dict[Basic, Basic],
    taken: Collection[Basic] = (),
) -> Iterator[Binder]:
    """Binders of one factor each, ancestors first.

    ``E_{q(z,w|x)}`` becomes ``E_{q(z|x), q(w|z)}``, and so does ``E_{q(w|z) q(z|x)}``. A marginal ``p(x)``
    whose density is not known is drawn from its ancestors on: ``E_{p(z), p(x|z)}``.

    Args:
        environment: what is bound.
        binders: as they were read.
        resolutions: where it is noted what a joint stands for.
        taken: the names that the body uses, which no hidden variable of a marginal may have.

    Raises:
        NameResolutionError: if the factors depend on each other in a circle.
    """
    for binder in binders:
        parts = _from_ancestors(environment, binder, taken) or _split(environment, binder)
        whole = len(parts) > 1 and not isinstance(binder.law, Times)
        joint = environment.joint(binder.law) if whole else None
        if joint:
            resolutions.setdefault(binder.law, product(joint))
        yield from parts


def _split(environment: Environment, binder: Binder) -> list[Binder]:
    laws = binder.law.args if isinstance(binder.law, Times) else (binder.law,)
    found = [factors_at(environment, law) for law in laws]
    matches = [m for some in found for m in some]
    if len(matches) < 2 or not all(found):
        return [binder]
    written = tuple(v for law in laws for v in values_of(law))
    drawn = binder.variables or written
    if len(drawn) != len(written):
        return [binder]
    names = dict(zip(written, assign(written, drawn) or drawn, strict=True))
    return [_binder(m, names) for m in _ordered(matches, binder.law)]


def _from_ancestors(environment: Environment, binder: Binder, taken: Collection[Basic]) -> list[Binder]:
    """The draws of a marginal that is known by its draws alone; none for any other law."""
    law = binder.law
    if (
        not isinstance(law, Apply | Density)
        or factors_at(environment, law)
        or not environment.named(law.args[0])
    ):
        return []
    if environment.data_law(law) is not None or not all(isinstance(v, ATOMS) for v in values_of(law)):
        return []
    if _is_exact(environment, law):
        return []
    try:
        found = sampled(environment, law)
    except SymdgmError:  # not to be drawn: the reading of the law says why
        return []
    if found.rows or len(found.matches) < 2:
        return []
    names = dict(zip(found.values, binder.variables or found.values, strict=True))
    for hidden in (v for m in found.matches for v in m.values if v not in names):
        names[hidden] = unused(hidden, {*taken, *names.values()})
    return [_binder(m, names) for m in found.matches]


def _is_exact(environment: Environment, law: Basic) -> bool:
    """Whether a marginal or a posterior has a density."""
    try:
        return derive_law(environment, law) is not None
    except NotSupportedError:
        return False


def unused(variable: Basic, taken: Collection[Basic]) -> Basic:
    """A variable, primed until its name is not taken."""
    while variable in taken:
        inner = variable.args[0]
        variable = (
            Name(f"{variable.text}'")
            if isinstance(variable, Name)
            else variable.func(unused(inner, {inner}), *variable.args[1:])
        )
    return variable


def factors_at(environment: Environment, law: Basic) -> list[Match]:
    """The factors of one law at their arguments; none where it is no law of bound factors."""
    if not isinstance(law, Apply | Density) or environment.data_law(law) is not None:
        return []
    match = environment.match(law)
    if match is not None:
        return [match]
    now = [Match(f, f.variables, f.givens) for f in environment.joint(law) or ()]
    return now or some_steps_later(environment, law) or given_the_past(environment, law)


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
