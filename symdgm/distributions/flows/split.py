"""Several scales: some channels go on, the others are done."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from symdgm.distributions.flows.axes import check_channels, read_count
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.distributions.shapes import show
from symdgm.errors import ParameterError, ShapeError


@final
class Split(Flow):
    r"""A flow over the first channels alone; the others leave as they are.

    .. math:: (x_a, x_b) \mapsto (f(x_a), x_b)

    Nested, it is the multi-scale architecture of RealNVP and Glow. What is done keeps its place, so that a
    value has the same shape at both ends and the base may be one Normal over it: the inner flow ends in the
    shape in which it began, for instance ``Squeeze() >> ... >> Unsqueeze()``. A learnt prior of what leaves
    given what goes on, as in Glow, is an `AffineCoupling` in front.

    Args:
        inner: the flow of the channels that go on.
        channels: how many channels there are.
        on: how many of them go on; half of them by default.

    Raises:
        ParameterError: all or none go on.

    References:
        Dinh et al. (2017), Density estimation using Real NVP, section 3.6.

    Example:
        >>> from symdgm.distributions.flows import ActNorm, Squeeze, Unsqueeze
        >>> f = Squeeze() >> Split(Squeeze() >> ActNorm(8) >> Unsqueeze(), channels=4) >> Unsqueeze()
        >>> f(torch.randn(2, 1, 4, 4))[0].shape
        torch.Size([2, 1, 4, 4])
    """

    def __init__(self, inner: Flow, channels: int, on: int | None = None) -> None:
        super().__init__()
        self.channels = read_count(channels, "channels", "Split", least=2)
        self.on = channels // 2 if on is None else read_count(on, "on", "Split")
        if self.on >= channels:
            raise ParameterError(
                f"`on` of Split is {self.on}, of {channels} channels", hint="let at least one channel leave"
            )
        self.inner = inner
        self.context_features = inner.context_features
        self.rank_in, self.rank_out = inner.rank_in, inner.rank_out

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The inner flow over the first channels."""
        check_channels(x, self.channels, "Split")
        a, b = x[:, : self.on], x[:, self.on :]
        return self._join(a, self.inner(a, context), b)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The inner flow undone."""
        check_channels(z, self.channels, "Split")
        a, b = z[:, : self.on], z[:, self.on :]
        return self._join(a, self.inner.inverse(a, context), b)

    def extra_repr(self) -> str:
        """How many channels go on."""
        return f"{self.on} of {self.channels}"

    def _join(self, before: Tensor, pushed: Pushed, rest: Tensor) -> Pushed:
        after, log_det = pushed
        if after.shape != before.shape:
            raise ShapeError(
                f"the inner flow of Split turned {show(before.shape)} into {show(after.shape)}",
                hint="let it end in the shape in which it began: after a `Squeeze()` an `Unsqueeze()`",
            )
        return torch.cat([after, rest], 1), log_det
