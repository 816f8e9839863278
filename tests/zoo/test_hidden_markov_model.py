"""The hidden Markov model of the zoo learns chorales by its exact likelihood, and goes on from a prefix."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from symdgm import zoo
from symdgm.data import chorales

SHARED = Path(__file__).parents[3] / "shared" / "data"
BAR = 8.8
"""Nats a step that a short run must reach (8.6 measured); independent notes by their frequencies: 11.06."""


@pytest.mark.skipif(not (SHARED / "jsb-chorales-quarter.json").exists(), reason="the chorales are not here")
def test_it_learns_chorales() -> None:
    data = chorales(SHARED)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = zoo.hidden_markov(88, states=32, logit=-2.5)
        train = {"x": data.train.steps, "T": data.train.lengths}
        model.fit(train, epochs=8, batch_size=20, lr=0.1, seed=0, progress=False)
    with torch.no_grad():
        exact = model.objective.per_example(x=data.test.steps, T=data.test.lengths).sum()
    assert -float(exact) / int(data.test.lengths.sum()) < BAR
    assert model.sample(x=data.test.steps[:2, :8], T=12, seed=0)["x"][:, :8].equal(data.test.steps[:2, :8])


def test_its_likelihood_is_that_of_its_tables() -> None:
    """Against the recursion over probabilities, for one sequence."""
    torch.manual_seed(0)
    model = zoo.hidden_markov(4, states=3).double()
    x = (torch.rand(2, 5, 4) > 0.5).double()
    x[1, 3:] = float("nan")
    found = model.objective.per_example(x=x, T=torch.tensor([5, 3]))
    start, move, emit = (p.detach() for p in model.parameters())
    for row, length in enumerate((5, 3)):
        alpha = start.softmax(-1)
        for t in range(length):
            seen = torch.distributions.Bernoulli(logits=emit).log_prob(x[row, t]).sum(-1).exp()
            alpha = (alpha @ move.softmax(-1) if t else alpha) * seen
        torch.testing.assert_close(found[row], alpha.sum().log())
