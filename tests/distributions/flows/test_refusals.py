# ruff: noqa: E501 -- a row of the table of refusals is one line
"""Every refusal of the flows and of transformed distributions, by its words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.distributions as td
from torch import nn

import symdgm.distributions as sd
from symdgm.distributions import flows as f
from symdgm.distributions.transformed import Transformed
from symdgm.errors import (
    DataError,
    NameResolutionError,
    NotSupportedError,
    OptionError,
    ParameterError,
    ShapeError,
    SupportError,
)

X2, X3, IMAGE = torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(4, 2, 3, 3)
BASE = sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)
GIVEN = sd.Normal("q(u|x)", lambda x: (x, 1.0))
CONTEXT = f.AffineCoupling(2, context_features=2)
P = Transformed("p(x)", base=BASE, flow=f.Reverse(2))

REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    # values
    (ShapeError, lambda: f.Planar(2)(X3), r"Planar is over vectors of 2, but got values of shape \[4, 3\]\n.*Flatten"),
    (ShapeError, lambda: f.Radial(2).inverse(X3), r"Radial is over vectors of 2"),
    (ShapeError, lambda: f.Autoregressive(2)(IMAGE), r"Autoregressive is over vectors of 2"),
    (ShapeError, lambda: f.AffineCoupling(2)(X3), r"AffineCoupling is over the event \[2\], but got values of shape \[4, 3\]"),
    (ShapeError, lambda: f.ActNorm(3)(IMAGE), r"ActNorm is over 3 channels, but got values of shape \[4, 2, 3, 3\]\nvalues are \[batch, 3\] or"),
    (ShapeError, lambda: f.Reverse(3)(X2), r"Reverse is over 3 channels"),
    (ShapeError, lambda: f.Squeeze()(IMAGE), r"squares of 2×2 pixels do not fill values of shape \[4, 2, 3, 3\]"),
    (ShapeError, lambda: f.Unsqueeze()(IMAGE), r"the channels of values of shape \[4, 2, 3, 3\] make no squares of 2×2"),
    (ShapeError, lambda: f.Flatten((2, 2))(X2), r"Flatten is over the event \[2, 2\]"),
    (ShapeError, lambda: f.Flatten((2, 2)).inverse(X2), r"the inverse of Flatten is over vectors of 4"),
    (ShapeError, lambda: f.Split(f.Squeeze(), channels=2)(torch.zeros(1, 2, 2, 2)), r"the inner flow of Split turned \[1, 1, 2, 2\] into \[1, 4, 1, 1\]\n.*Unsqueeze"),
    (ShapeError, lambda: f.ActNorm(2)(X2[:1]), r"ActNorm cannot be set from a batch with one value for each channel"),
    (ShapeError, lambda: f.BatchNorm(2)(X2[:1]), r"BatchNorm cannot be trained on a batch with one value for each channel\n.*eval"),
    (ShapeError, lambda: CONTEXT(X2), r"MLP takes a context of 2 features, but got none"),
    (ShapeError, lambda: CONTEXT(X2, X3), r"MLP takes a context of 2 features, but got one of shape \[4, 3\]"),
    (ShapeError, lambda: f.AffineCoupling(2, network=nn.Linear(2, 3))(X2), r"the network of AffineCoupling returned \[4, 3\] for a value \[4, 2\]\nreturn \[4, 4\], or a tuple of 2 tensors \[4, 2\]"),
    (ShapeError, lambda: f.AdditiveCoupling(2, network=lambda x: (x, x))(X2), r"returned a tuple for a value"),
    # options
    (ParameterError, lambda: f.Planar(0), r"`features` of Planar is 0\nwrite a whole number of at least 1"),
    (ParameterError, lambda: f.ActNorm(True), r"`channels` of ActNorm is True"),
    (ParameterError, lambda: f.Autoregressive(2, hidden=()), r"Autoregressive has no hidden layer"),
    (ParameterError, lambda: f.AffineCoupling(1), r"the mask of AffineCoupling over the event \[1\] leaves all or nothing\n.*two features"),
    (ParameterError, lambda: f.AffineCoupling((1, 4, 4)), r"leaves all or nothing"),
    (ParameterError, lambda: f.AffineCoupling(2, mask=torch.zeros(2)), r"is torch.float32 of shape \[2\], for the event \[2\]"),
    (ParameterError, lambda: f.AffineCoupling((2, 2)), r"AffineCoupling has no default network for the event \[2, 2\]\npass `network=`, which returns 2 coefficients"),
    (ParameterError, lambda: f.AffineCoupling(2, network=nn.Linear), r"the network of AffineCoupling is the class Linear"),
    (ParameterError, lambda: f.AffineCoupling((1, 2, 2), mask="checkerboard", network=nn.Identity(), packed=True), r"the mask of AffineCoupling parts the elements of a channel.*\nleave `packed` out"),
    (ShapeError, lambda: f.AffineCoupling(2, network=nn.Linear(1, 3), packed=True)(X2), r"returned \[4, 3\] for a value \[4, 1\]\nreturn \[4, 2\], or a tuple of 2 tensors \[4, 1\]"),
    (OptionError, lambda: f.AffineCoupling(2, mask="checkers"), r"unknown mask `checkers`\ndid you mean `checkerboard`"),
    (OptionError, lambda: f.AffineCoupling(0), r"`event_shape` is 0"),
    (ParameterError, lambda: f.AffineCoupling(2, bound=0.0), r"`bound` of Affine is 0.0\nwrite a positive number"),
    (ParameterError, lambda: f.Spline(bins=1), r"`bins` of Spline is 1\n.*at least 2"),
    (ParameterError, lambda: f.Spline(bins=1000), r"`bins` of Spline is 1000, which leaves no room for each\nwrite fewer than 1000"),
    (ParameterError, lambda: f.BatchNorm(2, momentum=0.0), r"`momentum` of BatchNorm is 0.0\nwrite the weight of a new batch"),
    (ParameterError, lambda: f.BatchNorm(2, epsilon=0.0), r"`epsilon` of BatchNorm is 0.0"),
    (ParameterError, lambda: f.Permute([0, 2]), r"\[0, 2\] is no order of channels"),
    (ParameterError, lambda: f.Split(f.ActNorm(1), channels=2, on=2), r"`on` of Split is 2, of 2 channels"),
    (ParameterError, lambda: f.Logit(margin=0.5), r"`margin` of Logit is 0.5"),
    (ParameterError, lambda: f.Dequantize(levels=1), r"`levels` of Dequantize is 1\n.*at least 2"),
    # composition
    (ParameterError, lambda: f.Reverse(2) >> td.ExpTransform(), r"a step of a flow is a ExpTransform, not a flow\n.*TransformFlow\(transform\)"),
    (ParameterError, lambda: f.Flows([nn.Linear(2, 2)]), r"a step of a flow is a Linear, not a flow"),
    (ParameterError, lambda: f.Squeeze() >> f.Planar(2), r"Planar takes values of 1 axes, but 3 arrive\nput a `Flatten"),
    (ParameterError, lambda: CONTEXT >> f.Planar(2, context_features=3), r"take contexts of 2 and 3 features"),
    # transformed distributions
    (ParameterError, lambda: Transformed("p(x)", base=nn.Linear(2, 2), flow=f.Reverse(2)), r"the base of Transformed p\(x\) is a Linear, not a distribution\ngive for example"),
    (ParameterError, lambda: Transformed("p(x)", base=BASE, flow=nn.Linear(2, 2)), r"is a Linear, not a flow"),
    (ParameterError, lambda: Transformed("p(x)", base=sd.Bernoulli("p(u)", probs=0.5), flow=f.Reverse(2)), r"is the discrete Bernoulli p\(u\)"),
    (ParameterError, lambda: Transformed("p(x, y)", base=BASE, flow=f.Reverse(2)), r"Transformed p\(x,y\) and its base p\(u\) are not over one variable each"),
    (NameResolutionError, lambda: Transformed("q(z)", base=GIVEN, flow=f.Reverse(2)), r"the base q\(u\|x\) of Transformed q\(z\) needs `x`, but q\(z\) is not given it\nwrite `q\(z\|x\)`"),
    (NameResolutionError, lambda: Transformed("q(z|y)", base=BASE, flow=CONTEXT, context="x"), r"Transformed q\(z\|y\) needs `x`, but q\(z\|y\) is not given it\n"),
    (ParameterError, lambda: Transformed("q(z|x, y)", base=BASE, flow=CONTEXT), r"`x` and `y` of Transformed q\(z\|x,y\) could each be the context\n.*context=network"),
    (ParameterError, lambda: Transformed("q(z|x, y)", base=BASE, flow=CONTEXT, context="x"), r"`y` of Transformed q\(z\|x,y\) reaches neither the base nor the flow"),
    (ParameterError, lambda: Transformed("q(z|x)", base=GIVEN, flow=CONTEXT), r"takes a context of 2 features, but has none\nwrite `context=`"),
    (ParameterError, lambda: Transformed("p(x|y)", base=BASE, flow=f.Reverse(2)), r"takes no context, so it would not hear `y`\n.*context_features="),
    (ParameterError, lambda: Transformed("p(x|y)", base=BASE, flow=f.Reverse(2), context=nn.Linear(2, 2)), r"would not hear the network of the context"),
    (OptionError, lambda: P.sample(batch_n=3), r"unknown option `batch_n`"),
    (OptionError, lambda: P.sample_and_log_prob(m=3), r"unknown option `m`"),
    (OptionError, lambda: P.log_prob({"x": X2}, reparam=True), r"unknown option `reparam`"),
    (OptionError, lambda: Transformed("q(z|x)", base=GIVEN, flow=f.Reverse(2)).sample({"x": X2}, n=3), r"`n` is for what is given nothing; the batch of Transformed q\(z\|x\)"),
    (NameResolutionError, lambda: P.log_prob({"u": X2}), r"Transformed p\(x\) takes no value of `u`"),
    (DataError, lambda: P.log_prob(X2), r"Transformed p\(x\) got a Tensor in place of named values"),
    (ShapeError, lambda: P.log_prob({"x": X2[0]}), r"x has shape \[2\], but Transformed p\(x\) is over \[batch, \*event\] with events of 1 axes"),
    (ShapeError, lambda: P.log_prob({"x": X2.long()}), r"x has dtype torch.int64, but Transformed p\(x\) takes floating values"),
    (SupportError, lambda: P.log_prob({"x": X2 / 0}), r"x has NaN values"),
    (SupportError, lambda: Transformed("p(x)", base=BASE, flow=f.Logit(0.0).inv).log_prob({"x": X2}), r"x has values that the flow of Transformed p\(x\) does not reach"),
    (ShapeError, lambda: Transformed("q(z|x)", base=GIVEN, flow=f.Reverse(2)).log_prob({"z": X2, "x": X2[:3]}), r"batch sizes do not fit together: z \[4, 2\]; x \[3, 2\]"),
    (NotSupportedError, lambda: P.entropy(), r"Transformed p\(x\) has no entropy in closed form\naverage `-log_q` over draws"),
    (NotSupportedError, lambda: P.mean(), r"has no mean in closed form\naverage over draws"),
    (NotSupportedError, lambda: P.variance(), r"has no variance in closed form"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
