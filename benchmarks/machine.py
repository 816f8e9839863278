"""The machine in words that are worth keeping."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def describe() -> dict[str, str]:
    """Processor, threads, versions, and the accelerator where there is one."""
    words = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "threads": str(torch.get_num_threads()),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        words["accelerator"] = torch.cuda.get_device_name()
    return words


def load() -> float:
    """The load average of the last minute, where the system knows it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
