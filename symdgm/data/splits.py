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


def split(images: Tensor, labels: Tensor, train: int, validation: int) -> Splits:
    """The first ``train`` rows, the next ``validation`` rows, and the rest."""
    parts = [slice(0, train), slice(train, train + validation), slice(train + validation, None)]
    first, second, third = (Labelled(images[part], labels[part]) for part in parts)
    return Splits(first, second, third)
