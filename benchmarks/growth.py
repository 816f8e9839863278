"""What the deep Markov model costs by the number of steps: building, a training step, memory.

python -m benchmarks.growth [T ...]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from benchmarks.counting import kept
from benchmarks.dmm_networks import DMM
from benchmarks.workloads.dmm import model

LENGTHS = (32, 64, 128, 256, 512)
ROWS, LATENT, ROUNDS = 20, 20, 7


def measured(length: int) -> tuple[float, float, float, float]:
    """Milliseconds of the first evaluation, of the second, and of a step; megabytes for the gradient."""
    torch.manual_seed(0)
    net = DMM(LATENT)
    built = model(net)
    data = {"x": torch.rand(ROWS, length, 88).round(), "T": torch.full((ROWS,), length)}
    first = _timed(lambda: built.loss(data))
    second = _timed(lambda: built.loss(data))
    _, size = kept(lambda: built.loss(data), ())
    for _ in range(2):
        built.train_step(data)
    step = statistics.median(_timed(lambda: built.train_step(data)) for _ in range(ROUNDS))
    return first, second, step, size / 1e6


def _timed(run: object) -> float:
    start = time.process_time()
    run()  # type: ignore[operator]
    return 1e3 * (time.process_time() - start)


def main() -> None:
    torch.set_num_threads(1)
    measured(8)
    print("| T | first evaluation, ms | second, ms | step, ms | step, µs a step of time | kept, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for length in [int(a) for a in sys.argv[1:]] or LENGTHS:
        first, second, step, size = measured(length)
        print(
            f"| {length} | {first:.0f} | {second:.0f} | {step:.0f} | {1e3 * step / length:.0f} | {size:.1f} |"
        )


if __name__ == "__main__":
    main()
