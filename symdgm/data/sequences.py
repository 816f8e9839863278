"""Sequences of different lengths as padded tensors with their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from symdgm.errors import DataError
from symdgm.given import shown


class Ragged(NamedTuple):
    """Sequences of different lengths.

    Args:
        steps: ``[N, T, *event]``, zeros beyond each length; T is the longest length.
        lengths: ``[N]``, int64, from 1 to T.
    """

    steps: Tensor
    lengths: Tensor

    def __repr__(self) -> str:
        """One line with the sizes."""
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        sizes = f"{len(self.lengths)} sequences of {shortest} to {longest} steps"
        return f"Ragged({sizes}, {list(self.steps.shape)})"


class RaggedSplits(NamedTuple):
    """Sequences in a fixed split.

    Args:
        train: to train on.
        validation: to choose by.
        test: to report, once.
    """

    train: Ragged
    validation: Ragged
    test: Ragged


def ragged(sequences: Sequence[Tensor]) -> Ragged:
    """Sequences ``[T_i, *event]`` of one event shape and dtype as one padded tensor.

    Args:
        sequences: at least one, each with at least one step.

    Raises:
        DataError: there is none, one is empty, or their events differ.

    Example:
        >>> data = ragged([torch.ones(2, 3), torch.ones(1, 3)])
        >>> data.steps.shape, data.lengths
        (torch.Size([2, 2, 3]), tensor([2, 1]))
    """
    if not isinstance(sequences, Sequence) or not all(isinstance(s, Tensor) and s.dim() for s in sequences):
        raise DataError(
            f"the sequences are {shown(sequences)}", hint="pass a list of tensors [steps, *event]"
        )
    if not sequences:
        raise DataError("there are no sequences", hint="pass at least one")
    events = {(s.shape[1:], s.dtype) for s in sequences}
    if len(events) > 1 or any(len(s) == 0 for s in sequences):
        raise DataError(
            "the sequences have different events, or one has no steps",
            hint="each is [steps, *event], of one dtype",
        )
    lengths = torch.tensor([len(s) for s in sequences])
    return Ragged(pad_sequence(list(sequences), batch_first=True), lengths)
