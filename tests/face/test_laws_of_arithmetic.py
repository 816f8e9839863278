"""A scalar before a bracket reaches every term in it, with every factor that the term has."""

import pytest
import torch
from face_models import by_objects, images

import symdgm as sd

TERM = {"likelihood": "E_q(z|x)[log p(x|z)]", "divergence": "KL[q(z|x)||p(z)]"}
VALUES = {"beta": 0.3, "c": 7.0}


def value(text: str) -> torch.Tensor:
    factors = by_objects().objective.bound.environment.factors
    named = {name: number for name, number in VALUES.items() if name in text}
    objective = sd.Objective(text, *(f.distribution for f in factors), **named)
    torch.manual_seed(0)
    return objective(x=images())


@pytest.mark.parametrize(
    ("text", "likelihood", "divergence"),
    [
        ("2 ({likelihood} - beta {divergence})", 2.0, -0.6),
        ("beta ({likelihood} - 3 {divergence})", 0.3, -0.9),
        ("c (-(2 {likelihood}) - {divergence}/beta)", -14.0, -7.0 / 0.3),
        ("({likelihood} - beta {divergence})/c", 1.0 / 7.0, -0.3 / 7.0),
        ("2 (c (beta (-{likelihood}) - (-beta) (-3 {divergence})))", -4.2, -12.6),
        ("-(beta ({likelihood} - c ({divergence} - 2 {likelihood})))", -4.5, 2.1),
    ],
)
def test_scalars_before_a_bracket(text: str, likelihood: float, divergence: float) -> None:
    expected = likelihood * value(TERM["likelihood"]) + divergence * value(TERM["divergence"])
    torch.testing.assert_close(value(text.format(**TERM)), expected)
