"""The VAE as in Pyro's example."""

from __future__ import annotations

import warnings

import pyro
import pyro.distributions as dist
import pyro.infer
import torch
from torch import Tensor, nn

from benchmarks.peers.pyro_steps import own_name, svi
from benchmarks.variants import Run, parameters_of


def vae(enc: nn.Module, dec: nn.Module, x: Tensor, latent: int, *, elbo: str, validate: bool = True) -> Run:
    """Pyro's model and guide around the given networks."""
    names = own_name("encoder"), own_name("decoder")

    def model(x: Tensor) -> None:
        pyro.module(names[1], dec)
        with pyro.plate("data", x.shape[0]):
            loc, scale = x.new_zeros(x.shape[0], latent), x.new_ones(x.shape[0], latent)
            z = pyro.sample("z", dist.Normal(loc, scale).to_event(1))
            probs = torch.sigmoid(dec(z))
            pyro.sample("x", dist.Bernoulli(probs, validate_args=False).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module(names[0], enc)
        with pyro.plate("data", x.shape[0]):
            loc, scale = enc(x)
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))

    loss = getattr(pyro.infer, elbo)()
    if jitted := elbo.startswith("Jit"):
        with warnings.catch_warnings():
            # Pyro traces by what torch has deprecated.
            warnings.simplefilter("ignore")
            loss.differentiable_loss(model, guide, x)
    kept = [] if jitted else parameters_of(enc, dec)
    optimizer = pyro.optim.Adam({"lr": 1e-3})
    return svi(model, guide, [x], loss, optimizer, validate=validate, scale=1 / len(x), parameters=kept)
