"""Finished functions and where they are kept."""

from symdgm.runtime.diagnosis import diagnose
from symdgm.runtime.inputs import Kinds, kinds
from symdgm.runtime.programs import Program
from symdgm.runtime.runner import Runner

__all__ = ["Kinds", "Program", "Runner", "diagnose", "kinds"]
