"""A hidden Markov model of Bach's chorales, trained by its exact likelihood."""

from pathlib import Path

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.data import chorales

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not (SHARED / "jsb-chorales-quarter.json").exists(), reason="the file is not here")
def test_the_likelihood_of_chorales_grows():
    """Per step, on chorales that were not trained on: far above notes that are drawn one by one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        data, states = chorales(SHARED), 16
        notes = nn.Embedding(states, 88)
        nn.init.normal_(notes.weight, -2.5, 0.1)
        model = sd.Model(
            "maximize log p(x_{1:T})",
            sd.Categorical("p(z_t|z_{t-1})", nn.Embedding(states, states)),
            sd.Bernoulli("p(x_t|z_t)", notes),
            z_0=0,
        )
        assert len(model.objective.parameters()) == 2
        model.configure(optimizer=lambda p: torch.optim.Adam(p, lr=0.2))
        lengths = data.train.lengths[:30]
        x = data.train.steps[:30, : int(lengths.max())]
        for _ in range(40):
            model.train_step(x=x, T=lengths)
        test, steps = data.test.steps[:20], data.test.lengths[:20]
        with torch.no_grad():
            found = float(model.objective.per_example(x=test, T=steps).sum() / steps.sum())
        rate = x[torch.arange(x.shape[1]) < lengths[:, None]].mean(0).clamp(1e-3, 1 - 1e-3)
        there = torch.arange(test.shape[1]) < steps[:, None]
        alone = torch.distributions.Bernoulli(rate).log_prob(test[there]).sum(-1).mean()
        assert found > float(alone) + 1.0
