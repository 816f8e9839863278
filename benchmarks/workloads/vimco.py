"""Discrete latent variables by VIMCO (Mnih and Rezende 2016)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli
from torch.nn.functional import binary_cross_entropy_with_logits

import symdgm as sd
from benchmarks.networks import binary, copies, decoder
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Unavailable, Variant, parameters_of, trained

BOUND = "maximize log E_q(z|x)[p(x|z) p(z) / q(z|x)]"


def surrogate(log_weights: Tensor, log_q: Tensor) -> Tensor:
    """Minus the bound, with VIMCO's gradient; draws come first."""
    draws = len(log_weights)
    fixed = log_weights.detach()
    total = fixed.logsumexp(0)
    left_out = (fixed.sum(0) - fixed) / (draws - 1)
    others = fixed.expand(draws, *fixed.shape).clone()
    index = torch.arange(draws, device=fixed.device)
    others[index, index] = left_out
    signal = total - others.logsumexp(1)
    value = log_weights.logsumexp(0) - math.log(draws)
    score = (signal * log_q).sum(0)
    return -(value + score - score.detach()).mean()


def expert(enc: nn.Module, dec: nn.Module, x: Tensor, draws: int) -> Tensor:
    logits = enc(x)
    with torch.no_grad():
        z = torch.bernoulli(torch.sigmoid(logits).expand(draws, *logits.shape))
    log_q = -binary_cross_entropy_with_logits(logits.expand_as(z), z, reduction="none").sum(-1)
    out = dec(z)
    log_p = -binary_cross_entropy_with_logits(out, x.expand_as(out), reduction="none").sum(-1)
    return surrogate(log_p - z.shape[-1] * math.log(2) - log_q, log_q)


def by_distributions(enc: nn.Module, dec: nn.Module, x: Tensor, draws: int) -> Tensor:
    q = Bernoulli(logits=enc(x))
    z = q.sample((draws,))
    log_q = q.log_prob(z).sum(-1)
    prior = Bernoulli(probs=torch.full_like(z, 0.5)).log_prob(z).sum(-1)
    return surrogate(Bernoulli(logits=dec(z)).log_prob(x).sum(-1) + prior - log_q, log_q)


def model(enc: nn.Module, dec: nn.Module, latent: int, draws: int, **options: Any) -> sd.Model:
    q, p = sd.Bernoulli("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec)
    prior = sd.Bernoulli("p(z)", probs=0.5, event_shape=latent)
    return sd.Model(BOUND, q, p, prior, samples=draws, estimators={"z": "VIMCO"}, **options)


def vimco(data: int, hidden: int, latent: int, batch: int, draws: int) -> list[Variant]:
    torch.manual_seed(5)
    networks = (decoder(data, hidden, latent), decoder(latent, hidden, data))
    x = binary(batch, data)

    def by_hand(loss: Callable[..., Tensor], *, fused: bool = False) -> Run:
        enc, dec = copies(networks)
        return trained(lambda: loss(enc, dec, x, draws), parameters_of(enc, dec), fused=fused)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        enc, dec = copies(networks)
        return way(model(enc, dec, latent, draws, **options), {"x": x}, parameters_of(enc, dec))

    def absent(name: str) -> Run:
        raise Unavailable(f"{name} has no VIMCO")

    return [
        Variant("expert", partial(by_hand, expert), Agreement.NOISE),
        Variant("expert, fused Adam", partial(by_hand, expert, fused=True), Agreement.NOISE),
        Variant("torch.distributions", partial(by_hand, by_distributions)),
        Variant("Pyro", partial(absent, "Pyro")),
        Variant("Pixyz", partial(absent, "Pixyz")),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop)),
        *forms(ours, Agreement.EXPECTATION),
    ]
