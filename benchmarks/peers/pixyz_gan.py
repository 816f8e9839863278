"""The game in Pixyz, as in its example."""

from __future__ import annotations

import torch
from pixyz.distributions import Deterministic, EmpiricalDistribution, Normal
from pixyz.losses import AdversarialJensenShannon
from pixyz.models import Model
from torch import Tensor, nn

from benchmarks.variants import Run


def gan(g: nn.Module, d: nn.Module, x: Tensor, latent: int) -> Run:
    """Pixyz's generator and critic around the given networks; both optimisers are Adam."""

    class Generator(Deterministic):
        def __init__(self) -> None:
            super().__init__(var=["x"], cond_var=["z"], name="p")
            self.net = g

        def forward(self, z: Tensor) -> dict[str, Tensor]:
            return {"x": self.net(z)}

    class Discriminator(Deterministic):
        def __init__(self) -> None:
            super().__init__(var=["t"], cond_var=["x"], name="d")
            self.net = d

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"t": torch.sigmoid(self.net(x))}

    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    prior = Normal(loc=zero, scale=one, var=["z"], features_shape=[latent], name="p_{prior}")
    p, data = (Generator() * prior).marginalize_var("z"), EmpiricalDistribution(["x"])
    options = {"optimizer_params": {"lr": 1e-3}}
    loss = AdversarialJensenShannon(data, p, Discriminator(), inverse_g_loss=False, **options)
    model = Model(loss, distributions=[p], **options)

    def step() -> None:
        loss.loss_train({"x": x})
        model.train({"x": x})

    return Run(step, lambda: loss.eval({"x": x}, discriminator=True))
