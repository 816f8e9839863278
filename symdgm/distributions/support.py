"""Where values and parameters may lie. Every check reads its tensor back, so none belongs into a hot path."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symdgm.errors import ParameterError, ShapeError, SupportError

DIVERGED = "a network that returns such values has diverged, or its input is not finite"

SUM_TOLERANCE = 1e-4
"""How far rows of probabilities may be from a sum of one; float32 probabilities are held in float64, too."""


def bounds(tensor: Tensor) -> tuple[float, float]:
    """The least and the greatest value, in one pass; both NaN if one value is, both 0 if there is none.

    Example:
        >>> bounds(torch.tensor([1.0, -2.0]))
        (-2.0, 1.0)
    """
    if tensor.numel() == 0:
        return 0.0, 0.0
    least, most = tensor.detach().aminmax()
    if tensor.is_cpu:
        return least.item(), most.item()
    least, most = torch.stack((least, most)).tolist()  # one wait for the device
    return least, most


def check_floating(value: Tensor, variable: str, owner: str) -> None:
    """Refuse integer and boolean values of a family whose values are real numbers."""
    if not value.is_floating_point():
        raise ShapeError(
            f"{variable} has dtype {value.dtype}, but {owner} takes floating values",
            hint=f"write `{variable}.float()`; images of 0 to 255 also want `/ 255`",
        )


def check_finite(value: Tensor, variable: str, owner: str) -> None:
    """Refuse NaN and infinite values."""
    least, most = bounds(value)
    if math.isfinite(least) and math.isfinite(most):
        return
    what = "NaN" if math.isnan(least) else "infinite"
    raise SupportError(
        f"{variable} has {what} values ({int((~value.isfinite()).sum())} of {value.numel()}) under {owner}",
        hint="look where they come from: a division, a log, or a learning rate that is too high",
    )


def check_interval(value: Tensor, variable: str, owner: str, low: int, high: int, hint: str) -> None:
    """Refuse NaN and values outside the closed interval from ``low`` to ``high``."""
    if value.numel() == 0:
        return
    least, most = bounds(value)
    if low <= least and most <= high:
        return
    if math.isnan(least):
        check_finite(value, variable, owner)
    raise outside(value, variable, _interval(low, high), owner, hint)


def outside(value: Tensor, variable: str, support: str, owner: str, hint: str) -> SupportError:
    """The refusal of values beyond a support."""
    least, most = bounds(value)
    return SupportError(
        f"{variable} has values in [{least:.4g}, {most:.4g}], outside the support {support} of {owner}",
        hint=hint,
    )


def check_whole(value: Tensor, variable: str, owner: str) -> None:
    """Refuse fractions."""
    fractions = value[value != value.round()]
    if fractions.numel():
        raise SupportError(
            f"{variable} has values such as {float(fractions[0]):.4g}, but {owner} takes whole numbers",
            hint=f"write `{variable}.round()`, or choose a continuous family",
        )


def check_sums_to_one(value: Tensor, variable: str, owner: str, hint: str) -> None:
    """Refuse rows that do not sum to one."""
    worst = _worst_sum(value)
    if worst is not None:
        raise SupportError(f"{variable} has rows that sum to {worst:.4g}, not to 1, under {owner}", hint=hint)


def check_unit_length(value: Tensor, variable: str, owner: str) -> None:
    """Refuse vectors whose length is not one."""
    worst = _worst_sum(value.square())
    if worst is not None:
        raise SupportError(
            f"{variable} has vectors of the squared length {worst:.4g}, not 1, under {owner}",
            hint=f"write `torch.nn.functional.normalize({variable}, dim=-1)`",
        )


def check_real(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a parameter that is not finite."""
    least, most = bounds(parameter)
    if not (-math.inf < least and most < math.inf):
        raise _out_of_range(least, most, name, owner, "finite", DIVERGED)


def check_positive(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a parameter that is not positive and finite."""
    least, most = bounds(parameter)
    if parameter.numel() and not (least > 0 and most < math.inf):
        raise _out_of_range(
            least, most, name, owner, "positive and finite", "end the network in `softplus` or `exp`"
        )


def check_nonnegative(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a parameter that is negative or not finite."""
    least, most = bounds(parameter)
    if not (least >= 0 and most < math.inf):
        hint = "end the network in `softplus` or `exp`"
        raise _out_of_range(least, most, name, owner, "zero or positive, and finite", hint)


def check_count(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a parameter that is no whole number of trials."""
    check_nonnegative(parameter, name, owner)
    fractions = parameter[parameter != parameter.round()]
    if fractions.numel():
        raise ParameterError(
            f"{name} of {owner} has values such as {float(fractions[0]):.4g}; it must be whole",
            hint=f"`{name}` is a number of trials, such as `{name}=10`",
        )


def check_success(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a probability that is not above zero and at most one."""
    least, most = bounds(parameter)
    if parameter.numel() and not (least > 0 and most <= 1):
        raise _out_of_range(
            least, most, name, owner, "in (0, 1]", "end the network in `sigmoid`, or give logits"
        )


def check_open_unit(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse a probability that is not strictly between zero and one."""
    least, most = bounds(parameter)
    if parameter.numel() and not (least > 0 and most < 1):
        raise _out_of_range(least, most, name, owner, "in (0, 1)", "give logits, which have no such edge")


def check_direction(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse vectors whose length is not one."""
    check_real(parameter, name, owner)
    worst = _worst_sum(parameter.square())
    if worst is not None:
        raise ParameterError(
            f"{name} of {owner} has the squared length {worst:.4g}, not 1",
            hint="end the network in `torch.nn.functional.normalize(..., dim=-1)`",
        )


def check_less(low: Tensor, high: Tensor, names: tuple[str, str], owner: str) -> None:
    """Refuse two parameters of which the first is not less than the second."""
    gap = high - low
    if gap.numel() and not bounds(gap)[0] > 0:
        raise ParameterError(
            f"{names[0]} of {owner} is not less than {names[1]}: the least gap is {bounds(gap)[0]:.4g}",
            hint=f"write `{names[1]} = {names[0]} + softplus(...)`",
        )


def check_unit(parameter: Tensor, name: str, owner: str, ending: str = "sigmoid") -> None:
    """Refuse a probability outside the closed unit interval."""
    least, most = bounds(parameter)
    if not (least >= 0 and most <= 1):
        hint = f"end the network in `{ending}`, or give logits"
        raise _out_of_range(least, most, name, owner, "in [0, 1]", hint)


def check_logits(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse NaN, plus infinity, and rows that exclude every class; minus infinity excludes one class."""
    least, most = bounds(parameter)
    if least == -math.inf and bool((parameter.amax(-1) == -math.inf).any()):
        raise ParameterError(
            f"{name} of {owner} has a row of minus infinity only", hint="leave at least one class possible"
        )
    if not most < math.inf:
        raise _out_of_range(least, most, name, owner, "below infinity", DIVERGED)


def check_simplex(parameter: Tensor, name: str, owner: str) -> None:
    """Refuse probabilities that are negative or whose last axis does not sum to one."""
    check_unit(parameter, name, owner, "softmax(-1)")
    worst = _worst_sum(parameter)
    if worst is not None:
        raise ParameterError(
            f"{name} of {owner} sums to {worst:.4g} over the classes, not to 1",
            hint="end the network in `softmax(-1)`, or give logits",
        )


def _interval(low: int, high: int) -> str:
    return f"{low}, 1, 2, …" if high == torch.iinfo(torch.long).max else f"[{low}, {high}]"


def _out_of_range(least: float, most: float, name: str, owner: str, wanted: str, hint: str) -> ParameterError:
    if math.isnan(least):
        return ParameterError(f"{name} of {owner} has NaN values", hint=DIVERGED)
    return ParameterError(
        f"{name} of {owner} has values in [{least:.4g}, {most:.4g}]; it must be {wanted}", hint=hint
    )


def _worst_sum(value: Tensor) -> float | None:
    """The row sum farthest from one, if it is farther than rounding explains."""
    if value.numel() == 0:
        return None
    sums = value.detach().sum(-1).flatten()
    worst = float(sums[(sums - 1).abs().argmax()])
    tolerance = max(SUM_TOLERANCE, torch.finfo(value.dtype).eps ** 0.5)
    return None if abs(worst - 1) <= tolerance else worst
