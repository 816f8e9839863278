"""Ctrl-C, and the stop button of a notebook: a run ends between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from symdgm.training.history import History


@final
class TrainingInterrupted(KeyboardInterrupt):
    """Raised by `fit` after an interruption: the weights of the last whole step are kept.

    It is a KeyboardInterrupt, so that a script which was told to stop does stop.

    Args:
        history: the epochs that were completed.
    """

    def __init__(self, history: History) -> None:
        super().__init__(f"training was interrupted after {len(history)} epochs; the weights are kept")
        self.history = history


@final
class Interruption:
    """Whether the user asked for the end."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: the first Ctrl-C asks, the second is obeyed at once."""
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Inside, Ctrl-C only asks; outside, the handler of before is back.

    Signals belong to the main thread, and a handler that a program has set itself is left alone.
    """
    interruption = Interruption()
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield interruption
        return
    before = signal.signal(signal.SIGINT, interruption.ask)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
