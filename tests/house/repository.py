"""Where things are in the checkout, and how its own Python is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "symdgm"


def modules() -> list[Path]:
    """All modules of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def environment(**more: str) -> dict[str, str]:
    """The environment without what would let a test see more than a user has."""
    hidden = ("PYTHONPATH", "SYMDGM_DATA", "MPLBACKEND", "FORCE_COLOR")
    return {k: v for k, v in os.environ.items() if k not in hidden} | {"PYTHONUTF8": "1"} | more


def python(
    *arguments: str, cwd: Path = ROOT, stdin: bytes = b"", executable: str = sys.executable, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a Python in a process of its own, and returns what it wrote."""
    done = subprocess.run(
        [executable, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=environment(**more),
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    )
