"""What the tests of models of sequences share: chorales, small sequences, and their steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from symdgm.data import chorales
from symdgm.model import Model

SHARED = Path(__file__).parents[3] / "shared" / "data"
with_chorales = pytest.mark.skipif(
    not (SHARED / "jsb-chorales-quarter.json").exists(), reason="the chorales are not here"
)
INDEPENDENT = 11.06
"""Nats a step of the chorales by the frequency of each note."""


def small_sequences() -> tuple[Tensor, Tensor]:
    """Four binary sequences of four features with NaN beyond their lengths, in double precision."""
    noise, lengths = torch.Generator().manual_seed(1), torch.tensor([3, 6, 1, 4])
    x = (torch.rand(4, 6, 4, generator=noise) > 0.5).double()
    x[torch.arange(6) >= lengths[:, None]] = float("nan")
    return x, lengths


def running(x: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    """The steps of all sequences that still run, the longest first, as noise is drawn for them."""
    order = lengths.argsort(descending=True, stable=True)
    for t in range(int(lengths.max())):
        yield x[order[lengths[order] > t], t]


def trained_on_chorales(model: Model, *stages: tuple[float, int, float]) -> float:
    """The negative bound in nats a step of the test set, after stages of (beta, epochs, learning rate)."""
    data = chorales(SHARED)
    for beta, epochs, lr in stages:
        model.scalars["beta"] = beta
        train = {"x": data.train.steps, "T": data.train.lengths}
        model.fit(train, epochs=epochs, batch_size=20, lr=lr, clip_norm=10.0, seed=0, progress=False)
    with torch.no_grad():
        bound = model.objective(x=data.test.steps, T=data.test.lengths) * len(data.test.lengths)
    return -float(bound) / int(data.test.lengths.sum())


def assert_it_continues(model: Model, features: int) -> None:
    """It generates sequences of any length, and goes on from a prefix as it is."""
    drawn = model.sample(4, T=7, seed=0)["x"]
    assert drawn.shape == (4, 7, features) and set(drawn.unique().tolist()) == {0, 1}
    prefix = torch.ones(3, 4, features)
    continued = model.sample(x=prefix, T=6, seed=0)["x"]
    assert continued.shape == (3, 6, features) and continued[:, :4].equal(prefix)
