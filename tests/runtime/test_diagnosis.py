"""The first bad intermediate of an evaluation is found and explained."""

import torch
from runtime_models import batch, elbo
from torch import nn

import symdgm as sd
from symdgm.errors import NonFiniteError
from symdgm.runtime import diagnose


def test_the_first_bad_value_is_named_with_what_it_was_made_of() -> None:
    objective = sd.Objective("log(sum(f(x))) + ||x||^2", f=nn.Linear(6, 1, bias=False))
    with torch.no_grad():
        objective.networks.f.weight.fill_(-1.0)
    x = torch.ones(4, 6)
    error = diagnose(objective.runner, {"x": x})
    assert isinstance(error, NonFiniteError)
    assert "the term `log(" in error.problem
    assert "NaN in 4 of 4 entries" in error.problem
    assert "in [-6, -6]" in str(error.hint)
    assert "||x||^2" not in error.problem


def test_bad_inputs_come_first() -> None:
    error = diagnose(elbo().runner, {"x": torch.full_like(batch(), float("inf"))})
    assert "the input `x` is infinite in 30 of 30 entries" in error.problem


def test_nothing_bad_is_said_to_be_so() -> None:
    error = diagnose(elbo().runner, {"x": batch()})
    assert "no intermediate value is bad when the step is repeated" in error.problem


def test_bad_weights_are_named() -> None:
    objective = elbo()
    with torch.no_grad():
        next(objective.factors.parameters())[0, 0] = float("inf")
    error = diagnose(objective.runner, {"x": torch.ones(2, 6)})
    assert "the weight `weight` of `q_network` is infinite in 1 of 24 entries" in str(error.hint)


def test_no_data_at_all() -> None:
    objective = sd.Objective("E_p(z)[log(-||z||)]", sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2))
    assert "NaN in 3 of 3 entries" in diagnose(objective.runner, {}, n=3).problem
