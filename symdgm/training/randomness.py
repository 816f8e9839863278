"""Random streams: seeding a run without touching the caller's, and replaying one evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from symdgm.errors import OptionError


@dataclass(eq=False, slots=True)
class RandomState:
    """The state of torch's random streams at one moment, on the CPU and on one device.

    Capturing costs a microsecond on the CPU, some 25 amid a training step, so that every step can afford it.

    Example:
        >>> before = RandomState.capture(torch.device("cpu"))
        >>> first = torch.randn(3)
        >>> with before.replayed():
        ...     again = torch.randn(3)
        >>> torch.equal(first, again)
        True
    """

    cpu: Tensor
    accelerator: Tensor | None
    device: torch.device

    @classmethod
    def capture(cls, device: torch.device) -> RandomState:
        """The streams as they stand now; ``device`` is where the model lives."""
        if device.type == "cpu":
            return cls(torch.default_generator.get_state(), None, device)
        state: Tensor = torch.get_device_module(device).get_rng_state(*_index(device))
        return cls(torch.get_rng_state(), state, device)

    def restore(self) -> None:
        """Sets the streams back to this moment."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.get_device_module(self.device).set_rng_state(self.accelerator, *_index(self.device))

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Inside, the noise of this moment is drawn again; outside, the streams are as they were."""
        now = RandomState.capture(self.device)
        self.restore()
        try:
            yield
        finally:
            now.restore()


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Inside, torch's noise starts from ``seed``; outside, the caller's streams are as they were.

    With ``seed=None`` nothing is changed, and the noise is drawn from the caller's streams.
    """
    if seed is None:
        yield
        return
    _check_seed(seed)
    with RandomState.capture(device).replayed():
        # torch.manual_seed would seed every device of the machine; only the model's own is put back.
        torch.default_generator.manual_seed(int(seed))
        if device.type != "cpu":
            _seed(device, int(seed))
        yield


def _check_seed(seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**64:
        raise OptionError(f"`seed` must be a whole number from 0 on, below 2^64, not {seed!r}")


def _index(device: torch.device) -> tuple[torch.device, ...]:
    """How torch's device modules want to be told which device; Apple's know only one."""
    return () if device.type == "mps" else (device,)


def _seed(device: torch.device, seed: int) -> None:
    module = torch.get_device_module(device)
    with nullcontext() if device.type == "mps" else module.device(device):
        module.manual_seed(seed)


def draw_seed() -> int:
    """A seed drawn from torch's CPU stream, for a stream of its own (data order, validation noise)."""
    return int(torch.empty((), dtype=torch.int64).random_().item())
