"""Every form of data becomes the same named tensors, and what is no data is refused in plain words."""

import numpy as np
import pytest
import torch

from symdgm.errors import DataError
from symdgm.training import named
from symdgm.training.forms import placed

X, Y = torch.rand(5, 3), torch.arange(5)


@pytest.mark.parametrize("data", [X, [X], (X,), {"x": X}, X.numpy(), {"x": X.numpy()}])
def test_one_variable(data):
    assert torch.equal(named(data, ["x"])["x"], X)


@pytest.mark.parametrize("data", [(X, Y), [X, Y.numpy()], {"y": Y, "x": X}])
def test_two_variables_in_the_order_of_the_model(data):
    found = named(data, ["x", "y"])
    assert list(found) == ["x", "y"]
    assert torch.equal(found["x"], X) and torch.equal(found["y"], Y)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0)[::-1],
        np.arange(12.0).reshape(6, 2)[:, 0],
        np.arange(6, dtype=">f4"),
        np.broadcast_to(np.float64(3), (6,)),
    ],
)
def test_arrays_that_torch_does_not_take_as_they_are(array):
    assert named(array, ["x"])["x"].tolist() == array.tolist()


def test_arrays_share_memory_where_they_can():
    array = np.zeros(4)
    tensor = named(array, ["x"])["x"]
    array[0] = 7
    assert tensor[0] == 7


def test_data_never_carry_a_gradient():
    assert not named(X.clone().requires_grad_(), ["x"])["x"].requires_grad


@pytest.mark.parametrize(
    ("data", "variables", "words"),
    [
        ((X, Y), ["x"], r"the model has no second variable: give `x` alone, as in `fit\(x\)`"),
        (list(X), ["x"], r"5 parts, .*: `x`\nrows are put together first, by `torch.stack\(rows\)`"),
        ([[0.0, 1.0], [1.0, 0.0]], ["x"], r"numbers or lists, not of tensors\nconvert them first"),
        ([0.0, 1.0], ["x"], "numbers or lists, not of tensors"),
        ({"x": X, "lable": Y}, ["x", "label"], "no data variable `lable`\ndid you mean `label`"),
        ({"x": X}, ["x", "y"], "the data variable `y` is missing\ngiven: x"),
        ({}, ["x"], "the data variable `x` is missing\ngiven: nothing"),
        ((X, Y), ["x"], "the data have 2 parts, the model has 1 data variable: `x`"),
        (
            X,
            ["x", "y"],
            r"1 part, the model has 2 data variables: `x`, `y`\nname them: \{'x': ..., 'y': ...\}",
        ),
        (X, [], "the model has 0 data variables: none"),
        ((X, Y[:4]), ["x", "y"], "different numbers of rows: `x` has 5, `y` has 4"),
        (X[:0], ["x"], "the data have no rows"),
        (torch.tensor(1.0), ["x"], "`x` is a single number\nthe first axis of data is the batch"),
        ({"x": [1.0, 2.0]}, ["x"], "`x` is a list, not a tensor or a NumPy array"),
        (np.array(["a", "b"]), ["x"], "`x` has the NumPy dtype `<U1`, which is no number type of torch"),
    ],
)
def test_refusals(data, variables, words):
    with pytest.raises(DataError, match=words):
        named(data, variables)


def test_floating_data_take_the_dtype_of_the_model_and_the_rest_is_left_alone():
    data = {"x": X.double(), "y": Y, "m": X > 0.5, "b": torch.zeros(5, dtype=torch.uint8)}
    found = placed(data, torch.device("cpu"), torch.float32)
    assert [v.dtype for v in found.values()] == [torch.float32, torch.int64, torch.bool, torch.uint8]
