"""Functions of the zoo that refuse impossible sizes and weights before anything is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import UnionType
from typing import Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from torch import nn

from symdgm.errors import OptionError
from symdgm.given import number, shown, whole

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

ANY_SIGN = ("logit",)
"""Numbers that may be negative; all others are weights."""


def checked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function, whose arguments are what their annotations say.

    A whole number is 1 or more, or 0 or more where that is its default; a number is finite.

    Args:
        function: annotated; of a class its ``__init__``.

    Raises:
        OptionError: when it is called with another argument.

    Example:
        >>> area = checked(lambda side: side**2)
        >>> area(3)
        9
    """
    parameters = inspect.signature(function).parameters
    kinds: dict[str, Any] = {}

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not kinds:
            kinds.update(get_type_hints(function))
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        for name, value in given.items():
            parameter = parameters[name]
            many = parameter.kind is inspect.Parameter.VAR_POSITIONAL
            for one in value if many else (value,):
                if name in kinds:
                    _check(name, one, kinds[name], least=int(parameter.default != 0))
        return function(*args, **kwargs)

    return call


def _check(name: str, value: object, kind: Any, least: int) -> None:
    others = [k for k in _kinds(kind) if k not in (int, float)]
    if any(_is(value, k) for k in others):
        return
    if int in _kinds(kind):
        whole(name, value, least=least)
    elif float in _kinds(kind):
        number(name, value, least=None if name in ANY_SIGN else 0)
    else:
        wanted = " or ".join(getattr(k, "__name__", str(k)) for k in others)
        raise OptionError(f"`{name}` is {shown(value)}", hint=f"write a {wanted}")


def _kinds(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind: a class, a function, or a pair of sizes."""
    if get_origin(kind) is tuple:
        sizes = isinstance(value, tuple) and len(value) == len(get_args(kind))
        return sizes and all(type(v) is int and v >= 1 for v in value)
    if get_origin(kind) is not None or kind is nn.Module:
        return callable(value) and not isinstance(value, type)
    return isinstance(value, kind)
