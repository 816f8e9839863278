"""Scalars that a formula names: numbers, 0-d tensors, parameters and schedules; changing one compiles nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from numbers import Real

import torch
from torch import Tensor

from symdgm.errors import OptionError, ShapeError, suggest

Schedule = Callable[[int], float]


def is_scalar(value: object) -> bool:
    """Whether a value can stand for a scalar of a formula (a schedule included)."""
    if isinstance(value, Tensor):
        return value.dim() == 0
    if isinstance(value, torch.nn.Module):
        return False
    return (isinstance(value, Real) and not isinstance(value, bool)) or callable(value)


class Scalars(MutableMapping[str, float | Tensor]):
    """The current values of the scalars by name.

    A schedule, a function of the number of training steps done, has its value at the last step that was set.

    Example:
        >>> scalars = Scalars({"beta": lambda step: min(1.0, step / 100)})
        >>> scalars.advance(50)
        >>> scalars["beta"]
        0.5
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values: dict[str, float | Tensor] = {}
        self._schedules: dict[str, Schedule] = {}
        for name, value in values.items():
            self._put(name, value)
        self.advance(0)

    def advance(self, step: int) -> None:
        """Set every scheduled scalar to its value at a training step."""
        for name, schedule in self._schedules.items():
            self._values[name] = self._number(name, schedule(step))

    def __getitem__(self, name: str) -> float | Tensor:
        return self._values[name]

    def __setitem__(self, name: str, value: object) -> None:
        if name not in self._values:
            raise OptionError(f"the formula has no scalar `{name}`", hint=suggest(name, self._values))
        self._schedules.pop(name, None)
        self._put(name, value)
        self.advance(0) if name in self._schedules else None

    def __delitem__(self, name: str) -> None:
        raise OptionError(f"the formula needs its scalar `{name}`", hint="set it to another value instead")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """The scalars that are trained."""
        return {n: v for n, v in self._values.items() if isinstance(v, torch.nn.Parameter)}

    def _put(self, name: str, value: object) -> None:
        if callable(value) and not isinstance(value, Tensor):
            self._schedules[name] = value
            self._values[name] = 0.0
        else:
            self._values[name] = self._number(name, value)

    @staticmethod
    def _number(name: str, value: object) -> float | Tensor:
        if isinstance(value, Tensor):
            if value.dim():
                raise ShapeError(
                    f"the scalar `{name}` is a tensor of shape {list(value.shape)}", hint="give a number or a 0-d tensor"
                )
            return value
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        raise OptionError(
            f"the scalar `{name}` cannot be {type(value).__name__}",
            hint="give a number, a 0-d tensor, an nn.Parameter, or a function of the training step",
        )
