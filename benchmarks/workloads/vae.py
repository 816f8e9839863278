"""The variational autoencoder of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

import symdgm as sd
from benchmarks.networks import Encoder, binary, copies, decoder
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Variant, parameters_of, peer, trained
from benchmarks.workloads.vae_explicit import explicit

SAME, MEAN = Agreement.NOISE, Agreement.EXPECTATION
ELBO = "maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]"

Loss = Callable[[nn.Module, nn.Module, Tensor], Tensor]


def expert(enc: nn.Module, dec: nn.Module, x: Tensor) -> Tensor:
    loc, scale = enc(x)
    z = loc + scale * torch.randn_like(loc)
    reconstruction = binary_cross_entropy_with_logits(dec(z), x, reduction="none").sum(-1)
    kl = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(-1)
    return (reconstruction + kl).mean()


def textbook(enc: nn.Module, dec: nn.Module, x: Tensor) -> Tensor:
    loc, scale = enc(x)
    z = loc + scale * torch.randn_like(scale)
    probs = torch.sigmoid(dec(z))
    reconstruction = binary_cross_entropy(probs, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + torch.log(scale**2) - loc.pow(2) - scale.pow(2))
    return (reconstruction + kl) / len(x)


def by_distributions(enc: nn.Module, dec: nn.Module, x: Tensor, *, validate: bool) -> Tensor:
    q = Independent(Normal(*enc(x), validate_args=validate), 1, validate_args=validate)
    zero, one = torch.zeros_like(q.mean), torch.ones_like(q.mean)
    prior = Independent(Normal(zero, one, validate_args=validate), 1, validate_args=validate)
    logits = dec(q.rsample())
    p = Independent(Bernoulli(logits=logits, validate_args=validate), 1, validate_args=validate)
    return (kl_divergence(q, prior) - p.log_prob(x)).mean()


def model(enc: nn.Module, dec: nn.Module, latent: int, **options: Any) -> sd.Model:
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=latent)
    return sd.Model(ELBO, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior, **options)


def vae(data: int, hidden: int, latent: int, batch: int) -> list[Variant]:
    torch.manual_seed(1)
    networks = (Encoder(data, hidden, latent), decoder(latent, hidden, data))
    x = binary(batch, data)

    def by_hand(loss: Loss, *, fused: bool = False, compiled: bool = False) -> Run:
        enc, dec = copies(networks)
        ran = torch.compile(loss) if compiled else loss
        parameters = parameters_of(enc, dec)
        return trained(lambda: ran(enc, dec, x), parameters, fused=fused, countable=not compiled)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        enc, dec = copies(networks)
        built = model(enc, dec, latent, **options)
        return way(built, {"x": x}, parameters_of(enc, dec))

    def explicitly() -> Run:
        return explicit(*copies(networks), x)

    def pyro(**options: Any) -> Run:
        return peer("pyro_vae", "pyro").vae(*copies(networks), x, latent, **options)

    def pixyz(**options: Any) -> Run:
        return peer("pixyz_vae", "pixyz").vae(*copies(networks), x, latent, **options)

    return [
        Variant("expert", partial(by_hand, expert), SAME),
        Variant("expert, fused Adam", partial(by_hand, expert, fused=True), SAME),
        Variant(
            "expert, compiled, fused Adam",
            partial(by_hand, expert, fused=True, compiled=True),
            compiles=True,
        ),
        Variant("explicit gradients, no autograd", explicitly, SAME),
        Variant("textbook", partial(by_hand, textbook), SAME),
        Variant("torch.distributions", partial(by_hand, partial(by_distributions, validate=True)), SAME),
        Variant(
            "torch.distributions, no validation",
            partial(by_hand, partial(by_distributions, validate=False)),
            SAME,
        ),
        Variant("Pyro Trace_ELBO", partial(pyro, elbo="Trace_ELBO")),
        Variant("Pyro Trace_ELBO, no validation", partial(pyro, elbo="Trace_ELBO", validate=False)),
        Variant("Pyro TraceMeanField_ELBO", partial(pyro, elbo="TraceMeanField_ELBO"), SAME),
        Variant("Pyro JitTrace_ELBO", partial(pyro, elbo="JitTrace_ELBO")),
        Variant("Pixyz, analytic KL", partial(pixyz, analytic=True), SAME),
        Variant("Pixyz, analytic KL, no cache", partial(pixyz, analytic=True, cache=False), SAME),
        Variant("Pixyz, Monte Carlo", partial(pixyz, analytic=False)),
        Variant("Pixyz, Monte Carlo, no cache", partial(pixyz, analytic=False, cache=False)),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop), SAME),
        *forms(ours, SAME),
        Variant("symdgm, Monte Carlo KL", partial(ours, train_step, analytic=False), MEAN),
    ]
