"""From a derivation to PyTorch: a plan in which equal things are one, then code that runs while it is first written."""

from symdgm.lowering.emit import Emission, emit
from symdgm.lowering.freeze import Estimate, Frozen, freeze
from symdgm.lowering.statements import Statement, compiled

__all__ = ["Emission", "Estimate", "Frozen", "Statement", "compiled", "emit", "freeze"]
