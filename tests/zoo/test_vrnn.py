"""The variational recurrent network: its bound against a loop, and Bach's chorales."""

from __future__ import annotations

import torch
from handwritten import draw, kl, log_bernoulli
from torch import Tensor
from zoo_data import assert_same, networks
from zoo_sequences import assert_it_continues, running, small_sequences, trained_on_chorales, with_chorales

from symdgm import zoo
from symdgm.model import Model

BAR = 9.3
"""Nats a step that ten epochs must reach (8.97 measured); independent notes by their frequencies: 11.06."""


def by_hand(model: Model, x: Tensor, lengths: Tensor) -> Tensor:
    """The mean over sequences of the sum over steps of eq. 11 of the paper."""
    net = networks(model)
    h, total = x.new_zeros(len(x), 5), x.new_zeros(())
    for now in running(x, lengths):
        h = h[: len(now)]
        q = net["encode"](now, h)
        z = draw(q)
        total = total + (log_bernoulli(now, net["decode"](z, h)) - 0.5 * kl(q, net["prior"](h))).sum()
        h = net["rnn"](now, z, h)
    return total / len(x)


def test_its_bound_is_that_of_a_loop() -> None:
    torch.manual_seed(0)
    model, (x, lengths) = zoo.vrnn(4, latent=2, hidden=8, recurrent=5, beta=0.5).double(), small_sequences()
    torch.manual_seed(3)
    found = model.objective(x=x, T=lengths)
    torch.manual_seed(3)
    assert_same(model, by_hand(model, x, lengths), found)


def test_only_states_are_made_step_by_step() -> None:
    model, (x, lengths) = zoo.vrnn(4, latent=2, hidden=3, recurrent=5).double(), small_sequences()
    calls = dict.fromkeys(networks(model), 0)
    for name, module in networks(model).items():

        def count(*_: object, name: str = name) -> None:
            calls[name] += 1

        module.register_forward_hook(count)
    model.loss(x=x, T=lengths)
    for name in calls:
        calls[name] = 0
    model.loss(x=x, T=lengths)
    assert calls == {"encode": 6, "rnn": 6, "prior": 1, "decode": 1}


@with_chorales
def test_it_learns_chorales() -> None:
    torch.manual_seed(0)
    model = zoo.vrnn(88)
    assert trained_on_chorales(model, (0.2, 5, 5e-3), (1.0, 5, 5e-3)) < BAR


def test_it_generates_and_continues() -> None:
    torch.manual_seed(0)
    assert_it_continues(zoo.vrnn(8, latent=2, hidden=4, recurrent=4), 8)
