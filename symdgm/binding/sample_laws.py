"""What a law is drawn by: its factors, from their ancestors on, and the rows of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Basic

from symdgm.binding.environment import Environment, is_data_name, listing
from symdgm.binding.factors import ATOMS, Factor, Match, ancestral, givens_of, reference, values_of
from symdgm.binding.resolve import resolve_bare
from symdgm.errors import NameResolutionError
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.names import Name, Subscripted


@dataclass(frozen=True)
class Sampled:
    """A law as something that is drawn from; nothing need be known of its density.

    Args:
        node: the law, with short names written out.
        values: the variables whose draws are wanted.
        matches: the factors that are drawn from, ancestors first.
        rows: the variables that are read off the rows of the batch.
        givens: what the law is given, so that each example has a law of its own.
        stopped: whether the draws carry no gradient.
    """

    node: Basic
    values: tuple[Basic, ...]
    matches: tuple[Match, ...] = ()
    rows: tuple[Basic, ...] = ()
    givens: tuple[Basic, ...] = ()
    stopped: bool = False

    @property
    def roots(self) -> tuple[Match, ...]:
        """The factors that are given nothing that is drawn."""
        drawn = {v for m in self.matches for v in m.values}
        return tuple(m for m in self.matches if not drawn & set(m.givens))


def sampled(environment: Environment, node: Basic, over: Sequence[Basic] | None = None) -> Sampled:
    """How a law is drawn from.

    `q(z)` of which only `q(z|x)` is bound is the average of `q(z|x)` over the rows ``x`` of the batch;
    `p(x)` is drawn by its factors `p(x|z)` and `p(z)`; a product is drawn factor by factor.

    Args:
        environment: what is bound.
        node: the law: a reference, a bare name, a product of references, or one of these in ``sg[...]``.
        over: the variables that a bare name is over.

    Raises:
        NameResolutionError: nothing that is bound draws it, or more than one factor does.
    """
    if isinstance(node, Call) and node.function == "sg":
        law = sampled(environment, node.args[1], over)
        return Sampled(node.func(node.args[0], law.node), law.values, law.matches, law.rows, law.givens, True)
    if isinstance(node, Times):
        return _product(environment, node)
    if isinstance(node, ATOMS):
        node = _written_out(environment, node, over)
    if not isinstance(node, Apply | Density):
        raise _undrawable(environment, node)
    data = environment.data_law(node)
    if data is not None:
        return Sampled(reference(node.args[0], data.variables, ()), data.variables, rows=data.variables)
    match = environment.match(node)
    if match is not None and not match.factor.derived:
        own = Match(match.factor, match.factor.variables, match.givens)
        return Sampled(own.node, own.values, (own,), givens=own.givens)
    return _by_ancestors(environment, node)


def _written_out(environment: Environment, head: Basic, over: Sequence[Basic] | None) -> Basic:
    """A bare name with its variables: those of the other side, or those of its only factor."""
    named = _subscripted_law(environment, head)
    if named is not None:
        return named
    if is_data_name(head) and over is None:
        raise NameResolutionError(
            f"`{head}` does not say over what", hint=f"name the variables, as in `{head}(x)`"
        )
    if over is not None and (is_data_name(head) or _is_marginal(environment.named(head), over)):
        return reference(head, over, ())
    return resolve_bare(environment, head, over)


def _is_marginal(named: Sequence[Factor], over: Sequence[Basic]) -> bool:
    """Whether factors make a marginal over some variables: what theirs is given is drawn by others."""
    drawn = {v for f in named for v in f.variables}
    exact = [f for f in named if set(f.variables) == set(over)]
    return bool(named) and all(f.givens and set(f.givens) <= drawn for f in exact)


def _subscripted_law(environment: Environment, head: Basic) -> Basic | None:
    """``Q_Z``: the distribution Q over the variable Z (LANGUAGE.md 8.11)."""
    if not isinstance(head, Subscripted) or not isinstance(head.head, Name) or not _is_capital(head.head):
        return None
    made = {v for f in environment.factors if f.head == head.head for v in f.variables}
    return reference(head.head, head.indices, ()) if set(head.indices) <= made else None


def _is_capital(name: Name) -> bool:
    return len(name.text) == 1 and name.text.isupper()


def _by_ancestors(environment: Environment, node: Basic) -> Sampled:
    """A joint or a marginal, by the factors of its name; what none of them draws is a row of the batch."""
    values, givens = values_of(node), givens_of(node)
    named = environment.named(node.args[0])
    chosen: dict[Basic, Factor] = {}
    rows: dict[Basic, None] = {}
    wanted = [v for v in values if v not in givens]
    while wanted:
        variable = wanted.pop()
        if variable in chosen or variable in rows or variable in givens:
            continue
        found = [f for f in named if variable in f.variables]
        if len(found) > 1:
            raise NameResolutionError(
                f"`{variable}` of `{node}` is drawn by more than one factor: {listing(found)}",
                hint="leave one of them out, or give them different names",
            )
        if found:
            chosen.update(dict.fromkeys(found[0].variables, found[0]))
            wanted += found[0].givens
        else:
            rows[variable] = None
    used = {g for f in chosen.values() for g in f.givens}
    if not chosen or not {*rows, *givens} <= used or (rows and givens):
        raise _undrawable(environment, node)
    factors = ancestral(list(dict.fromkeys(chosen.values())))
    matches = tuple(Match(f, f.variables, f.givens) for f in factors)
    return Sampled(node, values, matches, tuple(rows), givens)


def _product(environment: Environment, node: Basic) -> Sampled:
    """A product of laws, such as ``data(x) q(z|x)``."""
    parts = [sampled(environment, law) for law in node.args]
    values = tuple(v for part in parts for v in part.values)
    if len(set(values)) < len(values):
        raise NameResolutionError(
            f"a variable of `{node}` is drawn by more than one of its factors",
            hint="every factor of a product draws other variables",
        )
    matches = {m.factor: m for part in parts for m in part.matches}
    rows = dict.fromkeys(v for part in parts for v in part.rows)
    drawn = {*rows, *(v for m in matches.values() for v in m.values)}
    ordered = tuple(matches[f] for f in ancestral(list(matches)))
    givens = tuple(g for part in parts for g in part.givens if g not in drawn)
    return Sampled(node.func(*(p.node for p in parts)), values, ordered, tuple(rows), givens)


def _undrawable(environment: Environment, node: Basic) -> NameResolutionError:
    named = environment.named(node.args[0]) if isinstance(node, Apply | Density) else []
    return NameResolutionError(
        f"nothing that is bound draws from `{node}`",
        hint=f"bound: {listing(named or [f for f in environment.factors if not f.derived])}",
    )
