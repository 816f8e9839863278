"""The deep Markov model as in Pyro's example: a loop over time in model and guide, masks, slices."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import pyro.infer
import torch
from torch import Tensor

from benchmarks.dmm_networks import DMM, RATE, reversed_rows
from benchmarks.peers.pyro_steps import own_name, svi
from benchmarks.variants import Run


def dmm(net: DMM, x: Tensor, lengths: Tensor, *, elbo: str) -> Run:
    """Pyro's model and guide around the given networks."""
    name = own_name("dmm")

    def model(x: Tensor, mask: Tensor) -> None:
        pyro.module(name, net)
        z = net.z_0.expand(len(x), -1)
        with pyro.plate("rows", len(x)):
            for t in pyro.markov(range(x.shape[1])):
                valid = mask[:, t : t + 1]
                prior: Any = dist.Normal(*net.transition(z))
                z = pyro.sample(f"z_{t}", prior.mask(valid).to_event(1))
                law: Any = dist.Bernoulli(torch.sigmoid(net.emit(z)))
                pyro.sample(f"x_{t}", law.mask(valid).to_event(1), obs=x[:, t, :])

    def guide(x: Tensor, mask: Tensor) -> None:
        pyro.module(name, net)
        h = reversed_rows(net.recurrent(reversed_rows(x, lengths))[0], lengths)
        z = net.z_0.expand(len(x), -1)
        with pyro.plate("rows", len(x)):
            for t in pyro.markov(range(x.shape[1])):
                posterior: Any = dist.Normal(*net.combine(z, h[:, t, :]))
                z = pyro.sample(f"z_{t}", posterior.mask(mask[:, t : t + 1]).to_event(1))

    mask = torch.arange(x.shape[1]) < lengths[:, None]
    optimizer = pyro.optim.ClippedAdam({"lr": RATE})
    loss = getattr(pyro.infer, elbo)()
    return svi(model, guide, [x, mask], loss, optimizer, scale=1 / len(x))
