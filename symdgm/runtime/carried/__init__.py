"""Loops over time whose steps PyTorch records once: all that need not be done step by step is done at once."""

from symdgm.runtime.carried.loop import Carried

__all__ = ["Carried"]
