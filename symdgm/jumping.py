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
        self.time, self.mean, self.given = timeline(generator.environment), mean, given
        names = set(map(spelled, self.time.jumps))
        rows = {name: value for name, value in given.items() if name not in names or value.dim()}
        self.count = count_of(n, rows)
        self.steps = {k: v.expand(self.count) for k, v in given.items() if k in names}
        self.unrolled = Unrolled(
            generator, {k: v for k, v in rows.items() if k not in names}, self.count, mean=mean
        )
        self.places = dict.fromkeys(
            v for f in generator.factors for v in (*f.variables, *f.givens) if self.time.jump(v) is not None
        )
        self.arrivals = self._arrivals(generator)
        self.departure, self.arrival = self._ends()
        names_of = [spelled(v) for v in self.arrivals]
        self.generator = Generator(generator.environment, generator.events, names_of)
        self.used = {spelled(v) for f in generator.factors for v in f.givens}

    def _arrivals(self, generator: Generator) -> list[Subscripted]:
        """The observed steps that factors generate, ``x_t2``."""
        over = (v for f in generator.factors if not f.derived for v in f.variables)
        return [
            v
            for v in dict.fromkeys(over)
            if isinstance(v, Subscripted) and v in self.places and spelled(base(v)) in generator.observed
        ]

    def _ends(self) -> tuple[Basic, Basic]:
        """The names of the steps from which and to which the model jumps."""
        to = {v.indices[0] for v in self.arrivals}
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
        return {**self.given, **self._drawn(self._departures(), {})}

    def along(self, length: int) -> dict[str, Tensor]:
        """A jump to every step after those that are given."""
        if spelled(self.arrival) in self.steps:
            raise OptionError(
                f"`{self.arrival}` is a step to jump to, and `{self.time.length}` is given too",
                hint=f"leave `{self.time.length}` out for one jump",
            )
        start = self._departures()
        known = int(start.max())
        later: dict[str, list[Tensor]] = {spelled(base(v)): [] for v in self.arrivals}
        latent: dict[str, Tensor] = {}
        for step in range(known + 1, length + 1):
            self.steps[spelled(self.arrival)] = torch.full_like(start, step)
            found = self._drawn(torch.full_like(start, step - 1), latent)
            latent = {
                self._at(v, self.departure): found[spelled(v)]
                for v in self.places
                if self.time.jump(v) == self.arrival and spelled(v) in found and v not in self.arrivals
            }
            for variable in self.arrivals:
                later[spelled(base(variable))].append(found[spelled(variable)])
        whole = {name: [self.given[name][:, :length], *self._stacked(steps)] for name, steps in later.items()}
        return {name: torch.cat(parts, 1) for name, parts in whole.items()}

    def _stacked(self, steps: list[Tensor]) -> list[Tensor]:
        return [torch.stack(steps, 1)] if steps else []

    def _at(self, variable: Basic, index: Basic) -> str:
        return spelled(Subscripted(base(variable), index))

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
        """All that one jump draws, given the latent variables from which it starts, or what is believed."""
        values = dict(self.unrolled.static)
        for name, steps in {**self.steps, spelled(self.departure): start}.items():
            if name in self.used:
                values[name] = steps
        if latent:
            values |= latent
        else:
            values |= {spelled(v): self._gathered(v, start) for v in self._believed()}
        found = self.generator.sample(self.count, values, mean=self.mean)
        return {name: value for name, value in found.items() if name not in values}

    def _believed(self) -> list[Basic]:
        """What is known at the step from which the model jumps: given steps, and what is computed from them."""
        here = [v for v in self.places if self.time.jump(v) == self.departure]
        return [v for v in here if self._is_known(base(v))]

    def _is_known(self, sequence: Basic) -> bool:
        makers = self.unrolled.roles.over(self.time.step(sequence))
        return sequence in self.unrolled.given or bool(makers)

    def _gathered(self, variable: Basic, at: Tensor) -> Tensor:
        """A step of each sequence."""
        steps = [self.unrolled.step(base(variable), t) for t in range(1, int(at.max()) + 1)]
        return torch.stack(steps, 1)[torch.arange(self.count), at - 1]
