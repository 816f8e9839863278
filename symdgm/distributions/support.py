"""Where a value may lie, and where a parameter may lie; every check reads the tensor, so none is for a hot path."""

from __future__ import annotations

import torch
from torch import Tensor

from symdgm.errors import ParameterError, ShapeError, SupportError

_DIVERGED = "a network that returns such values has diverged, or its input is not finite"


def check_floating(value: Tensor, variable: str, owner: str) -> None:
    """Refuse integer and boolean values of a family whose values are real numbers."""
    if not value.is_floating_point():
        raise ShapeError(
            f"{variable} has dtype {value.dtype}, but {owner} takes floating values",
            hint=f"write `{variable}.float()`; images of 0 to 255 also want `/ 255`",
        )


def check_finite(value: Tensor, variable: str, owner: str) -> None:
    """Refuse NaN and infinite values."""
    if value.isfinite().all():
        return
    what = "NaN" if value.isnan().any() else "infinite"
    raise SupportError(
        f"{variable} has {what} values ({int((~value.isfinite()).sum())} of {value.numel()}) under {owner}",
        hint="look where they come from: a division, a log, or a learning rate that is too high",
    )


def check_interval(value: Tensor, variable: str, owner: str, low: float, high: float, hint: str) -> None:
    """Refuse NaN and values outside the closed interval from ``low`` to ``high``."""
    if value.numel() == 0:
        return
    least, most = (float(bound) for bound in value.detach().aminmax())
    if low <= least and most <= high:
        return
    if least != least:
        check_finite(value, variable, owner)
    raise SupportError(
        f"{variable} has values in [{least:.4g}, {most:.4g}], outside the support [{low:g}, {high:g}] of {owner}",
        hint=hint,
    )


def check_sums_to_one(value: Tensor, variable: str, owner: str, hint: str) -> None:
    """Refuse rows that do not sum to one."""
    worst = _worst_sum(value)
    if worst is not None:
        raise SupportError(f"{variable} has rows that sum to {worst:.4g}, not to 1, under {owner}", hint=hint)


def check_positive(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a parameter that is not positive and finite."""
    _check_range(
        parameter,
        name,
        owner,
        (parameter > 0) & (parameter < torch.inf),
        "positive and finite",
        "end the network in `softplus` or `exp`",
    )


def check_real(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a parameter that is not finite."""
    _check_range(parameter, name, owner, parameter.isfinite(), "finite", _DIVERGED)


def check_logits(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse NaN, plus infinity, and rows that exclude every class; minus infinity excludes one class."""
    allowed = (parameter < torch.inf) & (parameter.amax(-1, keepdim=True) > -torch.inf)
    wanted = "below infinity, and above minus infinity for one class at least"
    _check_range(parameter, name, owner, allowed, wanted, _DIVERGED)


def check_unit(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a probability outside the closed unit interval."""
    inside = (parameter >= 0) & (parameter <= 1)
    _check_range(parameter, name, owner, inside, "in [0, 1]", "end the network in `sigmoid`, or give logits")


def check_simplex(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse probabilities that are negative or whose last axis does not sum to one."""
    check_unit(parameter, name, owner)
    worst = _worst_sum(parameter)
    if worst is not None:
        raise ParameterError(
            f"{name} of {owner} sums to {worst:.4g} over the classes, not to 1",
            hint="end the network in `softmax(-1)`, or give logits",
        )


def _check_range(parameter: Tensor, name: str, owner: str, inside: Tensor, wanted: str, hint: str) -> None:
    if inside.all():
        return
    if parameter.isnan().any():
        raise ParameterError(f"{name} of {owner} has NaN values", hint=_DIVERGED)
    least, most = (float(bound) for bound in parameter.detach().aminmax())
    raise ParameterError(
        f"{name} of {owner} has values in [{least:.4g}, {most:.4g}]; it must be {wanted}", hint=hint
    )


def _worst_sum(value: Tensor) -> float | None:
    """The row sum farthest from one, if it is farther than rounding explains."""
    if value.numel() == 0:
        return None
    sums = value.detach().sum(-1).flatten()
    worst = sums[(sums - 1).abs().argmax()]
    tolerance = torch.finfo(value.dtype).eps ** 0.5
    return None if abs(float(worst) - 1) <= tolerance else float(worst)
