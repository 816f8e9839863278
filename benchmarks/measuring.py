"""Times of steps: all variants alternate step by step in one process."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from benchmarks.counting import Counts, count
from benchmarks.variants import Run, Unavailable, Variant

WARM_UP, LEAST_WARM_UP = 10, 5
"""Steps before any is measured; on a GPU the fourth is recorded, and later ones are launched again."""
MOST_WARM_UP_SECONDS = 8.0
LEAST_ROUNDS = 7
CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Wall-clock time; or the processor's, summed over threads: with one thread, for a machine in use."""


@dataclass(frozen=True)
class Row:
    """What was measured of a variant; times in milliseconds, ratios to the reference."""

    ms: float
    ms_low: float
    ms_high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    build_s: float
    operators: int | None = None
    gflop: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What was measured of a workload."""

    words: str
    rounds: int
    load: float
    rows: Mapping[str, Row]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A variant that could be built, and the seconds that this and its first step took."""

    variant: Variant
    run: Run
    seconds: float


def build(variants: Sequence[Variant]) -> tuple[list[Built], dict[str, str]]:
    """All variants that can run here, and for the others a word why not."""
    built, skipped = [], {}
    for variant in variants:
        start = time.perf_counter()
        try:
            run = variant.build()
            run.loss()
        except Unavailable as error:
            skipped[variant.name] = str(error)
        else:
            built.append(Built(variant, run, time.perf_counter() - start))
    if not built or built[0].variant is not variants[0]:
        raise RuntimeError(f"the reference `{variants[0].name}` does not run: {skipped}")
    return built, skipped


def alternate(
    runs: Sequence[Callable[[], object]], rounds: int, seconds: float, clock: str = "wall"
) -> list[list[float]]:
    """Seconds of each step, ``[round][run]``; the order within a round is shuffled.

    Args:
        runs: one step each.
        rounds: how many are measured at most.
        seconds: ends the measurement once it has taken this long and has `LEAST_ROUNDS`, or all `rounds`.
        clock: see `CLOCKS`.
    """
    shuffle, order = random.Random(0).shuffle, list(range(len(runs)))
    end = time.perf_counter() + MOST_WARM_UP_SECONDS
    for i in range(min(WARM_UP, rounds)):
        for run in runs:
            run()
        if time.perf_counter() > end and (i + 1 >= LEAST_WARM_UP or not torch.cuda.is_available()):
            break
    times: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(times) < rounds and (len(times) < LEAST_ROUNDS or time.perf_counter() < end):
        shuffle(order)
        row = [0.0] * len(runs)
        for i in order:
            row[i] = timed(runs[i], CLOCKS[clock])
        times.append(row)
    return times


def timed(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one step; the work of an accelerator is waited for."""
    _settle()
    start = clock()
    run()
    _settle()
    return clock() - start


def _settle() -> None:
    """Waits for an accelerator: a step that is only launched would seem to take no time."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def summarise(
    times: Sequence[Sequence[float]], built: Sequence[Built], counts: Sequence[Counts]
) -> dict[str, Row]:
    """A row for each variant: medians, quartiles, and ratios to the first."""
    base = statistics.median(row[0] for row in times)
    rows = {}
    for i, (one, counted) in enumerate(zip(built, counts, strict=True)):
        low, middle, high = quartiles([row[i] for row in times])
        ratio_low, _, ratio_high = quartiles([row[i] / row[0] for row in times])
        rows[one.variant.name] = Row(
            1e3 * middle, 1e3 * low, 1e3 * high, middle / base, ratio_low, ratio_high,
            one.seconds, counted.operators, counted.gflop,
        )  # fmt: skip
    return rows


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def counts_of(built: Sequence[Built], *, forward: bool = False) -> list[Counts]:
    """What one step of each dispatches, or one evaluation."""
    return [
        count(one.run.loss if forward else one.run.step) if one.run.countable else Counts() for one in built
    ]
