"""The flows under test, each with random weights, and with values that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributions as td
from torch import Tensor, nn

from symdgm.distributions import flows as f

CONTEXT = 3


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], f.Flow]
    event: tuple[int, ...]
    conditional: bool = False
    unit: bool = False

    def flow(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> f.Flow:
        """The flow, with every trained number moved away from where it begins."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            flow = self.make().to(dtype).eval()
            for parameter in flow.parameters():
                parameter.data += 0.3 * torch.randn_like(parameter)
            for module in flow.modules():
                if isinstance(module, f.BatchNorm):
                    module.running_mean.normal_()
                    module.running_variance.uniform_(0.5, 2.0)
        return flow

    def values(self, batch: int = 4, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(batch, *self.event, generator=generator, dtype=dtype)
        return x.sigmoid() if self.unit else x

    def context(self, batch: int = 4, dtype: torch.dtype = torch.float64) -> Tensor | None:
        generator = torch.Generator().manual_seed(2)
        return torch.randn(batch, CONTEXT, generator=generator, dtype=dtype) if self.conditional else None


class MadeTransform(nn.Module):
    """A module that makes a transform from a context, as zuko's do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(CONTEXT, 4)

    def forward(self, context: Tensor) -> td.Transform:
        loc, log_scale = self.linear(context).chunk(2, -1)
        return td.AffineTransform(loc, log_scale.exp())


def glow() -> f.Flow:
    step = f.ActNorm(4) >> f.Conv1x1(4) >> f.AffineCoupling((4, 2, 2), hidden=(8,))
    inner = f.Squeeze() >> f.ActNorm(8) >> f.Conv1x1LU(8) >> f.Unsqueeze()
    return f.Squeeze() >> step >> f.Split(inner, channels=4) >> f.Unsqueeze()


def affine_transform() -> f.Flow:
    return f.TransformFlow(td.AffineTransform(nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))))


SPLINE = f.Spline(bins=5, bound=2.0)
CASES = [
    Case("planar", lambda: f.Planar(3), (3,)),
    Case("planar-conditional", lambda: f.Planar(3, context_features=CONTEXT), (3,), conditional=True),
    Case("radial", lambda: f.Radial(3), (3,)),
    Case("radial-conditional", lambda: f.Radial(2, context_features=CONTEXT), (2,), conditional=True),
    Case("affine", lambda: f.AffineCoupling(3, hidden=(8,)), (3,)),
    Case("affine-flipped", lambda: f.AffineCoupling(3, flip=True, hidden=(8, 8)), (3,)),
    Case("affine-conditional", lambda: f.AffineCoupling(2, context_features=CONTEXT), (2,), conditional=True),
    Case("affine-image", lambda: f.AffineCoupling((2, 2, 4), hidden=(4, 4)), (2, 2, 4)),
    Case("affine-checkerboard", lambda: f.AffineCoupling((1, 2, 4), mask="checkerboard"), (1, 2, 4)),
    Case(
        "affine-checkerboard-conditional",
        lambda: f.AffineCoupling((1, 2, 4), mask="checkerboard", hidden=(4,), context_features=CONTEXT),
        (1, 2, 4),
        conditional=True,
    ),
    Case("affine-mask", lambda: f.AffineCoupling(3, mask=torch.tensor([False, True, False])), (3,)),
    Case("additive", lambda: f.AdditiveCoupling(4, mask="checkerboard"), (4,)),
    Case("additive-image", lambda: f.AdditiveCoupling((2, 2, 2), hidden=(4,)), (2, 2, 2)),
    Case("spline", lambda: f.SplineCoupling(2, bins=5, bound=2.0), (2,)),
    Case("spline-image", lambda: f.SplineCoupling((2, 2, 2), bins=3, hidden=(4,)), (2, 2, 2)),
    Case("autoregressive", lambda: f.Autoregressive(4, hidden=(16,)), (4,)),
    Case("autoregressive-one", lambda: f.Autoregressive(1), (1,)),
    Case(
        "autoregressive-conditional",
        lambda: f.Autoregressive(3, hidden=(12, 12), context_features=CONTEXT),
        (3,),
        conditional=True,
    ),
    Case("autoregressive-spline", lambda: f.Autoregressive(3, SPLINE), (3,)),
    Case("autoregressive-additive", lambda: f.Autoregressive(3, f.Additive()), (3,)),
    Case("actnorm", lambda: f.ActNorm(3), (3,)),
    Case("actnorm-image", lambda: f.ActNorm(2), (2, 2, 3)),
    Case("conv", lambda: f.Conv1x1(3), (3,)),
    Case("conv-image", lambda: f.Conv1x1(3), (3, 2, 2)),
    Case("conv-lu", lambda: f.Conv1x1LU(4), (4,)),
    Case("conv-lu-image", lambda: f.Conv1x1LU(3), (3, 2, 2)),
    Case("batchnorm", lambda: f.BatchNorm(3), (3,)),
    Case("batchnorm-image", lambda: f.BatchNorm(2), (2, 2, 2)),
    Case("squeeze", f.Squeeze, (1, 4, 2)),
    Case("unsqueeze", f.Unsqueeze, (4, 1, 2)),
    Case("permute", lambda: f.Permute([2, 0, 1]), (3,)),
    Case("shuffle", lambda: f.Shuffle(4), (4, 1, 2)),
    Case("reverse", lambda: f.Reverse(4), (4,)),
    Case("flatten", lambda: f.Flatten((2, 2, 2)), (2, 2, 2)),
    Case("split", lambda: f.Split(f.AffineCoupling(2), channels=5, on=2), (5,)),
    Case("logit", f.Logit, (3,), unit=True),
    Case("logit-scalar", lambda: f.Logit(margin=0.0), (), unit=True),
    Case("dequantize-centred", lambda: f.Dequantize(levels=8, centred=True), (3,)),
    Case("dequantize-unit", lambda: f.Dequantize(levels=8, unit=True, centred=True), (1, 2, 2), unit=True),
    Case("transform", affine_transform, (2,)),
    Case("transform-made", lambda: f.TransformFlow(MadeTransform(), context_features=3), (2,), True),
    Case("inverse", lambda: f.AffineCoupling(2).inv, (2,)),
    Case("inverse-logit", lambda: f.Logit().inv, (2, 2)),
    Case("realnvp", lambda: f.AffineCoupling(3) >> f.Reverse(3) >> f.AffineCoupling(3), (3,)),
    Case("glow", glow, (1, 4, 4)),
]  # fmt: skip
