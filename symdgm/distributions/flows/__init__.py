"""Bijections with a log-determinant; `Transformed` makes distributions of them.

| flow | values | inverse |
| --- | --- | --- |
| `AffineCoupling`, `AdditiveCoupling`, `SplineCoupling` | any event, channel and checkerboard masks | exact |
| `Autoregressive` (MAF, IAF) with `Affine`, `Additive`, `Spline` | vectors | exact, a pass for each feature |
| `Planar` | vectors | a root in one number, by bisection |
| `Radial` | vectors | exact |
| `ActNorm`, `BatchNorm` | vectors, images | exact |
| `Conv1x1`, `Conv1x1LU` | vectors, images | exact |
| `Permute`, `Shuffle`, `Reverse` | vectors, images | exact |
| `Squeeze`, `Unsqueeze`, `Split` | images (`Split`: vectors too) | exact |
| `Flatten` | any event to vectors | exact |
| `Dequantize`, `Logit` | any event | exact |
| `TransformFlow` | what a `torch.distributions` transform takes; zuko's | where the transform has one |

``f >> g`` is `Flows([f, g])`, ``f.inv`` the inverse. All take a ``context`` where their networks are told of
one. `MLP`, `ResNet` and `MADE` are their networks.

Example:
    >>> import torch
    >>> f = ActNorm(2) >> AffineCoupling(2) >> Reverse(2) >> AffineCoupling(2)
    >>> z, log_det = f(torch.randn(5, 2))
    >>> x, minus_log_det = f.inverse(z)
"""

from symdgm.distributions.flows.actnorm import ActNorm
from symdgm.distributions.flows.autoregressive import Autoregressive
from symdgm.distributions.flows.batchnorm import BatchNorm
from symdgm.distributions.flows.conditioners import MLP, ResNet
from symdgm.distributions.flows.conv1x1 import Conv1x1, Conv1x1LU
from symdgm.distributions.flows.coupling import AdditiveCoupling, AffineCoupling, Coupling, SplineCoupling
from symdgm.distributions.flows.dequantize import Dequantize
from symdgm.distributions.flows.elements import Additive, Affine, Element
from symdgm.distributions.flows.flatten import Flatten
from symdgm.distributions.flows.flow import Flow, Flows, Inverse
from symdgm.distributions.flows.logit import Logit
from symdgm.distributions.flows.made import MADE
from symdgm.distributions.flows.order import Permute, Reverse, Shuffle
from symdgm.distributions.flows.planar import Planar
from symdgm.distributions.flows.radial import Radial
from symdgm.distributions.flows.spline import Spline
from symdgm.distributions.flows.split import Split
from symdgm.distributions.flows.squeeze import Squeeze, Unsqueeze
from symdgm.distributions.flows.transform import TransformFlow

__all__ = [
    "MADE",
    "MLP",
    "ActNorm",
    "Additive",
    "AdditiveCoupling",
    "Affine",
    "AffineCoupling",
    "Autoregressive",
    "BatchNorm",
    "Conv1x1",
    "Conv1x1LU",
    "Coupling",
    "Dequantize",
    "Element",
    "Flatten",
    "Flow",
    "Flows",
    "Inverse",
    "Logit",
    "Permute",
    "Planar",
    "Radial",
    "ResNet",
    "Reverse",
    "Shuffle",
    "Spline",
    "SplineCoupling",
    "Split",
    "Squeeze",
    "TransformFlow",
    "Unsqueeze",
]
