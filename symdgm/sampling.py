"""Drawing from a model, and reconstructing what it was given; of sequences step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from symdgm import forecasting
from symdgm.binding.observations import read_data
from symdgm.errors import NotSupportedError
from symdgm.expressions.names import spelled
from symdgm.generation import Generator
from symdgm.given import switch
from symdgm.training.randomness import seeded

if TYPE_CHECKING:
    from symdgm.model import Model


def sample(
    model: Model, n: int | None, given: Mapping[str, object], *, mean: bool, seed: int | None
) -> dict[str, Tensor]:
    """Draws from the generative model; see `symdgm.model.Model.sample`."""
    switch("mean", mean)
    length = model.objective.bound.lengths
    time = model.objective.bound.environment.time
    jumps = () if time is None else map(spelled, time.jumps)
    whole = {name: torch.tensor(given[name]) for name in jumps if isinstance(given.get(name), int)}
    values = {name: value for name, value in {**given, **whole}.items() if name != length}
    fixed = read_data(values, tuple(values), lambda: next(model.parameters(), None))
    with torch.no_grad(), seeded(seed, _device(model)), model.objective.bound.pointing():
        if length is not None:
            return forecasting.sample(_generator(model), n, given.get(length), fixed, mean=mean)
        return _generator(model).sample(n, fixed, mean=mean)


def reconstruct(
    model: Model, x: Tensor, given: Mapping[str, Tensor], *, mean: bool, seed: int | None
) -> Tensor:
    """The first observed variable encoded and decoded; see `symdgm.model.Model.reconstruct`."""
    if not model.variables:
        raise NotSupportedError(
            "the objective has no data to reconstruct", hint="`sample` draws from the model"
        )
    switch("mean", mean)
    name = model.variables[0]
    data = model.objective.read({name: x, **given})
    with torch.no_grad(), seeded(seed, _device(model)):
        if name in model.objective.bound.sequences:
            return forecasting.reconstruct(_generator(model), name, data, mean=mean)
        return _generator(model).reconstruct(name, data, mean=mean)


def _generator(model: Model) -> Generator:
    events = {k: v for side in model.sides.values() for k, v in side.objective.events.items()}
    return Generator(model.objective.bound.environment, events, model.variables)


def _device(model: Model) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))
