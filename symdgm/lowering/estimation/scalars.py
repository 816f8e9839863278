"""Scalars that estimators have: temperatures and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from symdgm.errors import OptionError

Scalar = float | Tensor | Callable[[int], object]
"""A number, a 0-d tensor, a trained parameter, or a function of the training step."""


def check_positive(name: str, value: Scalar) -> None:
    """Refuse a number that is not positive.

    Raises:
        OptionError: with the name and the number.
    """
    if isinstance(value, float | int) and not value > 0:
        raise OptionError(f"the {name} is {value}", hint="it is a positive number, such as 0.5")


def check_untrained(values: Mapping[str, Scalar]) -> None:
    """Refuse trained scalars where no gradient trains them.

    Raises:
        OptionError: with the name.
    """
    for name, value in values.items():
        if isinstance(value, nn.Parameter):
            raise OptionError(
                f"the {name} of a control variate is not trained by the objective",
                hint="give a number, or a function of the training step",
            )
