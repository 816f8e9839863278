"""Finished functions and where they are kept."""

from symdgm.runtime.diagnosis import diagnose
from symdgm.runtime.runner import Program, Runner

__all__ = ["Program", "Runner", "diagnose"]
