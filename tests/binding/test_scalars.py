"""Scalars: numbers, tensors, parameters and schedules."""

import numpy as np
import pytest
import torch
from torch import nn

from symdgm.binding import Scalars
from symdgm.errors import OptionError, ShapeError

LIKE = torch.zeros(1, dtype=torch.float64)


def test_values_of_every_kind() -> None:
    parameter = nn.Parameter(torch.tensor(3.0))
    scalars = Scalars(
        {"a": 1, "b": torch.tensor(2.0), "c": parameter, "d": lambda step: step / 4, "e": np.float32(0.5)}
    )
    assert [float(torch.as_tensor(v).detach()) for v in scalars.values()] == [1.0, 2.0, 3.0, 0.0, 0.5]
    assert scalars.parameters() == {"c": parameter}
    assert scalars.tensor("c", LIKE) is parameter
    scalars.advance(2)
    assert scalars["d"] == 0.5


def test_a_tensor_of_a_number_follows_its_value_dtype_and_mode() -> None:
    scalars = Scalars({"a": 1.0})
    first = scalars.tensor("a", LIKE)
    assert first.dtype == torch.float64
    assert scalars.tensor("a", LIKE) is first
    scalars["a"] = 2.0
    assert scalars.tensor("a", LIKE) == 2
    assert scalars.tensor("a", LIKE.float()).dtype == torch.float32
    with torch.inference_mode():
        scalars["a"] = 3.0
        assert scalars.tensor("a", LIKE) == 3
    assert not scalars.tensor("a", LIKE).is_inference()


def test_a_schedule_is_replaced_by_a_number_and_a_number_by_a_schedule() -> None:
    scalars = Scalars({"a": lambda step: float(step)})
    scalars.advance(3)
    scalars["a"] = 9.0
    scalars.advance(4)
    assert scalars["a"] == 9
    scalars["a"] = lambda step: step + 0.5
    assert scalars["a"] == 4.5


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("one", OptionError, "cannot be str"),
        (True, OptionError, "cannot be bool"),
        (None, OptionError, "cannot be NoneType"),
        (torch.ones(2), ShapeError, r"a tensor of shape \[2\]"),
        (lambda step: "x", OptionError, "cannot be str"),
        (lambda step: 1 / step, OptionError, "the schedule of `a` failed at step 0: division by zero"),
        (nn.Linear(1, 1), OptionError, "cannot be Linear"),
    ],
)
def test_what_is_no_scalar(value: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Scalars({"a": value})
    scalars = Scalars({"a": 1.0})
    with pytest.raises(error, match=words):
        scalars["a"] = value  # type: ignore[assignment]
    assert scalars["a"] == 1


def test_names_and_parameters_are_settled_at_the_start() -> None:
    scalars = Scalars({"beta": 1.0})
    with pytest.raises(OptionError, match="no scalar `bet`"):
        scalars["bet"] = 2.0
    with pytest.raises(OptionError, match="no scalar `bet`"):
        scalars["bet"]
    with pytest.raises(OptionError, match="cannot become a trained parameter later"):
        scalars["beta"] = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(OptionError, match="needs its scalar `beta`"):
        del scalars["beta"]
    assert "beta" in scalars and len(scalars) == 1 and repr(scalars) == "{'beta': 1.0}"


@pytest.mark.parametrize("step", ["a", None, 1.5, -1, True, [1], float("nan"), torch.tensor(1.5)])
def test_a_step_is_a_whole_number(step: object) -> None:
    """A wrong one was kept without a word where no scalar has a schedule."""
    scalars = Scalars({"a": 1.0})
    with pytest.raises(OptionError, match=r"`step` is .*\nwrite a whole number of steps .*, 0 or more"):
        scalars.advance(step)  # type: ignore[arg-type]
