"""Sampling from a model's generative factors, and reconstruction through its inference factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from symdgm.binding import Environment, Factor
from symdgm.distributions import Data, Distribution, Family
from symdgm.errors import NameResolutionError
from symdgm.expressions.names import spelled


class Generator:
    """Draws variables in ancestral order.

    Args:
        environment: the factors.
        events: the event shapes that were seen.
        observed: the data variables.
    """

    def __init__(self, environment: Environment, events: Mapping[str, torch.Size], observed: Sequence[str]) -> None:
        self.factors = [f for f in environment.factors if not isinstance(f.distribution, Data)]
        self.events = {**events, **environment.shapes}
        self.observed = observed

    def sample(self, n: int, given: Mapping[str, Tensor], *, mean: bool) -> dict[str, Tensor]:
        """Draw the observed variables and all their ancestors."""
        values = dict(given)
        for name in self.observed:
            if name not in values:
                self._draw(name, values, n, self._generative(name), mean=mean, path=())
        return {k: v for k, v in values.items() if k not in given or k in self.observed}

    def reconstruct(self, name: str, data: Mapping[str, Tensor], *, mean: bool) -> Tensor:
        """Draw what ``name`` is given from the data, then ``name`` from that."""
        factor = self._generative(name)
        values = dict(data)
        for parent in map(spelled, factor.givens):
            if parent not in values:
                self._draw(parent, values, len(data[name]), self._inference(parent, values, factor), mean=False, path=(name,))
        del values[name]
        self._draw(name, values, len(data[name]), factor, mean=mean, path=())
        return values[name]

    def _draw(
        self, name: str, values: dict[str, Tensor], n: int, factor: Factor, *, mean: bool, path: tuple[str, ...]
    ) -> None:
        if name in path:
            raise NameResolutionError(f"`{name}` depends on itself through `{factor.node}`")
        for parent in map(spelled, factor.givens):
            if parent not in values:
                self._draw(parent, values, n, self._parent(parent, factor), mean=False, path=(*path, name))
        distribution = factor.distribution
        given = {v: values[v] for v in map(spelled, factor.givens)}
        if mean and name in self.observed:
            values.update(distribution.mean(given))
        else:
            values.update(_drawn(distribution, given, n, self.events.get(name)))

    def _generative(self, name: str) -> Factor:
        """The factor that generates an observed variable."""
        return self._one(name, [f for f in self.factors if name in map(spelled, f.variables)], "generates")

    def _parent(self, name: str, child: Factor) -> Factor:
        """The factor of a parent: that of the child's own name, if there is one."""
        found = [f for f in self.factors if name in map(spelled, f.variables)]
        return self._one(name, [f for f in found if f.head == child.head] or found, "generates")

    def _inference(self, name: str, values: Mapping[str, Tensor], child: Factor) -> Factor:
        """The factor that infers a latent variable from what is known."""
        found = [
            f
            for f in self.factors
            if name in map(spelled, f.variables) and f.head != child.head and set(map(spelled, f.givens)) <= set(values)
        ]
        return self._one(name, found, "infers")

    def _one(self, name: str, found: list[Factor], verb: str) -> Factor:
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"`{f.node}`" for f in self.factors)
        what = "no factor" if not found else "more than one factor"
        raise NameResolutionError(f"{what} {verb} `{name}`", hint=f"bound: {listed}; or pass `{name}=...`")


def _drawn(distribution: Distribution, given: Mapping[str, Tensor], n: int, event: torch.Size | None) -> dict[str, Tensor]:
    if given:
        return distribution.sample(given)
    if isinstance(distribution, Family) and distribution.event_shape is None and event is not None:
        like = next(distribution.buffers())
        parameters = {k: torch.as_tensor(v, dtype=like.dtype, device=like.device) for k, v in distribution.constants.items()}
        return {distribution.variables[0]: distribution.draw(parameters, torch.Size((n, *event)), None)}
    return distribution.sample(n=n)
