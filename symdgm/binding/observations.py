"""Checks of observed values before anything is computed: names, dtypes, batch sizes, supports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import torch
from torch import Tensor

from symdgm.binding.environment import Environment
from symdgm.distributions import Family
from symdgm.errors import DataError, ShapeError, SupportError, suggest
from symdgm.expressions.names import spelled


def read_data(values: Mapping[str, object], wanted: Sequence[str]) -> dict[str, Tensor]:
    """Observed values as tensors, in the order of the formula.

    Raises:
        DataError: a name is unknown or missing, or a value is no tensor.
    """
    for name in values:
        if name not in wanted:
            raise DataError(f"the objective has no data `{name}`", hint=suggest(name, wanted))
    for name in wanted:
        if name not in values:
            got = ", ".join(f"`{n}`" for n in values) or "nothing"
            raise DataError(f"the objective needs the data `{name}`, but got {got}", hint=f"pass `{name}=...`, [batch, *event]")
    return {name: _tensor(name, values[name]) for name in wanted}


def _tensor(name: str, value: object) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if value is None or isinstance(value, str | bytes | Real):
        raise DataError(f"`{name}` is {type(value).__name__}, not a tensor", hint=f"pass `{name}=...` as a tensor [batch, *event]")
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"`{name}` cannot be read as a tensor: {error}", hint="pass a tensor or a numeric array") from error


def check_batch(data: Mapping[str, Tensor]) -> None:
    """Refuse values without a batch axis, of different batch sizes, or without examples.

    Raises:
        ShapeError: with the shapes as a table.
    """
    sizes = {v.shape[0] if v.dim() else None for v in data.values()}
    if len(sizes) > 1 or None in sizes:
        table = ", ".join(f"{k} {list(v.shape)}" for k, v in data.items())
        raise ShapeError(f"the data have no common batch size: {table}", hint="every variable is [batch, *event]")
    if 0 in sizes:
        raise ShapeError("the batch has no examples", hint="pass at least one")


def check_values(environment: Environment, data: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
    """Refuse values outside the support of a distribution over them, NaN, and dtypes that the networks do not have.

    Args:
        environment: what is bound.
        data: the observed values.
        dtype: the dtype of the networks' weights, if there are any.

    Raises:
        ShapeError: a wrong dtype, or another event shape than was declared.
        SupportError: a value outside the support, or NaN.
    """
    for name, value in data.items():
        if value.is_floating_point() and dtype is not None and value.dtype != dtype:
            raise ShapeError(
                f"`{name}` has the dtype {value.dtype}, but the networks have {dtype}", hint=f"write `{name}.to({dtype})`"
            )
        shape = environment.shapes.get(name)
        if shape is not None and value.shape[1:] != shape:
            raise ShapeError(
                f"`{name}` has the event shape {list(value.shape[1:])}, but {list(shape)} was declared",
                hint=f"every variable is [batch, *event], here [{len(value)}, {', '.join(map(str, shape))}]",
            )
        _check_support(environment, name, value)


def _check_support(environment: Environment, name: str, value: Tensor) -> None:
    for factor in environment.factors:
        distribution = factor.distribution
        if [spelled(v) for v in factor.variables] == [name] and isinstance(distribution, Family):
            distribution.check_support(value, name)
            return
    if value.is_floating_point() and not torch.isfinite(value).all():
        what = "NaN" if torch.isnan(value).any() else "infinite values"
        raise SupportError(f"`{name}` contains {what}", hint="clean the data first, as by `torch.nan_to_num`")
