"""Sequences of different lengths in data: lists of sequences, and batches cut to their longest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import default_collate

from symdgm.errors import DataError

Ragged = Mapping[str, Sequence[str]]
"""The name of the lengths → the variables that have them; nothing where no variable is a sequence."""


def is_list(value: object) -> bool:
    """Whether a value is a list of sequences ``[steps, *event]``, which differ in their steps alone."""
    if (
        not isinstance(value, list)
        or len(value) < 2
        or not all(isinstance(v, (Tensor, np.ndarray)) for v in value)
    ):
        return False
    return all(v.ndim and v.shape[1:] == value[0].shape[1:] for v in value)


def padded(parts: Mapping[str, object], ragged: Ragged) -> dict[str, object]:
    """Data in which lists of sequences are tensors ``[N, time, *event]``, with their lengths.

    Args:
        parts: data by name.
        ragged: what has lengths.

    Raises:
        DataError: lists of different lengths, a sequence without steps, or lengths that are given twice.

    Example:
        >>> data = padded({"x": [torch.ones(2, 3), torch.ones(1, 3)]}, {"T": ["x"]})
        >>> data["x"].shape, data["T"]
        (torch.Size([2, 2, 3]), tensor([2, 1]))
    """
    found = dict(parts)
    for lengths, names in ragged.items():
        lists = {n: v for n in names if isinstance(v := parts.get(n), list) and is_list(v)}
        steps = {n: [len(sequence) for sequence in v] for n, v in lists.items()}
        if not lists:
            continue
        first, counts = next(iter(steps.items()))
        if lengths in parts:
            raise DataError(
                f"`{first}` is a list of sequences, which have their own lengths, but `{lengths}` is given"
            )
        if min(counts) == 0 or any(other != counts for other in steps.values()):
            raise DataError(
                f"the sequences of {', '.join(f'`{n}`' for n in lists)} differ in their steps, or have none",
                hint="all variables of one example have the same number of steps, at least one",
            )
        found |= {
            n: pad_sequence([torch.as_tensor(s).detach() for s in v], batch_first=True)
            for n, v in lists.items()
        }
        found[lengths] = torch.tensor(counts)
    return found


def cut(batch: dict[str, Tensor], ragged: Ragged) -> dict[str, Tensor]:
    """A batch without the steps beyond its longest sequence."""
    for lengths, names in ragged.items():
        if lengths in batch:
            longest = int(batch[lengths].max())
            batch |= {n: batch[n][:, :longest] for n in names if n in batch}
    return batch


def collated(items: Sequence[Any]) -> Any:
    """The items of a Dataset as a batch; tensors of different lengths stay a list."""
    first = items[0]
    if isinstance(first, Mapping):
        return {name: collated([item[name] for item in items]) for name in first}
    if isinstance(first, tuple):
        return tuple(collated(list(part)) for part in zip(*items, strict=True))
    if isinstance(first, Tensor) and len({item.shape for item in items}) > 1:
        return list(items)
    return default_collate(list(items))
