"""The autoencoder with binary latent variables of the zoo, under each estimator."""

from __future__ import annotations

import itertools
import math

import handwritten as hand
import pytest
import torch
import zoo_data as zd

from symdgm.zoo import discrete_vae


def test_the_model_is_the_bound_of_its_paper() -> None:
    """All states of three latent variables, written out."""
    model = discrete_vae(12, latent=3, hidden=7, estimator="enumeration").double()
    x, _ = zd.small_batch()
    nets = zd.networks(model)
    probs = nets["enc"](x).sigmoid()
    written = torch.zeros(len(x), dtype=x.dtype)
    for bits in itertools.product((0.0, 1.0), repeat=3):
        z = torch.tensor(bits, dtype=x.dtype)
        weight = (z * probs + (1 - z) * (1 - probs)).prod(-1)
        log_p = hand.log_bernoulli(x, nets["dec"](z.expand(len(x), 3)))
        written = written + weight * (log_p - 3 * math.log(2) - weight.log())
    zd.assert_same(model, written.mean(), model.objective(x=x))


FIGURES = [
    ("score function", 1, -25.7),
    ("score function", 2, -25.1),
    ("VIMCO", 5, -25.0),
    ("DisARM", 1, -25.2),
    ("REBAR", 1, -25.1),
    ("Gumbel-softmax", 1, -24.7),
    ("straight-through", 1, -25.0),
]
"""Estimator, draws, and the least log-likelihood of test images."""


@pytest.mark.parametrize(("estimator", "samples", "least"), FIGURES)
def test_every_estimator_trains_it(estimator: str, samples: int, least: float) -> None:
    """Measured: -25.3, -24.7, -24.6, -24.8, -24.7, -24.3, -24.7; independent pixels have -26.9."""
    train, test = zd.binary_digits()
    torch.manual_seed(0)
    model = discrete_vae(64, estimator=estimator, samples=samples)
    model.fit(train.x, epochs=40, lr=2e-3, seed=0, progress=False)
    assert zd.log_likelihood(model, test.x) > least
