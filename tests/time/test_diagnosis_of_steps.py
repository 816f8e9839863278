"""What is wrong within a step of a loop is named as it is elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import NonFiniteError, ParameterError

BLOCK = """
    p(z_t|z_{t-1})      = Normal(z_t; trans(z_{t-1}))
    p(x_t|z_t)          = Bernoulli(x_t; logits = emit(z_t))
    q(z_t|z_{t-1}, x_t) = Normal(z_t; infer(z_{t-1}, x_t))
    z_0 = 0
    maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T}) || p(z_{1:T})]
"""


class Normal(nn.Module):
    """A network whose standard deviation can be set."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.loc, self.spread = nn.Linear(inputs, 2), 1.0

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loc = self.loc(torch.cat(given, -1))
        return loc, torch.full_like(loc, self.spread)


@pytest.mark.parametrize(
    ("network", "spread", "error", "words"),
    [
        ("infer", 0.0, ParameterError, r"scale of Normal q\(z_t\|z_\{t-1\},x_t\) has values in \[0, 0\]"),
        ("infer", -1.0, ParameterError, r"scale of Normal q\(z_t\|z_\{t-1\},x_t\) has values in \[-1, -1\]"),
        ("trans", 0.0, ParameterError, r"scale of Normal p\(z_t\|z_\{t-1\}\) has values in \[0, 0\]"),
        ("infer", float("nan"), NonFiniteError, "the first bad intermediate is `z_t`"),
    ],
)
def test_a_law_of_a_step_that_goes_wrong_in_training(network, spread, error, words):
    torch.manual_seed(0)
    nets = {"trans": Normal(2), "infer": Normal(5)}
    model = sd.Model(BLOCK, **nets, emit=nn.Linear(2, 3), z=2)
    batch = {"x": torch.ones(4, 5, 3), "T": torch.tensor([5, 3, 2, 1])}
    model.train_step(batch)
    nets[network].spread = spread
    with pytest.raises(error, match=words):
        model.train_step(batch)
