"""What a piece of PyTorch does, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

UNSEEN = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
"""What tells that Python or a shape depends on the values of tensors."""
PLAIN = (Tensor, nn.Parameter, nn.Buffer)


class Refused(Exception):
    """What cannot be done other than step by step; the message says why."""


@dataclass(frozen=True)
class Ref:
    """A tensor among the values of a recording, by its number."""

    index: int


@dataclass(frozen=True)
class Operation:
    """One operation.

    Args:
        function: what is computed; never an operation in place.
        args: of it; a `Ref` stands for each tensor.
        kwargs: likewise.
        results: the numbers of what it gives.
        tracked: whether gradients were recorded.
    """

    function: OpOverload[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[int, ...]
    tracked: bool = True

    @property
    def reads(self) -> list[int]:
        """The numbers of the values that it reads."""
        return [
            leaf.index for leaf in leaves((self.args, tuple(self.kwargs.values()))) if isinstance(leaf, Ref)
        ]

    @property
    def random(self) -> bool:
        """Whether it draws."""
        return torch.Tag.nondeterministic_seeded in self.function.tags

    @property
    def name(self) -> str:
        """``mm`` for ``aten::mm``."""
        return self.function._schema.name.partition("::")[2]


@final
class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operations on some tensors, below autograd, so that a backward pass is recorded too.

    Args:
        inputs: the first values.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.values: list[Tensor] = []
        self.outside: list[int] = []
        self.why = ""
        self._numbers: dict[int, int] = {}
        self._views: set[int] = set()
        for value in inputs:
            self.add(value)

    def add(self, value: Tensor) -> int:
        """A new value."""
        self.values.append(value)
        self._numbers[id(value)] = len(self.values) - 1
        return len(self.values) - 1

    def number(self, value: Tensor) -> int:
        """The number of a value; what comes from outside gets one."""
        known = self._numbers.get(id(value))
        if known is None:
            if type(value) not in PLAIN:
                self.refuse(f"it reads a {type(value).__name__}")
            known = self.add(value)
            self.outside.append(known)
        return known

    def refuse(self, why: str) -> None:
        """Say why what is recorded cannot stand for other steps; the first reason stays."""
        self.why = self.why or why

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        referred = map_tensors(lambda t: Ref(self.number(t)), (args, dict(kwargs or {})))
        does = self._out_of_place(func, referred[0]) if func._schema.is_mutable else func
        result = func(*args, **(kwargs or {}))
        if any(tag in func.tags for tag in UNSEEN):
            self.refuse(f"what it does depends on the values of tensors (`{func}`)")
        results = tuple(self.add(t) for t in leaves(result) if isinstance(t, Tensor))
        self._watch_views(does, referred[0], results)
        self.operations.append(Operation(does, referred[0], referred[1], results, torch.is_grad_enabled()))
        return result

    def _out_of_place(self, func: Any, args: tuple[Any, ...]) -> Any:
        """The same operation with a new result; what it changes is made here, and seen by nothing else."""
        name = func._schema.name.partition("::")[2]
        packet = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") else None
        target = args[0].index if args and isinstance(args[0], Ref) else -1
        made = any(target in op.results for op in self.operations)
        if (
            packet is None
            or func._overloadname not in packet.overloads()
            or not made
            or target in self._views
        ):
            self.refuse(f"it changes a tensor in place (`{func}`)")
            return func
        self.values[target] = self.values[target].clone()
        return getattr(packet, func._overloadname)

    def _watch_views(self, func: Any, args: tuple[Any, ...], results: tuple[int, ...]) -> None:
        if any(r.alias_info is not None for r in func._schema.returns):
            self._views.update(results)
            self._views.update(leaf.index for leaf in leaves(args) if isinstance(leaf, Ref))


def leaves(value: Any) -> list[Any]:
    """What nested lists, tuples and dicts hold."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    if isinstance(value, dict):
        return leaves(list(value.values()))
    return [value]


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """The same nested lists, tuples and dicts with a function of each leaf."""
    if isinstance(value, tuple):
        return tuple(map_leaves(function, item) for item in value)
    if isinstance(value, list):
        return [map_leaves(function, item) for item in value]
    if isinstance(value, dict):
        return {key: map_leaves(function, item) for key, item in value.items()}
    return function(value)


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """The same nested lists, tuples and dicts with a function of each tensor."""
    return map_leaves(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, value)
