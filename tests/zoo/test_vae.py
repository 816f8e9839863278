"""The variational autoencoder of the zoo."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from symdgm.zoo import GaussianNetwork, network, vae


def test_the_model_is_the_bound_of_its_paper():
    """Values and gradients equal hand-written PyTorch with the same noise."""
    torch.manual_seed(0)
    model = vae(12, latent=3, hidden=7, beta=0.5).double()
    x = torch.bernoulli(torch.full((5, 12), 0.5, dtype=torch.float64))
    torch.manual_seed(1)
    value = model.objective(x=x)
    found = torch.autograd.grad(value, list(model.parameters()))
    networks = model.objective.bound.environment.networks
    torch.manual_seed(1)
    loc, raw = networks["enc"].body(x).chunk(2, -1)
    scale = softplus(raw)
    logits = networks["dec"](loc + scale * torch.randn_like(loc))
    log_p = -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    kl = 0.5 * (loc**2 + scale**2 - 1 - 2 * scale.log()).sum(-1)
    written = (log_p - 0.5 * kl).mean()
    expected = torch.autograd.grad(written, list(model.parameters()))
    assert torch.allclose(value, written, rtol=1e-12)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_every_network_is_trained():
    model = vae(4, latent=2, hidden=3)
    assert sum(p.numel() for p in model.parameters()) == (4 * 3 + 3 + 3 * 4 + 4) + (2 * 3 + 3 + 3 * 4 + 4)


def test_its_samples_and_reconstructions_have_the_shape_of_images():
    model = vae(4, latent=2, hidden=3)
    x = torch.ones(5, 4)
    model.terms(x=x)
    assert model.sample(7)["x"].shape == (7, 4)
    assert model.sample(7)["z"].shape == (7, 2)
    assert model.reconstruct(x).shape == (5, 4)


@pytest.mark.parametrize(("hidden", "layers"), [((), 1), ((5,), 3), ((5, 6), 5)])
def test_a_network_has_a_rectifier_between_its_layers(hidden, layers):
    built = network(3, *hidden, outputs=2)
    assert [type(layer).__name__ for layer in built] == (["Linear", "ReLU"] * layers)[:layers]
    assert built(torch.zeros(4, 3)).shape == (4, 2)


def test_a_gaussian_network_gives_a_mean_and_a_positive_scale():
    loc, scale = GaussianNetwork(3, 5, outputs=2)(torch.randn(100, 3) * 10)
    assert loc.shape == scale.shape == (100, 2)
    assert bool((scale > 0).all())
    assert bool((loc < 0).any())
