"""The stochastic recurrent network: its bound against a loop, and Bach's chorales."""

from __future__ import annotations

import torch
from handwritten import draw, kl, log_bernoulli
from torch import Tensor
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pad_sequence
from zoo_data import assert_same, networks
from zoo_sequences import assert_it_continues, running, small_sequences, trained_on_chorales, with_chorales

from symdgm import zoo
from symdgm.model import Model

BAR = 9.7
"""Nats a step that seven epochs must reach (9.33 measured); independent notes by their frequencies: 11.06."""


def states(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """What one sequence ``[steps, features]`` says forward and backward in time."""
    net = networks(model)
    d = net["forward"](torch.cat([torch.zeros_like(x[:1]), x[:-1]]))[0]
    return d, net["backward"](torch.cat([x, d], -1).flip(0))[0].flip(0)


def by_hand(model: Model, x: Tensor, lengths: Tensor) -> Tensor:
    """The mean over sequences of the bound, which one loop of algorithm 1 makes."""
    net = networks(model)
    pairs = [states(model, own[:length]) for own, length in zip(x, lengths, strict=True)]
    d, a = (pad_sequence([pair[i] for pair in pairs], batch_first=True) for i in (0, 1))
    z, total = x.new_zeros(len(x), 2), x.new_zeros(())
    for x_t, d_t, a_t in zip(*(running(s, lengths) for s in (x, d, a)), strict=True):
        z = z[: len(x_t)]
        p = net["mu"](z, d_t), softplus(net["s"](z, d_t))
        q = p[0] + net["r"](z, a_t), softplus(net["v"](z, a_t))
        z = draw(q)
        total = total + (log_bernoulli(x_t, net["decode"](z, d_t)) - 0.5 * kl(q, p)).sum()
    return total / len(x)


def test_its_bound_is_that_of_a_loop() -> None:
    torch.manual_seed(0)
    model, (x, lengths) = zoo.srnn(4, latent=2, hidden=8, recurrent=5, beta=0.5).double(), small_sequences()
    torch.manual_seed(3)
    found = model.objective(x=x, T=lengths)
    torch.manual_seed(3)
    assert_same(model, by_hand(model, x, lengths), found)


@with_chorales
def test_it_learns_chorales() -> None:
    torch.manual_seed(0)
    model = zoo.srnn(88)
    assert trained_on_chorales(model, (0.2, 3, 5e-3), (1.0, 4, 5e-3)) < BAR


def test_it_generates_and_continues() -> None:
    torch.manual_seed(0)
    assert_it_continues(zoo.srnn(8, latent=2, hidden=4, recurrent=4), 8)


def test_a_prefix_is_smoothed_before_it_is_continued() -> None:
    torch.manual_seed(0)
    model, (x, _) = zoo.srnn(4, latent=2, hidden=8, recurrent=5).double(), small_sequences()
    prefix = x[1:2, :3]
    found = model.sample(x=prefix, T=4, seed=0)
    torch.manual_seed(0)
    net, z, wanted = networks(model), torch.zeros(1, 2).double(), []
    for d, a in zip(*states(model, prefix[0]), strict=True):
        z = draw((net["mu"](z, d[None]) + net["r"](z, a[None]), softplus(net["v"](z, a[None]))))
        wanted.append(z)
    torch.testing.assert_close(found["z"][:, :3], torch.stack(wanted, 1))
