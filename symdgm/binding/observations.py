"""Checks of observed values before anything is computed: names, dtypes, batch sizes, supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Number

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding.environment import Environment
from symdgm.binding.sequences import check_sequences, is_over
from symdgm.distributions import Family
from symdgm.errors import DataError, OptionError, ShapeError, SupportError, SymdgmError, suggest
from symdgm.expressions.names import spelled
from symdgm.given import whole


def collect(
    values: object, keywords: Mapping[str, object], wanted: Sequence[str], called: str = "objective"
) -> dict[str, object]:
    """What a call was given, by name; a lone value belongs to the only observed variable.

    Args:
        values: nothing, a mapping by name, or the value of the only variable.
        keywords: values by name.
        wanted: the names of the observed variables.
        called: what was called, for the hint.

    Raises:
        DataError: a lone value that could belong to several variables, or to none.
    """
    if values is None:
        return dict(keywords)
    if isinstance(values, Mapping):
        if twice := values.keys() & keywords:
            raise DataError(
                f"`{min(twice)}` is given twice, in the dict and by keyword", hint="leave one out"
            )
        return {**values, **keywords}
    if len(wanted) == 1 and not keywords:
        return {wanted[0]: values}
    example = ", ".join(f"{name}=..." for name in wanted)
    raise DataError(
        f"a {type(values).__name__} is given without its name",
        hint=f"write `{called}({example})`" if wanted else "the objective has no data: leave it out",
    )


def respelled(
    values: Mapping[str, object], wanted: Sequence[str], read: Callable[[str], Basic]
) -> dict[str, object]:
    """Values under the spellings of the formula: ``x_1_2`` is ``x_{1,2}``, and ``φ`` is ``phi``.

    Args:
        values: by name, in any spelling.
        wanted: the names of the observed variables; another name stays as it is.
        read: text → node.

    Raises:
        DataError: one variable is given under two spellings.
    """
    found: dict[str, object] = {}
    given: dict[str, str] = {}
    for name, value in values.items():
        key = name if name in wanted else _spelling(name, read)
        key = key if key in wanted else name
        if key in found:
            raise DataError(
                f"`{given[key]}` and `{name}` are two spellings of one variable", hint="leave one out"
            )
        found[key], given[key] = value, name
    return found


def _spelling(name: str, read: Callable[[str], Basic]) -> str:
    try:
        return spelled(read(name))
    except SymdgmError:  # no name of the language: refused as unknown data, with the names that there are
        return name


def read_data(
    values: Mapping[str, object],
    wanted: Sequence[str],
    like: Callable[[], Tensor | None],
    optional: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Observed values as tensors, in the order of the formula.

    A tensor is taken as it is. Arrays and lists become tensors where ``like`` is, and of its dtype where
    they are floating
    (NumPy's default is float64).

    Args:
        values: by name.
        wanted: the names, in the order of the formula.
        like: finds a weight of the networks, if there is one.
        optional: names that may be left out, such as the lengths of sequences.

    Raises:
        DataError: a name is unknown or missing, or a value is no tensor.
    """
    for name in values:
        if name not in (*wanted, *optional):
            raise DataError(f"the objective has no data `{name}`", hint=suggest(name, [*wanted, *optional]))
    for name in wanted:
        if name not in values:
            got = ", ".join(f"`{n}`" for n in values) or "nothing"
            raise DataError(
                f"the objective needs the data `{name}`, but got {got}",
                hint=f"pass `{name}=...`, [batch, *event]",
                about=name,
            )
    given = [*wanted, *(name for name in optional if name in values)]
    return {name: _tensor(name, values[name], like) for name in given}


def check_count(n: int) -> int:
    """A number of draws, which must be a whole number from 1.

    Raises:
        OptionError: if it is not.
    """
    return whole("n", n, what="whole number of draws")


def check_draws(n: int, data: Mapping[str, Tensor]) -> int:
    """A number of draws, which only an objective without data takes.

    Raises:
        OptionError: if there are data, or the number is no whole number from 1.
    """
    if check_count(n) != 1 and data:
        raise OptionError(
            f"`n={n}` is given with data, whose rows say how many examples there are",
            hint="leave it out; more draws are `samples=...` of the objective",
        )
    return n


def _tensor(name: str, value: object, find: Callable[[], Tensor | None]) -> Tensor:
    if isinstance(value, Tensor):
        if value.is_nested or value.layout is not torch.strided:
            kind, way = ("nested", "to_padded_tensor(0.0)") if value.is_nested else ("sparse", "to_dense()")
            raise DataError(f"`{name}` is a {kind} tensor", hint=f"write `{name}.{way}`", about=name)
        return value
    if value is None or isinstance(value, str | bytes | Number | Mapping):
        raise DataError(
            f"`{name}` is {type(value).__name__}, not a tensor",
            hint=f"pass `{name}=...` as a tensor [batch, *event]",
            about=name,
        )
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(value, list | tuple) and all(isinstance(v, Tensor) for v in value):
            raise DataError(
                f"`{name}` is a {type(value).__name__} of tensors; `fit` alone reads a list of them, as "
                "sequences of different lengths",
                hint=f"pad them: `x, lengths = symdgm.data.ragged({name})`, and pass `{name}=x, T=lengths`",
                about=name,
            ) from error
        raise DataError(
            f"`{name}` cannot be read as a tensor: {error}",
            hint="pass a tensor or a numeric array",
            about=name,
        ) from error
    like = find()
    if like is None:
        return tensor
    return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)


def check_batch(data: Mapping[str, Tensor]) -> None:
    """Refuse values without a batch axis, of different batch sizes, or without examples.

    Raises:
        ShapeError: with the shapes as a table.
    """
    sizes = {v.shape[0] if v.dim() else None for v in data.values()}
    if len(sizes) > 1 or None in sizes:
        table = ", ".join(f"{k} {list(v.shape)}" for k, v in data.items())
        raise ShapeError(
            f"the data have no common batch size: {table}",
            hint="every variable is [batch, *event]",
            about=next((k for k, v in data.items() if not v.dim()), None),
        )
    if 0 in sizes:
        raise ShapeError("the batch has no examples", hint="pass at least one")


def check_values(
    environment: Environment,
    data: Mapping[str, Tensor],
    like: Callable[[], Tensor | None],
    *,
    known: bool = False,
) -> None:
    """Refuse values outside the support of their distributions, NaN, and dtypes other than the networks'.

    Args:
        environment: what is bound.
        data: the observed values.
        like: finds a weight of the networks, if there is one.
        known: whether data of the same shapes, dtypes and devices were checked before.

    Raises:
        ShapeError: a wrong dtype or device, or another event shape than was declared.
        SupportError: a value outside the support, or NaN.
    """
    steps = check_sequences(environment, data)
    if not known:
        check_kinds(environment, data, like())
    for name, value in data.items():
        if _are_lengths(environment, name):
            continue
        value = steps.get(name, value)
        if not known:
            check_event(environment, name, value)
        _check_support(environment, name, value)


def check_kinds(environment: Environment, data: Mapping[str, Tensor], like: Tensor | None) -> None:
    """Refuse a dtype or a device that the networks do not have; nothing is read from a device.

    Raises:
        ShapeError: if there is one.
    """
    for name, value in data.items():
        if like is not None and not _are_lengths(environment, name):
            _check_kind(name, value, like)


def _are_lengths(environment: Environment, name: str) -> bool:
    return environment.time is not None and name == spelled(environment.time.length)


def _check_kind(name: str, value: Tensor, like: Tensor) -> None:
    if value.device != like.device:
        raise ShapeError(
            f"`{name}` is on {value.device}, but the networks are on {like.device}",
            hint=f'write `{name}.to("{like.device}")`',
            about=name,
        )
    if value.is_floating_point() and value.dtype != like.dtype:
        raise ShapeError(
            f"`{name}` has the dtype {value.dtype}, but the networks have {like.dtype}",
            hint=f"write `{name}.to({like.dtype})`",
            about=name,
        )


def check_event(environment: Environment, name: str, value: Tensor) -> None:
    """Refuse another event shape than was declared, by a keyword or by a distribution."""
    shape, owner = environment.shapes.get(name), "was declared"
    for factor in environment.factors:
        distribution = factor.distribution
        if (
            shape is None
            and isinstance(distribution, Family)
            and is_over(environment, factor.variables, name)
        ):
            shape, owner = distribution.event_shape, f"{distribution.described} is over"
    if shape is not None and value.shape[1:] != shape:
        was = f"{list(shape)} {owner}" if owner == "was declared" else f"{owner} {list(shape)}"
        expected = [*value.shape[:1], *shape]
        raise ShapeError(
            f"`{name}` has the event shape {list(value.shape[1:])}, but {was}",
            hint=f"every variable is [batch, *event], here {expected}",
            about=name,
        )


def check_fixed(environment: Environment, name: str, value: Tensor, like: Tensor | None) -> None:
    """Refuse a value to draw the others from: it has no density under any distribution over it, or is NaN.

    Args:
        environment: what is bound.
        name: of the variable.
        value: ``[n, *event]``; of a sequence, all of its steps together.
        like: a weight of the networks, if there is one.

    Raises:
        ShapeError: a dtype or a device other than the networks', or another event shape than was declared.
        SupportError: a value outside the support, or NaN.
    """
    if like is not None:
        _check_kind(name, value, like)
    check_event(environment, name, value)
    families = _families(environment, name)
    refusals = [e for family in families if (e := _refusal(family, name, value)) is not None]
    if refusals and len(refusals) == len(families):  # a posterior may have a smaller support than the prior
        raise refusals[0]
    if not families:
        _check_finite(name, value)


def _refusal(family: Family, name: str, value: Tensor) -> SymdgmError | None:
    try:
        family.check_support(value, name)
    except SymdgmError as error:
        error.about = name
        return error
    return None


def _check_support(environment: Environment, name: str, value: Tensor) -> None:
    families = _families(environment, name)
    refused = next((e for family in families if (e := _refusal(family, name, value)) is not None), None)
    if refused is not None:
        raise refused
    if not families:
        _check_finite(name, value)


def _families(environment: Environment, name: str) -> list[Family]:
    over = [f.distribution for f in environment.factors if is_over(environment, f.variables, name)]
    return [d for d in over if isinstance(d, Family)]


def _check_finite(name: str, value: Tensor) -> None:
    if value.is_floating_point() and not torch.isfinite(value).all():
        what = "NaN" if torch.isnan(value).any() else "infinite values"
        hint = "clean the data first, as by `torch.nan_to_num`"
        raise SupportError(f"`{name}` contains {what}", hint=hint, about=name)
