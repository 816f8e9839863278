"""The empirical distribution of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Never

import torch
from torch import Tensor

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, read_values
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.shapes import Shape, read_batch, read_shape, show
from symdgm.errors import DataError, ParameterError, refuse_unknown


class Data(Distribution):
    r"""The data distribution: its variables are observed.

    .. math:: p_\text{data}(x) = \frac1N \sum_{n=1}^N \delta(x - x^{(n)})

    Args:
        declaration: such as ``data(x)`` or ``p_data(x, y)``.
        tensors: rows to sample from, by variable, each ``[N, *event]``, or those of the only variable;
            without them the distribution only says which variables are observed.
        size: how many rows the data have, where they are not given; with it, the density of an aggregated
            posterior is estimated by stratified sampling.
        named: the same by keyword.

    Raises:
        ParameterError: the declaration has conditions.
        DataError: rows are given for some variables only, or without their names, or their numbers differ; or
            ``size`` is no number of rows.

    Example:
        >>> data = Data("data(x)", x=torch.tensor([[1.0], [3.0]]))
        >>> data.sample(n=4)["x"].shape, data.mean()["x"]
        (torch.Size([4, 1]), tensor([[2.]]))
    """

    family: ClassVar[str] = "Data"

    def __init__(
        self,
        declaration: str | Declaration,
        tensors: Mapping[str, Tensor] | Tensor | None = None,
        /,
        size: int | None = None,
        **named: Tensor,
    ) -> None:
        super().__init__(declaration)
        self.described = f"{self.family} {self.declaration.text}"
        if self.given:
            raise ParameterError(
                f"{self.described} has conditions, which data does not",
                hint="declare all observed variables: `data(x, y)`",
            )
        rows = {**self._by_variable(tensors), **named}
        self._has_rows = bool(rows)
        if rows:
            self._register_rows(read_values(rows, self.variables, self.described))
        self.size = self._checked_size(size)

    def _checked_size(self, size: int | None) -> int | None:
        """The number of rows, as they are or as it is said."""
        own = len(next(iter(self.rows.values()))) if self._has_rows else None
        whole = isinstance(size, int) and not isinstance(size, bool) and size > 1
        if size is not None and (not whole or own not in (None, size)):
            raise DataError(
                f"{self.described} cannot have the size {size!r}" + (f": it has {own} rows" if own else ""),
                hint="give the number of rows of the whole data set, or leave it out",
            )
        return size if own is None else own

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """None: data come from no network."""
        return ()

    @property
    def rows(self) -> dict[str, Tensor]:
        """The data by variable, each ``[N, *event]``; empty if there is none."""
        if not self._has_rows:
            return {}
        return {name: self.get_buffer(f"rows_{i}") for i, name in enumerate(self.variables)}

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
        """Rows drawn with replacement, the same rows for all variables; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        read_values(given or {}, (), self.described)
        rows = self._required_rows("draws")
        outer = read_shape(shape, "shape") + read_batch(n, (), self.described)
        first = rows[self.variables[0]]
        index = torch.randint(len(first), outer, generator=generator, device=first.device)
        return {name: tensor[index] for name, tensor in rows.items()}

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """Refused: points have no density."""
        raise self._refuse("density", "fit a distribution to the data, and ask that for its `log_prob`")

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """Refused: points have no density."""
        raise self._refuse("entropy", "it is a constant of the data: leave it out of an objective")

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean over the rows, ``[1, *event]``."""
        read_values(given or {}, (), self.described)
        return {name: rows.mean(0, keepdim=True) for name, rows in self._floating_rows("mean").items()}

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The variance over the rows (divided by N), ``[1, *event]``."""
        read_values(given or {}, (), self.described)
        rows = self._floating_rows("variance")
        return {name: tensor.var(0, correction=0, keepdim=True) for name, tensor in rows.items()}

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {show(rows.shape)}" for name, rows in self.rows.items())
        return f"{self.described} with {shapes}" if shapes else self.described

    def _by_variable(self, tensors: object) -> Mapping[str, Tensor]:
        if tensors is None:
            return {}
        if isinstance(tensors, Mapping):
            return tensors
        if isinstance(tensors, Tensor) and len(self.variables) == 1:
            return {self.variables[0]: tensors}
        example = ", ".join(f'"{name}": {name}' for name in self.variables)
        raise DataError(
            f"{self.described} got a {type(tensors).__name__} in place of rows by variable",
            hint=f'write `Data("{self.declaration.text}", {{{example}}})`',
        )

    def _register_rows(self, rows: Mapping[str, Tensor]) -> None:
        if len({len(tensor) if tensor.ndim else 0 for tensor in rows.values()} | {0}) != 2:
            table = ", ".join(f"{name} {show(tensor.shape)}" for name, tensor in rows.items())
            raise DataError(
                f"the rows of {self.described} do not belong together: {table}",
                hint="every variable is [N, *event] with one N, at least 1",
            )
        # Buffers follow `.to(device)`; they are data, not weights, so no file of weights holds them. They are
        # numbered, since a variable such as `x_{1:T}` is no attribute name.
        for i, tensor in enumerate(rows.values()):
            self.register_buffer(f"rows_{i}", tensor.detach(), persistent=False)

    def _required_rows(self, what: str) -> dict[str, Tensor]:
        if not self._has_rows:
            example = ", ".join(f'"{name}": {name}' for name in self.variables)
            raise self._refuse(f"{what}: no rows were given", f'pass them: `Data("{self}", {{{example}}})`')
        return self.rows

    def _floating_rows(self, what: str) -> dict[str, Tensor]:
        rows = self._required_rows(what)
        for name, tensor in rows.items():
            if not tensor.is_floating_point():
                raise self._refuse(
                    f"{what} of {name}, which has dtype {tensor.dtype}", f"give `{name}.float()`"
                )
        return rows


Empirical = Data
"""Another name of `Data`."""
