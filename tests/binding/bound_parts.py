"""Small factors for tests of binding."""

import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions import Distribution


class Encoder(nn.Module):
    def __init__(self, inputs: int = 6, outputs: int = 4) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 2 * outputs)

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale = self.layer(torch.cat(given, -1)).chunk(2, -1)
        return loc, log_scale.exp()


def vae(q: str = "q(z|x)", p: str = "p(x|z)", prior: str = "p(z)") -> list[Distribution]:
    torch.manual_seed(0)
    return [
        sd.Normal(q, Encoder()),
        sd.Bernoulli(p, nn.Linear(4, 6)),
        sd.Normal(prior, loc=0.0, scale=1.0),
    ]


def batch(rows: int = 5) -> Tensor:
    return torch.rand(rows, 6, generator=torch.Generator().manual_seed(1)).round()
