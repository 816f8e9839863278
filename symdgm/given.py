"""What callers give for options: numbers, switches, tables and paths, each as asked or refused."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from symdgm.errors import OptionError

LONGEST = 60
"""Characters of a wrong value that a refusal shows."""


def shown(value: object) -> str:
    """A value as a refusal shows it: on one line, and not all of a large one.

    Example:
        >>> shown([1, 2])
        '[1, 2]'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def whole(name: str, value: object, *, least: int = 1, what: str = "whole number") -> int:
    """A whole number; NumPy's are taken too.

    Args:
        name: of the option.
        value: what was given.
        least: the smallest that is allowed.
        what: of what, for the hint, such as ``"whole number of draws"``.

    Raises:
        OptionError: anything else, also a switch, or one that is larger than any tensor.

    Example:
        >>> whole("epochs", 3)
        3
    """
    if type(value) is int and least <= value <= sys.maxsize:
        return value
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= sys.maxsize:
        raise OptionError(f"`{name}` is {shown(value)}", hint=f"write a {what}, {least} or more")
    return int(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0.

    Raises:
        OptionError: anything else.
    """
    if not is_number(value) or not (float(value) > 0 and math.isfinite(value)):
        raise OptionError(f"`{name}` must be a positive number, not {shown(value)}", hint="such as 0.1")
    return float(value)


def number(name: str, value: Any, *, least: float | None = None) -> float:
    """A finite number.

    Args:
        name: of the option.
        value: what was given.
        least: the smallest that is allowed, or None for any.

    Raises:
        OptionError: anything else.
    """
    if not is_number(value) or not math.isfinite(value) or (least is not None and value < least):
        wanted = "a finite number" if least is None else f"a finite number, {least:g} or more"
        raise OptionError(f"`{name}` is {shown(value)}", hint=f"write {wanted}")
    return float(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number, which a switch is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def switch(name: str, value: object) -> bool:
    """True or False, as Python or NumPy has them.

    Raises:
        OptionError: anything else: ``"False"`` would be taken for True.
    """
    if value is True or value is False:
        return bool(value)
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise OptionError(f"`{name}` is {shown(value)}", hint="write True or False")


def table(name: str, value: object, example: str) -> Mapping[str, Any]:
    """A dict whose keys are names; none is an empty one.

    Args:
        name: of the option.
        value: what was given.
        example: what to write instead, such as ``ema={"D_bar": 0.999}``.

    Raises:
        OptionError: anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError(f"`{name}` is {shown(value)}", hint=f"write a dict by name, `{example}`")
    return value


def path(name: str, value: object) -> str:
    """The path of a file or a folder.

    Raises:
        OptionError: anything else, also an empty text.
    """
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str) or not found:
        raise OptionError(f"`{name}` is {shown(value)}", hint="write the path of a file, a text or a `Path`")
    return found
