"""Scope: which names are free, and replacement without capture (what binds what stands in `places`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sympy import Basic, Tuple

from symdgm.caches import Table, remembered
from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.depth import Pass, each, hashed, run
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import Labelled, Name, Subscripted, base
from symdgm.expressions.places import (
    NAMES,
    NONE,
    TERM,
    VALUE,
    VARIABLE,
    Names,
    Place,
    Role,
    bound_variables,
    is_closed,
    looked_up,
    pattern,
    patterns,
    places,
)
from symdgm.expressions.statements import Definition

__all__ = ["bound_variables", "free_names", "heads", "replace"]

OPEN = (Role.TERM, Role.ARGUMENT, Role.VALUE)
"""The roles in which a name is a use of a variable."""

_KNOWN: Table[tuple[Basic, Place, bool], Names] = Table("expressions.scope.free", 16384)
"""Free names that have been found before; formulas share their parts."""


def free_names(expression: Basic) -> frozenset[Basic]:
    """The names that no node of the expression binds, indices included; heads are apart (`heads`).

    A name whose index is bound, ``x_n`` in ``sum_n f(x_n)``, is free as it is written.

    Args:
        expression: any node.

    Returns:
        `Name`, `Subscripted` and `Labelled` nodes.

    Example:
        >>> q, x, z = Name("q"), Name("x"), Name("z")
        >>> from symdgm.expressions.applications import Density
        >>> free_names(Expect(z, Binder(Tuple(), Density(q, Tuple(z), Tuple(x), Tuple()))))
        frozenset({x})
    """
    return run(_free(hashed(expression), TERM, tags=False))


def _free(node: Basic, place: Place, *, tags: bool = True) -> Pass[Names]:
    """The free names; with ``tags``, those in the subscripts of heads too (``k`` of ``f_k(x)``)."""
    key = (node, place, tags)
    known = _KNOWN.get(key)
    if known is not None:
        return known
    found = [frozenset([node]) if isinstance(node, NAMES) and place.role in OPEN else NONE]
    if not is_closed(node, place) and (tags or not _is_head(node, place)):
        for part, inner, bound in places(node, place):
            free = yield _free(part, inner, tags=tags)
            found.append(_outside(free, bound))
    result = NONE.union(*found)
    _KNOWN.keep(key, result)
    return result


def _is_head(node: Basic, place: Place) -> bool:
    return place.role is Role.HEAD or (place.role is Role.LAW and isinstance(node, NAMES))


def _outside(free: Names, bound: Names) -> Names:
    return frozenset(n for n in free if looked_up(n, bound) is None) if bound else free


def heads(expression: Basic) -> frozenset[Basic]:
    """The names of functions and distributions: ``q_phi`` of ``q_phi(z|x)``, ``q`` of ``H[q]``.

    Example:
        >>> heads(Apply(Name("f"), Name("x")))
        frozenset({f})
    """
    found: frozenset[Basic] = _heads(hashed(expression))
    return found


@remembered(4096)
def _heads(expression: Basic) -> frozenset[Basic]:
    found = set()
    waiting = [(expression, TERM)]
    while waiting:
        node, place = waiting.pop()
        if _is_head(node, place):
            found.add(node)
        elif not is_closed(node, place):
            waiting += [(part, inner) for part, inner, _ in places(node, place)]
    return frozenset(found)


def replace(
    expression: Basic,
    replacements: Mapping[Basic, Basic],
    *,
    factors: Collection[Basic] = (),
    capture: bool = False,
) -> Basic:
    """The expression with the free occurrences of nodes replaced, all at once and without capture.

    A bound variable that would capture a name of a replacement is primed first; a law keeps its formal
    names, so ``E_q(z|x)[f(z, y)]`` with ``y`` replaced by ``z`` is ``E_{z' ~ q(z|x)}[f(z', z)]``. An argument
    of a density that becomes something of another name says which variable it is: ``p(x|z)`` with ``z``
    replaced by ``f(y)`` is ``p(x|z=f(y))``. Heads are replaced by names only.

    Args:
        expression: any node.
        replacements: what is replaced (a name, or any other node) → what stands in its place.
        factors: the heads that are densities though they are written as applications, ``p`` in ``p(z)``.
        capture: whether a name of a replacement means what is bound where it comes to stand, as in an
            abbreviation.

    Raises:
        NotSupportedError: if a product of laws would capture a name.

    Example:
        >>> x, y = Name("x"), Name("y")
        >>> replace(x + y, {x: y, y: x})
        y + x
    """
    swaps = {
        key: _Swap(value, run(_free(key, TERM)), run(_free(value, TERM)))
        for key, value in replacements.items()
    }
    return run(_Replacement(frozenset(factors), capture).of(hashed(expression), TERM, swaps))


@dataclass(frozen=True, slots=True)
class _Swap:
    """What stands in the place of a node, and the free names of both."""

    value: Basic
    of_key: Names
    of_value: Names


Swaps = Mapping[Basic, _Swap]


@dataclass(frozen=True, slots=True)
class _Replacement:
    """One replacement: how it treats applications and captured names."""

    factors: Names
    capture: bool = False

    def of(self, node: Basic, place: Place, swaps: Swaps) -> Pass[Basic]:
        if not swaps or place.role is Role.FIXED:
            return node
        if _is_head(node, place) and node in swaps:
            value = swaps[node].value
            return value if isinstance(value, NAMES) else node
        if place.role in OPEN and (hit := looked_up(node, swaps)) is not None:
            return (yield self._swapped(node, hit, place, swaps))
        if is_closed(node, place):
            return node
        if isinstance(node, Expect):
            return (yield self._expectation(node, swaps))
        if isinstance(node, Aggregate | IntegralOver):
            return (yield self._indexed(node, place, swaps))
        return (yield self._parts(node, place, swaps))

    def _parts(self, node: Basic, place: Place, swaps: Swaps) -> Pass[Basic]:
        """The same node of replaced arguments."""
        named = isinstance(node, Apply) and node.args[0] in self.factors
        parts = []
        for part, inner, bound in places(node, place):
            if bound and (caught := (yield self._caught(bound, [(part, inner)], swaps))):
                raise _captured(node, caught)
            at = VALUE if named and inner.role is Role.ARGUMENT else inner
            parts.append((yield self.of(part, at, _shadowed(swaps, bound))))
        return _rebuilt(node, parts)

    def _swapped(self, node: Basic, hit: Basic, place: Place, swaps: Swaps) -> Pass[Basic]:
        """What stands in the place of a node; in a density it says of which variable it is the value."""
        value = swaps[hit].value
        if hit != node:  # a renamed family of samples: z_k of z_{1:K}
            indices = yield each(self.of(index, TERM, swaps) for index in node.args[1:])
            return Subscripted(value, *indices)
        named = place.role is Role.VALUE and isinstance(node, NAMES) and base(value) != base(node)
        return Definition(node, value) if named else value

    def _expectation(self, node: Expect, swaps: Swaps) -> Pass[Basic]:
        (body, body_place, _), *laws = places(node, TERM)
        binders = []
        for i, (law, _, _) in enumerate(laws):
            later = [(part, place) for part, place, _ in [*laws[i + 1 :], (body, body_place, NONE)]]
            new_law = yield self.of(law, TERM, swaps)
            swaps, fresh = yield self._protected(bound_variables(law), later, swaps)
            binders.append(_with_variables(new_law, fresh) if fresh is not None else new_law)
        new_body = yield self.of(body, body_place, swaps)
        return _rebuilt(node, [new_body, *binders])

    def _indexed(self, node: Basic, place: Place, swaps: Swaps) -> Pass[Basic]:
        """A big operator or an integral: its dummy is renamed where it would capture."""
        parts = places(node, place)
        inside = [(part, inner) for part, inner, bound in parts if bound]
        if isinstance(node, Aggregate):
            inside += [(part, inner) for part, inner, bound in places(node.index, TERM) if bound]
        variables = bound_variables(node)
        within, fresh = yield self._protected(variables, inside, swaps)
        dummy = fresh[0] if fresh is not None else variables[0]
        new = []
        for part, inner, bound in parts:
            if isinstance(part, Index):
                new.append((yield self._index(part, dummy, swaps, within)))
            else:
                new.append((yield self.of(part, inner, within if bound else swaps)))
        if isinstance(node, IntegralOver):
            new[1] = dummy
        return _rebuilt(node, new)

    def _index(self, node: Index, dummy: Basic, swaps: Swaps, within: Swaps) -> Pass[Basic]:
        new = [dummy]
        for part, inner, bound in places(node, TERM)[1:]:
            new.append((yield self.of(part, inner, within if bound else swaps)))
        return _rebuilt(node, new)

    def _protected(
        self, variables: tuple[Basic, ...], inside: list[tuple[Basic, Place]], swaps: Swaps
    ) -> Pass[tuple[Swaps, list[Basic] | None]]:
        """The replacements that hold inside of a binder, and its variables if they had to be renamed."""
        bound = patterns(variables)
        within = dict(_shadowed(swaps, bound))
        if self.capture:
            return within, None
        taken = yield self._names_after(bound, inside, within)
        fresh: list[Basic] = []
        renamed = False
        for variable in variables:
            new = yield self.of(variable, VARIABLE, swaps)
            name = _fresh(new, taken)
            taken |= {pattern(name)}
            if name != new:
                renamed = True
                within[pattern(variable)] = _Swap(_target(variable, name), NONE, frozenset([pattern(name)]))
            fresh.append(name)
        return within, fresh if renamed else None

    def _names_after(self, bound: Names, inside: list[tuple[Basic, Place]], swaps: Swaps) -> Pass[Names]:
        """The names that are free inside of a binder when the replacement is done."""
        free = NONE
        for part, place in inside:
            free |= yield _free(part, place)
        free = _outside(free, bound)
        arriving = [s.of_value for s in swaps.values() if s.of_key <= free]
        return free.union(*arriving)

    def _caught(self, bound: Names, inside: list[tuple[Basic, Place]], swaps: Swaps) -> Pass[Names]:
        if self.capture:
            return NONE
        within = _shadowed(swaps, bound)
        free = yield self._names_after(bound, inside, within)
        return frozenset(n for n in free if looked_up(n, bound) is not None)


def _shadowed(swaps: Swaps, bound: Names) -> Swaps:
    """The replacements that are still meant where ``bound`` names are others."""
    if not bound:
        return swaps
    return {
        key: swap
        for key, swap in swaps.items()
        if not any(looked_up(n, bound) is not None for n in (key, *swap.of_key))
    }


def _with_variables(law: Basic, variables: list[Basic]) -> Basic:
    return Binder(Tuple(*variables), law.args[1])


def _target(variable: Basic, name: Basic) -> Basic:
    """What replaces a renamed variable: for ``z_{1:K}`` the head, at any index."""
    return name if pattern(variable) == variable else name.args[0]


def _fresh(name: Basic, taken: Names) -> Basic:
    """The name, primed until it is not taken."""
    while looked_up(name, taken) is not None or any(looked_up(t, {pattern(name)}) for t in taken):
        name = _primed(name)
    return name


def _primed(name: Basic) -> Basic:
    if isinstance(name, Subscripted | Labelled):
        return name.func(_primed(name.args[0]), *name.args[1:])
    return Name(f"{name.text}'") if isinstance(name, Name) else name


def _rebuilt(node: Basic, parts: list[Basic]) -> Basic:
    same = all(new is old for new, old in zip(parts, node.args, strict=True))
    return node if same else node.func(*parts)


def _captured(node: Basic, caught: Names) -> NotSupportedError:
    names = ", ".join(f"`{n}`" for n in sorted(caught, key=str))
    return NotSupportedError(
        f"{names} would be captured by the product of laws `{node}`",
        hint="write one expectation for each law, `E_{p(x)} E_{q(y|x)}[...]`",
    )
