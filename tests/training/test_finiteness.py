"""One look at all gradients."""

import math

import pytest
import torch

from symdgm.training.finiteness import LARGE, Finiteness

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_entry_is_found_and_nothing_is_changed(dtype, bad):
    look, gradients = Finiteness(CPU), [torch.randn(3, 4, dtype=dtype).t(), torch.randn(5, dtype=dtype)]
    kept = [g.clone() for g in gradients]
    assert look(gradients) == 0 and all(map(torch.equal, gradients, kept))
    gradients[1][2] = bad
    assert look(gradients) == 1
    assert look(kept) == 0, "a flag is forgotten by the next look"


def test_the_largest_numbers_are_finite():
    largest = torch.finfo(torch.float32).max
    assert Finiteness(CPU)([torch.full((100,), largest)]) == 0


@pytest.mark.parametrize("value", [1.0, math.nan])
def test_other_layouts_and_dtypes(value):
    dense = torch.zeros(3)
    dense[1] = value
    look, bad = Finiteness(CPU), float(value != value)
    assert look([torch.ones(2), dense.to_sparse()]) == bad
    assert look([torch.ones(2), dense.to(torch.complex64)]) == bad
    assert look([]) == 0


@pytest.mark.parametrize(("value", "bad"), [(1.0, 0), (1e30, 0), (math.nan, 1), (-math.inf, 1)])
def test_large_tensors_are_only_read(value, bad):
    large = torch.zeros(LARGE)
    large[-1] = value
    version = large._version
    assert Finiteness(CPU)([large, torch.ones(2)]) == bad
    assert value != 1.0 or large._version == version


def test_double_precision_as_default() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        look = Finiteness(torch.device("cpu"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert look([torch.ones(2, dtype=torch.float64)]) == 0
    assert look([torch.ones(2), torch.tensor([float("inf")])]) == 1
