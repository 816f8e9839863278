"""What a step dispatches and keeps, which does not depend on the machine's mood."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

STEPS = 3


@dataclass(frozen=True)
class Counts:
    """Operators that one step dispatches, and the operations of its matrix products in units of 1e9."""

    operators: int | None = None
    gflop: float | None = None


@final
class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operators = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operators += 1
        return func(*args, **(kwargs or {}))


def count(step: Callable[[], object]) -> Counts:
    """Counts of one step, forward, backward and optimiser; of some, for not all do the same, the least."""
    operators = []
    for _ in range(STEPS):
        with _Counter() as counter:
            step()
        operators.append(counter.operators)
    with FlopCounterMode(display=False) as flops:
        step()
    return Counts(min(operators), flops.get_total_flops() / 1e9)


def kept(call: Callable[[], Tensor], besides: Iterable[Tensor]) -> tuple[Tensor, int]:
    """A result, and the bytes that its gradient keeps besides some tensors."""
    found: dict[int, int] = {}

    def noted(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor):
        value = call()
    known = {tensor.untyped_storage().data_ptr() for tensor in besides}
    return value, sum(size for place, size in found.items() if place not in known)
