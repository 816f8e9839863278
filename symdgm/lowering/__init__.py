"""From a derivation to PyTorch: a plan in which equal things are one, then code, run as it is written."""

from symdgm.lowering.emit import FUNCTION, Emission, Output, emit
from symdgm.lowering.expectations import Estimate
from symdgm.lowering.freeze import Frozen, freeze
from symdgm.lowering.ranges import LabelRange, ParameterRange
from symdgm.lowering.statements import Statement, compiled, environment
from symdgm.lowering.time.segments import Segments, segments

__all__ = [
    "FUNCTION",
    "Emission",
    "Estimate",
    "Frozen",
    "LabelRange",
    "Output",
    "ParameterRange",
    "Segments",
    "Statement",
    "compiled",
    "emit",
    "environment",
    "freeze",
    "segments",
]
