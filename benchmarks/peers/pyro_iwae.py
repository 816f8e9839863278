"""The importance-weighted bound in Pyro, its draws vectorised."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import RenyiELBO
from torch import Tensor, nn

from benchmarks.peers.pyro_steps import own_name, svi
from benchmarks.variants import Run


def iwae(enc: nn.Module, dec: nn.Module, x: Tensor, latent: int, draws: int) -> Run:
    """Rényi's bound with alpha 0, which Pyro forms for each row since the rows are a plate's."""
    names = own_name("encoder"), own_name("decoder")

    def model(x: Tensor) -> None:
        pyro.module(names[1], dec)
        with pyro.plate("data", x.shape[0], dim=-1):
            loc, scale = x.new_zeros(x.shape[0], latent), x.new_ones(x.shape[0], latent)
            z = pyro.sample("z", dist.Normal(loc, scale).to_event(1))
            probs = torch.sigmoid(dec(z))
            pyro.sample("x", dist.Bernoulli(probs, validate_args=False).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module(names[0], enc)
        with pyro.plate("data", x.shape[0], dim=-1):
            loc, scale = enc(x)
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))

    elbo = RenyiELBO(alpha=0, num_particles=draws, vectorize_particles=True, max_plate_nesting=1)
    optimizer = pyro.optim.Adam({"lr": 1e-3})
    return svi(model, guide, [x], elbo, optimizer, scale=1 / len(x))
