"""Normalising flows: RealNVP of vectors and of images, Glow, and a planar flow as a posterior."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from symdgm.distributions import Custom, Normal, Transformed
from symdgm.distributions.flows import (
    ActNorm,
    AffineCoupling,
    Conv1x1,
    Dequantize,
    Flow,
    Flows,
    Logit,
    Planar,
    Split,
    Squeeze,
    Unsqueeze,
)
from symdgm.distributions.shapes import Shape
from symdgm.model import Model
from symdgm.zoo.checked import checked

LIKELIHOOD = "maximize log p(x)"
"""A flow has its density: nothing needs a bound."""

INFERENCE = "maximize E_q(z)[log p(z) - log q(z)]"
"""Minus the divergence from a density, up to its constant."""


@checked
def real_nvp(features: int, *, couplings: int = 8, hidden: int = 64) -> Model:
    r"""RealNVP of vectors.

    .. math:: \max\; \log p(x), \quad x = f^{-1}(u), \quad u \sim \mathcal{N}(0, I)

    Args:
        features: the size of ``x``, ``[batch, features]``.
        couplings: how many, each behind an `ActNorm`.
        hidden: the width of both hidden layers of every coupling.

    Source:
        L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density Estimation using Real NVP" (2017).

    Example:
        >>> real_nvp(2, couplings=2, hidden=8).sample(5)["x"].shape
        torch.Size([5, 2])
    """
    steps: list[Flow] = [
        step
        for i in range(couplings)
        for step in (ActNorm(features), AffineCoupling(features, flip=bool(i % 2), hidden=(hidden, hidden)))
    ]
    return _model(steps, features)


@checked
def image_real_nvp(side: int, *, channels: int = 1, levels: int = 256, hidden: int = 32) -> Model:
    r"""RealNVP of images: four checkerboard couplings, a squeeze, four channel couplings.

    Args:
        side: height and width of an image ``x``, ``[batch, channels, side, side]`` of levels.
        channels: how many.
        levels: the values of a pixel are 0 … levels - 1, spread by uniform noise.
        hidden: the width of every coupling's residual network.

    Source:
        L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density Estimation using Real NVP" (2017), sections 3.4 to
        3.6.

    Example:
        >>> import torch
        >>> model = image_real_nvp(4, levels=4, hidden=8)
        >>> model.objective(x=torch.randint(4, (3, 1, 4, 4)).float()).shape
        torch.Size([])
    """
    whole, squeezed = (channels, side, side), (4 * channels, side // 2, side // 2)
    steps: list[Flow] = [Dequantize(levels), Logit()]
    for i in range(4):
        flip = bool(i % 2)
        steps += [AffineCoupling(whole, mask="checkerboard", flip=flip, hidden=(hidden,)), ActNorm(channels)]
    steps.append(Squeeze())
    for i in range(4):
        steps += [AffineCoupling(squeezed, flip=bool(i % 2), hidden=(hidden,)), ActNorm(4 * channels)]
    return _model(steps, squeezed)


@checked
def glow(side: int, *, channels: int = 1, levels: int = 256, depth: int = 4, hidden: int = 32) -> Model:
    r"""Glow of two scales: steps of `ActNorm`, an invertible 1×1 convolution and a coupling.

    Args:
        side: height and width of an image ``x``, ``[batch, channels, side, side]`` of levels.
        channels: how many.
        levels: the values of a pixel are 0 … levels - 1, spread by uniform noise.
        depth: steps of each scale.
        hidden: the width of every coupling's residual network.

    Source:
        D. P. Kingma, P. Dhariwal, "Glow: Generative Flow with Invertible 1×1 Convolutions" (2018), figure 2.

    Example:
        >>> import torch
        >>> model = glow(4, levels=4, depth=1, hidden=8)
        >>> model.objective(x=torch.randint(4, (3, 1, 4, 4)).float()).shape
        torch.Size([])
    """
    inner = [Squeeze(), *_glow_steps(8 * channels, side // 4, depth, hidden), Unsqueeze()]
    outer = [Squeeze(), *_glow_steps(4 * channels, side // 2, depth, hidden)]
    steps = [Dequantize(levels), Logit(), *outer, Split(Flows(inner), channels=4 * channels)]
    return _model(steps, (4 * channels, side // 2, side // 2))


@checked
def planar_posterior(energy: Callable[[Tensor], Tensor], features: int, *, length: int = 16) -> Model:
    r"""A planar flow that is fitted to an unnormalised density, without data.

    .. math:: \max\; \mathbb{E}_{q(z)}[\log p(z) - \log q(z)], \quad p(z) \propto e^{-U(z)}

    Args:
        energy: ``U``, from ``z`` ``[batch, features]`` to ``[batch]``.
        features: the size of ``z``.
        length: how many planar steps.

    Source:
        D. J. Rezende, S. Mohamed, "Variational Inference with Normalizing Flows" (2015), section 6.1.

    Example:
        >>> model = planar_posterior(lambda z: z.square().sum(-1) / 2, 2, length=2)
        >>> list(model.terms(n=8))
        ['E_q(z)[log p(z)]', 'E_q(z)[log q(z)]']
    """
    base = Normal(
        "q(u)", loc=nn.Parameter(torch.zeros(features)), log_scale=nn.Parameter(torch.zeros(features))
    )
    flow = Flows([Planar(features) for _ in range(length)])
    target = Custom("p(z)", lambda z: -energy(z))
    return Model(INFERENCE, Transformed("q(z)", base, flow), target, z=features)


def _glow_steps(channels: int, side: int, depth: int, hidden: int) -> list[Flow]:
    event = (channels, side, side)
    return [
        step
        for _ in range(depth)
        for step in (ActNorm(channels), Conv1x1(channels), AffineCoupling(event, hidden=(hidden,)))
    ]


def _model(steps: list[Flow], event: Shape) -> Model:
    """The likelihood of what the steps turn into noise."""
    base = Normal("p(u)", loc=0.0, scale=1.0, event_shape=event)
    return Model(LIKELIHOOD, Transformed("p(x)", base, Flows(steps).inv))
