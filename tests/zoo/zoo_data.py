"""What the tests of the zoo share: digits, and how a trained model is judged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from sklearn.svm import SVC
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.data import binarize, digits
from symdgm.distributions import Distribution, importance
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


class Grey(NamedTuple):
    """Grey images ``[N, 64]`` in [0, 1] and labels ``[N]`` of 0 … 9."""

    x: Tensor
    y: Tensor


@cache
def grey_digits() -> tuple[Grey, Grey]:
    """To train on, and to report."""
    parts = digits()
    return Grey(*parts.train), Grey(*parts.test)


def seen_digits(images: Tensor) -> Tensor:
    """The share of each of the ten digits among drawn images, as they are read."""
    read = torch.as_tensor(reader().predict(images.detach().numpy()))
    return torch.bincount(read, minlength=10) / len(images)


def distance_to_real(images: Tensor) -> float:
    """The mean distance to the nearest training image; test images have 1.05, independent pixels 2.2."""
    return float(torch.cdist(images.detach(), grey_digits()[0].x).min(1).values.mean())


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


def log_likelihood(model: Model, x: Tensor, p: str = "p", q: str = "q", k: int = 500) -> float:
    """log p(x), averaged over images, by importance sampling with k draws."""
    laws, noise = factors(model), torch.Generator().manual_seed(3)
    joint = laws[f"{p}(x|z)"] * laws[f"{p}(z)"]
    with torch.no_grad():
        found = importance(joint, laws[f"{q}(z|x)"], {"x": x}, k=k, chunk=100, generator=noise)
    return float(found.value.mean())


def assert_same(
    model: Model, written: Tensor, found: Tensor, parameters: Sequence[Tensor] | None = None
) -> None:
    """Value and all gradients agree, or those by some parameters."""
    parameters = list(model.parameters()) if parameters is None else parameters
    torch.testing.assert_close(found, written, rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(value, parameters) for value in (found, written))
    for a, b in zip(ours, theirs, strict=True):
        assert b.abs().max() > 0
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
