"""What is measured: workloads, and the variants that compute one and the same of them."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[], object]
Loss = Callable[[], Tensor]


class Unavailable(Exception):
    """A variant that cannot run here; the message says why."""


class Agreement(enum.Enum):
    """How a variant's loss agrees with that of the reference."""

    NOISE = "equal on the same noise, and so is its gradient"
    EXPECTATION = "equal in expectation"


@dataclass(frozen=True)
class Run:
    """A variant that is built: its own copy of the networks, its own optimiser.

    Args:
        step: one training step: zero_grad, forward, backward, optimiser.
        loss: the loss on the workload's batch at the weights of now, ``[]``.
        parameters: in the order of the reference's; empty where a variant keeps them otherwise.
        countable: whether its operators can be counted; a compiled or captured step hides them.
    """

    step: Step
    loss: Loss
    parameters: Sequence[Tensor] = ()
    countable: bool = True


@dataclass(frozen=True)
class Variant:
    """A way to compute a workload; the first variant of a workload is the reference.

    Args:
        name: whose way it is, and what is special about it.
        build: makes it, with new copies of the networks; raises `Unavailable`.
        agreement: how its loss agrees with that of the reference.
        compiles: whether building it runs a compiler, which takes up to a minute.
    """

    name: str
    build: Callable[[], Run]
    agreement: Agreement = Agreement.EXPECTATION
    compiles: bool = False


@dataclass(frozen=True)
class Workload:
    """An objective with its networks and one batch.

    Args:
        name: ``family/size``.
        words: what it is.
        variants: makes them, at the size that is measured.
        tiny: makes them at a size that tests and the check of agreement take.
        rounds: how many steps of each variant are measured, time permitting.
        extra: whether it is measured only if it is asked for.
    """

    name: str
    words: str
    variants: Callable[[], list[Variant]]
    tiny: Callable[[], list[Variant]]
    rounds: int = 200
    extra: bool = False


def peer(module: str, package: str) -> ModuleType:
    """A module of `benchmarks.peers`, whose package may be missing."""
    try:
        return importlib.import_module(f"benchmarks.peers.{module}")
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise Unavailable(f"`{package}` is not installed") from error


def adam(parameters: Iterable[Tensor], *, fused: bool = False, lr: float = 1e-3) -> torch.optim.Adam:
    """Adam as all variants have it: torch's default, or in one kernel."""
    return torch.optim.Adam(parameters, lr=lr, fused=fused or None)


def trained(
    loss: Loss,
    parameters: Sequence[nn.Parameter],
    *,
    fused: bool = False,
    lr: float = 1e-3,
    **options: Any,
) -> Run:
    """A loss with the plain loop around it."""
    optimizer = adam(parameters, fused=fused, lr=lr)

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value

    return Run(step, loss, parameters, **options)


def parameters_of(*modules: nn.Module) -> list[nn.Parameter]:
    """All parameters of some networks, in their order."""
    return [p for module in modules for p in module.parameters()]
