"""Scalars of a formula: numbers, 0-d tensors, parameters and schedules; changing one compiles nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from symdgm.errors import OptionError, ShapeError, suggest
from symdgm.given import is_number, whole

Schedule = Callable[[int], object]
"""From the number of training steps done to a value."""


def is_scalar(value: object) -> bool:
    """Whether a value can stand for a scalar of a formula (a schedule included)."""
    if isinstance(value, Tensor):
        return value.dim() == 0
    if isinstance(value, nn.Module):
        return False
    return isinstance(value, Real) or callable(value)


class Scalars(MutableMapping[str, float | Tensor]):
    """The current values of the scalars by name.

    A schedule, a function of the number of training steps done, has its value at the last step that was set.

    Args:
        values: by name a number, a 0-d tensor, an `nn.Parameter` (trained), or a schedule.

    Raises:
        OptionError: a value that is none of these; a schedule that fails.
        ShapeError: a tensor with axes.

    Example:
        >>> scalars = Scalars({"beta": lambda step: min(1.0, step / 100)})
        >>> scalars.advance(50)
        >>> scalars["beta"]
        0.5
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values: dict[str, float | Tensor] = {}
        self._schedules: dict[str, Schedule] = {}
        self._tensors: dict[str, tuple[float, Tensor]] = {}
        self._pins: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}
        self._filled: dict[int, float] = {}
        self._pinning = False
        self._step = 0
        for name, value in values.items():
            self._put(name, value)

    def advance(self, step: int) -> None:
        """Set every scheduled scalar to its value at a training step.

        Raises:
            OptionError: it is no whole number from 0.
        """
        self._step = step = whole("step", step, least=0, what="whole number of steps that were made")
        for name, schedule in self._schedules.items():
            self._values[name] = _scheduled(name, schedule, step)

    def tensor(self, name: str, like: Tensor) -> Tensor:
        """A scalar as a 0-d tensor of the dtype and device of ``like``; a bound tensor as it is."""
        value = self._values[name]
        if self._pinning and not self._stays(name, like.device):
            return self._pin(name, like)
        if isinstance(value, Tensor):
            return value
        known = self._tensors.get(name)
        if known is not None and _fits(known, value, like):
            return known[1]
        # Filled on its device: a copy from the host would wait for it.
        made = torch.full((), value, dtype=like.dtype, device=like.device)
        self._tensors[name] = (value, made)
        return made

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Inside, numbers are read from tensors of their own, which stay where they are; see `refill`."""
        self._pinning = True
        try:
            yield
        finally:
            self._pinning = False

    def refill(self, device: torch.device, sizes: Iterable[str] = ()) -> tuple[object, ...]:
        """Bring pinned tensors up to date.

        Args:
            device: where they are read.
            sizes: the scalars that are whole numbers in the code.

        Returns:
            What is not pinned: which tensors are bound, and the sizes.
        """
        for (name, *_), tensor in self._pins.items():
            value = self._values[name]
            if not self._stays(name, tensor.device):
                self._fill(tensor, value)
        bound = ((n, self._values[n]) for n in self._values if self._stays(n, device))
        places = ((n, v.dtype, v.data_ptr()) for n, v in bound if isinstance(v, Tensor))
        return *places, *((name, self.size(name)) for name in sizes)

    def _pin(self, name: str, like: Tensor) -> Tensor:
        key = (name, like.dtype, like.device)
        if key not in self._pins:
            self._pins[key] = torch.full((), math.nan, dtype=like.dtype, device=like.device)
            self._fill(self._pins[key], self._values[name])
        return self._pins[key]

    def _fill(self, tensor: Tensor, value: float | Tensor) -> None:
        """Writes a value to where it is read; one that is there already costs nothing."""
        if isinstance(value, Tensor) and value.device == tensor.device:
            tensor.copy_(value)
            return
        number = float(value)
        if self._filled.get(id(tensor)) != number:
            tensor.fill_(number)
            self._filled[id(tensor)] = number

    def _stays(self, name: str, device: torch.device) -> bool:
        """Whether a recorded step can read a scalar where it is: a bound tensor on the device of the step."""
        value = self._values[name]
        if not isinstance(value, Tensor):
            return False
        return value.requires_grad or (value.device == device and name not in self._schedules)

    def add(self, name: str, value: object) -> None:
        """One more scalar, which the formula does not name; see the class for what it may be."""
        self._put(name, value)

    def size(self, name: str) -> int:
        """A scalar to which an index runs, as a whole number.

        Raises:
            OptionError: it is no whole number from 1.
        """
        value = self._values[name]
        number = value.item() if isinstance(value, Tensor) else value
        if isinstance(value, nn.Parameter) or number != int(number) or number < 1:
            raise OptionError(
                f"an index runs to `{name}`, which is {number:g}", hint="give a whole number, 1 or more"
            )
        return int(number)

    def binding(self, name: str) -> float | Tensor | Schedule:
        """What a scalar was bound to: its schedule, if it has one, else its value."""
        return self._schedules.get(name, self._values[self._known(name)])

    def parameters(self) -> dict[str, nn.Parameter]:
        """The scalars that are trained."""
        return {n: v for n, v in self._values.items() if isinstance(v, nn.Parameter)}

    def __getitem__(self, name: str) -> float | Tensor:
        return self._values[self._known(name)]

    def __setitem__(self, name: str, value: object) -> None:
        if isinstance(value, nn.Parameter):
            raise OptionError(
                f"the scalar `{name}` cannot become a trained parameter later",
                hint=f"bind the `nn.Parameter` when the objective is built, `{name}=...`, so that it "
                "belongs to the model",
            )
        self._put(self._known(name), value)

    def __delitem__(self, name: str) -> None:
        raise OptionError(f"the formula needs its scalar `{name}`", hint="set it to another value instead")

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def _known(self, name: str) -> str:
        if not isinstance(name, str) or name not in self._values:
            raise OptionError(f"the formula has no scalar `{name}`", hint=suggest(name, self._values))
        return name

    def _put(self, name: str, value: object) -> None:
        if callable(value) and not isinstance(value, Tensor | nn.Module):
            self._values[name] = _scheduled(name, value, self._step)
            self._schedules[name] = value
        else:
            self._values[name] = _number(name, value)
            self._schedules.pop(name, None)


def _fits(known: tuple[float, Tensor], value: float, like: Tensor) -> bool:
    """Whether a tensor made before still serves; one of inference mode can never be trained through."""
    same = known[0] == value and known[1].dtype == like.dtype and known[1].device == like.device
    return same and (not known[1].is_inference() or torch.is_inference_mode_enabled())


def _scheduled(name: str, schedule: Schedule, step: int) -> float | Tensor:
    try:
        value = schedule(step)
    except Exception as error:
        raise OptionError(
            f"the schedule of `{name}` failed at step {step}: {error}",
            hint="a schedule is a function of the number of training steps done; a network must be "
            "applied in the formula",
        ) from error
    return _number(name, value)


def _real(name: str, value: Tensor) -> Tensor:
    """A real tensor as it is; a whole one as a floating copy, since whole numbers have no negative powers."""
    if value.dtype == torch.bool or value.is_complex():
        raise OptionError(
            f"the scalar `{name}` cannot be a tensor of {value.dtype}", hint="give a real number"
        )
    return value if value.is_floating_point() else value.to(torch.get_default_dtype())


def _number(name: str, value: Any) -> float | Tensor:
    if isinstance(value, Tensor):
        if value.dim():
            raise ShapeError(
                f"the scalar `{name}` is a tensor of shape {list(value.shape)}",
                hint="give a number or a 0-d tensor",
            )
        return _real(name, value)
    if not is_number(value):
        raise OptionError(
            f"the scalar `{name}` cannot be {type(value).__name__}",
            hint="give a number, a 0-d tensor, an nn.Parameter, or a function of the training step",
        )
    number = float(value)
    if not math.isfinite(number):
        raise OptionError(f"the scalar `{name}` is {number}", hint="give a finite number")
    return number
