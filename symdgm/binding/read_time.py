"""Reading sums over time, steps of sequences, and laws of whole sequences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sympy import Basic, Tuple, preorder_traversal

from symdgm.binding.environment import Environment, listing
from symdgm.binding.factors import ATOMS, Factor, Match, values_of
from symdgm.binding.joint_draws import factors_at
from symdgm.binding.paths import Path, first_factor, path_of, sequence_factor, step_factor, timeline
from symdgm.binding.timeline import Timeline
from symdgm.distributions import Deterministic, Family
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import Subscripted, base
from symdgm.expressions.scope import free_names
from symdgm.expressions.steps import span

if TYPE_CHECKING:
    from symdgm.binding.reader import Reader


def is_time(environment: Environment, index: Index) -> bool:
    """Whether an index runs over time."""
    return environment.time is not None and index.variable == environment.time.index


def read_step(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic | None:
    """A step of a sequence, a whole one, or the number of its steps; None for any other name.

    The sequence is observed if nothing makes it.
    """
    time = reader.environment.time
    if time is not None and node == time.length and reader.environment.scalar(node) is None:
        return node
    if time is None or not time.covers(node) or node in scope:
        return node if time is not None and node in scope else None
    sequence, jump = base(node), time.jump(node)
    for step in preorder_traversal(node) if jump is None else ():
        if step == time.index and step not in scope:
            raise NameResolutionError(
                f"`{node}` stands outside of a sum over `{time.index}`",
                hint=f"write `sum_{{{time.index}=1}}^{time.length} (...)` around all that depends on it",
            )
    if jump is not None and jump != time.length:
        reader.observe(jump, argument=True)
    if time.whole(sequence) in scope:
        return node
    if step_factor(reader.environment, sequence) is None:
        maker = sequence_factor(reader.environment, sequence)
        if maker is None:
            reader.observe(sequence, argument=True)
            return node
    for given in _makers_givens(reader.environment, sequence):
        if time.covers(given):
            if base(given) != sequence and given not in scope:
                read_step(reader, time.whole(base(given)), scope)
        elif reader.environment.scalar(given) is None and given not in scope and given != time.index:
            reader.observe(given, argument=True)
    return node


def refuse_slice(environment: Environment, node: Basic) -> None:
    """Refuse several steps where a number of one step is wanted, ``||z_{1:T}||^2``.

    Raises:
        NotSupportedError: it says so.
    """
    time = environment.time
    if time is None or environment.scalar(node) is not None:
        return
    if time.is_range(node) or time.past(node) is not None:
        step = time.step(base(node))
        raise NotSupportedError(
            f"`{node}` are several steps of a sequence, where the value of one is wanted",
            hint=f"write a sum over its steps, as in `sum_{{{time.index}=1}}^{time.length} ||{step}||^2`",
        )


def _makers_givens(environment: Environment, sequence: Basic) -> tuple[Basic, ...]:
    factor = step_factor(environment, sequence) or sequence_factor(environment, sequence)
    assert factor is not None
    return factor.givens


def read_over_time(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A sum over time; a free earlier step in it is the draw of the step before, along one path.

    Raises:
        NotSupportedError: a step after the last.
    """
    time = timeline(reader.environment)
    _refuse_later(time, node)
    found = dict.fromkeys(_drawn(reader.environment, node.body, scope))
    _refuse_before_the_first(reader.environment, node.index, found)
    factors = list(dict.fromkeys(f for f, _ in found))
    apart = _drawn_apart(reader.environment, found, node.body)
    drawn = [
        f for f in factors if f not in apart and not _stands_alone(reader.environment, f, factors, node.body)
    ]
    inside = scope | {time.index}
    if not drawn:
        return Aggregate(node.args[0], reader.read(node.body, inside), node.index)
    path = path_of(reader.environment, drawn)
    assert isinstance(path.factor, Path)
    sequences = {base(v) for f in path.factor.steps for v in f.variables}
    for given in path.givens:
        if time.covers(given):
            read_step(reader, given, scope)
        elif reader.environment.scalar(given) is None and given not in scope:
            reader.observe(given, argument=True)
    inside |= _steps(reader.environment, node.body, sequences) | {time.whole(s) for s in sequences}
    body = reader.read(node.body, inside)
    law = path.node
    reader.resolutions.setdefault(
        node, Expect(Aggregate(node.args[0], body, node.index), Binder(Tuple(), law))
    )
    return Expect(Aggregate(node.args[0], body, node.index), Binder(Tuple(), law))


def _refuse_later(time: Timeline, node: Basic) -> None:
    """Refuse a step after the last."""
    bounds = span(node.index)
    for step in preorder_traversal(node.body) if bounds is not None else ():
        lag = time.past(step)
        later = time.offset(step) if lag is None else -lag
        if later is not None and bounds is not None and later > max(bounds[2], 0):
            raise NotSupportedError(
                f"`{step}` is a step after the last, where `{time.index}` runs to the end of the sequence",
                hint=f"write a sum to `{time.length}-{later}`",
            )


def _refuse_before_the_first(
    environment: Environment, index: Index, drawn: Iterable[tuple[Factor, tuple[Basic, ...]]]
) -> None:
    """Refuse a draw of the step before the first, of which nothing is known."""
    time, bounds = timeline(environment), span(index)
    if bounds is None:
        return
    for factor, values in drawn:
        for value in values:
            before = bounds[0] + (time.offset(value) or 0) < 1
            if before and time.initial.get(base(value)) is None and first_factor(environment, factor) is None:
                name = base(value)
                raise NameResolutionError(
                    f"`{value}` is drawn where `{time.index}` is {bounds[0]}, but `{name}` has no such step",
                    hint=f"bind `{name}_0=0.0`, or a tensor of its event shape, or begin the sum later",
                )


def _drawn(
    environment: Environment, body: Basic, scope: frozenset[Basic]
) -> Iterator[tuple[Factor, tuple[Basic, ...]]]:
    """The factors over a step of a latent sequence that a sum over time draws from, and what they draw."""
    time = timeline(environment)
    for node in preorder_traversal(body):
        for match in (m for law in _laws(node) for m in _factors_of(environment, law)):
            values = tuple((time.component(v) or (v, None))[0] for v in match.values)
            if any(time.offset(v) is not None and time.whole(base(v)) not in scope for v in values):
                yield match.factor, values


def _factors_of(environment: Environment, law: Basic) -> list[Match]:
    """The factors of one step that a law draws; of ``q(z_{<=t}|x_{<=t})`` those that draw its last step.

    A bare name is the only factor of that name.
    """
    if isinstance(law, ATOMS):
        named = environment.named(law)
        return [Match(f, f.variables, f.givens) for f in named] if len(named) == 1 else []
    if not is_path_so_far(environment, law):
        return factors_at(environment, law)
    time = timeline(environment)
    return [m for v in values_of(law) for m in _of_step(environment, time.step(base(v)), law.args[0])]


def is_path_so_far(environment: Environment, law: Basic) -> bool:
    """Whether a law is that of all steps until now, ``q(z_{<=t}|x_{<=t})``, or ``q(z_{<t}|...)``.

    A path around it draws these steps.
    """
    time, values = environment.time, values_of(law) if isinstance(law, Apply | Density) else ()
    return time is not None and bool(values) and all(time.past(v) is not None for v in values)


def earlier_step(environment: Environment, law: Basic) -> Basic:
    """A law that is drawn from; of an earlier step, that of the path, where a value begins the sequence.

    ``E_q(z_{t-1}|x_{t-1})[...]`` is the ``z_0`` that was given where t is 1.
    """
    time, values = environment.time, values_of(law) if isinstance(law, Apply | Density) else ()
    if time is None or len(values) != 1 or (time.offset(values[0]) or 0) >= 0:
        return law
    sequence = base(values[0])
    factor = step_factor(environment, sequence, law.args[0])
    if factor is None or time.initial.get(sequence) is None:
        return law
    path = path_of(environment, [factor])
    alone = isinstance(path.factor, Path) and path.factor.steps == (factor,)
    return path.node if alone and all(base(g) != sequence for g in factor.givens) else law


def refuse_marginal(environment: Environment, node: Basic, law: Basic) -> None:
    """Refuse the density of a step alone whose law is that of the path, ``log q(z_t|x_{1:T})``.

    Raises:
        NotSupportedError: it says so.
    """
    time = environment.time
    if time is None or not isinstance(node, Apply | Density) or not isinstance(law, Apply | Density):
        return
    if any(map(time.is_range, values_of(law))) and not any(map(time.is_range, values_of(node))):
        raise NotSupportedError(
            f"`{node}` is a marginal of `{law}`, whose density is not known",
            hint="write a law of a step given the step before; bound: "
            f"{listing(environment.named(law.args[0]))}",
        )


def _of_step(environment: Environment, variable: Basic, head: Basic) -> list[Match]:
    factor = step_factor(environment, base(variable), head)
    return [] if factor is None else [Match(factor, factor.variables, factor.givens)]


def _laws(node: Basic) -> Iterator[Basic]:
    """The laws that an expectation, a divergence or an entropy is taken under, each factor of a product."""
    laws: tuple[Basic, ...] = ()
    if isinstance(node, Expect):
        laws = tuple(b.law for b in node.binders)
    elif isinstance(node, DivergenceBetween | CrossEntropy | Entropy):
        laws = node.args[1:2] if isinstance(node, DivergenceBetween) else node.args[:1]
    for law in laws:
        for part in law.args if isinstance(law, Times) else (law,):
            yield part.args[1] if isinstance(part, Call) and part.function == "sg" else part


def _drawn_apart(
    environment: Environment, drawn: Iterable[tuple[Factor, tuple[Basic, ...]]], body: Basic
) -> set[Factor]:
    """The factors whose draws belong to one term of the sum alone.

    They are those of sequences that a term draws by several factors or at several steps, and of which nothing
    else reads a step.
    """
    draws: dict[Basic, list[tuple[Factor, tuple[Basic, ...]]]] = {}
    for factor, values in drawn:
        for value in values:
            draws.setdefault(base(value), []).append((factor, values))
    states = [f for f in environment.factors if isinstance(f.distribution, Deterministic)]
    read = {base(n) for n in (*free_names(body), *(g for f in states for g in f.givens))}
    return {f for s, of in draws.items() if len(of) > 1 and s not in read for f, _ in of}


def _stands_alone(environment: Environment, factor: Factor, drawn: Sequence[Factor], body: Basic) -> bool:
    """Whether a step of a finite variable is summed over by itself, since no other step depends on it."""
    distribution, (variable, *others) = factor.distribution, factor.variables
    if others or not isinstance(distribution, Family) or not distribution.finite:
        return False
    if variable in free_names(body):
        return False
    states = [f for f in environment.factors if isinstance(f.distribution, Deterministic)]
    readers = [f for f in (*drawn, *states) if any(base(g) == base(variable) for g in f.givens)]
    return not readers and _steps(environment, body, {base(variable)}) == {variable}


def _steps(environment: Environment, body: Basic, sequences: set[Basic]) -> frozenset[Basic]:
    """All steps of some sequences that a formula names, but those that data say."""
    time = timeline(environment)
    named = (n for n in preorder_traversal(body) if isinstance(n, Subscripted) and base(n) in sequences)
    return frozenset(n for n in named if time.covers(n) and time.jump(n) not in time.jumps)
