"""Finished functions and where they are kept."""

from symdgm.runtime.runner import Program, Runner

__all__ = ["Program", "Runner"]
