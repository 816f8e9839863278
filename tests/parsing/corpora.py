"""The cases of the language: those of this checkout, and those that are shared beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "tests" / "corpus.toml"
SHARED = ROOT.parent / "shared" / "corpus" / "equations.toml"


def cases(kind: str) -> list[Any]:
    """The groups of one kind, of every corpus that is there."""
    return [
        group
        for path in (OWN, SHARED)
        if path.is_file()
        for group in tomllib.loads(path.read_text()).get(kind, [])
    ]


def formulas() -> list[str]:
    """Every well-formed text of the corpora."""
    return [text for group in cases("equal") + cases("distinct") for text in group["strings"]]
