"""A value that is a function of what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Never

import torch
from torch import Tensor

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.networks import (
    Network,
    NetworkSource,
    check_own_forward,
    label_of,
    register_network,
    takes_by_name,
)
from symdgm.distributions.shapes import Shape, leading_of, read_batch, read_shape, show
from symdgm.errors import ParameterError, ShapeError, refuse_unknown

NETWORK = "network"


class Deterministic(Distribution):
    r"""The value of a network: ``x = f(z)`` with certainty.

    .. math:: p(x \mid z) = \delta(x - f(z))

    It can be sampled, and gradients pass through; it has no density.

    Args:
        declaration: such as ``g(x|z)``; several variables are returned as a tuple in order, or as a dict.
        network: returns the value; a subclass may define `forward` instead.

    Raises:
        ParameterError: there is no network, or two.

    Example:
        >>> g = Deterministic("g(x|z)", lambda z: 2 * z)
        >>> g.sample({"z": torch.ones(2, 1)})
        {'x': tensor([[2.],
                [2.]])}
    """

    family: ClassVar[str] = "Deterministic"

    def __init__(self, declaration: str | Declaration, network: Network | None = None, /) -> None:
        super().__init__(declaration)
        self.described = f"{self.family} {self.declaration.text}"
        self._registered = network is not None
        if network is None and not self._has_own_forward():
            raise ParameterError(
                f"{self.described} has no network", hint="pass a network that returns the value"
            )
        if network is not None and self._has_own_forward():
            raise ParameterError(
                f"{self.described} has a network, and {type(self).__name__} also defines `forward`",
                hint="give one of the two",
            )
        if network is not None:
            register_network(self, NETWORK, network, self.given, self.described)
        else:
            check_own_forward(self, self.given, self.described)
        self._by_keyword = network is None and takes_by_name(self, self.given)

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The one network; what it gives are the variables themselves."""
        call: Network = getattr(self, NETWORK) if self._registered else self
        names = self.variables
        return (
            NetworkSource(
                label_of(call),
                call,
                self.given,
                self._by_keyword,
                None,
                (names,),
                self.described,
                any_dtype=True,
            ),
        )

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
        """The value, repeated over sample axes; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        batch = read_batch(n, self.given, self.described)
        values, leading = self._evaluate(given, sample_axes)
        outer = read_shape(shape, "shape") + (leading or batch)
        return {name: value.expand(outer + value.shape[len(leading) :]) for name, value in values.items()}

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """Refused: there is no density."""
        hint = "measure a distance, such as `||x - f(z)||^2`, or put a Normal around the value"
        raise self._refuse("density", hint)

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """Refused: the entropy of a certain value is minus infinity."""
        raise self._refuse("entropy (it is minus infinity)", "put a Normal around the value")

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The value itself."""
        return self.sample(given, sample_axes=sample_axes)

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """Zero."""
        return {
            name: torch.zeros_like(value) for name, value in self.mean(given, sample_axes=sample_axes).items()
        }

    def __repr__(self) -> str:
        return f"{self.described} with network {self.sources[0].label}"

    def _evaluate(
        self, given: Mapping[str, Tensor] | None, sample_axes: SampleAxes | None
    ) -> tuple[dict[str, Tensor], torch.Size]:
        conditions = read_values({} if given is None else given, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        leading = leading_of(conditions, axes)
        (source,) = self.sources
        values = source.parameters(conditions, axes)
        for name, value in values.items():
            if value.shape[: len(leading)] != leading:
                raise ShapeError(
                    f"{source.text} returned {name} of shape {show(value.shape)} for a batch {show(leading)}",
                    hint="a network keeps the batch as the first axis of all that it returns",
                )
        return {name: values[name] for name in self.variables}, leading
