"""What a run shows while it goes: a bar with every term in a terminal or a notebook, else lines."""

from __future__ import annotations

import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TextIO, final

from tqdm.std import tqdm

from symdgm.training.history import EpochRecord
from symdgm.training.labels import number, short_names
from symdgm.training.meter import Meter

REFRESH = 0.2
"""Seconds between two looks at the running averages; each makes an accelerator wait."""

WIDE = 120
"""Columns of a terminal that has room for a bar besides the terms."""


class Progress(ABC):
    """What is told of a run."""

    @abstractmethod
    def due(self) -> bool:
        """Whether the running averages would be shown now."""

    @abstractmethod
    def step(self, epoch: int, done: int) -> None:
        """A step is done, the ``done``-th of its epoch."""

    @abstractmethod
    def show(self, meter: Meter) -> None:
        """Shows the running averages."""

    @abstractmethod
    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""

    @abstractmethod
    def close(self) -> None:
        """The run is over."""


@final
class Silence(Progress):
    """Nothing."""

    def due(self) -> bool:
        """Never."""
        return False

    def step(self, epoch: int, done: int) -> None:
        """Nothing."""

    def show(self, meter: Meter) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@final
class Lines(Progress):
    """One line an epoch: for logs, where a bar would be noise."""

    def __init__(self, epochs: int, file: TextIO) -> None:
        self._epochs = epochs
        self._file = file

    def due(self) -> bool:
        """Never within an epoch."""
        return False

    def step(self, epoch: int, done: int) -> None:
        """Nothing."""

    def show(self, meter: Meter) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Writes the line."""
        print(f"epoch {record.epoch}/{self._epochs}  {summary(record)}", file=self._file, flush=True)

    def close(self) -> None:
        """Nothing."""


@final
class Bar(Progress):
    """One bar for the whole run: ``epoch 3/20 ... value −103  E[log p(x|z)] −81.2  KL 22.1``."""

    def __init__(self, epochs: int, steps: int | None, done: int, file: TextIO) -> None:
        self._epochs = epochs
        self._validation = ""
        self._shown = -float("inf")
        # On a terminal that does not know its size tqdm would show nothing; this falls back to 80×24.
        size = shutil.get_terminal_size()
        # Plain text also in notebooks: it needs no widgets, and is still there when the file is opened again.
        self._bar: tqdm[Any] = tqdm(
            total=None if steps is None else steps * epochs,
            initial=done,
            file=file,
            unit="step",
            ncols=size.columns if file.isatty() else None,
            nrows=size.lines,
            bar_format=_format(steps is not None, wide=not file.isatty() or size.columns >= WIDE),
        )

    def due(self) -> bool:
        """Some times a second."""
        return time.monotonic() - self._shown > REFRESH

    def step(self, epoch: int, done: int) -> None:
        """Moves the bar."""
        self._bar.set_description_str(f"epoch {epoch}/{self._epochs}", refresh=False)
        self._bar.update(1)

    def show(self, meter: Meter) -> None:
        """Shows the running averages of the epoch."""
        self._shown = time.monotonic()
        means = meter.means()
        self._bar.set_postfix_str(_text(means.value, means.terms) + self._validation)

    def epoch(self, record: EpochRecord) -> None:
        """Shows the averages of the epoch that is done."""
        if record.validation_value is not None:
            self._validation = f"  validation {number(record.validation_value)}"
        self._bar.set_postfix_str(_text(record.value, record.terms) + self._validation)

    def close(self) -> None:
        """Leaves the last state of the bar standing."""
        self._bar.close()


def _format(counted: bool, wide: bool) -> str:
    """The terms are what a reader looks for: on a narrow terminal the bar itself makes room for them."""
    if not counted:
        return "{desc} {n_fmt} steps [{elapsed}]{postfix}"
    bar = "|{bar:12}| [{elapsed}<{remaining}, {rate_fmt}]" if wide else " [{elapsed}<{remaining}]"
    return "{desc} {percentage:3.0f}%" + bar + "{postfix}"


def make_progress(on: bool, epochs: int, steps: int | None, done: int) -> Progress:
    """The progress that suits where the run goes on."""
    if not on:
        return Silence()
    if in_notebook():
        return Bar(epochs, steps, done, sys.stdout)
    return Bar(epochs, steps, done, sys.stderr) if sys.stderr.isatty() else Lines(epochs, sys.stderr)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this; asks IPython only if somebody has imported it."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def summary(record: EpochRecord) -> str:
    """A record on one line.

    Example:
        >>> terms = {"E_q(z|x)[log p(x|z)]": -81.2, "KL[q(z|x)||p(z)]": 22.05}
        >>> summary(EpochRecord(1, 12, 0.5, -103.25, terms))
        'value −103.2  E[log p(x|z)] −81.20  KL 22.05'
    """
    validation = "" if record.validation_value is None else f"  validation {number(record.validation_value)}"
    return _text(record.value, record.terms) + validation


def _text(value: float, terms: Mapping[str, float]) -> str:
    shown = {"value": value}
    if list(terms.values()) != [value]:
        shown |= dict(zip(short_names(list(terms)), terms.values(), strict=True))
    return "  ".join(f"{name} {number(v)}" for name, v in shown.items())
