"""The step sizes of an optimiser as a recorded step reads them: from tensors that are filled before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

TAKE_TENSORS = (Adam, AdamW, SGD)
"""Optimisers of torch whose single kernel takes the step size as a tensor."""


def reads_rates(optimizer: Optimizer) -> bool:
    """Whether recorded steps read the step sizes, so that a new one is part of no recording."""
    return type(optimizer) in TAKE_TENSORS


@final
class Rates:
    """The step sizes of the groups of an optimiser.

    Args:
        optimizer: whose steps are recorded.
        device: where its parameters are.

    Example:
        >>> optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> rates = Rates(optimizer, torch.device("cpu"))
        >>> with rates.read():
        ...     optimizer.param_groups[0]["lr"]
        tensor(0.5000)
        >>> optimizer.param_groups[0]["lr"]
        0.5
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        self._optimizer = optimizer
        self._known = [group["lr"] for group in self._numbers()]
        self._tensors = [torch.full((), rate, dtype=torch.float32, device=device) for rate in self._known]

    @contextmanager
    def read(self) -> Iterator[None]:
        """Inside, the optimiser knows that it is recorded, and has the tensors for step sizes."""
        groups: list[dict[str, Any]] = self._optimizer.param_groups
        before = [dict(group) for group in groups]
        for group, tensor in zip(self._numbers(), self._tensors, strict=True):
            group["lr"] = tensor
        for group in groups:
            if "capturable" in group:
                group["capturable"] = True
        try:
            yield
        finally:
            for group, values in zip(groups, before, strict=True):
                group.update(values)

    def refill(self) -> None:
        """Brings the tensors up to date."""
        for i, group in enumerate(self._numbers()):
            if group["lr"] != self._known[i]:
                self._known[i] = group["lr"]
                self._tensors[i].fill_(group["lr"])

    def _numbers(self) -> list[dict[str, Any]]:
        """The groups whose step sizes are numbers."""
        if not reads_rates(self._optimizer):
            return []
        return [g for g in self._optimizer.param_groups if not isinstance(g["lr"], Tensor)]
