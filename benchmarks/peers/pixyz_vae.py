"""The VAE in Pixyz, in the two forms of the paper's Figures 2 and 3."""

from __future__ import annotations

import torch
from pixyz.distributions import Bernoulli, Normal
from pixyz.losses import KullbackLeibler
from pixyz.models import Model
from torch import Tensor, nn

from benchmarks.peers.pixyz_steps import parameters_with, run
from benchmarks.variants import Run, parameters_of


def vae(enc: nn.Module, dec: nn.Module, x: Tensor, latent: int, *, analytic: bool, cache: bool = True) -> Run:
    """Pixyz's model around the given networks."""

    class Inference(Normal):
        get_params = parameters_with(cache)

        def __init__(self) -> None:
            super().__init__(var=["z"], cond_var=["x"], name="q")
            self.net = enc

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            loc, scale = self.net(x)
            return {"loc": loc, "scale": scale}

    class Generator(Bernoulli):
        get_params = parameters_with(cache)

        def __init__(self) -> None:
            super().__init__(var=["x"], cond_var=["z"], name="p")
            self.net = dec

        def forward(self, z: Tensor) -> dict[str, Tensor]:
            return {"probs": torch.sigmoid(self.net(z))}

    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    prior = Normal(loc=zero, scale=one, var=["z"], features_shape=[latent], name="p_{prior}")
    q, p = Inference(), Generator()
    if analytic:
        loss = (KullbackLeibler(q, prior) - p.log_prob().expectation(q)).mean()
    else:
        loss = -((p * prior).log_prob() - q.log_prob()).expectation(q).mean()
    model = Model(loss, distributions=[p, q], optimizer_params={"lr": 1e-3})
    return run(model, loss, {"x": x}, parameters_of(enc, dec))
