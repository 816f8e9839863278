"""The ways in which symdgm trains, as variants of any workload."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import symdgm as sd
from benchmarks.variants import Agreement, Run, Unavailable, Variant, trained

Data = Mapping[str, Tensor]


def own_loop(model: sd.Model, data: Data, parameters: Sequence[nn.Parameter], **options: Any) -> Run:
    """The plain loop with torch's default Adam around ``model.loss``."""
    return trained(lambda: model.loss(data), parameters, **options)


def train_step(
    model: sd.Model,
    data: Data,
    parameters: Sequence[nn.Parameter],
    *,
    player: str | None = None,
    capture: bool | str = "auto",
    lr: float = 1e-3,
) -> Run:
    """`Model.train_step`; of a game, ``player`` says whose loss is compared."""
    model.configure(capture=capture, lr=lr)
    return Run(lambda: model.train_step(data), lambda: model.loss(data, player=player), parameters)


def forms(build: Callable[..., Run], agreement: Agreement) -> list[Variant]:
    """`Model.train_step` as it comes, and with the options that concern speed.

    Args:
        build: makes the run, by `train_step` unless another way is given; options are those of `sd.Model`.
        agreement: of these with the reference.
    """
    return [
        Variant("symdgm", build, agreement),
        Variant("symdgm, no sharing", partial(build, sharing=False), agreement),
        Variant("symdgm, compiled", partial(_compiled, build), agreement, compiles=True),
        Variant("symdgm, not captured", partial(_uncaptured, build), agreement),
    ]


def _compiled(build: Callable[..., Run]) -> Run:
    if shutil.which("c++") is None and shutil.which("g++") is None:
        raise Unavailable("there is no C++ compiler")
    return replace(build(compile=True), countable=False)


def _uncaptured(build: Callable[..., Run]) -> Run:
    if not torch.cuda.is_available():
        raise Unavailable("nothing is captured without a CUDA device")
    return build(partial(train_step, capture=False))
