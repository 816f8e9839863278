"""The importance-weighted bound of many draws (Burda et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

import symdgm as sd
from benchmarks.networks import Encoder, binary, copies, decoder
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Unavailable, Variant, parameters_of, peer, trained

SAME = Agreement.NOISE
BOUND = "maximize E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x,z_k) / q(z_k|x))]"

Loss = Callable[[nn.Module, nn.Module, Tensor, int], Tensor]


def bound(log_weights: Tensor) -> Tensor:
    """Minus the bound; draws come first."""
    return (math.log(len(log_weights)) - log_weights.logsumexp(0)).mean()


def expert(enc: nn.Module, dec: nn.Module, x: Tensor, draws: int) -> Tensor:
    """All draws in one call of the decoder; what cancels in log p(z) - log q(z|x) is left out."""
    loc, scale = enc(x)
    noise = torch.randn(draws, *loc.shape, device=loc.device)
    z = loc + scale * noise
    logits = dec(z)
    misfit = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    ratio = (0.5 * (noise**2 - z**2) + scale.log()).sum(-1)
    return bound(ratio - misfit)


def by_distributions(enc: nn.Module, dec: nn.Module, x: Tensor, draws: int, *, validate: bool) -> Tensor:
    q = Normal(*enc(x), validate_args=validate)
    prior = Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean), validate_args=validate)
    z = q.rsample((draws,))
    p = Bernoulli(logits=dec(z), validate_args=validate)
    return bound(p.log_prob(x).sum(-1) + prior.log_prob(z).sum(-1) - q.log_prob(z).sum(-1))


def textbook(enc: nn.Module, dec: nn.Module, x: Tensor, draws: int) -> Tensor:
    """The batch is repeated for every draw, through both networks."""
    repeated = x.repeat(draws, 1)
    q = Normal(*enc(repeated), validate_args=False)
    z = q.rsample()
    p = Bernoulli(logits=dec(z), validate_args=False)
    prior = Normal(0.0, 1.0, validate_args=False)
    each = p.log_prob(repeated).sum(-1) + prior.log_prob(z).sum(-1) - q.log_prob(z).sum(-1)
    return bound(each.view(draws, len(x)))


def model(enc: nn.Module, dec: nn.Module, latent: int, draws: int, **options: Any) -> sd.Model:
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=latent)
    q, p = sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec)
    return sd.Model(BOUND, q, p, prior, K=draws, **options)


def iwae(data: int, hidden: int, latent: int, batch: int, draws: int) -> list[Variant]:
    torch.manual_seed(3)
    networks = (Encoder(data, hidden, latent), decoder(latent, hidden, data))
    x = binary(batch, data)

    def by_hand(loss: Loss, *, fused: bool = False) -> Run:
        enc, dec = copies(networks)
        return trained(lambda: loss(enc, dec, x, draws), parameters_of(enc, dec), fused=fused)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        enc, dec = copies(networks)
        return way(model(enc, dec, latent, draws, **options), {"x": x}, parameters_of(enc, dec))

    def pyro() -> Run:
        return peer("pyro_iwae", "pyro").iwae(*copies(networks), x, latent, draws)

    def pixyz() -> Run:
        raise Unavailable("Pixyz has no logarithm of a sum")

    def distributions(validate: bool) -> Variant:
        loss = partial(by_distributions, validate=validate)
        return Variant(
            "torch.distributions" if validate else "torch.distributions, no validation",
            partial(by_hand, loss),
            SAME,
        )

    return [
        Variant("expert", partial(by_hand, expert), SAME),
        Variant("expert, fused Adam", partial(by_hand, expert, fused=True), SAME),
        Variant("textbook, rows repeated", partial(by_hand, textbook), SAME),
        distributions(True),
        distributions(False),
        Variant("Pyro RenyiELBO", pyro),
        Variant("Pixyz", pixyz),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop)),
        *forms(ours, Agreement.EXPECTATION),
    ]
