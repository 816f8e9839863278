"""Data as an iterable of batches ``{name: [batch, *event]}``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, default_collate

from symdgm.errors import DataError, OptionError
from symdgm.training.forms import named, placed
from symdgm.training.ragged import Ragged, collated, cut

BATCH_SIZE = 128
"""Rows of a batch, where nothing else is said."""

RESIDENT_BYTES = 2**30
"""Data in memory up to this size are moved to the model's device once; larger data batch by batch."""


@dataclass(frozen=True)
class Layout:
    """How batches are cut from data, and where they go.

    Args:
        device: where the model's parameters are.
        dtype: the dtype to which floating data are cast.
        batch_size: rows of a batch.
        shuffle: whether the rows are drawn in a new random order in each epoch.
        drop_last: whether a smaller last batch is left out.
        asked: which of these a caller asked for; refused where they would have no effect.
        ragged: which variables are sequences, and the name of their lengths.
    """

    device: torch.device
    dtype: torch.dtype
    batch_size: int = BATCH_SIZE
    shuffle: bool = True
    drop_last: bool = False
    asked: tuple[str, ...] = ()
    ragged: Ragged = field(default_factory=dict)


class Batches(ABC):
    """A data set that can be gone through, epoch after epoch."""

    @property
    @abstractmethod
    def steps(self) -> int | None:
        """Batches in one epoch, or None where that is not known."""

    @property
    @abstractmethod
    def whole(self) -> Mapping[str, Tensor] | None:
        """All rows at once, where they are in memory."""

    @property
    @abstractmethod
    def order(self) -> torch.Generator | None:
        """The generator that decides the order of the rows, if it is not torch's own stream."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What decides the sequence of batches, in words; a resumed run must have the same."""

    @abstractmethod
    def __iter__(self) -> Iterator[dict[str, Tensor]]: ...


@final
class InMemory(Batches):
    """Rows in memory, cut by index: no row is ever touched alone."""

    def __init__(self, tensors: Mapping[str, Tensor], layout: Layout, seed: int) -> None:
        size = sum(value.nbytes for value in tensors.values())
        self.layout = layout
        self.tensors = (
            placed(tensors, layout.device, layout.dtype) if size <= RESIDENT_BYTES else dict(tensors)
        )
        self.rows = next(iter(tensors.values())).shape[0]
        self._generator = torch.Generator().manual_seed(seed)
        if self.steps == 0:
            raise DataError(
                f"`drop_last` leaves nothing: {self.rows} rows, batch_size={layout.batch_size}",
                hint="take a smaller batch_size",
            )

    @property
    def steps(self) -> int:
        """Batches in one epoch."""
        full, rest = divmod(self.rows, self.layout.batch_size)
        return full + (rest > 0 and not self.layout.drop_last)

    @property
    def whole(self) -> Mapping[str, Tensor]:
        """All rows, in the order in which they were given."""
        return self.tensors

    @property
    def order(self) -> torch.Generator | None:
        """A stream of its own, so that the order of the rows does not depend on the model's noise."""
        return self._generator if self.layout.shuffle else None

    @property
    def description(self) -> str:
        """The number of rows and how they are cut."""
        cut = self.layout
        options = f"batch_size={cut.batch_size}, shuffle={cut.shuffle}, drop_last={cut.drop_last}"
        return f"{self.rows} rows, {options}"

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = torch.randperm(self.rows, generator=self._generator) if self.layout.shuffle else None
        if order is not None:
            order = order.to(next(iter(self.tensors.values())).device)
        for step in range(self.steps):
            rows = slice(step * self.layout.batch_size, (step + 1) * self.layout.batch_size)
            batch = cut(self._cut(rows, order), self.layout.ragged)
            yield placed(batch, self.layout.device, self.layout.dtype)

    def _cut(self, rows: slice, order: Tensor | None) -> dict[str, Tensor]:
        if order is None:
            return {name: value[rows] for name, value in self.tensors.items()}
        index = order[rows]
        return {name: value.index_select(0, index.to(value.device)) for name, value in self.tensors.items()}


@final
class Loaded(Batches):
    """Batches that somebody else makes: a DataLoader or any iterable of batches."""

    def __init__(self, source: Iterable[Any], variables: Sequence[str], layout: Layout) -> None:
        self.source = source
        self.variables = variables
        self.layout = layout
        self._loader: DataLoader[Any] | None = source if isinstance(source, DataLoader) else None

    @property
    def steps(self) -> int | None:
        """The length of the source, if it has one."""
        if self._loader is not None and isinstance(self._loader.dataset, IterableDataset):
            return None
        return len(self.source) if isinstance(self.source, (DataLoader, Sequence)) else None

    @property
    def whole(self) -> None:
        """Never: the rows are seen batch by batch."""
        return

    @property
    def order(self) -> torch.Generator | None:
        """The DataLoader's own generator, if it was given one."""
        return None if self._loader is None else self._loader.generator

    @property
    def description(self) -> str:
        """How many batches there are, and who makes them."""
        number = "any number of" if self.steps is None else self.steps
        return f"{number} batches of a {type(self.source).__name__}"

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in self.source:
            found = cut(named(batch, self.variables, self.layout.ragged), self.layout.ragged)
            yield placed(found, self.layout.device, self.layout.dtype)


def as_batches(
    data: object, variables: Sequence[str], layout: Layout, *, seed: int, epochs: int = 1
) -> Batches:
    """Any accepted form of data as `Batches`.

    Args:
        data: tensors or NumPy arrays (one, a tuple in the order of ``variables``, or a mapping by name), a
            torch Dataset, a DataLoader, or any iterable of batches in one of these forms.
        variables: the names of the data variables.
        layout: how batches are cut, for data that do not come as batches already.
        seed: of the order of the rows.
        epochs: how often the data are gone through.

    Raises:
        DataError: if the data have no such form, or cannot be gone through ``epochs`` times.
        OptionError: if a layout is given for data that come as batches.
    """
    if isinstance(data, Dataset):
        tensors = _tensors(data)
        if tensors is None:
            return Loaded(_loader(data, layout, seed), variables, layout)
        data = tensors
    if isinstance(data, (Tensor, np.ndarray, Mapping)) or _is_parts(data):
        return InMemory(named(data, variables, layout.ragged), layout, seed)
    _check_iterable(data, epochs)
    if layout.asked:
        raise OptionError(
            f"`{layout.asked[0]}` has no effect on data that come as batches already",
            hint="leave it out, or set it where the batches are made",
        )
    return Loaded(cast("Iterable[Any]", data), variables, layout)


def _is_parts(data: object) -> bool:
    if not isinstance(data, (tuple, list)) or not data:
        return False
    return all(isinstance(part, (Tensor, np.ndarray)) for part in data)


def _tensors(dataset: Dataset[Any]) -> tuple[Tensor, ...] | None:
    """The tensors behind a TensorDataset or a subset of one; a subclass may do something of its own."""
    if type(dataset) is TensorDataset:
        return dataset.tensors
    if type(dataset) is not Subset:
        return None
    inner = _tensors(dataset.dataset)
    rows = torch.as_tensor(dataset.indices)
    return None if inner is None else tuple(value.index_select(0, rows.to(value.device)) for value in inner)


def _loader(dataset: Dataset[Any], layout: Layout, seed: int) -> DataLoader[Any]:
    streamed = isinstance(dataset, IterableDataset)
    if streamed and "shuffle" in layout.asked:
        raise OptionError(
            "`shuffle` has no effect on an IterableDataset, which decides its own order", hint="leave it out"
        )
    return DataLoader(
        dataset,
        batch_size=layout.batch_size,
        shuffle=not streamed and layout.shuffle,
        drop_last=layout.drop_last,
        generator=torch.Generator().manual_seed(seed),
        collate_fn=partial(_stacked, collated if layout.ragged else default_collate),
    )


def _stacked(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """The items of a Dataset as a batch.

    Raises:
        DataError: they cannot be put together.
    """
    try:
        return collate(items)
    except (TypeError, RuntimeError) as error:
        raise DataError(
            f"the items of the Dataset make no batch: {error}",
            hint="`__getitem__` returns a tensor, or a tuple or dict of them, of one shape for all items",
        ) from error


def _check_iterable(data: object, epochs: int) -> None:
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes)):
        raise DataError(
            f"a {type(data).__name__} is no data",
            hint="known: a tensor, a NumPy array, a tuple or dict of them, a Dataset, a DataLoader, batches",
        )
    if isinstance(data, Iterator) and epochs > 1:
        raise DataError(
            f"a {type(data).__name__} can be gone through only once, and there are {epochs} epochs",
            hint="give a list, a DataLoader, or an object whose __iter__ begins anew",
        )
