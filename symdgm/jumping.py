"""Sampling of models that jump: from what is believed at one step to a later step, ``p(z_{t2}|z_{t1})``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding.paths import timeline
from symdgm.errors import DataError, NameResolutionError, OptionError, ShapeError
from symdgm.expressions.names import Subscripted, base, spelled
from symdgm.generation import Generator, count_of
from symdgm.unrolling import Unrolled


def jump(
    generator: Generator, n: int | None, length: int | None, given: Mapping[str, Tensor], *, mean: bool
) -> dict[str, Tensor]:
    """Draw what a model jumps to, from the first steps of its sequences.

    Without a number of steps, one jump is made: from the step that is said, which is the last one that is
    given if none is, to the one that is said. With a number of steps, every step after those that are given
    is a jump from the one before.

    Args:
        generator: draws from single factors.
        n: how many; None for as many as are given, or one.
        length: the number of steps, or None for one jump.
        given: the first steps of sequences ``[n, steps, *event]``, steps ``[n]`` counted from 1, and other
            variables ``[n, *event]``.
        mean: whether the observed variables take their mean.

    Returns:
        Variable → ``[n, *event]``, such as ``x_t2``; with a number of steps, sequence →
        ``[n, length, *event]``.

    Raises:
        DataError: no sequence is given.
        NameResolutionError: the model does not jump from one step to one other.
        OptionError: a number of steps and a step to jump to.
        ShapeError: a step that is not given.
    """
    jumps = _Jumps(generator, n, given, mean=mean)
    return jumps.once() if length is None else jumps.along(length)


@final
class _Jumps:
    """Jumps of a model.

    Args:
        generator: draws from single factors.
        n: how many.
        given: what is fixed.
        mean: whether the observed variables take their mean.
    """

    def __init__(
        self, generator: Generator, n: int | None, given: Mapping[str, Tensor], *, mean: bool
    ) -> None:
        self.time, self.mean = timeline(generator.environment), mean
        names = set(map(spelled, self.time.jumps))
        self.count = count_of(n, {k: v for k, v in given.items() if k not in names or v.dim()})
        self.steps = {k: v.expand(self.count) for k, v in given.items() if k in names}
        self.given = {k: v for k, v in given.items() if k not in names}
        self.unrolled = Unrolled(generator, self.given, self.count, mean=mean)
        every = dict.fromkeys(v for f in generator.factors for v in (*f.variables, *f.givens))
        self.used = set(map(spelled, (v for f in generator.factors for v in f.givens)))
        self.places = {v: at for v in every if (at := self._step_of(v)) is not None}
        made = {v for f in generator.factors for v in f.variables}
        self.arrivals = [v for v in self.places if v in made and spelled(base(v)) in generator.observed]
        self.departure, self.arrival = self._ends()
        self.generator = Generator(
            generator.environment, generator.events, [spelled(v) for v in self.arrivals]
        )

    def _step_of(self, variable: Basic) -> Basic | None:
        """``t1`` of ``z_t1``; None for what is at no such step."""
        alone = isinstance(variable, Subscripted) and len(variable.indices) == 1
        return variable.indices[0] if alone and variable.indices[0] in self.time.jumps else None

    def _ends(self) -> tuple[Basic, Basic]:
        """The names of the steps from which and to which the model jumps."""
        to = {self.places[v] for v in self.arrivals}
        start = self.time.jumps - to
        if len(to) != 1 or len(start) != 1:
            listed = ", ".join(f"`{s}`" for s in sorted(self.time.jumps, key=str))
            raise NameResolutionError(
                f"the model does not jump from one step to one other: its steps are {listed}",
                hint="name a factor over an observed sequence at the later of two steps, `p(x_{t2}|z_{t2})`",
            )
        return next(iter(start)), next(iter(to))

    def once(self) -> dict[str, Tensor]:
        """One jump."""
        name, start = spelled(self.arrival), self._departures()
        if name in self.used and name not in self.steps:
            raise DataError(
                f"nothing says to which step `{name}` the model jumps",
                hint=f"pass `{name}=...`, or `{self.time.length}=...` to go on step by step",
            )
        return {**self.given, **self.steps, **self._drawn(start, {})}

    def along(self, length: int) -> dict[str, Tensor]:
        """A jump to every step after those that are given."""
        for name in self.steps:
            raise OptionError(
                f"`{name}` is a step of one jump, and `{self.time.length}` says to go on step by step",
                hint="leave one of them out",
            )
        start = self._departures()
        known, latent = int(start[0]), dict[str, Tensor]()
        whole = {v: [*self.given[spelled(base(v))].unbind(1)][:length] for v in self.arrivals}
        for step in range(known, length):
            self.steps[spelled(self.arrival)] = torch.full_like(start, step + 1)
            found = self._drawn(torch.full_like(start, step), latent)
            for variable, steps in whole.items():
                steps.append(found[spelled(variable)])
            latent = {
                spelled(Subscripted(base(v), self.departure)): found[spelled(v)]
                for v, at in self.places.items()
                if at == self.arrival and v not in whole and spelled(v) in found
            }
        return {spelled(base(v)): torch.stack(steps, 1) for v, steps in whole.items()}

    def _departures(self) -> Tensor:
        """The step from which each sequence jumps."""
        if not self.unrolled.given:
            names = ", ".join(f"`{spelled(base(v))}`" for v in self.arrivals)
            raise DataError(
                f"no first steps of {names} are given, from which the model jumps",
                hint="pass them as [n, steps, *event]",
            )
        name, known = spelled(self.departure), min(self.unrolled.given.values())
        steps = self.steps.get(name, torch.full((self.count,), known))
        if int(steps.min()) < 1 or int(steps.max()) > known:
            raise ShapeError(
                f"`{name}` is from {int(steps.min())} to {int(steps.max())}, but {known} steps are given",
                hint="a model jumps from a step that is given, counted from 1",
            )
        return steps

    def _drawn(self, start: Tensor, latent: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All that one jump draws, from latent variables where it starts, or from what is believed there."""
        steps = {**self.steps, spelled(self.departure): start}
        values = {**self.unrolled.static, **{k: v for k, v in steps.items() if k in self.used}}
        values |= latent or {spelled(v): self._gathered(v, start) for v in self._known()}
        found = self.generator.sample(self.count, values, mean=self.mean)
        return {name: value for name, value in found.items() if name not in values}

    def _known(self) -> list[Basic]:
        """Given steps where a jump starts, and what is computed from them."""
        here = [v for v, at in self.places.items() if at == self.departure]
        made, given = self.unrolled.roles.over, self.unrolled.given
        return [v for v in here if base(v) in given or made(self.time.step(base(v)))]

    def _gathered(self, variable: Basic, at: Tensor) -> Tensor:
        """A step of each sequence."""
        steps = [self.unrolled.step(base(variable), t) for t in range(1, int(at.max()) + 1)]
        return torch.stack(steps, 1)[torch.arange(self.count), at - 1]
