"""From a derivation to PyTorch: a plan in which equal things are one, then code, run as it is written."""

from symdgm.lowering.comparisons import Comparisons
from symdgm.lowering.divergence_options import Option
from symdgm.lowering.emit import FUNCTION, Emission, Output, emit
from symdgm.lowering.estimation.choices import Choices
from symdgm.lowering.estimation.exact import TooManyStates
from symdgm.lowering.expectations import Estimate
from symdgm.lowering.freeze import Frozen, freeze
from symdgm.lowering.ranges import LabelRange, ParameterRange
from symdgm.lowering.statements import Statement, compiled, environment, function_text
from symdgm.lowering.time.initial_values import initial_values
from symdgm.lowering.time.segments import Segments, segments
from symdgm.lowering.time.uneven import Uneven
from symdgm.lowering.unshare import unshare

__all__ = [
    "FUNCTION",
    "Choices",
    "Comparisons",
    "Emission",
    "Estimate",
    "Frozen",
    "LabelRange",
    "Option",
    "Output",
    "ParameterRange",
    "Segments",
    "Statement",
    "TooManyStates",
    "Uneven",
    "compiled",
    "emit",
    "environment",
    "freeze",
    "function_text",
    "initial_values",
    "segments",
    "unshare",
]
