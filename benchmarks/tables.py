"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.measuring import Outcome, Row


def table(outcome: Outcome) -> str:
    """The rows of a workload, and a line for what was left out."""
    head = (
        "| variant | ms | quartiles | ratio | quartiles | operators |\n| --- | --- | --- | --- | --- | --- |"
    )
    lines = [head, *(_line(name, row) for name, row in outcome.rows.items())]
    left_out = "; ".join(f"{name}: {why}" for name, why in outcome.skipped.items())
    return "\n".join(lines) + (f"\n\nLeft out: {left_out}." if left_out else "")


def document(machine: Mapping[str, str], outcomes: Mapping[str, Outcome], clock: str) -> str:
    """Machine, then a table for each workload."""
    words = "".join(f"{key}: {value}; " for key, value in machine.items())
    parts = [f"{words}{CLOCKS[clock]}"]
    for name, outcome in outcomes.items():
        said = f"{outcome.words}; {outcome.rounds} rounds at a load of {outcome.load:.1f}"
        parts.append(f"### {name}\n\n{said}.\n\n{table(outcome)}")
    return "\n\n".join(parts) + "\n"


def insert(text: str, path: Path) -> None:
    """Replaces what stands behind the marker in a file, or makes the file."""
    before = path.read_text(encoding="utf-8").partition(MARKER)[0] if path.exists() else ""
    path.write_text(f"{before}{MARKER}\n\n{text}", encoding="utf-8")


MARKER = "<!-- measured: python -m benchmarks writes what follows -->"
CLOCKS = {
    "wall": "times by the wall clock.",
    "cpu": "times of the processor, summed over threads.",
}


def _line(name: str, row: Row) -> str:
    ms = f"{row.ms_low:.3g} … {row.ms_high:.3g}"
    ratio = f"{row.ratio_low:.2f} … {row.ratio_high:.2f}"
    operators = "" if row.operators is None else str(row.operators)
    return f"| {name} | {row.ms:.3g} | {ms} | **{row.ratio:.2f}** | {ratio} | {operators} |"
