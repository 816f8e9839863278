"""The linear-Gaussian model against a dense Gaussian, and on a pole that is balanced at random."""

from __future__ import annotations

import pytest
import torch
import zoo_data as zd
from handwritten import dense_chain, forecast_errors
from torch import Tensor

from symdgm import zoo
from symdgm.data import episodes
from symdgm.distributions import Normal
from symdgm.model import Model

T = torch.tensor([3, 5, 1, 5])


def small(actions: int) -> tuple[Model, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = zoo.linear_dynamics(3, latent=2, actions=actions).double()
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn_like(p)
    data = {"x": torch.randn(4, 5, 3, dtype=torch.float64), "T": T}
    if actions:
        data["a"] = torch.randn(4, 5, actions, dtype=torch.float64)
    return model, data


def by_hand(model: Model, data: dict[str, Tensor]) -> Tensor:
    nets = zd.networks(model)
    laws = {name[:5]: law.constants for name, law in zd.factors(model).items() if isinstance(law, Normal)}
    start = laws["p(z_1"]
    total = torch.zeros((), dtype=torch.float64)
    for i, length in enumerate(T.tolist()):
        pushes = torch.zeros(length - 1, 2, dtype=torch.float64)
        if "a" in data:
            pushes = nets["B"](data["a"][i, : length - 1])
        law = dense_chain(
            (start["loc"], start["log_scale"].exp()),
            nets["A"],
            laws["p(z_t"]["log_scale"].exp(),
            nets["C"],
            laws["p(x_t"]["log_scale"].exp(),
            pushes,
        )
        total = total + law.log_prob(data["x"][i, :length].flatten())
    return total / len(T)


@pytest.mark.parametrize("actions", [0, 2])
def test_the_likelihood_is_that_of_one_gaussian_vector(actions: int) -> None:
    model, data = small(actions)
    for i, length in enumerate(T.tolist()):
        for name in data.keys() - {"T"}:
            data[name][i, length:] = float("nan")
    found, wanted = model.objective(data), by_hand(model, data)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    weights = list(model.parameters())
    for a, b in zip(*(torch.autograd.grad(v, weights) for v in (found, wanted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_it_forecasts_a_pole() -> None:
    """10 steps on from 5: 0.005 of the squared error of the last observation (measured)."""
    train, test = episodes("CartPole-v1", 200, seed=0), episodes("CartPole-v1", 80, seed=1)
    torch.manual_seed(0)
    model = zoo.linear_dynamics(4, actions=2)
    data = {"x": train.x, "a": train.a, "T": train.T}
    for rate, epochs in ((3e-2, 8), (1e-2, 4)):
        model.fit(data, epochs=epochs, batch_size=20, lr=rate, clip_norm=100.0, seed=0, progress=False)
    last, other = forecast_errors(model, test)
    assert last < 0.05 and other > 1


def test_it_forecasts_what_no_action_moves() -> None:
    """A noisy swing of two frequencies, 15 steps on: 0.01 of its variance (measured)."""
    torch.manual_seed(1)
    phase = torch.rand(120, 1, 1) * 6.3 + torch.arange(30.0)[:, None] * torch.tensor([0.3, 0.7])
    x = (phase.sin() @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])) + 0.05 * torch.randn(120, 30, 3)
    torch.manual_seed(0)
    model = zoo.linear_dynamics(3, latent=5)
    for rate, epochs in ((3e-2, 8), (1e-2, 4)):
        model.fit(x[:100], epochs=epochs, batch_size=10, lr=rate, clip_norm=100.0, seed=0, progress=False)
    drawn = model.sample(x=x[100:, :15].repeat_interleave(20, 0), T=30, mean=True, seed=0)["x"]
    guess = drawn.unflatten(0, (-1, 20)).mean(1)
    error = (guess - x[100:])[:, 15:].square().mean()
    assert error < 0.1 * x[100:, 15:].var()
