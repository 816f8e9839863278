"""Of a compiled game, the gradients of one player are formed, and those of nobody else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
X = torch.linspace(0, 1, 20).view(5, 4)
GAME = "min_G max_D E_data(x)[log sigmoid(D(x))] + E_p(z)[log(1 - sigmoid(D(G(z))))]"


def game() -> sd.Model:
    torch._dynamo.reset()
    torch.manual_seed(0)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    made = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4))
    return sd.Model(GAME, prior, G=made, D=nn.Linear(4, 1), compile="aot_eager")


def leaves(value: Tensor) -> set[Tensor]:
    """The parameters by which a value is differentiated."""
    found, seen, left = set(), set(), [value.grad_fn]
    while left:
        function = left.pop()
        if function is not None and function not in seen:
            seen.add(function)
            found |= {function.variable} if hasattr(function, "variable") else set()
            left += [following for following, _ in function.next_functions]
    return found


@pytest.mark.parametrize("name", ["D", "G"])
def test_only_the_parameters_of_the_player_get_a_gradient(name: str) -> None:
    model = game()
    fixed = model.player("G").parameters[1].requires_grad_(False)
    model.train_step(x=X)
    loss = model.evaluate({"x": X}, name).loss
    assert leaves(loss) == set(model.players[name])
    assert [p for p in model.parameters() if not p.requires_grad] == [fixed]


def test_a_loss_of_ones_own_loop_has_all_gradients() -> None:
    model = game()
    model.train_step(x=X)
    model.loss(x=X, player="D").backward()
    assert all(p.grad is not None for p in model.player("G").parameters)


def test_an_error_leaves_the_parameters_as_they_were() -> None:
    model = game()
    model.train_step(x=X)
    with pytest.raises(sd.SymdgmError):
        model.evaluate({"x": X[:, :3]}, "D")
    assert all(p.requires_grad for p in model.parameters())
