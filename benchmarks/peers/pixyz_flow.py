"""RealNVP in Pixyz, as in its example."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pixyz.distributions import InverseTransformedDistribution, Normal
from pixyz.flows import AffineCoupling, FlowList
from pixyz.models import ML
from torch import Tensor, nn

from benchmarks.variants import Run


def flow(nets: tuple[nn.Module, ...], x: Tensor, bounded: Callable[[Tensor], Tensor]) -> Run:
    """Pixyz's couplings, with networks over the whole vector."""
    features = x.shape[-1]

    class Coefficients(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            raw, shift = self.net(x).chunk(2, -1)
            return bounded(raw), shift

    couplings = [
        AffineCoupling(features, scale_translate_net=Coefficients(net), inverse_mask=bool(i % 2))
        for i, net in enumerate(nets)
    ]
    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    prior = Normal(loc=zero, scale=one, var=["z"], features_shape=[features], name="p_prior")
    p = InverseTransformedDistribution(prior=prior, flow=FlowList(couplings), var=["x"])
    model = ML(p, optimizer_params={"lr": 1e-3})
    return Run(lambda: model.train({"x": x}), lambda: model.loss_cls.eval({"x": x}))
