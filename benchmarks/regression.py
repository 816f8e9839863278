"""Whether symdgm has become slower than what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.measuring import Row
from benchmarks.results import Results

TOLERANCE = 0.15
"""By how much of itself a ratio may exceed the recorded one: noise of a machine that is left alone."""
OPERATORS = 0.02
"""The same for the number of operators, which has no noise but differs between versions of torch."""
OURS = "symdgm"


def regressions(now: Results, recorded: Results, tolerance: float = TOLERANCE) -> list[str]:
    """A sentence for each of symdgm's variants that has become slower, or cannot run any more.

    Only ratios to the reference of the same run are compared, and only of what both have measured.

    Args:
        now: what was just measured.
        recorded: what it is held to.
        tolerance: see `TOLERANCE`.
    """
    same_torch = now.machine.get("torch") == recorded.machine.get("torch")
    found = []
    for workload, variant, then in _ours(recorded):
        if workload not in now.outcomes:
            continue
        row = now.outcomes[workload].rows.get(variant)
        if variant in now.outcomes[workload].skipped:
            found.append(f"{workload}, {variant}: gone ({now.outcomes[workload].skipped[variant]})")
        elif row is not None:
            then = then if same_torch else replace(then, operators=None)
            found += [f"{workload}, {variant}: {words}" for words in _slower(row, then, tolerance)]
    return found


def _ours(results: Results) -> Iterator[tuple[str, str, Row]]:
    for workload, outcome in results.outcomes.items():
        for variant, row in outcome.rows.items():
            if variant.startswith(OURS):
                yield workload, variant, row


def _slower(row: Row, then: Row, tolerance: float) -> Iterator[str]:
    limit = then.ratio * (1 + tolerance)
    if row.ratio > limit:
        yield f"ratio {row.ratio:.2f}, recorded {then.ratio:.2f}, tolerated {limit:.2f}"
    if row.operators and then.operators and row.operators > then.operators * (1 + OPERATORS):
        yield f"{row.operators} operators, recorded {then.operators}"
