"""How much of a long loop is remembered for the gradient."""

from __future__ import annotations

from dataclasses import dataclass

from symdgm.given import whole


@dataclass(frozen=True)
class Segments:
    """What a loop over time does every so many steps.

    Args:
        truncate: after how many steps gradients stop at what is carried; 0: they never do.
        checkpoint: how many steps are computed anew together when gradients are formed, so that only what
            they carry and keep is remembered; 0: everything is remembered.
    """

    truncate: int = 0
    checkpoint: int = 0

    @property
    def some(self) -> bool:
        """Whether there are any."""
        return bool(self.truncate or self.checkpoint)


def segments(truncate: int | None, checkpoint: int | None) -> Segments:
    """The segments of loops, from the options of an objective.

    Raises:
        OptionError: a number of steps that is no whole number from 1.
    """
    for name, value in {"truncate": truncate, "checkpoint": checkpoint}.items():
        if value is not None:
            whole(name, value, what="whole number of steps")
    return Segments(truncate or 0, checkpoint or 0)
