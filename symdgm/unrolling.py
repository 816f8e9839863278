"""Values of sequences step by step: given, inferred, computed, or drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import torch
from sympy import Basic
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from symdgm.binding import Factor
from symdgm.binding.chains import Chain
from symdgm.binding.factors import reference
from symdgm.binding.paths import sequence_factor, timeline
from symdgm.chain import posterior_path
from symdgm.distributions import Deterministic, Distribution, Family
from symdgm.distributions.failures import attempt
from symdgm.errors import DataError, NameResolutionError, ShapeError
from symdgm.expressions.names import Subscripted, base, spelled
from symdgm.generation import Generator, rows_of
from symdgm.lowering.time.sequences import FUSED
from symdgm.roles import Roles, is_certain


@final
class Unrolled:
    """Values of variables and of the steps of sequences, each made when it is first asked for.

    A latent step at which an observed sequence is given is inferred; any other one is generated.

    Args:
        generator: draws from single factors.
        given: what is fixed: variables ``[n, *event]``, and sequences ``[n, steps, *event]``.
        count: how many are drawn.
        mean: whether the observed variables take their mean.
    """

    def __init__(self, generator: Generator, given: Mapping[str, Tensor], count: int, *, mean: bool) -> None:
        self.generator, self.count, self.mean = generator, count, mean
        self.environment = generator.environment
        self.time = timeline(generator.environment)
        self.names = {spelled(s): s for s in self.time.sequences}
        self.static: dict[str, Tensor] = {}
        self.steps: dict[tuple[Basic, int], Tensor] = {}
        self.hidden: dict[Basic, object] = {}
        self.given: dict[Basic, int] = {}
        self.path: list[tuple[str, int]] = []
        for name, value in given.items():
            if name not in self.names:
                self.static[name] = value
                continue
            self.given[self.names[name]] = value.shape[1]
            self.steps |= {(self.names[name], t + 1): step for t, step in enumerate(value.unbind(1))}
        self.roles = Roles(generator)
        self.chains = {f.sequence: f for f in self.environment.factors if isinstance(f, Chain)}

    # Values.

    def _inferred(self, t: int) -> bool:
        """Whether an observed sequence is given at a step, or at any later one."""
        return any(self.given.get(s, 0) >= t for s in self.roles.generated())

    def read(self, node: Basic, t: int) -> Tensor:
        """What a factor is given at a step: a variable, a step, a whole sequence, or the step's number."""
        if node == self.time.index:
            return torch.full((self.count,), t, device=self._device())
        if (number := self.time.number(node)) is not None:
            return self.step(base(node), number)
        if (offset := self.time.offset(node)) is not None:
            return self.step(base(node), t + offset)
        if self.time.is_range(node):
            known = range(1, self.extent(base(node)) + 1)
            return torch.stack([self.steps[base(node), s] for s in known], 1)
        return self.variable(node)

    def variable(self, node: Basic) -> Tensor:
        """The value of a variable that is the same at all steps."""
        name = spelled(node)
        if name not in self.static:
            infer = self._inferred(1) and not all(is_certain(f) for f in self.roles.over(node))
            self._draw(self.roles.factor(node, 0, infer=infer), 0, name)
        return self.static[name]

    def step(self, sequence: Basic, t: int) -> Tensor:
        """A step of a sequence; its beginning for a step before the first."""
        if t < 1:
            return self.before(sequence)
        if (sequence, t) not in self.steps:
            whole = sequence_factor(self.environment, sequence)
            if whole is not None:
                self._run(whole, sequence, t)
                return self.steps[sequence, t]
            self._refuse_short(sequence, t)
            infer = sequence not in self.roles.generated() and self._must_infer(sequence, t)
            if infer and sequence in self.chains:
                self._condition(self.chains[sequence], t)
                return self.steps[sequence, t]
            factor = self.roles.factor(self.time.step(sequence), t, infer=infer)
            recurrent = any(base(g) == sequence for g in factor.givens)
            if recurrent and self._is_fused(factor.distribution):
                self._recur(factor, sequence, t)
            else:
                self._draw(factor, t, spelled(sequence))
        return self.steps[sequence, t]

    def _must_infer(self, sequence: Basic, t: int) -> bool:
        return self._inferred(t) and not any(is_certain(f) for f in self.roles.over(self.time.step(sequence)))

    def _refuse_short(self, sequence: Basic, t: int) -> None:
        """Refuse a step of a sequence that no factor makes."""
        if self.roles.over(self.time.step(sequence)):
            return
        name, steps = spelled(sequence), self.given.get(sequence, 0)
        was = f"is given for {steps} steps, but step {t} is needed" if steps else "is not given"
        raise DataError(
            f"`{name}` {was}, and no factor generates it", hint=f"pass `{name}=...` for all steps"
        )

    def _draw(self, factor: Factor, t: int, name: str) -> None:
        """Draw from a factor, after all that it is given."""
        self._enter(name, t, factor)
        for given in factor.givens:
            if self.time.offset(given) == -1:
                self._catch_up(base(given), t)
        found = self.outcome(factor, t)
        self.path.pop()
        for variable, value in found.items():
            if isinstance(variable, Subscripted) and base(variable) in self.time.sequences:
                self.steps[base(variable), max(t, 1)] = value
            else:
                self.static[spelled(variable)] = value

    def _enter(self, name: str, t: int, factor: Factor) -> None:
        """Refuse to make a value on the way to itself."""
        if (name, t) in self.path:
            raise NameResolutionError(
                f"`{name}` depends on itself through `{factor.node}`, where {_listed(self.given)} given",
                hint="give all that it is inferred from, or nothing of it",
            )
        self.path.append((name, t))

    def _catch_up(self, sequence: Basic, t: int) -> None:
        """The steps before a step, in order, so that none waits for a long chain of earlier ones."""
        known = t - 1
        while known > 0 and (sequence, known) not in self.steps:
            known -= 1
        for s in range(known + 1, t):
            self.step(sequence, s)

    def outcome(self, factor: Factor, t: int) -> dict[Basic, Tensor]:
        """A draw of a factor at a step, or its mean where the observed variables take theirs.

        What reads a slice of the past reads all that it is given from the first step on; the last step of
        what comes out counts.
        """
        distribution, time = factor.distribution, self.time
        pairs = list(zip(distribution.given, factor.givens, strict=True))
        whole = any(time.past(v) is not None for v in factor.givens)
        given = {d: self._upto(v, t) if whole else self.read(v, t) for d, v in pairs}
        if whole and self._is_fused(distribution):
            return {factor.variables[0]: self._reread(distribution, list(given.values()))[:, -1]}
        if self.mean and {spelled(base(v)) for v in factor.variables} & set(self.generator.observed):
            found = self.generator.mean(distribution, given, self.count)
        else:
            found = self.generator.drawn(factor, given, self.count)
        names = zip(distribution.variables, factor.variables, strict=True)
        return {v: found[d][:, -1] if whole else found[d] for d, v in names}

    def _condition(self, chain: Chain, t: int) -> None:
        """All steps of a chain that is left out exactly, given all that is known of what it emits."""
        name, last = spelled(chain.sequence), max(self.given.get(s, 0) for s in self.roles.generated())
        self._enter(name, t, chain)
        unknown = [s for s in self.roles.generated() if s not in self.given]
        known = [v for v in chain.variables if base(v) not in unknown]
        data = {}
        for node in (*known, *chain.givens):
            if self.time.is_range(node):
                steps = [self.step(base(node), s) for s in range(1, last + 1)]
                data[spelled(base(node))] = torch.stack(steps, 1)
            else:
                data[spelled(node)] = self.variable(node)
        self.path.pop()
        drawn = posterior_path(self.environment, reference(chain.head, known, chain.givens), data)
        for s, value in enumerate(drawn.unbind(1), 1):
            self.steps[chain.sequence, s] = value

    def _upto(self, node: Basic, t: int) -> Tensor:
        """A slice of the past, or a step at all times up to now; what has no steps is repeated."""
        lag = self.time.past(node)
        at = node if lag is None else self.time.step(base(node), -lag)
        return torch.stack([self.read(at, s) for s in range(1, t + 1)], 1)

    # Sequences that networks make.

    def before(self, sequence: Basic) -> Tensor:
        """The value before the first step, one for all or a row for each; zeros for what is computed.

        Raises:
            NameResolutionError: a latent sequence without a beginning.
            ShapeError: nothing says its event shape, or the value has another one.
        """
        value, name = self.time.initial.get(sequence), spelled(sequence)
        makers = self.roles.over(self.time.step(sequence))
        if isinstance(value, Tensor):
            return rows_of(name, value, self.count, next(self._events(sequence, makers), None)).detach()
        if sequence not in self.given:
            self._refuse_short(sequence, 1)
        if (
            value is None
            and makers
            and sequence not in self.roles.generated()
            and not any(map(is_certain, makers))
        ):
            raise NameResolutionError(
                f"the sequence `{name}` has no beginning", hint=f"bind `{name}_0=0.0`, or pass `{name}=...`"
            )
        event, like = next(self._events(sequence, makers), None), self._like()
        if event is None:
            raise ShapeError(
                f"the event shape of `{name}` is not known yet",
                hint=f"declare it where the model is built, as by `{name}=16`, or evaluate once",
            )
        return torch.full((self.count, *event), value or 0.0, dtype=like.dtype, device=like.device)

    def _events(self, sequence: Basic, makers: list[Factor]) -> Iterator[torch.Size]:
        """What says the event shape of a sequence."""
        yield from (n.shape[1:] for (s, _), n in self.steps.items() if s == sequence)
        names = (sequence, self.time.step(sequence), self.time.first(sequence))
        yield from (self.generator.events[spelled(n)] for n in names if spelled(n) in self.generator.events)
        for distribution in (f.distribution for f in makers):
            if isinstance(distribution, Family) and distribution.event_shape is not None:
                yield distribution.event_shape
            if isinstance(distribution, Deterministic):
                size = getattr(distribution.sources[0].call, "hidden_size", None)
                if isinstance(size, int):
                    yield torch.Size([size])

    def _is_fused(self, distribution: Distribution) -> bool:
        """Whether a value is computed by a module that keeps a state of its own."""
        return isinstance(distribution, Deterministic) and isinstance(distribution.sources[0].call, FUSED)

    def _reread(self, distribution: Distribution, inputs: list[Tensor]) -> Tensor:
        """What such a module makes of whole sequences."""
        assert isinstance(distribution, Deterministic)
        value = torch.cat(inputs, -1).transpose(0, 1)
        source = distribution.sources[0]
        call: Any = source.call
        given = PackedSequence(value.flatten(0, 1), torch.tensor([self.count] * len(value)))
        named = dict(zip(source.arguments, inputs, strict=True))
        states: Tensor = attempt(lambda: call(given)[0].data, source.failing, lambda: named)
        return states.reshape(len(value), self.count, -1).transpose(0, 1)

    def _recur(self, factor: Factor, sequence: Basic, t: int) -> None:
        """Steps of a recurrence by a module that keeps its own state, forward or backward in time."""
        backward = self.time.step(sequence, 1) in factor.givens
        inputs = [g for g in factor.givens if base(g) != sequence]
        last = self._end(inputs) if backward else t
        first = t if backward else self._known(sequence) + 1
        if last < t:
            raise DataError(
                f"`{factor.node}` reads backwards in time, but what it reads is given for {last} steps only",
                hint=f"step {t} can be inferred only from what is given there",
            )
        order = range(last, first - 1, -1) if backward else range(first, last + 1)
        for s in order:
            values = {spelled(g): self.read(g, s) for g in inputs}
            begin = s == (last if backward else 1)
            self.steps[sequence, s] = self._advance(factor, sequence, values, begin=begin)

    def _end(self, inputs: Sequence[Basic]) -> int:
        """The last step that can be read; what is computed can be made as far as what is given goes."""
        ends = {g: self.extent(base(g)) - (self.time.offset(g) or 0) for g in inputs}
        given = [end for g, end in ends.items() if base(g) in self.given]
        return min(given) if given else max(ends.values())

    def _advance(
        self, factor: Factor, sequence: Basic, values: Mapping[str, Tensor], *, begin: bool
    ) -> Tensor:
        """One step of a module that keeps its own state."""
        assert isinstance(factor.distribution, Deterministic)
        source = factor.distribution.sources[0]
        call, value = source.call, torch.cat(list(values.values()), -1)
        assert isinstance(call, nn.Module)
        state = self.hidden.get(sequence)
        if begin:
            started = self.time.initial.get(sequence) is not None
            state = self.before(sequence)[None] if started else None
        given = PackedSequence(value, torch.tensor([self.count]))
        packed, self.hidden[sequence] = attempt(lambda: call(given, state), source.failing, lambda: values)
        return packed.data  # type: ignore[no-any-return]

    def _run(self, factor: Factor, sequence: Basic, t: int) -> None:
        """A network that reads whole sequences, as far as they are known."""
        assert isinstance(factor.distribution, Deterministic)
        known = min(self.extent(base(g)) for g in factor.givens)
        if known < t:
            raise NameResolutionError(
                f"`{factor.node}` is needed at step {t}, but what it reads is known up to step {known}",
                hint="a network that reads whole sequences can generate only if each step needs earlier ones",
            )
        (source,) = factor.distribution.sources
        whole = [torch.stack([self.steps[base(g), s + 1] for s in range(known)], 1) for g in factor.givens]
        named = dict(zip(source.arguments, whole, strict=True))
        values: Any = attempt(lambda: source.call(*whole), source.failing, lambda: named)
        for s, value in enumerate(values.unbind(1), 1):
            self.steps.setdefault((sequence, s), value)

    def extent(self, sequence: Basic) -> int:
        """How many steps of a sequence are known, from the first on."""
        known = self._known(sequence)
        makers = self.roles.over(self.time.step(sequence))
        if known or not makers or not all(map(is_certain, makers)):
            return known
        inputs = [g for g in makers[0].givens if self.time.offset(g) is not None and base(g) != sequence]
        return min((self.extent(base(g)) for g in inputs), default=0)

    def _known(self, sequence: Basic) -> int:
        known = 0
        while (sequence, known + 1) in self.steps:
            known += 1
        return known

    def _like(self) -> Tensor:
        tensors = [*self.steps.values(), *self.static.values(), *_weights(self.generator)]
        return next((v for v in tensors if v.is_floating_point()), torch.empty(0))

    def _device(self) -> torch.device:
        return self._like().device


def _listed(given: Mapping[Basic, int]) -> str:
    names = [f"`{spelled(s)}`" for s in given]
    return f"{', '.join(names) or 'nothing'} {'is' if len(names) < 2 else 'are'}"


def _weights(generator: Generator) -> list[Tensor]:
    return [p for f in generator.factors for p in f.distribution.parameters()]
