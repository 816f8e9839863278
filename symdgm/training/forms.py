"""The forms in which data come: one tensor, a tuple, a mapping, NumPy arrays; all become named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from symdgm.errors import DataError, suggest
from symdgm.training.ragged import Ragged, is_list, padded


def named(data: object, variables: Sequence[str], ragged: Ragged = MappingProxyType({})) -> dict[str, Tensor]:
    """Assigns data to the names of the data variables.

    A single tensor or array belongs to the only variable, the parts of a tuple or list to the variables in
    order, the entries of a mapping to the variables of those names.

    Args:
        data: tensors or NumPy arrays ``[N, *event]`` in one of these forms.
        variables: the names that the model observes.
        ragged: which of them are sequences, and the name of their lengths. Lengths may be left out; in a
            tuple they come last. A list of sequences has its own.

    Raises:
        DataError: for a missing or unknown name, a wrong number of parts, different lengths, or no rows.

    Example:
        >>> {name: tuple(value.shape) for name, value in named(np.zeros((3, 2)), ["x"]).items()}
        {'x': (3, 2)}
    """
    parts = padded(_parts(data, variables, list(ragged)), ragged)
    tensors = {name: as_tensor(parts[name], name) for name in (*variables, *ragged) if name in parts}
    _check_lengths(tensors)
    return tensors


def _parts(data: object, variables: Sequence[str], lengths: Sequence[str]) -> Mapping[str, object]:
    if isinstance(data, Mapping):
        _check_names([str(name) for name in data], variables, lengths)
        return data
    if lengths and len(variables) == 1 and is_list(data):
        return {variables[0]: data}
    if isinstance(data, (tuple, list)) and any(_is_number(part) for part in data):
        raise DataError(
            f"the data are a {type(data).__name__} of numbers or lists, not of tensors",
            hint="convert them first, by `torch.tensor(data)`",
        )
    parts = list(data) if isinstance(data, (tuple, list)) else [data]
    if len(parts) == len(variables) + len(lengths):
        variables = [*variables, *lengths]
    if len(parts) != len(variables):
        names = ", ".join(f"`{name}`" for name in variables) or "none"
        raise DataError(
            f"the data have {_count(len(parts), 'part')}, the model has "
            f"{_count(len(variables), 'data variable')}: {names}",
            hint=_hint(parts, variables),
        )
    return dict(zip(variables, parts, strict=True))


def _hint(parts: Sequence[object], variables: Sequence[str]) -> str:
    shapes = {getattr(part, "shape", None) for part in parts}
    if len(parts) > len(variables) and len(shapes) == 1 and None not in shapes:
        return "rows are put together first, by `torch.stack(rows)` or `numpy.stack(rows)`"
    if len(variables) == 1 and len(parts) > 1:
        name = variables[0]
        return f"the model has no second variable: give `{name}` alone, as in `fit({name})`"
    return f"name them: {{{', '.join(f'{name!r}: ...' for name in variables)}}}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _is_number(part: object) -> bool:
    """Whether a part is no tensor but a number, or a list that is none of sequences."""
    return isinstance(part, (float, int)) or (isinstance(part, list) and not is_list(part))


def _check_names(given: Sequence[str], variables: Sequence[str], optional: Sequence[str]) -> None:
    for name in given:
        if name not in (*variables, *optional):
            known = [*variables, *optional]
            raise DataError(f"the model has no data variable `{name}`", hint=suggest(name, known))
    for name in variables:
        if name not in given:
            raise DataError(
                f"the data variable `{name}` is missing", hint=f"given: {', '.join(given) or 'nothing'}"
            )


def _check_lengths(tensors: Mapping[str, Tensor]) -> None:
    lengths = {name: value.shape[0] for name, value in tensors.items()}
    if len(set(lengths.values())) > 1:
        table = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
        raise DataError(f"the data have different numbers of rows: {table}")
    if 0 in lengths.values():
        raise DataError("the data have no rows")


def as_tensor(value: object, name: str) -> Tensor:
    """A tensor ``[N, *event]`` that shares memory with ``value`` where it can."""
    if isinstance(value, np.ndarray):
        value = _from_numpy(value, name)
    if not isinstance(value, Tensor):
        raise DataError(
            f"`{name}` is a {type(value).__name__}, not a tensor or a NumPy array",
            hint="convert it first, e.g. with torch.as_tensor(...) or .to_numpy()",
        )
    if value.ndim == 0:
        raise DataError(f"`{name}` is a single number", hint="the first axis of data is the batch: [N, ...]")
    return value.detach()


def _from_numpy(array: np.ndarray, name: str) -> Tensor:
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    # torch warns about memory that it may not write to, and cannot express negative strides.
    array = np.ascontiguousarray(array) if array.flags.writeable else array.copy()
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise DataError(
            f"`{name}` has the NumPy dtype `{array.dtype}`, which is no number type of torch",
            hint="encode it as numbers first, e.g. array.astype('float32')",
        ) from error


def placed(tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors on the model's device; floating data in the dtype of its parameters, the rest left alone."""
    return {
        name: value.to(device, dtype if value.is_floating_point() else None, non_blocking=True)
        for name, value in tensors.items()
    }
