"""A discrete latent variable summed out: the unlabelled part of M2 (Kingma et al. 2014)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

import symdgm as sd
from benchmarks.networks import binary, copies
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Unavailable, Variant, parameters_of, peer, trained

ELBO = """
    maximize E_{q(y|x) q(z|x,y)}[log p(x|y,z)] - KL[q(y|x) || p(y)] - E_q(y|x)[KL[q(z|x,y) || p(z)]]
"""
Networks = tuple[nn.Module, nn.Module, nn.Module]


@final
class Posterior(nn.Module):
    """The law of z given an image and its class."""

    def __init__(self, data: int, classes: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.image, self.label = nn.Linear(data, hidden), nn.Linear(classes, hidden, bias=False)
        self.loc, self.scale = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        h = softplus(self.image(x) + self.label(y))
        return self.loc(h), softplus(self.scale(h))


@final
class Picture(nn.Module):
    """Logits of an image, given class and z."""

    def __init__(self, data: int, classes: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.label, self.latent = nn.Linear(classes, hidden, bias=False), nn.Linear(latent, hidden)
        self.out = nn.Linear(hidden, data)

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        logits: Tensor = self.out(softplus(self.label(y) + self.latent(z)))
        return logits


def expert(nets: Networks, x: Tensor, classes: int) -> Tensor:
    """All classes along a leading axis, so that what depends on x alone is computed once."""
    classify, posterior, picture = nets
    log_q = classify(x).log_softmax(-1).t()
    y = torch.eye(classes, device=x.device)[:, None]
    loc, scale = posterior(x, y)
    z = loc + scale * torch.randn_like(loc)
    logits = picture(y, z)
    misfit = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    kl = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(-1)
    return (log_q.exp() * (misfit + kl + log_q + math.log(classes))).sum(0).mean()


def textbook(nets: Networks, x: Tensor, classes: int) -> Tensor:
    """A loop over the classes."""
    classify, posterior, picture = nets
    log_q, total = classify(x).log_softmax(-1), x.new_zeros(len(x))
    for k in range(classes):
        y = torch.eye(classes, device=x.device)[k].expand(len(x), -1)
        loc, scale = posterior(x, y)
        z = loc + scale * torch.randn_like(loc)
        misfit = binary_cross_entropy_with_logits(picture(y, z), x, reduction="none").sum(-1)
        kl = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(-1)
        total = total + log_q[:, k].exp() * (misfit + kl + log_q[:, k] + math.log(classes))
    return total.mean()


def by_distributions(nets: Networks, x: Tensor, classes: int) -> Tensor:
    classify, posterior, picture = nets
    q_y, y = Categorical(logits=classify(x)), torch.eye(classes, device=x.device)[:, None]
    prior_y = Categorical(logits=torch.zeros_like(q_y.logits))
    q_z = Normal(*posterior(x, y))
    log_p = Bernoulli(logits=picture(y, q_z.rsample())).log_prob(x).sum(-1)
    kl = kl_divergence(q_z, Normal(torch.zeros_like(q_z.mean), torch.ones_like(q_z.mean))).sum(-1)
    return (kl_divergence(q_y, prior_y) + (q_y.probs.t() * (kl - log_p)).sum(0)).mean()


def model(nets: Networks, classes: int, latent: int, **options: Any) -> sd.Model:
    classify, posterior, picture = nets
    return sd.Model(
        ELBO,
        sd.OneHotCategorical("q(y|x)", classify),
        sd.Normal("q(z|x,y)", posterior),
        sd.Bernoulli("p(x|y,z)", picture),
        sd.OneHotCategorical("p(y)", probs=torch.full((classes,), 1 / classes)),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=latent),
        **options,
    )


def enumeration(data: int, hidden: int, latent: int, classes: int, batch: int) -> list[Variant]:
    torch.manual_seed(4)
    networks: Networks = (
        nn.Sequential(nn.Linear(data, hidden), nn.Softplus(), nn.Linear(hidden, classes)),
        Posterior(data, classes, hidden, latent),
        Picture(data, classes, hidden, latent),
    )
    x = binary(batch, data)

    def by_hand(loss: Callable[..., Tensor], *, fused: bool = False) -> Run:
        own = copies(networks)
        return trained(lambda: loss(own, x, classes), parameters_of(*own), fused=fused)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        own = copies(networks)
        return way(model(own, classes, latent, **options), {"x": x}, parameters_of(*own))

    def pyro() -> Run:
        return peer("pyro_enumeration", "pyro").enumeration(*copies(networks), x, classes, latent)

    def pixyz() -> Run:
        raise Unavailable("Pixyz sums over no discrete variable")

    return [
        Variant("expert", partial(by_hand, expert), Agreement.NOISE),
        Variant("expert, fused Adam", partial(by_hand, expert, fused=True), Agreement.NOISE),
        Variant("textbook, a loop over classes", partial(by_hand, textbook)),
        Variant("torch.distributions", partial(by_hand, by_distributions), Agreement.NOISE),
        Variant("Pyro TraceEnum_ELBO", pyro),
        Variant("Pixyz", pixyz),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop)),
        *forms(ours, Agreement.EXPECTATION),
    ]
