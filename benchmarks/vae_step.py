"""Training step of a VAE: symdgm against the expert's hand-written PyTorch, alternating step by step.

    python benchmarks/vae_step.py [--steps 200] [--threads 2] [--json FILE]

Both have the same weights and minimise the same negative ELBO (Bernoulli likelihood by logits, closed-form
KL). A step is zero_grad, forward, backward and the optimiser; ratios are to the expert's eager step with
torch's default Adam. Before anything is timed, the losses of both are compared on the same noise.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

import symdgm as sd

WORKLOADS = {  # name: (data, hidden, latent, batch)
    "784-400-10": (784, 400, 10, 128),
    "784-2000-30": (784, 2000, 30, 128),
    "16-16-4": (16, 16, 4, 8),
}


class Encoder(nn.Module):
    def __init__(self, data: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.hidden, self.loc, self.scale = (
            nn.Linear(data, hidden),
            nn.Linear(hidden, latent),
            nn.Linear(hidden, latent),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = softplus(self.hidden(x))
        return self.loc(h), softplus(self.scale(h))


def decoder(data: int, hidden: int, latent: int) -> nn.Module:
    return nn.Sequential(nn.Linear(latent, hidden), nn.Softplus(), nn.Linear(hidden, data))


def expert_loss(enc: nn.Module, dec: nn.Module, x: Tensor) -> Tensor:
    loc, scale = enc(x)
    z = loc + scale * torch.randn_like(loc)
    reconstruction = binary_cross_entropy_with_logits(dec(z), x, reduction="none").sum(-1)
    kl = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(-1)
    return (reconstruction + kl).mean()


def expert_step(enc: nn.Module, dec: nn.Module, fused: bool) -> Callable[[Tensor], Tensor]:
    optimizer = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=1e-3, fused=fused or None)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = expert_loss(enc, dec, x)
        loss.backward()
        optimizer.step()
        return loss

    return step


def symdgm_model(enc: nn.Module, dec: nn.Module, latent: int, analytic: bool) -> sd.Model:
    q, p = sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=latent)
    return sd.Model("maximize E_q(z|x)[log p(x|z)] - KL[q||p]", q, p, prior, analytic=analytic)


def variants(enc: nn.Module, dec: nn.Module, latent: int) -> dict[str, Callable[[Tensor], Tensor]]:
    def pair() -> tuple[nn.Module, nn.Module]:
        return copy.deepcopy(enc), copy.deepcopy(dec)

    def bare(model: sd.Model) -> Callable[[Tensor], Tensor]:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

        def step(x: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = model.loss(x=x)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def guarded(model: sd.Model) -> Callable[[Tensor], Tensor]:
        return lambda x: model.train_step(x=x).loss

    return {
        "expert": expert_step(*pair(), fused=False),
        "expert, fused Adam": expert_step(*pair(), fused=True),
        "symdgm, own loop, Adam": bare(symdgm_model(*pair(), latent, analytic=True)),
        "symdgm, train_step": guarded(symdgm_model(*pair(), latent, analytic=True)),
        "symdgm, train_step, Monte Carlo KL": guarded(symdgm_model(*pair(), latent, analytic=False)),
    }


def check(enc: nn.Module, dec: nn.Module, latent: int, x: Tensor) -> None:
    model = symdgm_model(enc, dec, latent, analytic=True)
    torch.manual_seed(0)
    ours = model.loss(x=x)
    torch.manual_seed(0)
    theirs = expert_loss(enc, dec, x)
    torch.testing.assert_close(ours, theirs)


def measure(data: int, hidden: int, latent: int, batch: int, steps: int) -> dict[str, dict[str, float]]:
    torch.manual_seed(1)
    enc, dec = Encoder(data, hidden, latent), decoder(data, hidden, latent)
    x = torch.rand(batch, data).round()
    check(enc, dec, latent, x)
    runs = variants(enc, dec, latent)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(steps + 20):
        for name, step in runs.items():
            start = time.perf_counter()
            step(x)
            if i >= 20:
                times[name].append(time.perf_counter() - start)
    base = statistics.median(times["expert"])
    return {name: summary(values, base) for name, values in times.items()}


def summary(values: list[float], base: float) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"ms": middle * 1e3, "ms_low": low * 1e3, "ms_high": high * 1e3, "ratio": middle / base}


def main() -> None:
    parser = argparse.ArgumentParser(description="Training step of a VAE against hand-written PyTorch.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads, torch {torch.__version__}"
    )
    print(f"{machine}, load {os.getloadavg()[0]:.2f}, {options.steps} steps, medians [quartiles]")
    results = {}
    for name, (data, hidden, latent, batch) in WORKLOADS.items():
        results[name] = measure(data, hidden, latent, batch, options.steps)
        print(f"\n{name}, batch {batch}")
        for variant, row in results[name].items():
            spread = f"[{row['ms_low']:.3f}, {row['ms_high']:.3f}]"
            print(f"  {variant:36} {row['ms']:8.3f} ms {spread:18} {row['ratio']:.2f}")
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": machine, "results": results}, indent=2))


if __name__ == "__main__":
    main()
