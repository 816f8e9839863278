"""Networks for tests of several rooms; pytest finds it, since `conftest.py` stands beside it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import softplus


class Encoder(nn.Module):
    """The loc and the scale of two latents, of six features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.body(x).chunk(2, -1)
        return loc, softplus(scale)
