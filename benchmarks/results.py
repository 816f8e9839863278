"""Results as a file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measuring import Outcome, Row

FORMAT = 1


@dataclass(frozen=True)
class Results:
    """What was measured, where and by which clock: workload → what came out."""

    machine: Mapping[str, str]
    clock: str
    outcomes: Mapping[str, Outcome]


def write(results: Results, path: Path) -> None:
    """As JSON; what a file has of other workloads stays if it is of the same machine and clock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        before = read(path)
        if (before.machine, before.clock) == (results.machine, results.clock):
            results = replace(results, outcomes={**before.outcomes, **results.outcomes})
    content = {"format": FORMAT, **_rounded(dataclasses.asdict(results))}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """What `write` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["format"] != FORMAT:
        raise ValueError(f"`{path}` has format {content['format']}, not {FORMAT}")
    outcomes = {name: _outcome(fields) for name, fields in content["outcomes"].items()}
    return Results(content["machine"], content["clock"], outcomes)


def _outcome(fields: dict[str, Any]) -> Outcome:
    return Outcome(**{**fields, "rows": {name: Row(**row) for name, row in fields["rows"].items()}})


def _rounded(value: Any) -> Any:
    """Four digits are more than a clock gives."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
