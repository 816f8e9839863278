"""A point mass at a parameter, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_real
from symdgm.distributions.supports import REAL, Support


class Delta(Family):
    r"""A point mass: one value for each element, with certainty.

    .. math:: p(x) = \prod_i 1[x_i = a_i]

    Probabilities are with respect to counting, so that the point has the log-probability 0 and all else minus
    infinity; no gradient reaches ``loc`` through them. Draws are the point itself, and gradients pass.

    Args:
        declaration: such as ``q(z|x)``.
        network: returns the point.
        event_shape: the shape of one value, where the point is a number.
        loc: the point, any real number.

    Raises:
        ParameterError: the point is missing or not finite.

    Example:
        >>> p = Delta("q(z)", loc=3.0, event_shape=())
        >>> p.sample()["z"], p.log_prob({"z": torch.tensor([3.0, 2.0])})
        (tensor([3.]), tensor([0., -inf]))
    """

    family: ClassVar[str] = "Delta"
    parameter_names: ClassVar[tuple[str, ...]] = ("loc",)
    alternatives: ClassVar[Alternatives] = (("loc",),)
    parameter_ranks: ClassVar[Mapping[str, int]] = {"loc": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = REAL
    constraints: ClassVar[Mapping[str, Check]] = {"loc": check_real}

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """The point."""
        return parameters["loc"].expand(shape)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Zero at the point, minus infinity elsewhere."""
        distance = value - parameters["loc"]
        return torch.zeros_like(distance).masked_fill(distance != 0, -torch.inf)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Zero."""
        return torch.zeros_like(parameters["loc"])

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The point."""
        return parameters["loc"]

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Zero."""
        return torch.zeros_like(parameters["loc"])
