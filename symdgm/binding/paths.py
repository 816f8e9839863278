"""Laws of whole sequences: the path ``q(z_{1:T}|x_{1:T})`` of a factor ``q(z_t|z_{t-1},x_t)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sympy import Basic

from symdgm.binding.environment import Environment, called_nothing, listing
from symdgm.binding.factors import Factor, Match, givens_of, reference, values_of
from symdgm.binding.timeline import Timeline
from symdgm.distributions import Data, Deterministic
from symdgm.errors import NameResolutionError
from symdgm.expressions.names import base


@dataclass(frozen=True, eq=False, kw_only=True)
class Path(Factor):
    """The law of all steps of some sequences, as one factor.

    Args:
        steps: the factors of one step, ancestors first; deterministic ones included.
    """

    steps: tuple[Factor, ...] = ()


def timeline(environment: Environment) -> Timeline:
    """The time of an environment that has one."""
    assert environment.time is not None
    return environment.time


def mentions_time(environment: Environment, node: Basic) -> bool:
    """Whether a reference names whole sequences."""
    time = environment.time
    return time is not None and any(time.is_range(v) for v in (*values_of(node), *givens_of(node)))


def step_factor(environment: Environment, sequence: Basic, head: Basic | None = None) -> Factor | None:
    """The factor over a step of a sequence, of some name if one is given; that of step 1 alone is apart."""
    step = (timeline(environment).step(sequence),)
    over = [
        f
        for f in environment.factors
        if not f.derived and f.variables == step and not isinstance(f.distribution, Data)
    ]
    if head is not None:
        called = {f.index for f in environment.named(head)}
        over = [f for f in over if f.index in called]
    else:
        over = [f for f in over if isinstance(f.distribution, Deterministic)]
    if len(over) > 1:
        raise NameResolutionError(
            f"the steps of `{sequence}` have more than one factor: {listing(over)}",
            hint="bind one of them under another name",
        )
    return over[0] if over else None


def first_factor(environment: Environment, factor: Factor) -> Factor | None:
    """The factor of the first step alone, ``p(z_1)`` of ``p(z_t|z_{t-1})``."""
    time = environment.time
    if time is None or len(factor.variables) != 1 or time.offset(factor.variables[0]) != 0:
        return None
    first = (time.first(base(factor.variables[0])),)
    found = [f for f in environment.factors if f.head == factor.head and f.variables == first]
    return found[0] if found else None


def product_over_time(environment: Environment, node: Basic) -> list[Basic] | None:
    """The factors of one step whose product over time is a density of whole sequences, or None.

    ``p(x_{1:T}|z_{1:T})`` gives ``p(x_t|z_t)``, and ``p(x_{1:T}, z_{1:T})`` both factors of the joint.

    Raises:
        NameResolutionError: a sequence without a factor.
    """
    if not mentions_time(environment, node):
        return None
    head, values = node.args[0], values_of(node)
    found = []
    for value in values:
        factor = step_factor(environment, base(value), head)
        if factor is None:
            named = environment.named(head)
            if not named:
                raise called_nothing(environment, head)
            raise NameResolutionError(
                f"`{node}` has no factor over a step of `{base(value)}`",
                hint=f"bind one, such as `{reference(head, [timeline(environment).step(base(value))], [])}`; "
                f"bound: {listing(named)}",
            )
        found.append(factor)
    return [f.node for f in found]


def path_of(environment: Environment, factors: Sequence[Factor]) -> Match:
    """The law of the sequences that some factors draw step by step; it is made once.

    Raises:
        NameResolutionError: a latent sequence that nothing draws.
    """
    time = timeline(environment)
    steps = _ordered(environment, factors)
    values = [time.whole(base(v)) for f in factors for v in f.variables]
    own = {base(v) for f in steps for v in f.variables}
    outer = dict.fromkeys(from_outside(environment, time, steps, own))
    node = reference(factors[0].head, values, list(outer))
    for factor in environment.factors:
        if isinstance(factor, Path) and [f.index for f in factor.steps] == [f.index for f in steps]:
            return Match(factor, factor.variables, factor.givens)
    path = Path(len(environment.factors), node, factors[0].distribution, True, steps=tuple(steps))
    environment.factors += (path,)
    return Match(path, path.variables, path.givens)


def resolve_path(environment: Environment, node: Basic) -> Match:
    """The law that ``q(z_{1:T}|x_{1:T})`` names.

    Raises:
        NameResolutionError: a sequence without a factor, or one given others than its steps depend on.
    """
    head = node.args[0]
    factors = [step_factor(environment, base(v), head) for v in values_of(node)]
    if any(f is None for f in factors):
        product_over_time(environment, node)
    path = path_of(environment, [f for f in factors if f is not None])
    _refuse_others(environment, node, path)
    return path


def _refuse_others(environment: Environment, node: Basic, path: Match) -> None:
    """Refuse a law of sequences that is given others in place of those on which its steps depend.

    What is given may be left out in part, such as actions, and may be a state that is computed from it.
    """
    assert isinstance(path.factor, Path)
    drawn = {base(v) for f in path.factor.steps for v in f.variables}
    needed = [g for g in path.givens if environment.scalar(g) is None]
    known = drawn | {base(g) for g in needed}
    given = {base(g) for g in givens_of(node)}
    missing = [g for g in needed if base(g) not in given]
    foreign = [
        g
        for g in givens_of(node)
        if base(g) not in known
        and environment.scalar(g) is None
        and step_factor(environment, base(g)) is None
        and sequence_factor(environment, base(g)) is None
    ]
    if missing and foreign:
        names, others = (", ".join(f"`{g}`" for g in some) for some in (missing, foreign))
        bound = listing([f for f in path.factor.steps if f.head == node.args[0]])
        raise NameResolutionError(
            f"`{node}` is given {others}, but its steps depend on {names}",
            hint=f"write `{path.node}`; bound: {bound}",
        )


def _ordered(environment: Environment, factors: Sequence[Factor]) -> list[Factor]:
    """The factors of a path and the deterministic ones between them, each after what it needs of its step.

    A deterministic sequence that depends on no draw is no part of the path: it is computed before.
    """
    time = timeline(environment)
    drawn = {base(v) for f in factors for v in f.variables}
    makers: dict[Basic, Factor] = {base(v): f for f in factors for v in f.variables}
    for sequence in sorted(time.sequences - drawn, key=str):
        maker = step_factor(environment, sequence)
        if maker is not None and depends(environment, sequence, drawn):
            makers[sequence] = maker
    needed = _needed(time, makers, factors)
    done: list[Factor] = []
    left = [f for f in dict.fromkeys(makers.values()) if f.index in needed]
    while left:
        made = {v for f in done for v in f.variables}
        waiting = {v for f in left for v in f.variables}
        ready = next((f for f in left if not (_read_at_once(environment, f) & waiting) - made), None)
        if ready is None:
            raise NameResolutionError(
                f"the steps of {listing(left)} depend on each other in a circle",
                hint="within one step, as in the first, a factor may be given only what those before draw",
            )
        left.remove(ready)
        done.append(ready)
    return done


def _read_at_once(environment: Environment, factor: Factor) -> set[Basic]:
    """What a factor is given, with the step of now for slices that end with it and for the first step's."""
    time, first = timeline(environment), first_factor(environment, factor)
    ours = {time.step(base(n)) if time.past(n) == 0 else n for n in factor.givens}
    theirs = first.givens if first is not None else ()
    return ours | {time.step(base(n)) for n in theirs if time.number(n) == 1}


def read_now(environment: Environment, names: Iterable[Basic]) -> set[Basic]:
    """Names, the steps of now in slices and whole sequences, and all that states of now are made from.

    The first step counts as that of now.
    """
    time = timeline(environment)
    found: set[Basic] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if time.is_range(name) or time.past(name) == 0 or time.number(name) == 1:
            name = time.step(base(name))
        if name in found:
            continue
        found.add(name)
        maker = None
        if time.offset(name) == 0:
            maker = step_factor(environment, base(name)) or sequence_factor(environment, base(name))
        first = first_factor(environment, maker) if maker is not None else None
        waiting += [g for f in (maker, first) if f is not None for g in f.givens]
    return found


def _needed(time: Timeline, makers: dict[Basic, Factor], factors: Sequence[Factor]) -> set[int]:
    """The factors that the path cannot do without."""
    found: set[int] = set()
    waiting = list(factors)
    while waiting:
        factor = waiting.pop()
        if factor.index not in found:
            found.add(factor.index)
            waiting += [makers[base(g)] for g in factor.givens if time.covers(g) and base(g) in makers]
    return found


def depends(environment: Environment, sequence: Basic, drawn: set[Basic]) -> bool:
    """Whether a deterministic sequence depends on one that is drawn."""
    seen: set[Basic] = set()
    waiting = [sequence]
    while waiting:
        current = waiting.pop()
        if current in drawn:
            return True
        if current not in seen:
            seen.add(current)
            maker = step_factor(environment, current)
            waiting += [base(g) for g in maker.givens] if maker is not None else []
    return False


def from_outside(
    environment: Environment, time: Timeline, steps: Sequence[Factor], own: set[Basic]
) -> Iterator[Basic]:
    """What the steps of a path need from outside: observed sequences, and variables without steps."""
    seen: set[Basic] = set()
    firsts = [f for s in steps if (f := first_factor(environment, s)) is not None]
    waiting = [g for f in (*steps, *firsts) for g in f.givens]
    while waiting:
        given = waiting.pop(0)
        if given == time.index:
            continue
        if not time.covers(given):
            yield given
        elif base(given) not in own | seen:
            seen.add(base(given))
            maker = step_factor(environment, base(given)) or sequence_factor(environment, base(given))
            if maker is None:
                yield time.whole(base(given))
            else:
                waiting += maker.givens


def sequence_factor(environment: Environment, sequence: Basic) -> Factor | None:
    """The deterministic factor that makes a whole sequence at once, ``h_{1:T} = birnn(x_{1:T})``."""
    whole = timeline(environment).is_range
    return next(
        (
            f
            for f in environment.factors
            if isinstance(f.distribution, Deterministic)
            and len(f.variables) == 1
            and whole(f.variables[0])
            and base(f.variables[0]) == sequence
        ),
        None,
    )
