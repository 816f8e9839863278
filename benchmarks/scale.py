"""Cost against the batch, the draws, the steps, the terms and the states; `python -m benchmarks.scale`.

Writes `SCALE.md` and a picture of it. Times are those of the processor, memory is what autograd keeps for one
evaluation besides weights and data; both of a value with its gradient.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import symdgm as sd
from benchmarks import building, machine
from benchmarks.counting import kept
from benchmarks.networks import Encoder
from benchmarks.workloads.thousand_terms import equation
from symdgm import zoo

FOLDER = Path(__file__).parent
BUDGET = "8 MB"
BOUND = "log E_q(z|x)[p(x|z) p(z)/q(z|x)]"
ELBO = "E_q(z|x)[log p(x|z)] - KL[q||p]"

Case = tuple[sd.Objective, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Point:
    """One size: milliseconds and megabytes of a value with its gradient."""

    size: int
    ms: float
    mb: float


def _vae(text: str, batch: int, **options: object) -> Case:
    q, p = sd.Normal("q(z|x)", Encoder(784, 200, 20)), sd.Bernoulli("p(x|z)", _decoder(20))
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=20)
    return sd.Objective(text, q, p, prior, **options), {"x": torch.rand(batch, 784).round()}


def _decoder(latent: int) -> nn.Module:
    return nn.Sequential(nn.Linear(latent, 200), nn.Softplus(), nn.Linear(200, 784))


def _states(bits: int, **options: object) -> Case:
    q, p = sd.Bernoulli("q(z|x)", nn.Linear(784, bits)), sd.Bernoulli("p(x|z)", _decoder(bits))
    prior = sd.Bernoulli("p(z)", probs=0.5, event_shape=bits)
    return sd.Objective(ELBO, q, p, prior, **options), {"x": torch.rand(8, 784).round()}


def _steps(length: int) -> Case:
    return zoo.deep_markov(88).objective, {"x": torch.rand(8, length, 88).round()}


def _terms(count: int) -> Case:
    text = equation(count).removeprefix("minimize ")
    return sd.Objective(text, sd.Normal("q(z|x)", Encoder(64, 64, 16))), {"x": torch.randn(32, 64)}


SWEEPS: Mapping[str, tuple[Sequence[int], Callable[[int], Case]]] = {
    "batch": ((64, 128, 256, 512, 1024), lambda b: _vae(ELBO, b)),
    "draws": ((10, 50, 100, 200, 400), lambda k: _vae(BOUND, 8, samples=k)),
    f"draws within {BUDGET}": (
        (10, 50, 100, 200, 400),
        lambda k: _vae(BOUND, 8, samples=k, memory_budget=BUDGET),
    ),
    "states": ((64, 128, 256, 512, 1024), lambda s: _states(s.bit_length() - 1)),
    f"states within {BUDGET}": (
        (64, 128, 256, 512, 1024),
        lambda s: _states(s.bit_length() - 1, memory_budget=BUDGET),
    ),
    "steps": ((8, 16, 32, 64, 128), _steps),
    "terms": ((10, 30, 100, 300), _terms),
}


def measured(size: int, case: Case, repeats: int = 5) -> Point:
    """The cost of an evaluation with its gradient."""
    objective, data = case
    objective(data)
    value, size_kept = kept(lambda: objective(data), (*objective.parameters(), *data.values()))
    value.backward()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        objective(data).backward()
        times.append(time.process_time() - start)
    return Point(size, 1e3 * min(times), size_kept / 1e6)


def sweep(name: str, sizes: Sequence[int] = ()) -> list[Point]:
    """All sizes of a sweep."""
    torch.manual_seed(0)
    usual, build = SWEEPS[name]
    return [measured(size, build(size)) for size in sizes or usual]


def table(found: Mapping[str, Sequence[Point]]) -> str:
    """The figures in Markdown; what is linear costs the same for each in the end."""
    lines = [
        "| against | size | ms | MB kept | ms for each | kB for each |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, points in found.items():
        lines += [
            f"| {name} | {p.size} | {p.ms:.1f} | {p.mb:.2f} "
            f"| {p.ms / p.size:.3f} | {1e3 * p.mb / p.size:.1f} |"
            for p in points
        ]
    return "\n".join(lines) + "\n"


def draw(found: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Time and memory against size, both axes logarithmic; what is within a budget is dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2), ("ms", "mb"), strict=True):
        colours: dict[str, str] = {}
        for name, points in found.items():
            kind = name.split(" ")[0]
            colours.setdefault(kind, f"C{len(colours)}")
            axes.plot(
                [p.size for p in points],
                [getattr(p, what) for p in points],
                "o--" if "within" in name else "o-",
                color=colours[kind],
                label=name,
            )
        axes.set(xscale="log", yscale="log", xlabel="size")
        axes.set_ylabel("ms, value and gradient" if what == "ms" else "MB that autograd keeps")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the table and the picture go")
    folder = parser.parse_args(arguments).folder
    torch.set_num_threads(1)
    found = {name: sweep(name) for name in SWEEPS}
    draw(found, folder / "results" / "scale.png")
    described = "; ".join(f"{key}: {value}" for key, value in machine.describe().items())
    (folder / "SCALE.md").write_text(
        f"# Scale and building\n\n{__doc__.splitlines()[0]}\n\n{described}; load {machine.load():.1f}.\n\n"
        "Draws and states are computed a few at a time where what is computed for a batch of them, and what "
        "gradients keep of it, is more than `memory_budget`, as it is measured at the first evaluation. "
        "Draws themselves are always kept; one part at a time is computed anew.\n\n"
        f"![cost against size](results/scale.png)\n\n{table(found)}\n## Building\n\n{building.report()}",
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
