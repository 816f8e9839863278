"""Negative bounds on the log-likelihood of Bach's chorales, in nats a step, of the deep Markov model.

The weights are chosen by the validation part and reported on the test part. What is learned is kept after
every epoch: the same command with --resume goes on where it was killed.

python benchmarks/chorale_bound.py --epochs 2500 --minutes 78
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from symdgm.data import RaggedSplits, chorales
from symdgm.model import Model
from symdgm.objective import Objective
from symdgm.training import EpochRecord
from symdgm.zoo import deep_markov

IMPORTANCE = "log E_q(z_{1:T}|x_{1:T})[p(x_{1:T}|z_{1:T}) p(z_{1:T}) / q(z_{1:T}|x_{1:T})]"
"""A tighter bound, the more draws the tighter (Burda et al. 2016)."""

NOTES = 88


@dataclass
class Keeper:
    """Keeps the weights of the epoch that is best on the validation part, with beta = 1.

    Args:
        model: whose weights.
        out: the files without their endings.
        scale: from the mean over sequences to nats a step.
        earliest: the epoch from which on weights are kept.
        minutes: after which the run ends.
        best: negative bound on the validation part of the best epoch so far.
        epoch: the best so far.
        seconds: the time of training, validation included.
    """

    model: Model
    out: Path
    scale: float
    earliest: int
    minutes: float
    best: float = float("inf")
    epoch: int = 0
    seconds: float = 0.0

    def __call__(self, record: EpochRecord) -> bool:
        fit, divergence = record.validation_terms.values()
        value = -(fit - divergence) * self.scale
        self.seconds += record.seconds
        if value < self.best and record.epoch >= self.earliest:
            self.best, self.epoch = value, record.epoch
            self.model.save(self.out.with_suffix(".safetensors"))
        state = {"best": self.best, "epoch": self.epoch, "seconds": self.seconds}
        self.out.with_suffix(".json").write_text(json.dumps(state))
        if record.epoch % 10 == 0:
            beta = float(self.model.scalars["beta"])
            print(
                f"epoch {record.epoch}: beta {beta:.2f}, validation {value:.3f}, "
                f"best {self.best:.3f} in epoch {self.epoch}, {self.seconds / 60:.1f} minutes",
                flush=True,
            )
        return self.seconds > 60 * self.minutes

    def resume(self) -> None:
        """Goes on from what was written."""
        written = self.out.with_suffix(".json")
        if written.exists():
            vars(self).update(json.loads(written.read_text()))

    def left(self, epochs: int, epoch: int) -> float:
        """The share of the run that is still to come, by epochs or by time."""
        return 1 - min(1.0, max(epoch / epochs, self.seconds / 60 / self.minutes))


def fitted(model: Model, data: RaggedSplits, options: argparse.Namespace) -> Path | None:
    """The weights that a run has chosen, or None where it was too short to choose."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    watched = data.validation.lengths
    keeper = Keeper(
        model, options.out, len(watched) / int(watched.sum()), options.annealing + 1, options.minutes
    )
    if options.resume:
        keeper.resume()
    train(model, keeper, data, options)
    print(f"validation: {keeper.best:.3f} in epoch {keeper.epoch}, {keeper.seconds / 60:.1f} minutes")
    return options.out.with_suffix(".safetensors") if keeper.epoch else None


def train(model: Model, keeper: Keeper, data: RaggedSplits, options: argparse.Namespace) -> None:
    """A whole run; with options.resume the rest of one."""

    def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        rates = {"lr": options.lr, "betas": (0.96, 0.999), "weight_decay": options.weight_decay}
        return torch.optim.Adam(parameters, fused=True, **rates)

    def rate(epoch: int) -> float:
        return options.last + (1 - options.last) * keeper.left(options.epochs, epoch)

    steps = options.annealing * -(-len(data.train.lengths) // options.batch)
    model.fit(
        {"x": data.train.steps, "T": data.train.lengths},
        scalars={"beta": lambda step: min(1.0, options.beta + (1 - options.beta) * step / max(steps, 1))},
        validation={"x": data.validation.steps, "T": data.validation.lengths},
        optimizer=adam,
        scheduler=lambda optimizer: LambdaLR(optimizer, rate),
        epochs=options.epochs,
        batch_size=options.batch,
        clip_norm=options.clip,
        callbacks=[keeper],
        checkpoint=options.out.with_suffix(".checkpoint"),
        resume=options.resume,
        seed=options.seed,
        progress=False,
    )


def per_step(objective: Objective, x: Tensor, lengths: Tensor, rows: int) -> float:
    """Minus an objective in nats a step, a few sequences at a time."""
    with torch.no_grad():
        found = [
            objective.per_example(x=a, T=b) for a, b in zip(x.split(rows), lengths.split(rows), strict=True)
        ]
    return -float(torch.cat(found).sum()) / int(lengths.sum())


def report(model: Model, data: RaggedSplits, options: argparse.Namespace) -> None:
    """Both bounds on the test part."""
    model.eval()
    model.scalars["beta"] = 1.0
    weighted = Objective(
        IMPORTANCE, *model.factors.children(), z_0=model.initial_z, samples=options.importance
    )
    torch.manual_seed(options.seed)
    start, draws = time.perf_counter(), range(options.draws)
    bound = [per_step(model.objective, *data.test, rows=77) for _ in draws]
    tighter = per_step(weighted, *data.test, rows=max(1, 1000 // options.importance))
    print(f"test: {sum(bound) / len(bound):.3f} nats a step, minus the bound ({len(bound)} draws)")
    print(f"test: {tighter:.3f} nats a step, minus the importance-weighted bound of {options.importance}")
    print(f"{time.perf_counter() - start:.0f} s of evaluation", flush=True)


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = chorales(options.data, download=options.download)
    model = built(options)
    print({name: str(value) for name, value in vars(options).items()}, flush=True)
    weights = options.weights or fitted(model, data, options)
    if weights is not None:
        model.load(weights)
    report(model, data, options)


def built(options: Any) -> Model:
    """The model of the options."""
    rectified = nn.RNN(NOTES, options.recurrent, nonlinearity="relu", batch_first=True)
    return deep_markov(
        NOTES,
        latent=options.latent,
        hidden=options.hidden,
        transition=options.transition,
        recurrent=rectified if options.rectified else options.recurrent,
        flows=options.flows,
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, help="the folder of the chorales; default: that which SYMDGM_DATA names")
    add("--download", action="store_true", help="fetches the chorales if they are not there")
    add("--epochs", type=int, default=2500)
    add("--minutes", type=float, default=float("inf"), help="the run ends after; the rate falls accordingly")
    add("--annealing", type=int, default=200, help="epochs in which the weight of the divergence rises to 1")
    add("--beta", type=float, default=0.05, help="the weight of the divergence at first")
    add("--lr", type=float, default=1e-3)
    add("--last", type=float, default=0.1, help="the last learning rate as a share of the first")
    add("--weight-decay", type=float, default=0.01)
    add("--clip", type=float, default=200.0, help="the norm to which gradients are clipped")
    add("--batch", type=int, default=20)
    add("--latent", type=int, default=100)
    add("--hidden", type=int, default=100)
    add("--transition", type=int, default=200)
    add("--recurrent", type=int, default=300)
    add(
        "--rectified",
        action="store_true",
        help="a rectified network reads as in the paper, rather than a GRU",
    )
    add("--flows", type=int, default=0, help="inverse autoregressive flows of each step of the posterior")
    add("--draws", type=int, default=10, help="evaluations over which the test bound is averaged")
    add("--importance", type=int, default=100, help="draws of the importance-weighted bound")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("build/chorales"), help="where weights and checkpoints go")
    add("--resume", action="store_true", help="goes on from the last epoch that was kept")
    add("--weights", type=Path, help="a file of weights that are reported without training")
    return parser.parse_args()


if __name__ == "__main__":
    main()
