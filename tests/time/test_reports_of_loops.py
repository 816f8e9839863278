"""What a report says of how loops over time and compiled objectives run."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd

SIZE, HIDDEN = 3, 4
TEXT = "h_t = f(x_t, h_{t-1})\nminimize sum_{t=1}^T ||g(h_t)||^2"


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.drop = nn.Linear(SIZE, HIDDEN), nn.Dropout(0.5)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.drop(torch.tanh(self.read(x) + h))


def said(net: nn.Module, steps: int = 5, **options: Any) -> tuple[str, ...]:
    model = sd.Model(TEXT, f=net, g=nn.Linear(HIDDEN, 2), h=HIDDEN, **options)
    report = model.report(torch.randn(2, steps, SIZE), draws=2)
    assert all(line in repr(report) for line in report.running)
    return report.running


def hooked() -> nn.Module:
    cell = nn.GRUCell(SIZE, HIDDEN)
    cell.register_forward_hook(lambda *given: None)
    return cell


def test_a_loop_that_is_recorded() -> None:
    (line,) = said(nn.GRUCell(SIZE, HIDDEN))
    assert line.startswith("a loop over time runs from a record")


@pytest.mark.parametrize(
    ("net", "steps", "why"),
    [
        (Dropping(), 5, "it changes a tensor in place (`aten.bernoulli_.float`)"),
        (hooked(), 5, "hooks of a network hear of every step"),
        (nn.GRUCell(SIZE, HIDDEN), 2, "it has fewer than 3 steps"),
    ],
)
def test_a_loop_that_is_not_and_why(net: nn.Module, steps: int, why: str) -> None:
    assert said(net, steps) == (f"a loop over time runs step by step as it is written: {why}",)


def test_segments() -> None:
    (line,) = said(nn.GRUCell(SIZE, HIDDEN), checkpoint=2)
    assert "run in segments" in line


def test_what_compile_did() -> None:
    q, p = sd.Normal("q(z|x)", nn.Linear(2, 2), scale=1.0), sd.Normal("p(z)", loc=0.0, scale=1.0)
    objective = sd.Objective("KL[q || p]", q, p, compile="eager")
    x = torch.zeros(3, 2)
    assert objective.report(x=x, draws=2).running == ("`compile`: compiled at the next evaluation",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert objective.report(x=x, draws=2).running == ("`compile`: compiled by eager",)
    assert sd.Objective("KL[q || p]", q, p).report(x=x, draws=2).running == ()
