"""Names become references to what is bound: distributions, networks, data, scalars."""

from symdgm.binding.bind import bind
from symdgm.binding.bound import Bound
from symdgm.binding.environment import Environment
from symdgm.binding.factors import Factor
from symdgm.binding.facts import BoundFacts
from symdgm.binding.scalars import Scalars, is_scalar
from symdgm.binding.written import Excerpt, Written

__all__ = [
    "Bound",
    "BoundFacts",
    "Environment",
    "Excerpt",
    "Factor",
    "Scalars",
    "Written",
    "bind",
    "is_scalar",
]
