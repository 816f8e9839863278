"""RealNVP of vectors: couplings that alternate between the halves (Dinh et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, Transform, TransformedDistribution, constraints

import symdgm as sd
from benchmarks.networks import copies
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Variant, parameters_of, peer, trained
from symdgm.distributions.flows import AffineCoupling, Flows

LIKELIHOOD = "maximize log p(x)"
BOUND = 3.0
"""The greatest absolute log-scale of a coupling."""

Nets = tuple[nn.Sequential, ...]


def bounded(raw: Tensor) -> Tensor:
    return BOUND * torch.tanh(raw / BOUND)


def normal(z: Tensor, log_slope: Tensor) -> Tensor:
    """Minus the mean log-likelihood."""
    size = z.shape[-1] * math.log(2 * math.pi)
    return (0.5 * (z.square().sum(-1) + size) - log_slope).mean()


def expert(nets: Nets, x: Tensor) -> Tensor:
    """The halves as two tensors: nothing is masked."""
    kept, moved = x.chunk(2, -1)
    log_slope = x.new_zeros(len(x))
    for net in nets:
        raw, shift = net(kept).chunk(2, -1)
        log_scale = bounded(raw)
        log_slope = log_slope + log_scale.sum(-1)
        kept, moved = moved * log_scale.exp() + shift, kept
    return normal(torch.cat([kept, moved], -1), log_slope)


def textbook(nets: Nets, x: Tensor) -> Tensor:
    """Masks, and networks over the whole vector."""
    log_slope = x.new_zeros(len(x))
    for i, net in enumerate(nets):
        mask = (torch.arange(x.shape[-1], device=x.device) < x.shape[-1] // 2).to(x.dtype)
        mask = 1 - mask if i % 2 else mask
        raw, shift = net(mask * x).chunk(2, -1)
        log_scale = (1 - mask) * bounded(raw)
        x = mask * x + (1 - mask) * (x * log_scale.exp() + shift)
        log_slope = log_slope + log_scale.sum(-1)
    return normal(x, log_slope)


@final
class Halves(Transform):
    """A coupling as a transform of `torch.distributions`, from noise to data."""

    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, net: nn.Module, flip: bool) -> None:
        super().__init__()
        self.net, self.flip = net, flip

    def _inverse(self, y: Tensor) -> Tensor:
        kept, moved = self._split(y)
        raw, shift = self.net(kept).chunk(2, -1)
        log_scale = bounded(raw)
        self._slope = -log_scale.sum(-1)
        moved = moved * log_scale.exp() + shift
        return torch.cat([moved, kept] if self.flip else [kept, moved], -1)

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError("the likelihood goes from data to noise")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self._slope

    def _split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        first, second = y.chunk(2, -1)
        return (second, first) if self.flip else (first, second)


def by_distributions(nets: Nets, x: Tensor) -> Tensor:
    zeros = x.new_zeros(x.shape[-1])
    base = Independent(Normal(zeros, zeros + 1), 1)
    steps = [Halves(net, flip=bool(i % 2)) for i, net in enumerate(nets)]
    return -TransformedDistribution(base, steps[::-1]).log_prob(x).mean()


def widened(net: nn.Sequential, flip: bool) -> nn.Sequential:
    """The same map over the whole vector: columns and rows of what is not read or moved are zero."""
    half, hidden = net[0].in_features, net[0].out_features
    wide = nn.Sequential(nn.Linear(2 * half, hidden), nn.SiLU(), nn.Linear(hidden, 4 * half))
    read, moved = (slice(half, None), slice(0, half)) if flip else (slice(0, half), slice(half, None))
    with torch.no_grad():
        for p in wide.parameters():
            p.zero_()
        wide[0].weight[:, read] = net[0].weight
        wide[0].bias.copy_(net[0].bias)
        wide[2].weight.view(2, 2 * half, hidden)[:, moved] = net[2].weight.view(2, half, hidden)
        wide[2].bias.view(2, 2 * half)[:, moved] = net[2].bias.view(2, half)
    return wide


def model(nets: Nets, features: int, *, packed: bool, **options: Any) -> sd.Model:
    steps = [
        AffineCoupling(features, flip=bool(i % 2), network=net, packed=packed, bound=BOUND)
        for i, net in enumerate(nets)
    ]
    base = sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=features)
    return sd.Model(LIKELIHOOD, sd.Transformed("p(x)", base, Flows(steps).inv), **options)


def flow(features: int, hidden: int, couplings: int, batch: int) -> list[Variant]:
    torch.manual_seed(7)
    half = features // 2
    networks = tuple(
        nn.Sequential(nn.Linear(half, hidden), nn.SiLU(), nn.Linear(hidden, features))
        for _ in range(couplings)
    )
    wide = tuple(widened(net, flip=bool(i % 2)) for i, net in enumerate(networks))
    x = torch.randn(batch, features)

    def by_hand(loss: Callable[[Nets, Tensor], Tensor], nets: Nets, **options: Any) -> Run:
        own = copies(nets)
        kept = parameters_of(*own)
        run = trained(lambda: loss(own, x), kept, **options)
        # The wide networks have other parameters: their gradients are not those of the reference.
        return run if nets is networks else Run(run.step, run.loss)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        own = copies(networks)
        return way(model(own, features, packed=True, **options), {"x": x}, parameters_of(*own))

    def whole() -> Run:
        """Networks over the whole vector, as `packed=False` takes them."""
        built = model(copies(wide), features, packed=False)
        run = train_step(built, {"x": x}, list(built.parameters()))
        return Run(run.step, run.loss)

    def pyro() -> Run:
        return peer("pyro_flow", "pyro").flow(copies(networks), x, bounded)

    def pixyz() -> Run:
        return peer("pixyz_flow", "pixyz").flow(copies(wide), x, bounded)

    same = Agreement.NOISE
    return [
        Variant("expert", partial(by_hand, expert, networks), same),
        Variant("expert, fused Adam", partial(by_hand, expert, networks, fused=True), same),
        Variant("textbook, masks", partial(by_hand, textbook, wide), same),
        Variant("textbook, masks, fused Adam", partial(by_hand, textbook, wide, fused=True), same),
        Variant("torch.distributions", partial(by_hand, by_distributions, networks), same),
        Variant("Pyro", pyro, same),
        Variant("Pixyz", pixyz, same),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop), same),
        *forms(ours, same),
        Variant("symdgm, masks", whole, same),
    ]
