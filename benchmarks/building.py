"""What it costs to import symdgm, and to build an objective: parse, bind, rewrite, lower."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

import symdgm as sd
from benchmarks.workloads.thousand_terms import equation
from symdgm import zoo

SMALL: Mapping[str, int] = {"latent": 3, "hidden": 7}
MODELS: Mapping[str, Callable[[], object]] = {
    "vae": lambda: zoo.vae(12, **SMALL),
    "conditional_vae": lambda: zoo.conditional_vae(12, 3, **SMALL),
    "beta_tcvae": lambda: zoo.beta_tcvae(12, **SMALL),
    "jmvae": lambda: zoo.jmvae(12, 3, **SMALL),
    "mvae": lambda: zoo.mvae(12, 3, **SMALL),
    "m2": lambda: zoo.m2(12, 3, **SMALL),
    "iwae": lambda: zoo.iwae(12, **SMALL),
    "gan": lambda: zoo.gan(12, **SMALL),
    "real_nvp": lambda: zoo.real_nvp(2, couplings=2, hidden=5),
    "deep_markov": lambda: zoo.deep_markov(12),
}
"""Objectives of the paper, as models of the zoo; their networks are part of what is timed."""
TERMS = (10, 100, 300, 1000)


def import_seconds(repeats: int = 5) -> dict[str, float]:
    """Processor seconds of imports in a process of their own, the least of some."""

    def least(before: str, what: str) -> float:
        clock = "time.process_time()"
        code = f"import time\n{before}\nstart = {clock}\n{what}\nprint({clock} - start)"
        command = [sys.executable, "-c", code]
        runs = (subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(repeats))
        return min(float(run.stdout) for run in runs)

    return {
        "torch": least("", "import torch"),
        "symdgm after torch": least("import torch", "import symdgm"),
        "symdgm without torch, and an equation read": least("", "import symdgm; symdgm.parse('KL[q||p]')"),
    }


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Processor seconds of a call, the least of some; what is remembered between calls is forgotten."""
    found = []
    for _ in range(repeats):
        sd.cache_clear()
        gc.collect()
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def build_ms(models: Mapping[str, Callable[[], object]] = MODELS) -> dict[str, tuple[float, float]]:
    """Milliseconds of the first build of each model, and of the next of an equal one."""
    found = {}
    for name, build in models.items():
        build()  # what a process does once, such as loading a room of the package
        first = seconds(build)
        start = time.process_time()
        for _ in range(5):
            build()
        found[name] = (1e3 * first, 200 * (time.process_time() - start))
    return found


def term_seconds(counts: Sequence[int] = TERMS) -> dict[int, float]:
    """Seconds to build a model of so many different terms."""

    def build(terms: int) -> None:
        sd.Model(equation(terms), sd.Normal("q(z|x)", nn.Linear(4, 4)))

    build(2)
    return {terms: seconds(lambda terms=terms: build(terms), 2) for terms in counts}


def report() -> str:
    """The tables, in Markdown."""
    torch.set_num_threads(1)
    lines = ["| import | s |", "| --- | --- |"]
    lines += [f"| {what} | {value:.2f} |" for what, value in import_seconds().items()]
    lines += ["", "| model | first build, ms | next of an equal one, ms |", "| --- | --- | --- |"]
    lines += [f"| {name} | {first:.1f} | {later:.1f} |" for name, (first, later) in build_ms().items()]
    lines += ["", "| terms | build, s |", "| --- | --- |"]
    lines += [f"| {terms} | {value:.2f} |" for terms, value in term_seconds().items()]
    return "\n".join(lines) + "\n"
