"""The deep Markov model under actions: against a loop, and on a pole that is balanced at random."""

from __future__ import annotations

import torch
import zoo_data as zd
from handwritten import draw, forecast_errors, kl, log_normal
from torch import Tensor

from symdgm import zoo
from symdgm.data import episodes
from symdgm.model import Model

T = torch.tensor([3, 6, 1, 6])


def by_hand(model: Model, data: dict[str, Tensor]) -> Tensor:
    """A loop over time, the longest sequences first; the recurrent network reads each from its end."""
    net, order = zd.networks(model), T.argsort(descending=True, stable=True)
    spread = zd.factors(model)["p(x_t|z_t)"].constants["log_scale"].exp()
    states = {}
    for i, length in enumerate(T.tolist()):
        both = torch.cat([data["x"][i, :length], data["a"][i, :length]], -1)
        states[i] = net["rnn"](both.flip(0)[None])[0][0].flip(0)
    z = model.objective.bound.environment.time.initial
    (begin,) = (v for v in z.values() if isinstance(v, Tensor))
    z, before = begin.expand(4, 2), torch.zeros(4, 2, dtype=torch.float64)
    total = torch.zeros((), dtype=torch.float64)
    for t, count in enumerate((T[:, None] > torch.arange(6)).sum(0).tolist()):
        rows = order[:count].tolist()
        h = torch.stack([states[i][t] for i in rows])
        z, before = z[:count], before[:count]
        p, q = net["trans"](z, before), net["comb"](z, before, h)
        z = draw(q)
        total = total + log_normal(data["x"][rows, t], (net["emit"](z), spread)).sum() - 0.7 * kl(q, p).sum()
        before = data["a"][rows, t]
    return total / 4


def test_it_is_the_loop_that_one_would_write() -> None:
    torch.manual_seed(0)
    model = zoo.action_markov(3, 2, latent=2, hidden=5, beta=0.7).double()
    data = {
        "x": torch.randn(4, 6, 3, dtype=torch.float64),
        "a": torch.randn(4, 6, 2, dtype=torch.float64),
        "T": T,
    }
    for i, length in enumerate(T.tolist()):
        data["x"][i, length:] = data["a"][i, length:] = float("nan")
    torch.manual_seed(1)
    found = model.objective(data)
    torch.manual_seed(1)
    wanted = by_hand(model, data)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    weights = list(model.parameters())
    for a, b in zip(*(torch.autograd.grad(v, weights) for v in (found, wanted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-13)


def test_it_forecasts_a_pole() -> None:
    """10 steps on from 5: 0.05 of the squared error of the last observation (measured)."""
    train, test = episodes("CartPole-v1", 200, seed=0), episodes("CartPole-v1", 80, seed=1)
    torch.manual_seed(0)
    model = zoo.action_markov(4, 2, latent=8, hidden=48)
    data = {"x": train.x, "a": train.a, "T": train.T}
    for rate, epochs in ((1e-2, 10), (3e-3, 6)):
        model.fit(data, epochs=epochs, batch_size=20, lr=rate, clip_norm=100.0, seed=0, progress=False)
    right, wrong = forecast_errors(model, test)
    assert right < 0.15 and wrong > 1
