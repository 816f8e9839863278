"""The digits in their fixed split, and binary images."""

import builtins

import pytest
import torch
from sklearn.datasets import load_digits

from symdgm.data import binarize, digits
from symdgm.errors import DataError


def test_every_digit_is_in_exactly_one_part():
    images, labels = load_digits(return_X_y=True)
    data = digits()
    joined = torch.cat([part.images for part in data])
    assert [len(part.images) for part in data] == [1397, 200, 200]
    assert sorted(map(tuple, (joined * 16).int().tolist())) == sorted(map(tuple, images.astype(int).tolist()))
    assert torch.cat([part.labels for part in data]).bincount().tolist() == [
        sum(labels == k) for k in range(10)
    ]


def test_a_split_prints_in_one_line():
    data = digits()
    assert repr(data) == "Splits(train 1397, validation 200, test 200 rows, images [64])"
    assert repr(data.test) == "Labelled(images [200, 64], labels [200])"


def test_the_split_is_fixed_and_mixed():
    images, labels = load_digits(return_X_y=True)
    data = digits()
    assert data.train.images[1].tolist() == (images[7919 % 1797] / 16).tolist()
    assert data.train.labels[1] == labels[7919 % 1797]
    assert min(data.test.labels.bincount(minlength=10)) >= 10


def test_forms():
    data = digits()
    assert data.train.images.dtype == torch.float32 and data.train.labels.dtype == torch.int64
    assert 0 == data.train.images.min() < data.train.images.max() == 1
    assert torch.equal(digits(flat=False).test.images.flatten(1), data.test.images)


def test_without_scikit_learn(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match="the digits come with scikit-learn\npip install scikit-learn"):
        digits()


def test_binarize():
    intensity = torch.tensor([0.0, 0.25, 0.9, 1.0], dtype=torch.float64).expand(40_000, 4)
    drawn = binarize(intensity, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.float64 and set(drawn.unique().tolist()) == {0.0, 1.0}
    # Within 4.5 standard errors, sqrt(p (1 - p) / n).
    error = (drawn.mean(0) - intensity[0]).abs()
    assert bool((error <= 4.5 * (intensity[0] * (1 - intensity[0]) / 40_000).sqrt()).all())
    again = binarize(intensity, torch.Generator().manual_seed(0))
    assert torch.equal(again, drawn)


@pytest.mark.parametrize(
    "images", [torch.tensor([1.5]), torch.tensor([-0.1]), torch.tensor([float("nan")]), torch.tensor([1])]
)
def test_binarize_refuses_what_is_no_intensity(images):
    with pytest.raises(DataError, match=r"an intensity lies outside \[0, 1\]\ndivide by the largest one"):
        binarize(images)
