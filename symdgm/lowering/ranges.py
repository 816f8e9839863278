"""Checks of values that only an evaluation shows: the range of parameters, and the classes of labels.

They run when a function is written and when a failure is explained, never in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from sympy import Basic
from torch import Tensor

from symdgm.distributions import Family


@dataclass(frozen=True)
class ParameterRange:
    """The parameters of a law, which a network or training may move out of their range.

    Args:
        family: the distribution.
        texts: parameter → its text in the generated code.
        origin: the law, for the caret.
    """

    family: Family
    texts: Mapping[str, str]
    origin: Basic | None

    def check(self, read: Callable[[str], Any]) -> None:
        """Refuse parameters that are finite, yet out of their range.

        What is not finite shows in the value, and a diagnosis then names the weights that it came from.

        Args:
            read: the value of a text of the generated code.

        Raises:
            ParameterError: with the parameter, its values and its range.
        """
        tensors = {name: read(text) for name, text in self.texts.items()}
        if all(bool(torch.isfinite(t).all()) for t in tensors.values()):
            self.family.check_parameters(tensors)


@dataclass(frozen=True)
class LabelRange:
    """An observed variable whose values are classes.

    Args:
        variable: its name.
        family: the distribution.
        parameter: the parameter over the classes.
        classes: how many it has.
        origin: the density, for the caret.
    """

    variable: str
    family: Family
    parameter: str
    classes: int
    origin: Basic | None

    def check(self, value: Tensor) -> None:
        """Refuse a class that the parameters do not have.

        Raises:
            SupportError: with the classes found and those that there are.
        """
        self.family.check_support(value, self.variable, {self.parameter: torch.empty(self.classes)})
