"""Products with a bound number that look like applications: their precedence is that of other products."""

import pytest
import torch

import symdgm as sd

PRODUCTS = {
    "K (a + b)": 8.0,
    "K (a + b)^2": 32.0,
    "1/K (a + b)": 2.0,
    "a/K (a + b)^2 b": 24.0,
    "2 - 1/K (a + b)": 0.0,
    "b / 2 (a + b)": 6.0,
    "K (a + b) / K (a + b)": 16.0,
}


@pytest.mark.parametrize("text", PRODUCTS)
def test_from_left_to_right_and_powers_first(text: str) -> None:
    assert (
        float(sd.Objective(text, **{n: v for n, v in {"K": 2.0, "a": 1.0, "b": 3.0}.items() if n in text})())
        == (PRODUCTS[text])
    )


def test_a_network_is_applied() -> None:
    found = sd.Objective("1/f(a + b) + f(a)^2", f=lambda x: 2 * x, a=1.0, b=3.0)()
    assert float(found) == 1 / 8 + 4


def test_an_entry_of_a_tensor_is_a_factor() -> None:
    w = torch.tensor([1.0, 2.0, 4.0])
    assert float(sd.Objective("sum_{k=1}^3 w_k (a + 1)^2", w=w, a=1.0)()) == 28
    assert float(sd.Objective("sum_{k=1}^3 1/w_k (a + 1)", w=w, a=1.0)()) == 3.5
