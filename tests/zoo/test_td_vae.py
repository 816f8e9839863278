"""The temporal difference autoencoder: its objective against a loop, and jumps of moving digits."""

from __future__ import annotations

import pytest
import torch
from handwritten import draw, entropy, kl, log_bernoulli, log_normal
from torch import Tensor
from zoo_data import assert_same, networks
from zoo_sequences import small_sequences

from symdgm import zoo
from symdgm.data import digits
from symdgm.model import Model

BAR = 0.65
"""The share of jumps after which a digit is in its place (83% measured); by chance 12.5%."""

EARLY, LATE = torch.tensor([1, 3, 1, 2]), torch.tensor([2, 6, 1, 4])


def by_hand(model: Model, x: Tensor, lengths: Tensor) -> Tensor:
    """Eq. 8 of the paper, one sequence after the other; its first draws are those of the later step."""
    net, rows = networks(model), list(range(len(x)))
    beliefs = [net["rnn"](own[:length])[0] for own, length in zip(x, lengths, strict=True)]
    before = torch.stack([beliefs[i][EARLY[i] - 1] for i in rows])
    after = torch.stack([beliefs[i][LATE[i] - 1] for i in rows])
    z_2 = draw(net["belief"](after))
    q = net["smooth"](z_2, before, after)
    z_1 = draw(q)
    value = log_bernoulli(x[rows, LATE - 1], net["decode"](z_2)) + entropy(net["belief"](after))
    value = value + log_normal(z_2, net["jump"](z_1, LATE - EARLY)) - kl(q, net["belief"](before))
    return value.mean()


def test_its_objective_is_that_of_a_loop() -> None:
    torch.manual_seed(0)
    model, (x, lengths) = zoo.td_vae(4, latent=2, hidden=8, recurrent=5).double(), small_sequences()
    torch.manual_seed(3)
    found = model.objective(x=x, T=lengths, t1=EARLY, t2=LATE)
    torch.manual_seed(3)
    assert_same(model, by_hand(model, x, lengths), found)


def moving(images: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
    """Images ``[N, 8, 8]`` that move to the right, round and round, and jumps of 1 to 4 steps."""
    count = len(images)
    places = torch.randint(8, (count,), generator=noise)
    x = [
        torch.stack([image.roll(int(place) + t, 1) for t in range(8)])
        for image, place in zip((images > 0.5).float(), places, strict=True)
    ]
    early = torch.randint(1, 5, (count,), generator=noise)
    late = early + torch.randint(1, 5, (count,), generator=noise)
    return {"x": torch.stack(x).flatten(2), "t1": early, "t2": late}


def place(drawn: Tensor, image: Tensor) -> Tensor:
    """By how many pixels an image ``[N, 64]`` must be moved to be what was drawn."""
    turned = torch.stack([image.view(-1, 8, 8).roll(shift, 2).flatten(1) for shift in range(8)], 1)
    return torch.cdist(drawn[:, None], turned)[:, 0].argmin(1)


@pytest.fixture(scope="module")
def trained() -> tuple[Model, Tensor]:
    """A model, and digits that it has not seen."""
    parts, noise = digits(flat=False), torch.Generator().manual_seed(0)
    train, test = (moving(part.images, noise) for part in (parts.train, parts.test))
    torch.manual_seed(0)
    model = zoo.td_vae(64)
    model.fit(train, epochs=20, batch_size=50, lr=4e-3, seed=0, progress=False)
    return model, test["x"]


def test_a_jump_ends_where_the_digit_is(trained: tuple[Model, Tensor]) -> None:
    model, x = trained
    right = []
    for steps in (1, 2, 3, 4):
        found = model.sample(x=x[:, :4], t2=4 + steps, mean=True, seed=0)["x_t2"]
        right.append((place(found, x[:, 3]) == steps).float().mean())
    assert torch.stack(right).mean() > BAR


def test_it_continues_a_prefix_step_by_step(trained: tuple[Model, Tensor]) -> None:
    model, x = trained
    found = model.sample(x=x[:, :4], T=6, mean=True, seed=0)["x"]
    assert found.shape == (200, 6, 64) and found[:, :4].equal(x[:, :4])
    right = [place(found[:, 3 + steps], x[:, 3]) == steps for steps in (1, 2)]
    assert torch.stack(right).float().mean() > BAR
