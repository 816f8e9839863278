"""The failure of a network, told with what it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError, SupportError, SymdgmError

Result = TypeVar("Result")


def attempt(call: Callable[[], Result], what: str, given: Callable[[], Mapping[str, Tensor]]) -> Result:
    """What a call of a network returns.

    Args:
        call: makes it.
        what: the call in words, such as ``"`Linear(z)` of Normal p(x|z)"``.
        given: its inputs by name; asked for after a failure only.

    Raises:
        ShapeError: the network fails.
        SupportError: it looks up what is not in a table.

    Example:
        >>> attempt(lambda: torch.ones(2) @ torch.ones(3), "`f(z)`", lambda: {"z": torch.ones(2)})
        Traceback (most recent call last):
        ...
        symdgm.errors.ShapeError: the network failed in `f(z)` with z [2]: inconsistent tensor size, ...
    """
    try:
        return call()
    except (SymdgmError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, IndexError, ValueError) as error:
        raise _explained(what, given(), error) from error
    except Exception as error:
        error.add_note(f"while computing {what}")
        raise


def _explained(what: str, given: Mapping[str, Tensor], error: Exception) -> SymdgmError:
    """The failure of a network with what it was given."""
    inputs = ", ".join(f"{name} {show(value.shape)}{_range(value)}" for name, value in given.items())
    problem = f"the network failed in {what} with {inputs}: {error}"
    whole = any(not value.is_floating_point() for value in given.values())
    if isinstance(error, IndexError) and whole:
        return SupportError(problem, hint="check the range of its input, such as the size of an embedding")
    if isinstance(error, ValueError):
        return ShapeError(problem, hint="check its input; BatchNorm needs several rows while it is trained")
    return ShapeError(problem, hint="check the shape of its input")


def _range(value: Tensor) -> str:
    """The values of an integer input, which may be places in a table."""
    if value.is_floating_point() or not value.numel():
        return ""
    return f" of values in [{int(value.min())}, {int(value.max())}]"
