"""The deep Markov model learns Bach's chorales."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from symdgm import zoo
from symdgm.data import chorales

SHARED = Path(__file__).parents[3] / "shared" / "data"
BAR = 10.6
"""Nats a step that a short run must reach (10.2 measured); independent notes by their frequencies: 11.06."""


@pytest.mark.skipif(not (SHARED / "jsb-chorales-quarter.json").exists(), reason="the chorales are not here")
def test_it_learns_chorales() -> None:
    data = chorales(SHARED)
    torch.manual_seed(0)
    model = zoo.deep_markov(88, latent=16, hidden=32, transition=32, recurrent=64)
    train = {"x": data.train.steps, "T": data.train.lengths}
    for beta, epochs in ((0.1, 14), (1.0, 6)):
        model.scalars["beta"] = beta
        model.fit(train, epochs=epochs, batch_size=20, lr=3e-3, clip_norm=10.0, seed=0, progress=False)
    with torch.no_grad():
        bound = model.objective(x=data.test.steps, T=data.test.lengths) * len(data.test.lengths)
    assert -float(bound) / int(data.test.lengths.sum()) < BAR


def test_its_divergence_is_closed_and_it_generates() -> None:
    model = zoo.deep_markov(8, latent=2, hidden=4, transition=4, recurrent=4)
    x, lengths = torch.ones(3, 5, 8), torch.tensor([5, 2, 4])
    names = [step.name for step in model.derivation]
    assert "chain rule of KL over time" in names and "closed form" in names
    x[1, 2:] = float("nan")
    loss = model.loss(x=x, T=lengths)
    loss.backward()
    assert loss.isfinite() and all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(4, T=7)["x"].shape == (4, 7, 8)
    assert model.sample(x=torch.ones(2, 3, 8), T=6)["x"][:, :3].eq(1).all()
