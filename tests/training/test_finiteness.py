"""One look at all gradients."""

import math

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from symdgm.training.finiteness import ONE_CALL, Finiteness

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
def test_large_tensors(value, bad):
    large = torch.zeros(100_000)
    large[-1] = value
    assert Finiteness(CPU)([large, torch.ones(2)]) == bad


def test_double_precision_as_default() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        look = Finiteness(torch.device("cpu"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert look([torch.ones(2, dtype=torch.float64)]) == 0
    assert look([torch.ones(2), torch.tensor([float("inf")])]) == 1


class Called(TorchDispatchMode):
    """Notes the dtypes of each call of the gradient scaler's kernel."""

    def __init__(self):
        super().__init__()
        self.dtypes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._amp_foreach_non_finite_check_and_unscale_.default:
            self.dtypes.append([t.dtype for t in args[0]])
        return func(*args, **(kwargs or {}))


def test_a_gpu_is_given_one_dtype_at_a_time_and_no_bfloat16(monkeypatch):
    """The kernel there reads all tensors as being of the first one's dtype, and knows no bfloat16."""
    dtypes = [torch.float32, torch.bfloat16, torch.float64, torch.float32]
    monkeypatch.setitem(ONE_CALL, "meta", ONE_CALL["cuda"])
    with FakeTensorMode(), Called() as called:
        Finiteness(torch.device("meta"))([torch.empty(3, dtype=dtype, device="meta") for dtype in dtypes])
    assert called.dtypes == [[torch.float32] * 2, [torch.float64]]


def test_gradients_of_several_dtypes():
    look = Finiteness(torch.device("cpu"))
    good = [torch.ones(3, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float64)]
    assert look(good) == 0
    for i in range(3):
        bad = [g.clone() for g in good]
        bad[i][1] = float("inf")
        assert look(bad) == 1
