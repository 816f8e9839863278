"""What a network returned, read as named parameters."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, TypeGuard

import torch
from torch import Tensor

from symdgm.distributions.shapes import show
from symdgm.errors import ParameterError

Alternatives = tuple[tuple[str, ...], ...]
"""The parameter sets that a family accepts, the canonical one first."""


def read_parameters(
    output: object,
    family_name: str,
    alternatives: Alternatives,
    call_text: str,
    *,
    any_dtype: bool = False,
) -> dict[str, Tensor]:
    """Turn what a network returned into named parameters.

    Args:
        output: one tensor (if one parameter is wanted), a tuple or list in the canonical order, or a mapping
            or named tuple by name; plain numbers become 0-d tensors.
        family_name: who wants them, for errors, such as ``Normal q(z|x)``.
        alternatives: the parameter sets that are accepted, the canonical one first.
        call_text: the call, for errors, such as ``Encoder(x)``.
        any_dtype: whether integer and boolean tensors are accepted.

    Raises:
        ParameterError: something is missing, too much, not a number, or not floating.

    Example:
        >>> p = read_parameters((torch.zeros(2), 1.0), "Normal q(z|x)", (("loc", "scale"),), "Encoder(x)")
        >>> p["loc"].shape, p["scale"].item()
        (torch.Size([2]), 1.0)
    """
    named = _named(output, alternatives)
    if named is None or not any(set(named) == set(names) for names in alternatives):
        raise ParameterError(
            f"{call_text} returned {describe(output)}, but {family_name} needs {_wanted(alternatives)}",
            hint=_how_to_return(alternatives[0]),
        )
    for name, value in named.items():
        _check_numeric(name, value, call_text, any_dtype)
    return _tensors(named)


def _named(output: Any, alternatives: Alternatives) -> dict[str, Any] | None:
    if isinstance(output, Mapping):
        return dict(output)
    if is_named_tuple(output):
        return dict(output._asdict())
    values = list(output) if isinstance(output, (tuple, list)) else [output]
    canonical = alternatives[0]
    return dict(zip(canonical, values, strict=True)) if len(values) == len(canonical) else None


def is_named_tuple(output: object) -> bool:
    """Whether it is a tuple with named fields."""
    return isinstance(output, tuple) and getattr(output, "_fields", None) is not None


def _check_numeric(name: str, value: object, call_text: str, any_dtype: bool) -> None:
    if isinstance(value, Tensor) and value.layout is not torch.strided:
        raise ParameterError(
            f"{call_text} returned {name} as a sparse tensor", hint=f"return `{name}.to_dense()`"
        )
    if isinstance(value, Tensor) and any_dtype and value.is_complex():
        raise ParameterError(
            f"{call_text} returned {name} of dtype {value.dtype}", hint="return its real part, or its `abs()`"
        )
    if isinstance(value, Tensor) and not (any_dtype or value.is_floating_point()):
        raise ParameterError(
            f"{call_text} returned {name} of dtype {value.dtype}",
            hint=f"parameters are floating: `{name}.float()`",
        )
    if not isinstance(value, Tensor) and not is_number(value):
        raise ParameterError(
            f"{call_text} returned {name} as {describe(value)}", hint=f"{name} must be a tensor or a number"
        )


def _tensors(named: Mapping[str, Any]) -> dict[str, Tensor]:
    like = next((value for value in named.values() if isinstance(value, Tensor)), torch.empty(0))
    return {
        name: value if isinstance(value, Tensor) else like.new_tensor(float(value))
        for name, value in named.items()
    }


def is_number(value: object) -> TypeGuard[Real]:
    """Whether a value is a real number; truth values are none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, Real)


def _wanted(alternatives: Alternatives) -> str:
    return " or ".join(f"({', '.join(names)})" for names in alternatives)


def _how_to_return(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"return one tensor, or the dict {{{names[0]!r}: {names[0]}}}"
    entries = ", ".join(f"{name!r}: {name}" for name in names)
    return (
        f"return the tuple ({', '.join(names)}) or the dict {{{entries}}}; "
        f"`h.chunk({len(names)}, -1)` splits one tensor"
    )


def describe(output: object) -> str:
    """What a network returned, in a few words: types and shapes.

    Example:
        >>> describe((torch.zeros(2, 3), None))
        'a tuple (tensor [2, 3], NoneType)'
    """
    if isinstance(output, Tensor):
        return f"tensor {show(output.shape)}"
    if isinstance(output, Mapping):
        return "a dict {" + ", ".join(f"{key!r}: {describe(value)}" for key, value in output.items()) + "}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} (" + ", ".join(describe(value) for value in output) + ")"
    return type(output).__name__
