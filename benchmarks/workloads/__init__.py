"""All workloads by name."""

from __future__ import annotations

from functools import partial

from benchmarks.variants import Workload
from benchmarks.workloads.dmm import dmm
from benchmarks.workloads.enumeration import enumeration
from benchmarks.workloads.flow import flow
from benchmarks.workloads.gan import gan
from benchmarks.workloads.iwae import iwae
from benchmarks.workloads.thousand_terms import thousand_terms
from benchmarks.workloads.vae import vae
from benchmarks.workloads.vimco import vimco


def _vae(hidden: int, latent: int, *, extra: bool = False) -> Workload:
    return Workload(
        f"vae/784-{hidden}-{latent}",
        "VAE of Table 1, Bernoulli likelihood, batch 128",
        partial(vae, 784, hidden, latent, 128),
        partial(vae, 6, 5, 3, 4),
        extra=extra,
    )


def _dmm(latent: int, rows: int, *, extra: bool = False) -> Workload:
    return Workload(
        f"dmm/{latent}-{rows}",
        f"deep Markov model of Table 2, {latent}-dimensional, batch {rows}, the chorales' lengths",
        partial(dmm, latent, rows),
        partial(dmm, 3, 5, 7, emission=6, transition=5, recurrent=8),
        rounds=15,
        extra=extra,
    )


WORKLOADS = {
    workload.name: workload
    for workload in (
        _vae(400, 10),
        _vae(2000, 30),
        _vae(400, 30, extra=True),
        _vae(2000, 10, extra=True),
        Workload(
            "vae_small/16-16-4",
            "VAE that is bound by overhead, batch 8",
            partial(vae, 16, 16, 4, 8),
            partial(vae, 6, 5, 3, 4),
            rounds=500,
        ),
        _dmm(20, 20),
        _dmm(100, 20),
        _dmm(50, 20, extra=True),
        _dmm(500, 20, extra=True),
        _dmm(20, 128, extra=True),
        _dmm(50, 128, extra=True),
        _dmm(100, 128, extra=True),
        Workload(
            "iwae/50",
            "importance-weighted bound of 50 draws, 784-200-50, batch 32",
            partial(iwae, 784, 200, 50, 32, 50),
            partial(iwae, 6, 5, 3, 4, 5),
            rounds=60,
        ),
        Workload(
            "enumeration/10",
            "ten classes summed out, and a normal variable given each; 784-200-20, batch 64",
            partial(enumeration, 784, 200, 20, 10, 64),
            partial(enumeration, 6, 5, 3, 4, 5),
            rounds=60,
        ),
        Workload(
            "vimco/10",
            "200 Bernoulli variables, VIMCO with 10 draws, 784-200-200, batch 64",
            partial(vimco, 784, 200, 200, 64, 10),
            partial(vimco, 6, 5, 3, 4, 5),
            rounds=60,
        ),
        Workload(
            "gan/784-400-64",
            "a step of the critic and one of the generator, batch 128",
            partial(gan, 784, 400, 64, 128),
            partial(gan, 6, 5, 3, 5),
        ),
        Workload(
            "flow/64-8",
            "RealNVP of 64 features, eight couplings of width 128, batch 128",
            partial(flow, 64, 128, 8, 128),
            partial(flow, 6, 5, 4, 5),
        ),
        Workload(
            "thousand_terms/1000",
            "1,000 terms over one posterior, 64-64-16, batch 32",
            partial(thousand_terms, 1000, 64, 64, 16, 32),
            partial(thousand_terms, 12, 6, 5, 3, 4),
            rounds=60,
        ),
    )
}
"""Workload by name, ``family/size``."""


def chosen(names: list[str], *, extra: bool = False) -> list[Workload]:
    """The workloads of some names or families; without names those that are measured by default.

    Raises:
        ValueError: a name is unknown.
    """
    if not names:
        return [w for w in WORKLOADS.values() if extra or not w.extra]
    families = {name.split("/")[0] for name in WORKLOADS}
    unknown = [name for name in names if name not in WORKLOADS and name not in families]
    if unknown:
        raise ValueError(f"no workload `{unknown[0]}`; known: {', '.join([*sorted(families), *WORKLOADS])}")
    return [
        w
        for name, w in WORKLOADS.items()
        if name in names or (name.split("/")[0] in names and (extra or not w.extra))
    ]
