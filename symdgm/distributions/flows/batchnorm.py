"""Batch normalisation as a bijection."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from symdgm.distributions.flows.axes import check_channels, per_channel, pixels, read_count
from symdgm.distributions.flows.elements import check_positive
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.errors import ParameterError, ShapeError


@final
class BatchNorm(Flow):
    r"""Normalisation of each channel by the statistics of the batch, or, in eval mode, by running ones.

    .. math:: z = \frac{x - m}{\sqrt{v + \epsilon}} e^{\gamma} + \beta, \quad
        \log|\det| = H W \sum_c \gamma_c - \tfrac12 \log(v_c + \epsilon)

    In training mode `forward` takes ``m`` and ``v`` from the batch and moves the running statistics towards
    them; the log-determinant then counts them as constants, as is usual. `inverse`, and `forward` in eval
    mode, take the running ones, so that a density is that of one example whatever else is in its batch.

    Args:
        channels: how many, on the axis behind the batch.
        momentum: the weight of a batch in the running statistics, above 0 and at most 1.
        epsilon: added to the variance.

    Raises:
        ParameterError: the momentum or epsilon is out of range.

    References:
        Dinh et al. (2017), Density estimation using Real NVP, section 3.7.

    Example:
        >>> f = BatchNorm(2)
        >>> z, _ = f(5 + torch.randn(1000, 2))
        >>> bool((z.mean(0).abs() < 1e-4).all()), bool((f.running_mean - 0.5).abs().max() < 0.05)
        (True, True)
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels = read_count(channels, "channels", "BatchNorm")
        check_positive("epsilon", epsilon, "BatchNorm")
        if not 0 < momentum <= 1:
            raise ParameterError(
                f"`momentum` of BatchNorm is {momentum!r}",
                hint="write the weight of a new batch, above 0 and at most 1, such as 0.1",
            )
        self.momentum, self.epsilon = momentum, epsilon
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.running_variance: Tensor
        self.register_buffer("running_variance", torch.ones(channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """Normalise, then scale and shift."""
        check_channels(x, self.channels, "BatchNorm")
        mean, variance = self._gather(x) if self.training else (self.running_mean, self.running_variance)
        log_scale = self._log_scale(variance)
        z = (x - per_channel(mean, x)) * per_channel(log_scale.exp(), x) + per_channel(self.shift, x)
        return z, (pixels(x) * log_scale.sum()).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Undo what `forward` does in eval mode."""
        check_channels(z, self.channels, "BatchNorm")
        log_scale = self._log_scale(self.running_variance)
        x = (z - per_channel(self.shift, z)) * per_channel((-log_scale).exp(), z)
        return x + per_channel(self.running_mean, z), (-pixels(z) * log_scale.sum()).expand(len(z))

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.channels}, momentum={self.momentum}"

    def _log_scale(self, variance: Tensor) -> Tensor:
        return self.log_scale - 0.5 * (variance + self.epsilon).log()

    def _gather(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The statistics of the batch, after the running ones have followed them."""
        columns = x.transpose(0, 1).flatten(1)
        count = columns.shape[1]
        if count < 2:
            raise ShapeError(
                "BatchNorm cannot be trained on a batch with one value for each channel",
                hint="give it several examples, or call `.eval()` first",
            )
        variance, mean = torch.var_mean(columns, 1, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_variance.lerp_(variance.detach() * count / (count - 1), self.momentum)
        return mean, variance
