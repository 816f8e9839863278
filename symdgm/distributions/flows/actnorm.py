"""Activation normalisation."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from symdgm.distributions.flows.axes import check_channels, per_channel, pixels, read_count
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.errors import ShapeError

LEAST_SCALE = 1e-6
"""Added to the standard deviation of a channel, so that a constant one is not divided by zero."""


@final
class ActNorm(Flow):
    r"""A trained scale and shift for each channel, which begin where the first batch is normalised.

    .. math:: z = (x + b) \odot e^{s}, \quad \log|\det| = H W \sum_c s_c

    The first call of `forward` in training mode sets ``b`` and ``s`` from its batch. That it happened is
    saved with the weights, so that what is loaded is not set anew.

    Args:
        channels: how many, on the axis behind the batch.

    References:
        Kingma and Dhariwal (2018), Glow: Generative flow with invertible 1×1 convolutions, section 3.1.

    Example:
        >>> f = ActNorm(2)
        >>> z, _ = f(5 + 3 * torch.randn(1000, 2))
        >>> bool((z.mean(0).abs() < 1e-4).all()), bool(f.initialised)
        (True, True)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = read_count(channels, "channels", "ActNorm")
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.initialised: Tensor
        self.register_buffer("initialised", torch.tensor(False))
        # The same as a Python value: to ask the buffer would read it back from an accelerator at every call.
        self._is_initialised = False
        self.register_load_state_dict_post_hook(_read_initialised)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """Shift, then scale."""
        check_channels(x, self.channels, "ActNorm")
        if self.training and not self._is_initialised:
            self._initialise(x.detach())
        z = (x + per_channel(self.shift, x)) * per_channel(self.log_scale.exp(), x)
        return z, (pixels(x) * self.log_scale.sum()).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Scale back, then shift back; it sets nothing."""
        check_channels(z, self.channels, "ActNorm")
        x = z * per_channel((-self.log_scale).exp(), z) - per_channel(self.shift, z)
        return x, (-pixels(z) * self.log_scale.sum()).expand(len(z))

    def extra_repr(self) -> str:
        """The number of channels."""
        return str(self.channels)

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        columns = x.transpose(0, 1).flatten(1)
        if columns.shape[1] < 2:
            raise ShapeError(
                "ActNorm cannot be set from a batch with one value for each channel",
                hint="let the first batch have several examples, or call `.eval()` first",
            )
        std, mean = torch.std_mean(columns, 1, correction=0)
        self.shift.copy_(-mean)
        self.log_scale.copy_(-(std + LEAST_SCALE).log())
        self.initialised.fill_(True)
        self._is_initialised = True


def _read_initialised(module: nn.Module, incompatible: object) -> None:
    """After weights were loaded, follow what they say."""
    if isinstance(module, ActNorm):
        module._is_initialised = bool(module.initialised)
