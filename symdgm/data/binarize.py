"""Grey images as binary ones."""

from __future__ import annotations

import torch
from torch import Tensor

from symdgm.errors import DataError, OptionError
from symdgm.given import shown


def binarize(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws each pixel from a Bernoulli with its intensity as the mean: ``x ~ Bernoulli(images)``.

    Drawn once, the data are statically binarised (Salakhutdinov & Murray 2008); drawn anew for every batch,
    dynamically (Burda, Grosse & Salakhutdinov 2016).

    Args:
        images: any shape, floats in [0, 1].
        generator: the stream of the draws, on the device of ``images``; default: torch's own.

    Returns:
        Zeros and ones, of the same shape and dtype.

    Raises:
        DataError: if an intensity lies outside [0, 1].

    Example:
        >>> binarize(torch.tensor([0.0, 1.0]))
        tensor([0., 1.])
    """
    if not isinstance(images, Tensor):
        raise DataError(f"the images are {shown(images)}", hint="pass a tensor, `torch.as_tensor(images)`")
    if not isinstance(generator, torch.Generator | None):
        raise OptionError(f"`generator` is {shown(generator)}", hint="write a `torch.Generator()`")
    if not images.is_floating_point() or bool(((images < 0) | (images > 1) | images.isnan()).any()):
        raise DataError(
            "an intensity lies outside [0, 1]", hint="divide by the largest one, e.g. images / 255"
        )
    return torch.bernoulli(images, generator=generator)
