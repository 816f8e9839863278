"""Batches of one, values by example, and that the code shown is the code that ran."""

import pickle

import pytest
import torch
from runtime_models import batch, elbo
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import OptionError


class Squeezing(nn.Module):
    """Returns [batch] for a batch, but no axis for one example."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze()


@pytest.mark.parametrize("sizes", [(1, 5), (5, 1)])
def test_a_batch_of_one_leaves_other_batches_alone(sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    critic = Squeezing()
    objective = sd.Objective("C(x)", C=critic)
    for rows in sizes:
        x = torch.rand(rows, 4)
        torch.testing.assert_close(objective(x=x), critic.layer(x).mean())
        torch.testing.assert_close(objective.per_example(x=x), critic.layer(x)[:, 0])
    assert len(objective.runner.programs) == 4


def test_code_and_inputs_are_of_the_means() -> None:
    objective = elbo()
    objective.per_example(x=batch())
    assert ".mean()" not in objective.code
    value = objective(x=batch())
    objective.per_example(x=batch())
    assert ".mean()" in objective.code
    scope: dict[str, object] = {}
    exec(objective.code, scope)
    torch.manual_seed(0)
    value = objective(x=batch())
    torch.manual_seed(0)
    torch.testing.assert_close(scope["objective"](**objective.inputs(x=batch()))[0], value)


def test_code_is_of_the_kind_of_input_that_ran_last() -> None:
    objective = sd.Objective("KL[q||p]", _wide("q"), sd.Normal("p(z)", loc=0.0, scale=1.0))
    objective(x=torch.zeros(2, 3))
    first = objective.code
    objective(x=torch.zeros(2, 3, 2))
    second = objective.code
    assert first != second
    objective(x=torch.zeros(2, 3))
    assert objective.code == first
    objective.inputs(x=torch.zeros(2, 3, 2))
    assert objective.code == second


def _wide(name: str) -> sd.Normal:
    return sd.Normal(f"{name}(z|x)", lambda x: (x, x.exp()))


def test_a_pickle_leaves_the_code_behind() -> None:
    objective = sd.Objective("log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0))
    objective(x=torch.zeros(2))
    assert pickle.loads(pickle.dumps(objective)).runner.last() is None


def test_values_by_example_have_the_batch_axis() -> None:
    p = sd.Normal("p(z)", loc=0.0, scale=2.0, event_shape=2)
    entropy = sd.Objective("H[p]", p)
    assert entropy.per_example(n=5).shape == (5,)
    torch.testing.assert_close(entropy.per_example(n=5), entropy().expand(5))
    q = sd.Normal("q(z|x)", lambda x: (x, torch.ones_like(x)))
    averaged = sd.Objective("E_data(x)[KL[q(z|x)||p(z)]]", q, p, sd.Data("data(x)"))
    assert averaged.per_example(x=torch.rand(7, 2)).shape == (7,)


@pytest.mark.parametrize("method", ["__call__", "terms", "per_example", "inputs"])
def test_a_number_of_draws_with_data_is_refused(method: str) -> None:
    objective = sd.Objective("log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0))
    with pytest.raises(OptionError, match="`n=3` is given with data"):
        getattr(objective, method)(x=torch.zeros(2), n=3)
