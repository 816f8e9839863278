"""Noise for values that come in levels."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from symdgm.distributions.flows.axes import read_count
from symdgm.distributions.flows.flow import Flow, Pushed


@final
class Dequantize(Flow):
    r"""Levels ``0, ..., K - 1`` spread evenly over their share of the unit interval.

    .. math:: z = (x + u) / K, \quad u \sim U[0, 1), \quad \log|\det| = -D \log K

    The mean over the noise of a log-density behind it is a lower bound of the log-probability of the levels;
    divide it by ``-D log 2`` for bits per dimension. The noise belongs to the bound, so it is drawn in eval
    mode too, from the global generator; `centred` leaves it out. The inverse gives the levels back exactly.

    Args:
        levels: how many levels ``K``.
        unit: whether the data have been divided by ``K - 1`` already, as images in [0, 1]. The
            log-determinant is then ``D log((K - 1) / K)``, that of ``x`` in those units: the bound on the
            levels themselves is less by ``D log(K - 1)``.
        centred: whether ``u`` is one half: a repeatable density, but no bound.

    References:
        Theis et al. (2016), A note on the evaluation of generative models, section 3.1.

    Example:
        >>> f = Dequantize(levels=4)
        >>> z, log_det = f(torch.tensor([[0.0, 3.0]]))
        >>> bool((z[0, 1] >= 0.75) & (z[0, 1] < 1.0)), f.inverse(z)[0], log_det
        (True, tensor([[0., 3.]]), tensor([-2.7726]))
    """

    def __init__(self, levels: int = 256, *, unit: bool = False, centred: bool = False) -> None:
        super().__init__()
        self.levels = read_count(levels, "levels", "Dequantize", least=2)
        self.unit, self.centred = unit, centred

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The levels with their noise, in [0, 1)."""
        # A draw at either end could be rounded into the next level.
        edge = 2 * self.levels * torch.finfo(x.dtype).eps
        noise = 0.5 if self.centred else edge + (1 - 2 * edge) * torch.rand_like(x)
        return (x * self._step + noise) / self.levels, self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The level in whose share a value lies."""
        level = (z * self.levels).floor().clamp(0, self.levels - 1)
        return level / self._step, -self._log_det(z)

    def extra_repr(self) -> str:
        """The options."""
        return f"levels={self.levels}, unit={self.unit}, centred={self.centred}"

    @property
    def _step(self) -> int:
        return self.levels - 1 if self.unit else 1

    def _log_det(self, x: Tensor) -> Tensor:
        return x.new_full((len(x),), x[:1].numel() * math.log(self._step / self.levels))
