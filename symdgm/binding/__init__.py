"""Names become references to what is bound: distributions, networks, data, scalars."""

from symdgm.binding.bind import Bound, bind
from symdgm.binding.environment import Environment
from symdgm.binding.facts import BoundFacts
from symdgm.binding.factors import Factor
from symdgm.binding.scalars import Scalars, is_scalar

__all__ = ["Bound", "BoundFacts", "Environment", "Factor", "Scalars", "bind", "is_scalar"]
