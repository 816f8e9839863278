"""The models of images and labels of the zoo: JMVAE, with a product of experts, and MVAE."""

from __future__ import annotations

from collections.abc import Callable

import handwritten as hand
import pytest
import torch
import zoo_data as zd
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.model import Model
from symdgm.zoo import jmvae, jmvae_poe, mvae

SIZES = {"latent": 2, "hidden": 7}


def likelihoods(model: Model, q: hand.Gaussian, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x|z) and log p(y|z) at one draw of z."""
    nets, z = zd.networks(model), hand.draw(q)
    return hand.log_bernoulli(x, nets["dec_x"](z)), hand.log_one_hot(y, nets["dec_y"](z))


def pulled(model: Model, q: hand.Gaussian, experts: list[hand.Gaussian], x: Tensor, y: Tensor) -> Tensor:
    pull = sum(hand.kl(q, expert) for expert in experts)
    return (sum(likelihoods(model, q, x, y)) - hand.kl(q) - 0.25 * pull).mean()


def experts(q: torch.nn.Module, x: Tensor, y: Tensor) -> list[hand.Gaussian]:
    (first,), (second,) = (list(expert.children()) for expert in q.experts)
    return [first(x), second(y)]


def test_jmvae_is_the_objective_of_its_paper():
    model = jmvae(12, 3, alpha=0.25, **SIZES).double()
    x, y = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x, y=y)
    nets = zd.networks(model)
    torch.manual_seed(1)
    single = [nets["enc_x"](x), nets["enc_y"](y)]
    zd.assert_same(model, pulled(model, nets["enc"].body(torch.cat([x, y], -1)), single, x, y), found)


def test_jmvae_with_experts_multiplies_them():
    model = jmvae_poe(12, 3, alpha=0.25, **SIZES).double()
    x, y = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x, y=y)
    torch.manual_seed(1)
    single = experts(zd.factors(model)["q(z|x,y)"], x, y)
    zd.assert_same(model, pulled(model, hand.product(*single), single, x, y), found)


def test_mvae_is_the_sum_of_three_bounds():
    model = mvae(12, 3, gamma=2.0, **SIZES).double()
    x, y = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x, y=y)
    torch.manual_seed(1)
    q_x, q_y = experts(zd.factors(model)["q(z|x,y)"], x, y)
    both, image, label = hand.product(q_x, q_y), hand.product(q_x), hand.product(q_y)
    log_x, log_y = likelihoods(model, both, x, y)
    written = log_x + 2.0 * log_y - hand.kl(both)
    written = written + likelihoods(model, image, x, y)[0] - hand.kl(image)
    written = written + 2.0 * likelihoods(model, label, x, y)[1] - hand.kl(label)
    zd.assert_same(model, written.mean(), found)


FIGURES: dict[Callable[..., Model], tuple[float, float, float]] = {
    jmvae: (-25.6, 0.82, 0.68),
    jmvae_poe: (-27.0, 0.80, 0.60),
    mvae: (-56.5, 0.68, 0.78),
}
"""The least objective, labels read off images alone, and legible images drawn from labels alone."""


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_either_modality_is_found_from_the_other(make: Callable[..., Model]):
    """Measured: -24.8, 0.88, 0.76; -26.2, 0.86, 0.67; -54.9, 0.74, 0.85."""
    train, test = zd.binary_digits()
    torch.manual_seed(0)
    model = make(64)
    model.fit(train._asdict(), epochs=60, lr=3e-3, seed=0, progress=False)
    least, read, drawn = FIGURES[make]
    reached = zd.report(model, x=test.x, y=test.y)
    laws, labels = zd.factors(model), torch.arange(500) % 10
    z = laws["q(z|x)"].mean({"x": test.x})
    found = laws["p(y|z)"].mean(z)["y"].argmax(-1)
    accuracy = float((found == test.y.argmax(-1)).float().mean())
    noise = torch.Generator().manual_seed(0)
    z = laws["q(z|y)"].sample({"y": one_hot(labels, 10).float()}, generator=noise)
    seen = zd.legible(laws["p(x|z)"].mean(z)["x"], labels)
    assert reached > least
    assert accuracy > read
    assert seen > drawn


def test_experts_are_saved_once_and_loaded(tmp_path):
    """The encoders of one modality are parts of that of both."""
    model, other = mvae(12, 3, **SIZES), mvae(12, 3, **SIZES)
    model.save(tmp_path / "mvae.safetensors")
    other.load(tmp_path / "mvae.safetensors")
    x, y = (v.float() for v in zd.small_batch())
    torch.manual_seed(1)
    value = model.objective(x=x, y=y)
    torch.manual_seed(1)
    assert torch.equal(other.objective(x=x, y=y), value)
