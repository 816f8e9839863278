"""The importance weighted autoencoder of the zoo."""

from __future__ import annotations

import math

import handwritten as hand
import torch
import zoo_data as zd

from symdgm.model import Model
from symdgm.zoo import iwae, vae


def test_the_model_is_the_bound_of_its_paper() -> None:
    model = iwae(12, samples=4, latent=3, hidden=7).double()
    x, _ = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x)
    torch.manual_seed(1)
    nets = zd.networks(model)
    loc, scale = nets["enc"](x)
    z = loc + scale * torch.randn(4, *loc.shape, dtype=x.dtype)
    log_p = hand.log_bernoulli(x.expand(4, -1, -1), nets["dec"](z))
    log_w = log_p + hand.log_normal(z, (0 * loc, 0 * loc + 1)) - hand.log_normal(z, (loc, scale))
    zd.assert_same(model, (log_w.logsumexp(0) - math.log(4)).mean(), found)


def trained(model: Model) -> Model:
    model.fit(zd.binary_digits()[0].x, epochs=60, lr=2e-3, seed=0, progress=False)
    return model


def test_five_draws_do_better_than_one_and_the_bounds_are_in_order() -> None:
    """Measured: -23.09 nats where a VAE has -23.19."""
    x = zd.binary_digits()[1].x
    torch.manual_seed(0)
    model = trained(iwae(64))
    torch.manual_seed(0)
    plain = trained(vae(64, hidden=256))
    reached = zd.log_likelihood(model, x)
    assert -23.4 < reached < -22.0
    assert reached > zd.log_likelihood(plain, x)
    bounds = []
    for samples in (1, 5, 50):
        model.scalars["K"] = samples
        bounds.append(zd.report(model, x=x))
    assert sorted(bounds) == bounds
    assert bounds[-1] < reached + 0.05


def test_a_doubly_reparameterised_gradient_trains_it_too() -> None:
    """Measured: -23.03 nats."""
    torch.manual_seed(0)
    model = trained(iwae(64, estimator="doubly reparameterised"))
    assert -23.4 < zd.log_likelihood(model, zd.binary_digits()[1].x) < -22.0
