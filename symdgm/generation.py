"""Sampling from a model's generative factors, and reconstruction through its inference factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from sympy import Basic
from torch import Tensor
from torch.nn import Parameter

from symdgm.binding import Environment, Factor
from symdgm.binding.environment import without_parameters
from symdgm.binding.observations import check_count, check_event, check_fixed
from symdgm.distributions import Data, Deterministic, Distribution, Family
from symdgm.distributions.shapes import show
from symdgm.errors import DataError, NameResolutionError, ShapeError, suggest
from symdgm.expressions.names import spelled


class Generator:
    """Draws variables in ancestral order.

    Args:
        environment: the factors.
        events: the event shapes that were seen.
        observed: the data variables.
    """

    def __init__(
        self, environment: Environment, events: Mapping[str, torch.Size], observed: Sequence[str]
    ) -> None:
        self.factors = [f for f in environment.factors if not isinstance(f.distribution, Data)]
        self.events = {**events, **environment.shapes}
        self.observed = observed
        self.environment = environment

    def sample(self, n: int | None, given: Mapping[str, Tensor], *, mean: bool) -> dict[str, Tensor]:
        """Draw the observed variables and all their ancestors.

        Args:
            n: how many; None for as many as are given, or one.
            given: variables that are fixed, ``[n, *event]``.
            mean: whether the observed variables take their mean.

        Returns:
            Variable → ``[n, *event]``, in the order in which they were drawn, after what was given.
        """
        self._check_given(given)
        count = count_of(n, given)
        values = dict(given)
        for name in self.observed:
            if name not in values:
                self._draw(name, values, count, self._generative(name), mean=mean, path=())
        for factor in self.certain:
            if self._is_reached(factor, values, ()):
                self._draw(spelled(factor.variables[0]), values, count, factor, mean=mean, path=())
        return values

    @property
    def certain(self) -> list[Factor]:
        """The values that statements define, ``h = f(x)``."""
        return [f for f in self.factors if f.derived and isinstance(f.distribution, Deterministic)]

    def _is_reached(self, factor: Factor, values: Mapping[str, Tensor], path: tuple[Factor, ...]) -> bool:
        """Whether all that a factor is given can be drawn."""
        if factor in path:
            return False
        for parent in map(spelled, factor.givens):
            if parent not in values and len(self._reached(parent, values, (*path, factor))) != 1:
                return False
        return all(spelled(v) not in values for v in factor.variables)

    def _reached(self, name: str, values: Mapping[str, Tensor], path: tuple[Factor, ...]) -> list[Factor]:
        return [f for f in self._over(name) if self._is_reached(f, values, path)]

    def reconstruct(self, name: str, data: Mapping[str, Tensor], *, mean: bool) -> Tensor:
        """Draw what ``name`` is given from the data, then ``name`` from that.

        Args:
            name: an observed variable.
            data: all observed variables, ``[batch, *event]``.
            mean: whether the mean of ``name`` is taken rather than a draw.
        """
        factor, count = self._generative(name), len(data[name])
        values = dict(data)
        for given, value in data.items():
            self._check_event(given, value)
        for parent in map(spelled, factor.givens):
            if parent not in values:
                inference = self._inference(parent, values, factor)
                self._draw(parent, values, count, inference, mean=False, path=(name,))
                self._check_event(parent, values[parent])
        del values[name]
        self._draw(name, values, count, factor, mean=mean, path=())
        return values[name]

    def _draw(
        self,
        name: str,
        values: dict[str, Tensor],
        n: int,
        factor: Factor,
        *,
        mean: bool,
        path: tuple[str, ...],
    ) -> None:
        """Draw ``name``, and before it all that it is given."""
        if name in path:
            raise NameResolutionError(
                f"`{name}` depends on itself through `{factor.node}`", hint=f"pass `{name}=...`"
            )
        for parent in map(spelled, factor.givens):
            if parent not in values:
                self._draw(
                    parent, values, n, self._parent(parent, values, factor), mean=False, path=(*path, name)
                )
        # By place: a distribution and its parsed node may spell one variable in two ways, x_1_2 and x_{1,2}.
        distribution = factor.distribution
        given = {d: values[spelled(v)] for d, v in zip(distribution.given, factor.givens, strict=True)}
        at_mean = mean and name in self.observed
        found = self.mean(distribution, given, n) if at_mean else self.drawn(factor, given, n)
        names = zip(distribution.variables, factor.variables, strict=True)
        values.update({spelled(v): found[d] for d, v in names})

    def mean(self, distribution: Distribution, given: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
        """The mean of a distribution, for each row."""
        means = distribution.mean(given)
        return means if given else {k: v.expand(n, *v.shape[1:]) for k, v in means.items()}

    def drawn(self, factor: Factor, given: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
        """A draw; constants alone take the event shape that was seen in an evaluation."""
        distribution = factor.distribution
        if given:
            return distribution.sample(given)
        event = self.events.get(spelled(factor.variables[0]))
        if isinstance(distribution, Family) and distribution.event_shape is None and event is not None:
            parameters = distribution.parameters_at()
            return {distribution.variables[0]: distribution.draw(parameters, torch.Size((n, *event)), None)}
        if isinstance(distribution, Family) and distribution.event_shape is None and not distribution.sources:
            name = distribution.variables[0]
            raise ShapeError(
                f"the event shape of `{name}` is not known yet",
                hint=f"declare it where the model is built, as by `{name}=16`, or evaluate once",
            )
        like = next((p for f in self.factors for p in f.distribution.parameters()), torch.empty(0))
        found = distribution.sample(n=n)
        return {name: v.to(like.dtype) if v.is_floating_point() else v for name, v in found.items()}

    def _generative(self, name: str) -> Factor:
        """The factor that generates an observed variable; of several, the one whose name generates all."""
        found = self._over(name)
        if len(found) > 1:
            shared = [f for f in found if all(self._generates(f, other) for other in self.observed)]
            found = shared or found
        return self._one(name, found, "generates")

    def _generates(self, factor: Factor, name: str) -> bool:
        """Whether a factor of the same name is over a variable."""
        return bool(_named(self._over(name), factor.head))

    def _parent(self, name: str, values: Mapping[str, Tensor], child: Factor) -> Factor:
        """The factor of a parent: of the child's own name, if there is one, and one that can be drawn."""
        found = self._over(name)
        found = _named(found, child.head) or found
        if len(found) > 1:
            found = self._reached(name, values, (child,)) or found
        return self._one(name, found, "generates")

    def _inference(self, name: str, values: Mapping[str, Tensor], child: Factor) -> Factor:
        """The factor that infers a latent variable from what is known."""
        found = [
            f for f in self._over(name) if f.head != child.head and set(map(spelled, f.givens)) <= set(values)
        ]
        return self._one(name, [f for f in found if f.givens] or found, "infers")

    def _over(self, name: str) -> list[Factor]:
        return [f for f in self.factors if name in map(spelled, f.variables)]

    def _one(self, name: str, found: list[Factor], verb: str) -> Factor:
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"`{f.node}`" for f in self.factors)
        hint = f"bound: {listed}; or pass `{name}=...`" if listed else "nothing is bound that could be drawn"
        what = "no factor" if not found else "more than one factor"
        raise NameResolutionError(f"{what} {verb} `{name}`", hint=hint)

    def _check_given(self, given: Mapping[str, Tensor]) -> None:
        """Refuse unknown names, and values of another event shape than was declared or seen."""
        known = {spelled(v) for f in self.factors for v in (*f.variables, *f.givens)}
        for name, value in given.items():
            if name not in known:
                raise DataError(f"the model has no variable `{name}`", hint=suggest(name, known))
            self._check_event(name, value)
            self.check_fixed(name, value)
        if self.observed and set(self.observed) <= set(given) and not self.certain:
            raise DataError(
                f"{', '.join(f'`{name}`' for name in self.observed)} given, so that nothing is left to draw",
                hint="leave out what is to be drawn; `reconstruct` infers the latent variables and decodes",
            )

    def check_fixed(self, name: str, value: Tensor) -> None:
        """Refuse a value from which nothing can be drawn; see there."""
        weights = (p for f in self.factors for p in f.distribution.parameters())
        check_fixed(self.environment, name, value, next((p for p in weights if p.is_floating_point()), None))

    def _check_event(self, name: str, value: Tensor) -> None:
        """Refuse a value of another event shape than was declared or seen."""
        check_event(self.environment, name, value)
        seen = self.events.get(name)
        if seen is not None and value.shape[1:] != seen:
            raise ShapeError(
                f"`{name}` has the event shape {list(value.shape[1:])}, but {list(seen)} was evaluated",
                hint="every variable is [n, *event]",
            )


def rows_of(name: str, value: Tensor, count: int, event: torch.Size | None) -> Tensor:
    """A value before the first step for each row, ``[count, *event]``.

    Args:
        name: of the sequence.
        value: one for all rows ``[*event]``, or one for each.
        count: how many rows there are.
        event: the event shape; None where nothing says it, and a value is one for all.

    Raises:
        ShapeError: it is neither.
    """
    shape, found = show(value.shape), show(value.shape[1:])
    if event is None and value.dim() > 1 and len(value) == count > 1 and not isinstance(value, Parameter):
        raise ShapeError(
            f"nothing says whether `{name}_0` {shape} is one value or a row for each of {count}",
            hint=f"write `{name}={found}` for rows, or `{name}={shape}` for one value",
        )
    try:
        return value.expand(count, *(value.shape if event is None else event))
    except RuntimeError as error:
        raise ShapeError(
            f"`{name}_0` has the shape {shape}, but `{name}` has the event shape {show(event or ())}",
            hint=f"give {show(event or ())}, or a row for each of n={count}, {show((count, *(event or ())))}",
        ) from error


def _named(factors: Sequence[Factor], head: Basic) -> list[Factor]:
    """The factors of a name; if there are none, those of the same name without its parameters."""
    exact = [f for f in factors if f.head == head]
    return exact or [f for f in factors if _plain(f.head) == _plain(head)]


def _plain(head: Basic) -> Basic:
    return without_parameters(head) or head


def count_of(n: int | None, given: Mapping[str, Tensor]) -> int:
    """How many are drawn: what is asked for must agree with what is given.

    Raises:
        OptionError: ``n`` is no whole number from 1.
        ShapeError: the numbers of rows do not agree.
    """
    sizes = {name: len(value) if value.dim() else 0 for name, value in given.items()}
    empty = [name for name, size in sizes.items() if size == 0]
    if empty:
        raise ShapeError(f"`{empty[0]}` has no rows", hint=f"pass `{empty[0]}=...` as [n, *event]")
    wanted = {*sizes.values(), *(() if n is None else (check_count(n),))}
    if len(wanted) > 1:
        listed = ", ".join(f"`{name}` has {size}" for name, size in sizes.items())
        asked = "" if n is None else f"n={n}, "
        raise ShapeError(
            f"the numbers of rows do not agree: {asked}{listed}",
            hint="leave `n` out to draw one for each row",
        )
    return wanted.pop() if wanted else 1
