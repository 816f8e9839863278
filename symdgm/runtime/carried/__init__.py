"""Loops over time whose steps are recorded once: what no step waits for is done for all at once."""

from symdgm.runtime.carried.loop import Carried

__all__ = ["Carried"]
