"""The VAE's step without autograd: what is left if nothing but arithmetic is done."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, softplus

from benchmarks.networks import Encoder
from benchmarks.variants import Run, adam


def explicit(enc: Encoder, dec: nn.Sequential, x: Tensor) -> Run:
    """Forward and backward by hand, all parameters in one vector, Adam in one kernel."""
    modules = [enc.hidden, enc.loc, enc.scale, dec[0], dec[2]]
    named = [getattr(m, name) for m in modules for name in ("weight", "bias")]
    flat = nn.Parameter(torch.cat([p.detach().flatten() for p in named]))
    flat.grad = torch.zeros_like(flat)
    weights, slopes = _views(flat.detach(), named), _views(flat.grad, named)
    optimizer = adam([flat], fused=True)

    def step() -> Tensor:
        value = _gradients(x, weights, slopes)
        optimizer.step()
        return value

    return Run(step, lambda: _forward(x, weights)[0])


def _views(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    pieces = flat.split([p.numel() for p in like])
    return [piece.view(p.shape) for piece, p in zip(pieces, like, strict=True)]


def _forward(x: Tensor, weights: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    w1, b1, wm, bm, ws, bs, w2, b2, w3, b3 = weights
    a = linear(x, w1, b1)
    h = softplus(a)
    loc, raw = linear(h, wm, bm), linear(h, ws, bs)
    scale, noise = softplus(raw), torch.randn_like(loc)
    z = torch.addcmul(loc, scale, noise)
    c = linear(z, w2, b2)
    g = softplus(c)
    logits = linear(g, w3, b3)
    reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = (0.5 * (loc * loc + scale * scale - 1) - scale.log()).sum()
    return (reconstruction + kl) / len(x), (a, h, loc, raw, scale, noise, z, c, g, logits)


def _gradients(x: Tensor, weights: list[Tensor], slopes: list[Tensor]) -> Tensor:
    value, (a, h, loc, raw, scale, noise, z, c, g, logits) = _forward(x, weights)
    _, _, wm, _, ws, _, w2, _, w3, _ = weights
    rows = len(x)
    d_logits = (torch.sigmoid(logits) - x).div_(rows)
    d_c = (d_logits @ w3).mul_(torch.sigmoid(c))
    d_z = d_c @ w2
    d_loc = d_z + loc / rows
    d_raw = (d_z * noise + (scale - 1 / scale) / rows).mul_(torch.sigmoid(raw))
    d_a = (d_loc @ wm).addmm_(d_raw, ws).mul_(torch.sigmoid(a))
    pairs = [(d_a, x), (d_loc, h), (d_raw, h), (d_c, z), (d_logits, g)]
    for i, (slope, value_in) in enumerate(pairs):
        torch.mm(slope.t(), value_in, out=slopes[2 * i])
        torch.sum(slope, 0, out=slopes[2 * i + 1])
    return value
