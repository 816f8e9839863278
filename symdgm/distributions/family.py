"""Parametric families: the interface of a distribution from a few formulas over tensors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Never

import torch
from torch import Tensor

from symdgm.distributions.distribution import SampleAxes, batch_axes, read_values
from symdgm.distributions.enumeration import BUDGET, combinations, count
from symdgm.distributions.parametric import Parametric
from symdgm.distributions.potential import check_budget
from symdgm.distributions.shapes import (
    Shape,
    element_shapes,
    join_leading,
    leading_of,
    read_batch,
    read_shape,
    same_elements,
    show,
)
from symdgm.distributions.support import check_finite
from symdgm.errors import ParameterError, ShapeError, refuse_unknown


class Family(Parametric):
    """A distribution over one variable whose density is a formula of its parameters.

    A family states its formulas (`draw`, `log_density`, `entropy_at`, `mean_at`, `variance_at`) as functions
    of tensors which check nothing, and the ranges of its parameters (`constraints`) and values (`support`) as
    data.

    Args:
        declaration: the name, the variable and its conditions, such as ``q(z|x)``.
        network: gives all parameters that are not written by name, from the given variables: one tensor, a
            tuple in the order of `parameter_names`, or a dict. A subclass may define `forward` instead. The
            weights of modules that a plain function merely uses are not seen; pass the module.
        event_shape: the shape of one value without its batch, where numbers alone leave it open.
        parameters: by name a number, a tensor (kept as a buffer), an `nn.Parameter` (trained), or a network.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.
    """

    @abstractmethod
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of the full ``shape`` ``[*samples, batch, *event]``."""

    @abstractmethod
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element; the axes of `event_rank` are summed, no others."""

    @abstractmethod
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The entropy of each element, in nats."""

    @abstractmethod
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The mean at given parameters."""

    @abstractmethod
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The variance at given parameters."""

    @property
    def finite(self) -> bool:
        """Whether each element has finitely many values, the same whatever is given."""
        return False

    def element_values(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """All values of one element, ``[K, *tail]``, where they are `finite`."""
        raise self._refuse(
            "finite support, so its values cannot be listed", "draw them, as by `sample(shape=1000)`"
        )

    def enumerate_support(self, given: Mapping[str, Tensor] | None = None, *, budget: int = BUDGET) -> Tensor:
        """All values of the variable, ``[K, *event]``, the last element running fastest.

        Args:
            given: the conditions by name, each ``[batch, *event]``.
            budget: the most values that are listed, 65536 by default.

        Raises:
            NotSupportedError: the support is not finite, or larger than the budget.

        Example:
            >>> from symdgm.distributions import Binomial
            >>> Binomial("p(x)", total_count=2, probs=0.5, event_shape=()).enumerate_support()
            tensor([0., 1., 2.])
        """
        parameters, _, elements = self.evaluate(given)
        return self.values_at(parameters, elements, budget, self.described)

    def values_at(
        self, parameters: Mapping[str, Tensor], elements: torch.Size | None, budget: int, owner: str
    ) -> Tensor:
        """All values ``[K, *event]``, from what `evaluate` gave.

        Args:
            parameters: by name.
            elements: over which elements they hold.
            budget: the most values that are listed.
            owner: whose budget it is, for errors.
        """
        values = self.element_values(parameters)
        event = self.event_at(elements, parameters)
        split = event[: len(event) - self.event_rank]
        check_budget(count(values, split), budget, self.variable, owner)
        return combinations(values, split)

    def check_support(
        self, value: Tensor, variable: str, parameters: Mapping[str, Tensor] | None = None
    ) -> None:
        """Refuse values without a density.

        Args:
            value: values of the variable.
            variable: how it is called in errors.
            parameters: the parameters, where the support depends on them; else those that no network gives,
                and an end that a network gives is not looked at.

        Raises:
            ShapeError: the dtype is not one that the family takes.
            SupportError: values lie outside the support, or are NaN.
        """
        known = self._constant_tensors(self._anchor) if parameters is None else parameters
        self.support.check(value, variable, self.described, known)

    def parameters_at(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        sample_axes: SampleAxes | None = None,
        like: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The parameters at given values of the conditions.

        Args:
            given: the conditions by name, each ``[*samples, batch, *event]``.
            sample_axes: how many sample axes each condition has before its batch axis.
            like: a floating tensor whose dtype and device numbers take, where no parameter is a tensor.

        Returns:
            By name: from networks ``[*samples, batch, *event]``, constants without a batch.

        Example:
            >>> from symdgm.distributions import Normal
            >>> q = Normal("q(z|x)", lambda x: (2 * x, x.exp()))
            >>> q.parameters_at({"x": torch.zeros(3, 1)})["scale"].shape
            torch.Size([3, 1])
        """
        return self.evaluate(given, sample_axes=sample_axes, like=like)[0]

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
        """Draw ``{variable: [*shape, batch, *event]}``; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        batch = read_batch(n, self.given, self.described)
        parameters, leading, elements = self.evaluate(given, sample_axes=sample_axes)
        if check:
            with self._blaming(given or {}):
                self.check_parameters(parameters)
        full = read_shape(shape, "shape") + (leading or batch) + self.event_at(elements, parameters)
        return {self.variable: self.draw(parameters, full, generator)}

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log-density ``[*samples, batch]``; see `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """The log-density, and the sample axes of the value, which follow from its event."""
        given = read_values(values, self.variables + self.given, self.described)
        axes = batch_axes(self.variables + self.given, sample_axes, self.described)[self.variable]
        value = given.pop(self.variable)
        inner = {name: count for name, count in (sample_axes or {}).items() if name != self.variable}
        parameters, leading, elements = self.evaluate(given, sample_axes=inner, like=value)
        if elements is None:  # numbers alone: the value says over which elements they hold
            elements = value.shape[axes:]
        with self._blaming(given):
            log_prob = self.score_at(value, parameters, leading, elements, check)
        return log_prob, {self.variable: value.ndim - len(self.event_at(elements, parameters)) - 1}

    def score_at(
        self,
        value: Tensor,
        parameters: Mapping[str, Tensor],
        leading: torch.Size,
        elements: torch.Size,
        check: bool = True,
    ) -> Tensor:
        """The log-density ``[*samples, batch]`` at what `evaluate` gave, so that no network runs again.

        Args:
            value: ``[*samples, batch, *event]``.
            parameters: by name.
            leading: the leading axes that the parameters of networks carry.
            elements: over which elements the parameters hold.
            check: whether the support and the parameters are checked.
        """
        self.check_value_shape(value, leading, self.event_at(elements, parameters))
        if check:
            self.check_support(value, self.variable, parameters)
            self.check_parameters(parameters)
        return _sum_last(self.log_density(value, parameters), len(elements))

    @contextmanager
    def _blaming(self, given: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside, wrong parameters are the fault of a condition that is not finite, if there is one."""
        try:
            yield
        except ParameterError:
            for name, value in given.items():
                check_finite(value, name, self.described)
            raise

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The entropy ``[batch]`` in nats, summed over the event."""
        parameters, leading, elements = self.evaluate(given, sample_axes=sample_axes)
        rank = self.event_rank
        event = self.event_at(elements, parameters)
        entropy = self.entropy_at(parameters).expand(
            (leading or torch.Size([1])) + event[: len(event) - rank]
        )
        return _sum_last(entropy, len(event) - rank)

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean ``{variable: [batch, *event]}``."""
        parameters, leading, elements = self.evaluate(given, sample_axes=sample_axes)
        full = (leading or torch.Size([1])) + self.event_at(elements, parameters)
        return {self.variable: self.mean_at(parameters).expand(full)}

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The elementwise variance ``{variable: [batch, *event]}``."""
        parameters, leading, elements = self.evaluate(given, sample_axes=sample_axes)
        full = (leading or torch.Size([1])) + self.event_at(elements, parameters)
        return {self.variable: self.variance_at(parameters).expand(full)}

    def evaluate(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        sample_axes: SampleAxes | None = None,
        like: Tensor | None = None,
    ) -> tuple[dict[str, Tensor], torch.Size, torch.Size | None]:
        """The parameters, the leading axes of the conditions, and over which elements the parameters hold.

        The arguments are those of `parameters_at`. The elements are None where numbers alone leave them open.
        """
        values = read_values({} if given is None else given, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        leading = leading_of(values, axes)
        found: dict[str, Tensor] = {}
        for source in self.sources:
            found |= source.parameters(values, axes)
        elements = self._elements(found, leading)
        return found | self._constant_tensors(self._like(found, like)), leading, elements

    def _like(self, found: Mapping[str, Tensor], like: Tensor | None) -> Tensor:
        floating = like if like is not None and like.is_floating_point() else self._anchor
        return next(iter(found.values()), floating)

    def _elements(self, found: Mapping[str, Tensor], leading: torch.Size) -> torch.Size | None:
        known = self.event_shape
        if not found:
            return None if known is None else known[: len(known) - self.event_rank]
        shapes = element_shapes(found, self.parameter_ranks, leading, self.described)
        shapes |= element_shapes(self._fixed_tensors(), self.parameter_ranks, torch.Size(), self.described)
        return same_elements(shapes, self.described) or torch.Size()

    def event_at(self, elements: torch.Size | None, parameters: Mapping[str, Tensor]) -> torch.Size:
        """The shape of one value, from what `evaluate` gave."""
        if elements is None:
            raise ShapeError(
                f"{self.described} has numbers for parameters, which do not say how many elements there are",
                hint="give `event_shape=`, such as `event_shape=16`, or `event_shape=()` for a scalar",
            )
        return elements + self._required_tail(parameters)

    def _required_tail(self, parameters: Mapping[str, Tensor]) -> torch.Size:
        return self._tail(parameters) or torch.Size()

    def check_value_shape(self, value: Tensor, leading: torch.Size, event: torch.Size) -> None:
        """Refuse a value of another event shape, or of another batch than the parameters.

        Args:
            value: ``[*samples, batch, *event]``.
            leading: the leading axes of the parameters.
            event: the shape of one value.
        """
        split = value.ndim - len(event)
        if split < 1 or value.shape[split:] != event:
            raise ShapeError(
                f"{self.variable} has shape {show(value.shape)}, but {self.described} is over "
                f"[batch, *event] with the event {show(event)}",
                hint="nothing is broadcast: reshape the values, or give parameters of their shape",
            )
        try:
            join_leading([value.shape[:split], leading])
        except ShapeError as error:
            raise ShapeError(
                f"{self.variable} has shape {show(value.shape)}, but the parameters of {self.described} "
                f"are for the batch {show(leading)}",
                hint=error.hint,
            ) from None


def _sum_last(tensor: Tensor, count: int) -> Tensor:
    """The sum over the last axes; over none of them, the tensor itself."""
    return tensor.flatten(-count).sum(-1) if count else tensor
