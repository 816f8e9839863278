"""Labelled rows in three parts: to train on, to choose by, to report."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Labelled(NamedTuple):
    """Images and what they show.

    Args:
        images: ``[N, features]``, or ``[N, height, width]``, floats in [0, 1].
        labels: ``[N]``, int64, 0 to 9.
    """

    images: Tensor
    labels: Tensor

    def __repr__(self) -> str:
        """One line with the sizes; a million pixels would flood a page."""
        return f"Labelled(images {list(self.images.shape)}, labels {list(self.labels.shape)})"


class Splits(NamedTuple):
    """A data set in its fixed split.

    Args:
        train: to train on.
        validation: to choose by.
        test: to report, once.
    """

    train: Labelled
    validation: Labelled
    test: Labelled

    def __repr__(self) -> str:
        """One line with the numbers of rows and the shape of an image."""
        parts = ", ".join(f"{name} {len(part.labels)}" for name, part in zip(self._fields, self, strict=True))
        return f"Splits({parts} rows, images {list(self.train.images.shape[1:])})"


def split(images: Tensor, labels: Tensor, train: int, validation: int) -> Splits:
    """The first ``train`` rows, the next ``validation`` rows, and the rest."""
    parts = [slice(0, train), slice(train, train + validation), slice(train + validation, None)]
    first, second, third = (Labelled(images[part], labels[part]) for part in parts)
    return Splits(first, second, third)
