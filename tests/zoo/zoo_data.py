"""What the tests of the zoo share: digits, and how a trained model is judged."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from sklearn.svm import SVC
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.data import binarize, digits
from symdgm.distributions import Distribution
from symdgm.model import Model

DRAWS = 16


class Images(NamedTuple):
    """Binary images ``[N, 64]`` and one-hot labels ``[N, 10]``."""

    x: Tensor
    y: Tensor


@cache
def binary_digits() -> tuple[Images, Images]:
    """To train on, and to report; binarised once."""
    parts, noise = digits(), torch.Generator().manual_seed(2014)
    train, test = (
        Images(binarize(part.images, noise), one_hot(part.labels, 10).float())
        for part in (parts.train, parts.test)
    )
    return train, test


@cache
def reader() -> SVC:
    """A support vector machine that reads grey digits; it is right on 98% of the test images."""
    part = digits().train
    return SVC(C=10).fit(part.images.numpy(), part.labels.numpy())


def legible(images: Tensor, labels: Tensor) -> float:
    """The share of drawn images that show what they should."""
    return float((reader().predict(images.detach().numpy()) == labels.numpy()).mean())


def small_batch(seed: int = 0) -> Images:
    """Five images of twelve pixels with one of three labels, in double precision."""
    noise = torch.Generator().manual_seed(seed)
    x = torch.bernoulli(torch.full((5, 12), 0.5, dtype=torch.float64), generator=noise)
    return Images(x, one_hot(torch.tensor([0, 2, 1, 1, 0]), 3).double())


def networks(model: Model) -> dict[str, torch.nn.Module]:
    """The networks of a model by their name in the equation."""
    return model.objective.bound.environment.networks


def factors(model: Model) -> dict[str, Distribution]:
    """The distributions of a model by their head."""
    return {str(f.distribution): f.distribution for f in model.objective.bound.environment.factors}


def report(model: Model, **data: Tensor) -> float:
    """The objective on data, averaged over draws."""
    torch.manual_seed(7)
    with torch.no_grad():
        return sum(float(model.objective(data)) for _ in range(DRAWS)) / DRAWS


def assert_same(model: Model, written: Tensor, found: Tensor) -> None:
    """Value and all gradients agree."""
    parameters = list(model.parameters())
    torch.testing.assert_close(found, written, rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(value, parameters) for value in (found, written))
    for a, b in zip(ours, theirs, strict=True):
        assert b.abs().max() > 0
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
