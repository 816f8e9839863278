"""A generative adversarial network: steps of critic and generator (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, softplus

import symdgm as sd
from benchmarks.networks import binary, copies
from benchmarks.ours import forms, train_step
from benchmarks.variants import Agreement, Run, Unavailable, Variant, adam, parameters_of, peer

GAME = "min_G max_D E_data(x)[log sigmoid(D(x))] + E_p(z)[log(1 - sigmoid(D(G(z))))]"
Criticise = Callable[[Tensor, Tensor], Tensor]
"""The critic's loss from its logits of data and of fakes."""
Deceive = Callable[[Tensor], Tensor]


def critics_loss(real: Tensor, fake: Tensor) -> Tensor:
    return (softplus(-real) + softplus(fake)).mean()


def generators_loss(fake: Tensor) -> Tensor:
    return -softplus(fake).mean()


def textbook_critic(real: Tensor, fake: Tensor) -> Tensor:
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    of_data = binary_cross_entropy(torch.sigmoid(real), ones)
    return of_data + binary_cross_entropy(torch.sigmoid(fake), zeros)


def textbook_generator(fake: Tensor) -> Tensor:
    return -binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


def game(
    g: nn.Module,
    d: nn.Module,
    x: Tensor,
    latent: int,
    criticise: Criticise,
    deceive: Deceive,
    *,
    fused: bool,
    compiled: bool,
) -> Run:
    """The two steps by hand: the critic's weights get no gradient in the generator's."""
    of_g, of_d = adam(g.parameters(), fused=fused), adam(d.parameters(), fused=fused)

    def of_critic(g: nn.Module, d: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            fake = g(torch.randn(len(x), latent, device=x.device))
        return criticise(d(x), d(fake))

    def of_generator(g: nn.Module, d: nn.Module, x: Tensor) -> Tensor:
        return deceive(d(g(torch.randn(len(x), latent, device=x.device))))

    critics, generators = (torch.compile(f) if compiled else f for f in (of_critic, of_generator))

    def loss() -> Tensor:
        return critics(g, d, x)

    def step() -> Tensor:
        of_d.zero_grad()
        value = loss()
        value.backward()
        of_d.step()
        of_g.zero_grad()
        d.requires_grad_(False)
        generators(g, d, x).backward()
        d.requires_grad_(True)
        of_g.step()
        return value

    return Run(step, loss, parameters_of(d), countable=not compiled)


def gan(data: int, hidden: int, latent: int, batch: int) -> list[Variant]:
    torch.manual_seed(6)
    networks = (
        nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, data), nn.Sigmoid()),
        nn.Sequential(nn.Linear(data, hidden), nn.LeakyReLU(), nn.Linear(hidden, 1)),
    )
    x = binary(batch, data)

    def by_hand(
        criticise: Criticise, deceive: Deceive, *, fused: bool = False, compiled: bool = False
    ) -> Run:
        return game(*copies(networks), x, latent, criticise, deceive, fused=fused, compiled=compiled)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        g, d = copies(networks)
        prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=latent)
        model = sd.Model(GAME, prior, G=g, D=d, **options)
        return way(model, {"x": x}, parameters_of(d), player="D")

    def pyro() -> Run:
        raise Unavailable("Pyro has no games")

    def pixyz() -> Run:
        return peer("pixyz_gan", "pixyz").gan(*copies(networks), x, latent)

    expert = partial(by_hand, critics_loss, generators_loss)
    return [
        Variant("expert", expert, Agreement.NOISE),
        Variant("expert, fused Adam", partial(expert, fused=True), Agreement.NOISE),
        Variant("expert, compiled, fused Adam", partial(expert, fused=True, compiled=True), compiles=True),
        Variant("textbook", partial(by_hand, textbook_critic, textbook_generator), Agreement.NOISE),
        Variant("Pyro", pyro),
        Variant("Pixyz AdversarialJensenShannon", pixyz),
        *forms(ours, Agreement.NOISE),
    ]
