"""The unlabelled part of M2 in Pyro, its classes enumerated in parallel."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate
from torch import Tensor, nn

from benchmarks.peers.pyro_steps import own_name, svi
from benchmarks.variants import Run


def enumeration(
    classify: nn.Module, posterior: nn.Module, picture: nn.Module, x: Tensor, classes: int, latent: int
) -> Run:
    """Pyro's model and guide around the given networks."""
    names = [own_name(name) for name in ("classify", "posterior", "picture")]

    def model(x: Tensor) -> None:
        pyro.module(names[2], picture)
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", dist.OneHotCategorical(x.new_full((len(x), classes), 1 / classes)))
            z = pyro.sample("z", dist.Normal(x.new_zeros(latent), x.new_ones(latent)).to_event(1))
            probs = torch.sigmoid(picture(y, z))
            pyro.sample("x", dist.Bernoulli(probs, validate_args=False).to_event(1), obs=x)

    @config_enumerate
    def guide(x: Tensor) -> None:
        pyro.module(names[0], classify)
        pyro.module(names[1], posterior)
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", dist.OneHotCategorical(logits=classify(x)))
            pyro.sample("z", dist.Normal(*posterior(x, y)).to_event(1))

    elbo = TraceEnum_ELBO(max_plate_nesting=1)
    return svi(model, guide, [x], elbo, pyro.optim.Adam({"lr": 1e-3}), scale=1 / len(x))
