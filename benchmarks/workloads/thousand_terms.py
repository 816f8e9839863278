"""An objective of a thousand terms: what each of them costs beside its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import symdgm as sd
from benchmarks.networks import Encoder, copies
from benchmarks.ours import forms, own_loop, train_step
from benchmarks.variants import Agreement, Run, Unavailable, Variant, parameters_of, trained


def numbers(terms: int) -> list[tuple[int, int]]:
    """Weight and frequency of each term: short, for a formula has a greatest length, and all different."""
    return [(1 + i % 7, 1 + i) for i in range(terms)]


def equation(terms: int) -> str:
    """``minimize w_1 E_q(z|x)[<cos(f_1 z), z>] + …``: no closed form, and no term equals another."""
    parts = [f"{w} E_q(z|x)[<cos({f} z),z>]" for w, f in numbers(terms)]
    return f"minimize {' + '.join(parts)}"


def expert(enc: nn.Module, x: Tensor, terms: int) -> Tensor:
    """Term by term, as one writes what grew over time."""
    loc, scale = enc(x)
    z = loc + scale * torch.randn_like(loc)
    total = x.new_zeros(())
    for weight, frequency in numbers(terms):
        total = total + weight * ((frequency * z).cos() * z).sum(-1).mean()
    return total


def vectorised(enc: nn.Module, x: Tensor, terms: int) -> Tensor:
    """All terms at once."""
    loc, scale = enc(x)
    z = loc + scale * torch.randn_like(loc)
    weights, frequencies = torch.tensor(numbers(terms), dtype=x.dtype, device=x.device).unbind(-1)
    each = ((frequencies[:, None, None] * z).cos() * z).sum(-1).mean(-1)
    return weights @ each


def thousand_terms(terms: int, data: int, hidden: int, latent: int, batch: int) -> list[Variant]:
    torch.manual_seed(8)
    networks = (Encoder(data, hidden, latent),)
    x = torch.randn(batch, data)

    def by_hand(loss: Callable[[nn.Module, Tensor, int], Tensor], *, fused: bool = False) -> Run:
        (enc,) = copies(networks)
        return trained(lambda: loss(enc, x, terms), parameters_of(enc), fused=fused)

    def ours(way: Callable[..., Run] = train_step, **options: Any) -> Run:
        (enc,) = copies(networks)
        model = sd.Model(equation(terms), sd.Normal("q(z|x)", enc), **options)
        return way(model, {"x": x}, parameters_of(enc))

    def pyro() -> Run:
        raise Unavailable("Pyro has no objectives by terms")

    def pixyz() -> Run:
        raise Unavailable("Pixyz has no functions of a draw in an objective")

    same = Agreement.NOISE
    return [
        Variant("expert, a loop over terms", partial(by_hand, expert), same),
        Variant("expert, a loop over terms, fused Adam", partial(by_hand, expert, fused=True), same),
        Variant("expert, vectorised", partial(by_hand, vectorised), same),
        Variant("Pyro", pyro),
        Variant("Pixyz", pixyz),
        Variant("symdgm, own loop, Adam", partial(ours, own_loop), same),
        # Compiling twenty thousand operators takes minutes.
        *(v for v in forms(ours, same) if not v.compiles),
    ]
