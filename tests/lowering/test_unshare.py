"""`sharing=False`: a network is called for every occurrence, at the same values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import symdgm as sd

X = (torch.arange(48).view(8, 6) % 5 < 2).float()


class Counted(nn.Module):
    """A network that counts its calls."""

    def __init__(self, inputs: int, outputs: int, pair: bool = False) -> None:
        super().__init__()
        self.body, self.pair, self.calls = nn.Linear(inputs, outputs), pair, 0

    def forward(self, value: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        self.calls += 1
        out = self.body(value)
        if not self.pair:
            return out
        loc, scale = out.chunk(2, -1)
        return loc, softplus(scale)


CASES = [  # formula, options, calls of encoder and decoder, shared and not
    ("E_q(z|x)[log p(x|z)] - KL[q||p]", {}, (1, 1), (2, 1)),
    ("E_q(z|x)[log p(x|z)] - KL[q||p]", {"analytic": False}, (1, 1), (2, 1)),
    ("E_q(z|x)[log(p(x,z)/q(z|x))]", {"analytic": False}, (1, 1), (2, 1)),
    ("E_q(z|x)[log p(x|z)] - KL[q||p] - H[q(z|x)]", {}, (1, 1), (3, 1)),
    ("E_{z_{1:5} ~ q(z|x)}[log(1/5 sum_{k=1}^5 p(x,z_k)/q(z_k|x))]", {}, (1, 1), (2, 1)),
    ("E_q(z|x)[log p(x|z)^2 + log p(x|z)] - KL[q||p]", {"samples": 3}, (1, 1), (2, 2)),
]  # fmt: skip


def objective(formula: str, options: dict[str, object], sharing: bool) -> tuple[sd.Objective, list[Counted]]:
    torch.manual_seed(0)
    networks = [Counted(6, 4, pair=True), Counted(2, 6)]
    q, p = sd.Normal("q(z|x)", networks[0]), sd.Bernoulli("p(x|z)", networks[1])
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    return sd.Objective(formula, q, p, prior, sharing=sharing, **options), networks


@pytest.mark.parametrize(("formula", "options", "shared", "unshared"), CASES)
def test_values_and_gradients_are_the_same_and_calls_are_more(formula, options, shared, unshared) -> None:
    found = []
    for sharing, calls in ((True, shared), (False, unshared)):
        one, networks = objective(formula, options, sharing)
        for _ in range(2):  # the first evaluation writes the code, the second runs it
            before = [n.calls for n in networks]
            torch.manual_seed(1)
            value = one(X)
            assert tuple(n.calls - b for n, b in zip(networks, before, strict=True)) == calls
        gradients = torch.autograd.grad(value, [p for n in networks for p in n.parameters()])
        found.append([value, *gradients])
    torch.testing.assert_close(*found)


def test_functions_of_the_formula_are_called_for_each_use() -> None:
    calls = []
    for sharing in (True, False):
        torch.manual_seed(0)
        g = Counted(6, 6)
        one = sd.Objective("E_{data(x)}[||x - G(x)||^2 + ||G(x)||^2]", G=g, sharing=sharing)
        values = one(X)
        calls.append((values, g.calls))
    assert calls[0][1] == 1 and calls[1][1] == 2
    torch.testing.assert_close(calls[0][0], calls[1][0])


def test_the_players_of_a_game_are_not_shared_either() -> None:
    torch.manual_seed(0)
    d, g = Counted(6, 1), Counted(2, 6)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    text = "min_G max_D E_{data(x)}[log sigmoid(D(x))] + E_p(z)[log(1 - sigmoid(D(G(z)))) + D(G(z))]"
    model = sd.Model(text, prior, D=d, G=g, sharing=False)
    model.train_step(x=X)
    assert not model.player("D").objective.runner.sharing and d.calls > 3
