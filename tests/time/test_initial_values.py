"""What a derivation and generated code say of values before the first step that nobody gave."""

from __future__ import annotations

import pytest
import torch
from time_models import Gaussian
from torch import nn

import symdgm as sd
from symdgm.errors import NotSupportedError

STEP = "p(x_t|x_{t-1})"
CHAIN = f"sum_{{t=1}}^T log {STEP}"


def said(objective):
    """The lines of the derivation that tell of initial values."""
    found = [s for s in objective.derivation.steps if s.name == "initial value"]
    text = repr(objective.derivation)
    assert len(found) == text.count("initial value (assumption)") <= 1
    return [line.strip() for line in text.splitlines() if " is 0" in line or line.endswith(" is x_0")]


def evaluated(objective, seed=0):
    torch.manual_seed(seed)
    return objective({"x": torch.randn(3, 5, 2)})


def default(name):
    return (
        f"{name} is 0, as nothing is bound to it; bind {name} to a number or a tensor for another beginning"
    )


def test_observed_values_of_which_nothing_is_given():
    objective = sd.Objective(CHAIN, sd.Normal(STEP, Gaussian(2, 2)))
    assert said(objective) == [default("x_0")]
    assert (
        r"& \quad x_{0} \text{ is 0, as nothing is bound to it; bind }x_{0}" in objective.derivation.latex()
    )
    evaluated(objective)
    assert objective.code.count("# x_0 = 0 by default, before the first step\n    x_before = torch.cat(") == 1


def test_zeros_that_are_told_are_the_zeros_that_can_be_given():
    step = sd.Normal(STEP, Gaussian(2, 2))
    plain, given = sd.Objective(CHAIN, step), sd.Objective(CHAIN, step, x_0=0.0)
    assert said(given) == []
    assert evaluated(plain) == evaluated(given)
    assert "# x_0, before the first step" in given.code
    other = sd.Objective(CHAIN, step, x_0=torch.tensor([1.0, 2.0]))
    assert said(other) == []
    assert evaluated(plain) != evaluated(other)


@pytest.mark.parametrize(
    ("equation", "more"),
    [
        (f"sum_{{t=2}}^T log {STEP}", []),
        (CHAIN, [sd.Normal("p(x_1)", loc=0.0, scale=1.0, event_shape=2)]),
        ("log p(x_{1:T})", [sd.Normal("p(x_1)", loc=0.0, scale=1.0, event_shape=2)]),
    ],
    ids=["later", "first", "joint"],
)
def test_nothing_is_told_where_no_zeros_are_read(equation, more):
    objective = sd.Objective(equation, sd.Normal(STEP, Gaussian(2, 2)), *more)
    assert said(objective) == []
    evaluated(objective)
    assert "before the first step" not in objective.code


def test_two_steps_before_the_first():
    step = sd.Normal("p(x_t|x_{t-1},x_{t-2})", Gaussian(4, 2))
    objective = sd.Objective("sum_{t=1}^T log p(x_t|x_{t-1},x_{t-2})", step)
    assert said(objective) == [default("x_0"), "x_{−1} is x_0"]
    x = torch.randn(3, 5, 2)
    last = torch.cat([torch.zeros(3, 1, 2), x[:, :-1]], 1)
    far = torch.cat([torch.zeros(3, 2, 2), x[:, :-2]], 1)
    loc, scale = step.network(last.flatten(0, 1), far.flatten(0, 1))
    wanted = torch.distributions.Normal(loc, scale).log_prob(x.flatten(0, 1)).sum() / 3
    torch.testing.assert_close(objective({"x": x}), wanted)
    assert objective.code.count("torch.cat(") == 2  # each earlier step is put together once


@pytest.mark.parametrize(
    ("module", "state", "comment"),
    [
        (nn.GRUCell(2, 2), default("h_0"), "# h_0 = 0 by default, before the first step"),
        (nn.GRU(2, 2), default("h_0"), "# h_0 = 0 by default, before the first step"),
        (nn.LSTM(2, 2), "h_0 is 0: the recurrent module begins with zeros", "# h_0 = 0 by default"),
        (
            nn.GRU(2, 2, num_layers=2),
            "h_0 is 0: the recurrent module begins with zeros",
            "# h_0 = 0 by default",
        ),
    ],
    ids=["cell", "gru", "lstm", "layers"],
)
def test_states_of_recurrences(module, state, comment):
    parts = sd.Deterministic("p(h_t|x_t,h_{t-1})", module), sd.Normal("p(y_t|h_t)", Gaussian(2, 2))
    objective = sd.Objective("sum_{t=1}^T log p(y_t|h_t)", *parts)
    assert said(objective) == [state]
    objective({"x": torch.randn(3, 5, 2), "y": torch.randn(3, 5, 2)})
    assert objective.code.count(comment) == 1


def test_the_state_of_a_recurrence_backwards_in_time():
    parts = sd.Deterministic("p(h_t|x_t,h_{t+1})", nn.GRU(2, 2)), sd.Normal("p(y_t|h_t)", Gaussian(2, 2))
    objective = sd.Objective("sum_{t=1}^T log p(y_t|h_t)", *parts)
    assert said(objective) == ["h_{T+1} is 0: the recurrent module begins with zeros"]
    objective({"x": torch.randn(3, 5, 2), "y": torch.randn(3, 5, 2)})
    assert "# h_{T+1} = 0, after the last step" in objective.code


def test_a_network_over_whole_sequences_has_no_state_that_the_formula_names():
    parts = sd.Deterministic("p(h_{1:T}|x_{1:T})", nn.GRU(2, 2)), sd.Normal("p(y_t|h_t)", Gaussian(2, 2))
    objective = sd.Objective("sum_{t=1}^T log p(y_t|h_t)", *parts)
    assert said(objective) == []


def test_a_module_that_reads_in_both_directions_begins_with_zeros():
    parts = (
        sd.Deterministic("p(h_t|x_t,h_{t-1})", nn.GRU(2, 2, bidirectional=True)),
        sd.Normal("p(y_t|h_t)", Gaussian(4, 2)),
    )
    data = {"x": torch.randn(3, 5, 2), "y": torch.randn(3, 5, 2)}
    with pytest.raises(NotSupportedError, match="`h_0` cannot begin"):
        sd.Objective("sum_{t=1}^T log p(y_t|h_t)", *parts, h_0=1.0)(data)


def test_a_value_of_a_block_is_given():
    model = sd.Model(
        """
        x_0 = 0
        p(x_t|x_{t-1}) = Normal(x_t; f(x_{t-1}), 1)
        maximize sum_{t=1}^T log p(x_t|x_{t-1})
        """,
        f=nn.Linear(2, 2),
    )
    assert "initial value" not in repr(model.objective.derivation)
