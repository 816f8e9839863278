"""What every distribution can be asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Never

import torch
from torch import Tensor, nn

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.shapes import Shape
from symdgm.distributions.spelling import spell
from symdgm.errors import DataError, NameResolutionError, NotSupportedError, OptionError, suggest

SampleAxes = Mapping[str, int]
"""For a variable, the number of sample axes that stand before its batch axis; 0 where it is not named."""


class Distribution(nn.Module, ABC):
    """A distribution over named variables, given other named variables.

    Values are dicts from a variable to a tensor ``[*samples, batch, *event]``. A distribution that is given
    nothing has a batch of one unless ``n`` says otherwise. It keeps nothing between calls.

    Args:
        declaration: the name, variables and conditions, such as ``q(z|x)``.
    """

    def __init__(self, declaration: str | Declaration) -> None:
        super().__init__()
        read = declaration if isinstance(declaration, Declaration) else Declaration.parse(declaration)
        self.declaration = read

    @property
    def name(self) -> str:
        """The name in front of the bracket, such as ``q_phi``."""
        return self.declaration.name

    @property
    def variables(self) -> tuple[str, ...]:
        """The random variables, in declared order."""
        return self.declaration.variables

    @property
    def given(self) -> tuple[str, ...]:
        """The conditioning variables, in declared order."""
        return self.declaration.given

    @property
    @abstractmethod
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks that give parameters or values, each with what it is called on; empty without one."""

    @abstractmethod
    def sample(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        n: int | None = None,
        shape: Shape = (),
        generator: torch.Generator | None = None,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> dict[str, Tensor]:
        """Draw a value of every variable, differentiable by the parameters where the family is continuous.

        Args:
            given: the conditions by name, each ``[batch, *event]``.
            n: the batch size, for a distribution that is given nothing; 1 by default.
            shape: sample axes to put before the batch: the result is ``[*shape, batch, *event]``.
            generator: the source of random numbers; the global one by default.
            sample_axes: for conditions that already have sample axes before their batch axis, how many.
            check: whether parameters are checked for their range, which reads them back from an accelerator.
            **unknown: refused, with the options that there are.
        """

    @abstractmethod
    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log-density ``[*samples, batch]``: summed over the event, never over batch or sample axes.

        Args:
            values: all variables and conditions by name.
            sample_axes: for values that have sample axes before their batch axis, how many; for the variable
                itself they follow from its event shape.
            check: whether values and parameters are checked for their support, which reads them back from an
                accelerator.
            **unknown: refused, with the options that there are.
        """

    @abstractmethod
    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The entropy ``[batch]`` in nats, summed over the event."""

    @abstractmethod
    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean of every variable, ``[batch, *event]``."""

    @abstractmethod
    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The elementwise variance of every variable, ``[batch, *event]``."""

    def prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The density ``[*samples, batch]``, the exponential of `log_prob`."""
        return self.log_prob(values, sample_axes=sample_axes, check=check, **unknown).exp()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """For subclasses: write it to return the parameters at the given variables."""
        raise NotSupportedError(
            f"the distribution {self} is not a function that can be called",
            hint="use `.sample(given)` or `.log_prob(values)`; a subclass may define `forward`",
        )

    def __str__(self) -> str:
        return self.declaration.text

    def _has_own_forward(self) -> bool:
        return type(self).forward is not Distribution.forward

    def _refuse(self, what: str, hint: str) -> NotSupportedError:
        return NotSupportedError(f"{type(self).__name__} {self} has no {what}", hint=hint)


def read_values(values: object, names: tuple[str, ...], owner: str) -> dict[str, Tensor]:
    """Named tensors in the order of ``names``, and nothing else.

    Raises:
        NameResolutionError: a name is missing or unknown.
        DataError: the values are no mapping, or one of them is no tensor.
    """
    if not isinstance(values, Mapping):
        example = ", ".join(f'"{name}": {name}' for name in names)
        raise DataError(
            f"{owner} got a {type(values).__name__} in place of named values", hint=f"write `{{{example}}}`"
        )
    found = {name if name in names else spell(str(name)): value for name, value in values.items()}
    for name in found:
        if name not in names:
            hint = suggest(name, names) if names else "it is given nothing"
            raise NameResolutionError(f"{owner} takes no value of `{name}`", hint=hint)
    for name in names:
        if name not in found:
            raise NameResolutionError(f"{owner} needs a value of `{name}`", hint=_received(found))
        if not isinstance(found[name], Tensor):
            raise DataError(
                f"{name} is a {type(found[name]).__name__}, not a tensor",
                hint=f"write `torch.as_tensor({name})`",
            )
    return {name: found[name] for name in names}


def _received(found: Mapping[str, object]) -> str:
    return f"it got {', '.join(f'`{name}`' for name in found)}" if found else "it got no values"


def batch_axes(names: tuple[str, ...], sample_axes: SampleAxes | None, owner: str) -> dict[str, int]:
    """The number of leading axes of each variable: its sample axes and the batch axis."""
    extra = dict(sample_axes or {})
    for name, count in extra.items():
        if name not in names:
            raise NameResolutionError(f"{owner} has no variable `{name}`", hint=suggest(name, names))
        if not isinstance(count, int) or count < 0:
            raise OptionError(
                f"`sample_axes` of {name} is {count!r}", hint="write a number of axes, 0 or more"
            )
    return {name: 1 + extra.get(name, 0) for name in names}
