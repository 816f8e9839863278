"""Scikit-learn's handwritten digits: real images that are there without a download."""

from __future__ import annotations

import torch

from symdgm.data.splits import Splits, split
from symdgm.errors import DataError
from symdgm.given import switch

TRAIN, VALIDATION = 1397, 200
"""Rows to train on and to choose by; the other 200 are the test set."""

STRIDE = 7919
"""Row ``i`` of the shuffled set is row ``7919 i mod 1797``: mixed, and the same in every version."""


def digits(*, flat: bool = True) -> Splits:
    """The 1,797 images of 8×8 pixels of ten digits which come with scikit-learn.

    Args:
        flat: ``[N, 64]`` (the default) or ``[N, 8, 8]``.

    Returns:
        1,397 rows to train on, 200 for validation, 200 for the test; intensities k/16 in [0, 1], float32.

    Raises:
        DataError: if scikit-learn is not installed.

    Source:
        E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository
        (1998).

    Example:
        >>> data = digits()
        >>> tuple(data.train.images.shape), len(data.validation.images), len(data.test.images)
        ((1397, 64), 200, 200)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the digits come with scikit-learn", hint="pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    order = torch.arange(len(labels)) * STRIDE % len(labels)
    pixels = torch.as_tensor(images, dtype=torch.float32)[order] / 16
    shaped = pixels if switch("flat", flat) else pixels.reshape(-1, 8, 8)
    return split(shaped, torch.as_tensor(labels)[order], TRAIN, VALIDATION)
