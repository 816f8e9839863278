"""A distribution at data: some of its conditions are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Never, final

import torch
from torch import Tensor, nn

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.notation import Notation
from symdgm.distributions.shapes import Shape, read_batch, show
from symdgm.errors import DataError, NameResolutionError, OptionError, ParameterError, refuse_unknown, suggest


@final
class Conditioned(Distribution):
    """A distribution whose conditions are, in part or all, fixed at data.

    Its batch is that of the data. The data follow `.to(...)`; they are no weights, so that no file of weights
    holds them.

    Args:
        base: the distribution.
        data: the fixed conditions by name, each ``[batch, *event]``; a parameter is trained.

    Raises:
        NameResolutionError: a name is no condition.
        DataError: batch sizes differ, or a value has no batch.
        ParameterError: a value requires a gradient but is no parameter.
    """

    def __init__(self, base: Distribution, data: Mapping[str, Tensor]) -> None:
        for name in data:
            if name not in base.given:
                raise NameResolutionError(f"{base} is not given `{name}`", hint=suggest(name, base.given))
        rest = tuple(name for name in base.given if name not in data)
        super().__init__(Declaration(base.name, base.variables, rest))
        self.base = base
        self.fixed = tuple(name for name in base.given if name in data)
        values = read_values(data, self.fixed, f"{type(base).__name__} {base}")
        _check_batch(values, str(base))
        for i, (name, value) in enumerate(values.items()):
            _register(self, f"data_{i}", name, value)

    @property
    def data(self) -> dict[str, Tensor]:
        """The fixed conditions, as they are now."""
        return {name: getattr(self, f"data_{i}") for i, name in enumerate(self.fixed)}

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"{type(self.base).__name__} {self.base} at {', '.join(self.fixed)}"

    @property
    def factors(self) -> tuple[Distribution, ...]:
        """The factors of the base."""
        return self.base.factors

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of the base."""
        return self.base.sources

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
        """Draw for each row of the data; one row is repeated ``n`` times. See `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        values = self._with_data(given, self.given)
        if n is not None:
            values = self._repeated(values, n)
        axes = self._axes(sample_axes, self.given)
        return self.base.sample(values, shape=shape, generator=generator, sample_axes=axes, check=check)

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """See `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """See `Distribution.score`."""
        names = self.variables + self.given
        whole = self._with_data(values, names)
        return self.base.score(whole, sample_axes=self._axes(sample_axes, names), check=check)

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """See `Distribution.entropy`."""
        axes = self._axes(sample_axes, self.given)
        return self.base.entropy(self._with_data(given, self.given), sample_axes=axes)

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """See `Distribution.mean`."""
        axes = self._axes(sample_axes, self.given)
        return self.base.mean(self._with_data(given, self.given), sample_axes=axes)

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """See `Distribution.variance`."""
        axes = self._axes(sample_axes, self.given)
        return self.base.variance(self._with_data(given, self.given), sample_axes=axes)

    def parameters_at(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """See `Distribution.parameters_at`."""
        axes = self._axes(sample_axes, self.given)
        return self.base.parameters_at(self._with_data(given, self.given), sample_axes=axes)

    def renamed(self, declaration: Declaration) -> Distribution:
        """The renamed base at the same data; a fixed condition gives way to a new name."""
        old, new = self.variables + self.given, declaration.variables + declaration.given
        names = dict(zip(old, new, strict=True))
        for name in self.fixed:
            free = name
            while free in names.values():
                free += "'"
            names[name] = free
        base = self.base.rename(names).named(declaration.name)
        return Conditioned(base, {names[name]: value for name, value in self.data.items()})

    def written(self, notation: Notation) -> str:
        """The base at its data."""
        return notation.head(self.base.declaration)

    def __repr__(self) -> str:
        data = ", ".join(f"{name} {show(value.shape)}" for name, value in self.data.items())
        return f"{self.base!r} at {data}"

    def _with_data(self, values: Mapping[str, Tensor] | None, names: tuple[str, ...]) -> dict[str, Tensor]:
        return read_values({} if values is None else values, names, self.described) | self.data

    def _axes(self, sample_axes: SampleAxes | None, names: tuple[str, ...]) -> dict[str, int]:
        batch_axes(names, sample_axes, self.described)  # refuses unknown names
        return dict(sample_axes or {})

    def _repeated(self, values: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
        read_batch(n, self.given, self.described)
        rows = len(next(iter(self.data.values())))
        if rows not in (1, n):
            raise OptionError(
                f"`n` is {n}, but {self.described} has a batch of {rows} rows of data",
                hint=f"leave `n` out, or draw several times for each row with `shape=({n},)`",
            )
        return {name: value.expand(n, *value.shape[1:]) for name, value in values.items()}


def _check_batch(values: Mapping[str, Tensor], owner: str) -> None:
    sizes = {value.shape[0] if value.ndim else 0 for value in values.values()}
    if len(sizes) > 1 or 0 in sizes:
        table = ", ".join(f"{name} {show(value.shape)}" for name, value in values.items())
        raise DataError(
            f"the data at which {owner} is taken do not fit together: {table}", hint="each is [batch, *event]"
        )


def _register(module: nn.Module, attribute: str, name: str, value: Tensor) -> None:
    if isinstance(value, nn.Parameter):
        module.register_parameter(attribute, value)
    elif value.requires_grad:
        raise ParameterError(
            f"`{name}` requires a gradient but is no `nn.Parameter`",
            hint=f'pass it in the call, as `{{"{name}": {name}}}`, or `detach()` it',
        )
    else:
        module.register_buffer(attribute, value, persistent=False)
