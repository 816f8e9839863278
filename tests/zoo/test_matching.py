"""The autoencoders of the zoo whose codes together have the law of the prior."""

from __future__ import annotations

from collections.abc import Callable

import handwritten as hand
import pytest
import torch
import zoo_data as zd
from torch import Tensor
from torch.nn.functional import logsigmoid

import symdgm as sd
from symdgm.model import Model
from symdgm.zoo import adversarial_autoencoder, info_vae, wae

SIZES = {"latent": 3, "hidden": 7}


def unbiased(kernel: Tensor, n: int) -> Tensor:
    """The squared discrepancy of the first n points from the others, from all pairs of kernel values."""
    first, second, across = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    within = sum((k.sum() - k.trace()) / (n * (n - 1)) for k in (first, second))
    return within - 2 * across.mean()


def pairwise(z: Tensor, prior: Tensor) -> Tensor:
    points = torch.cat([z, prior])
    return (points[:, None] - points).square().sum(-1)


def test_info_vae_is_the_objective_of_its_paper() -> None:
    model = info_vae(12, alpha=0.25, divergence=3.0, **SIZES).double()
    x, _ = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x)
    torch.manual_seed(1)
    nets = zd.networks(model)
    q = nets["enc"](x)
    z = hand.draw(q)
    squares = pairwise(z, torch.randn_like(z))
    different = torch.triu_indices(*squares.shape, 1)
    median = squares.detach()[different[0], different[1]].median()
    kernel = sum((-squares / (2 * c * median)).exp() for c in (0.25, 0.5, 1, 2, 4)) / 5
    likelihood = hand.log_bernoulli(x, nets["dec"](z)) - 0.75 * hand.kl(q)
    zd.assert_same(model, likelihood.mean() - 2.25 * unbiased(kernel, len(x)), found)


def test_wae_is_the_objective_of_its_paper() -> None:
    model = wae(12, divergence=3.0, **SIZES).double()
    x, _ = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x)
    torch.manual_seed(1)
    nets = zd.networks(model)
    z = hand.draw(nets["enc"](x))
    kernel = 6 / (6 + pairwise(z, torch.randn_like(z)))
    cost = (x - nets["G"](z)).square().sum(-1)
    zd.assert_same(model, cost.mean() + 3.0 * unbiased(kernel, len(x)), found)


def test_adversarial_autoencoder_has_the_objectives_of_its_paper() -> None:
    model = adversarial_autoencoder(12, divergence=3.0, **SIZES).double()
    x, _ = zd.small_batch()
    nets = zd.networks(model)
    torch.manual_seed(1)
    found = model.player("model").objective(x=x)
    torch.manual_seed(1)
    z = hand.draw(nets["enc"](x))
    written = hand.log_bernoulli(x, nets["dec"](z)) + 3.0 * logsigmoid(nets["D"](z))
    zd.assert_same(model, written.mean(), found, model.player("model").parameters)
    torch.manual_seed(1)
    found = model.player("critic").objective(x=x)
    torch.manual_seed(1)
    prior = torch.randn(len(x), 3, dtype=x.dtype)
    written = logsigmoid(nets["D"](prior)) + logsigmoid(-nets["D"](hand.draw(nets["enc"](x))))
    last = model.player("critic").parameters
    zd.assert_same(model, written.mean(), found, last)


def discrepancy(model: Model, x: Tensor) -> float:
    """The squared discrepancy of the codes of images from the prior."""
    laws = zd.factors(model)
    measure = sd.Objective("MMD[q(z) || p(z)]", sd.Data("data(x)"), laws["q(z|x)"], laws["p(z)"])
    torch.manual_seed(7)
    with torch.no_grad():
        return float(measure(x=x))


@pytest.mark.parametrize(
    ("make", "lr", "likelihood", "farthest"),
    [(info_vae, 2e-3, -15.7, 1.7), (adversarial_autoencoder, 1e-3, -16.6, 1.65)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_images_are_rebuilt_and_drawn(
    make: Callable[..., Model], lr: float, likelihood: float, farthest: float
) -> None:
    """Measured: -14.9 nats, a distance of 1.55, 7.5% and 0.001; -15.8, 1.46, 5.5% and 0.012."""
    train, test = zd.binary_digits()
    torch.manual_seed(0)
    model = make(64)
    model.fit(train.x, epochs=60, lr=lr, seed=0, progress=False)
    with torch.no_grad():
        rebuilt = float(next(iter(model.terms(x=test.x, player=next(iter(model.players))).values())))
    images = model.sample(1000, mean=True, seed=0)["x"]
    assert rebuilt > likelihood
    assert zd.distance_to_real(images) < farthest
    assert float(zd.seen_digits(images).min()) > 0.02
    assert abs(discrepancy(model, test.x)) < 0.03


def test_wae_rebuilds_and_draws_grey_images() -> None:
    """Measured: a cost of 0.96, a distance of 1.50, 5.6% of each digit, and a discrepancy of 0.005."""
    train, test = zd.grey_digits()
    torch.manual_seed(0)
    model = wae(64)
    model.fit(train.x, epochs=60, lr=2e-3, seed=0, progress=False)
    torch.manual_seed(0)
    with torch.no_grad():
        cost = float(model.terms(x=test.x)["E_data(x)[E_q(z|x)[||x - G(z)||^2]]"])
        images = zd.networks(model)["G"](torch.randn(1000, 8))
    assert cost < 1.2
    assert zd.distance_to_real(images) < 1.65
    assert float(zd.seen_digits(images).min()) > 0.02
    assert abs(discrepancy(model, test.x)) < 0.02
