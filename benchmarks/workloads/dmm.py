"""The deep Markov model of the paper's Table 2: Pyro's example, 88 notes, the chorales' lengths."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import symdgm as sd
from benchmarks.chorales import batch
from benchmarks.dmm_networks import DMM, RATE, reversed_rows
from benchmarks.networks import copies
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Unavailable, Variant, peer, trained

SAME = Agreement.NOISE
ELBO = """
    maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T}) || p(z_{1:T})]
"""
Pair = tuple[Tensor, Tensor]


def kl(q: Pair, p: Pair) -> Tensor:
    ratio = (q[1] / p[1]).square()
    return 0.5 * (ratio + ((q[0] - p[0]) / p[1]).square() - 1 - ratio.log()).sum(-1)


def misfit(logits: Tensor, x: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def hidden(net: DMM, x: Tensor, lengths: Tensor) -> Tensor:
    return reversed_rows(net.recurrent(reversed_rows(x, lengths))[0], lengths)


def expert(net: DMM, x: Tensor, lengths: Tensor) -> Tensor:
    """The loop over time; what is long is unbound once."""
    valid = (torch.arange(x.shape[1], device=x.device) < lengths[:, None]).to(x.dtype).unbind(1)
    z, total = net.z_0.expand(len(x), -1), x.new_zeros(len(x))
    for x_t, h_t, valid_t in zip(x.unbind(1), hidden(net, x, lengths).unbind(1), valid, strict=True):
        q, p = net.combine(z, h_t), net.transition(z)
        z = q[0] + q[1] * torch.randn_like(q[0])
        total = total + (misfit(net.emit(z), x_t) + kl(q, p)) * valid_t
    return total.mean()


def textbook(net: DMM, x: Tensor, lengths: Tensor) -> Tensor:
    """The same, but long tensors are sliced within the loop."""
    h = hidden(net, x, lengths)
    valid = (torch.arange(x.shape[1], device=x.device) < lengths[:, None]).to(x.dtype)
    z, total = net.z_0.expand(len(x), -1), x.new_zeros(len(x))
    for t in range(x.shape[1]):
        q, p = net.combine(z, h[:, t]), net.transition(z)
        z = q[0] + q[1] * torch.randn_like(q[0])
        total = total + (misfit(net.emit(z), x[:, t]) + kl(q, p)) * valid[:, t]
    return total.mean()


def fission(net: DMM, x: Tensor, lengths: Tensor) -> Tensor:
    """Only the posterior is sequential; all else is done once over all steps."""
    z, locs, scales, draws = net.z_0.expand(len(x), -1), [], [], []
    draws.append(z)
    for h_t in hidden(net, x, lengths).unbind(1):
        loc, scale = net.combine(z, h_t)
        z = loc + scale * torch.randn_like(loc)
        locs.append(loc)
        scales.append(scale)
        draws.append(z)
    path = torch.stack(draws, 1)
    q = torch.stack(locs, 1), torch.stack(scales, 1)
    each = misfit(net.emit(path[:, 1:]), x) + kl(q, net.transition(path[:, :-1]))
    return (each * (torch.arange(x.shape[1], device=x.device) < lengths[:, None])).sum(1).mean()


def model(net: DMM, **options: Any) -> sd.Model:
    return sd.Model(
        ELBO,
        sd.Normal("q(z_t|z_{t-1},h_t)", net.combine),
        sd.Bernoulli("p(x_t|z_t)", net.emit),
        sd.Normal("p(z_t|z_{t-1})", net.transition),
        sd.Deterministic("h(h_t|x_t,h_{t+1})", net.recurrent),
        z_0=net.z_0,
        **options,
    )


def dmm(latent: int, rows: int, longest: int = 129, **sizes: int) -> list[Variant]:
    torch.manual_seed(2)
    net = DMM(latent, **sizes)
    x, lengths = batch(rows, longest)

    def by_hand(loss: Any, *, fused: bool = False) -> Run:
        (own,) = copies((net,))
        return trained(lambda: loss(own, x, lengths), list(own.parameters()), fused=fused, lr=RATE)

    def ours(way: Any = train_step, **options: Any) -> Run:
        (own,) = copies((net,))
        try:
            built = model(own, **options)
        except sd.SymdgmError as error:
            reason = str(error).splitlines()[0]
            raise Unavailable(f"this version of symdgm has no steps of a sequence: {reason}") from error
        return way(built, {"x": x, "T": lengths}, list(own.parameters()), lr=RATE)

    def pyro(**options: Any) -> Run:
        return peer("pyro_dmm", "pyro").dmm(*copies((net,)), x, lengths, **options)

    def pixyz(**options: Any) -> Run:
        return peer("pixyz_dmm", "pixyz").dmm(*copies((net,)), x, lengths, **options)

    return [
        Variant("expert", partial(by_hand, expert), SAME),
        Variant("expert, fused Adam", partial(by_hand, expert, fused=True), SAME),
        Variant("textbook, slices within the loop", partial(by_hand, textbook), SAME),
        Variant("expert, fission", partial(by_hand, fission), SAME),
        Variant("expert, fission, fused Adam", partial(by_hand, fission, fused=True), SAME),
        Variant("Pyro Trace_ELBO", partial(pyro, elbo="Trace_ELBO")),
        Variant("Pyro TraceMeanField_ELBO", partial(pyro, elbo="TraceMeanField_ELBO")),
        Variant("Pixyz, analytic KL", pixyz),
        Variant("Pixyz, analytic KL, no cache", partial(pixyz, cache=False)),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop)),
        *forms(ours, Agreement.EXPECTATION),
    ]
