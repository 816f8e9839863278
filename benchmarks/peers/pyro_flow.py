"""RealNVP in Pyro; its training is a plain loop, as in Pyro's tutorial of flows."""

from __future__ import annotations

from collections.abc import Callable

import pyro.distributions as dist
import torch
from pyro.distributions.transforms import AffineCoupling, Permute
from torch import Tensor, nn

from benchmarks.variants import Run, parameters_of, trained


def flow(nets: tuple[nn.Module, ...], x: Tensor, bounded: Callable[[Tensor], Tensor]) -> Run:
    """Pyro's couplings from data to noise; a permutation swaps the halves behind each."""
    half = x.shape[-1] // 2
    swap = torch.arange(2 * half).roll(half)

    def coefficients(net: nn.Module) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        def shift_and_log_scale(kept: Tensor) -> tuple[Tensor, Tensor]:
            raw, shift = net(kept).chunk(2, -1)
            return shift, bounded(raw)

        return shift_and_log_scale

    def loss() -> Tensor:
        base = dist.Normal(x.new_zeros(2 * half), x.new_ones(2 * half)).to_event(1)
        # A new view each time: Pyro's transforms remember the last tensor, with the graph of the step before.
        return -dist.TransformedDistribution(base, steps).log_prob(x.view_as(x)).mean()

    steps = []
    for net in nets:
        coupling = AffineCoupling(half, coefficients(net), log_scale_min_clip=-5.0, log_scale_max_clip=5.0)
        steps += [coupling.inv, Permute(swap).inv]
    steps.reverse()
    return trained(loss, parameters_of(*nets))
