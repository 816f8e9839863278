"""Players get an optimiser of their own parameters, whatever way it is described."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from symdgm.errors import OptionError
from symdgm.training.optimizers import advance, make_players, make_schedulers


def parameters(count=2):
    return [nn.Parameter(torch.ones(3)) for _ in range(count)]


def test_adam_by_default_fused_where_torch_has_it():
    (player,) = make_players({"": parameters()})
    assert type(player.optimizer) is Adam
    assert player.optimizer.defaults["lr"] == 1e-3 and player.optimizer.defaults["fused"]
    meta = [nn.Parameter(torch.ones(3, device="meta"))]
    assert not make_players({"": meta})[0].optimizer.defaults["fused"]


def test_a_class_an_instance_a_callable_a_mapping():
    own = {"a": parameters(), "b": parameters()}
    assert [type(p.optimizer) for p in make_players(own, AdamW, lr=0.5)] == [AdamW, AdamW]
    assert make_players(own, AdamW, lr=0.5)[1].optimizer.defaults["lr"] == 0.5
    made = make_players(own, lambda ps: SGD(ps, lr=0.25))
    assert [p.optimizer.param_groups[0]["params"] for p in made] == [own["a"], own["b"]]
    ready = SGD(own["b"], lr=0.125)
    mixed = make_players(own, {"a": AdamW, "b": ready})
    assert [p.name for p in mixed] == ["a", "b"] and mixed[1].optimizer is ready
    assert type(make_players(own, {"b": ready})[0].optimizer) is Adam


def test_frozen_parameters_are_left_out():
    first, second = parameters()
    first.requires_grad_(False)
    (player,) = make_players({"": [first, second]})
    assert player.parameters == [second]


def test_an_instance_may_hold_a_part_of_the_parameters():
    first, second = parameters()
    (player,) = make_players({"": [first, second]}, SGD([second], lr=1.0))
    assert player.parameters == [second]


def test_refusals():
    own = {"a": parameters(), "b": parameters()}
    with pytest.raises(OptionError, match=r"unknown player `c`\n.*known: `a`, `b`"):
        make_players(own, {"c": SGD})
    with pytest.raises(OptionError, match="player `a` has no parameter to train"):
        make_players({"a": []})
    with pytest.raises(OptionError, match="the model has no parameter to train"):
        make_players({"": [nn.Parameter(torch.ones(2), requires_grad=False)]})
    with pytest.raises(OptionError, match="the optimiser holds no parameter of the model"):
        make_players({"": parameters()}, SGD(parameters(), lr=1.0))
    with pytest.raises(OptionError, match="holds no parameter of player `b`"):
        make_players(own, SGD(own["a"], lr=1.0))
    with pytest.raises(OptionError, match="player `a` also updates parameters of another player"):
        make_players(own, SGD(own["a"] + own["b"], lr=1.0))
    with pytest.raises(OptionError, match="`lr` has no effect on an optimiser that is made already"):
        make_players({"": own["a"]}, SGD(own["a"], lr=1.0), lr=0.5)
    with pytest.raises(OptionError, match="LBFGS evaluates the objective several times"):
        make_players({"": own["a"]}, torch.optim.LBFGS)
    with pytest.raises(OptionError, match="a str is no optimiser\nknown: an Optimizer class"):
        make_players({"": own["a"]}, "adam")
    with pytest.raises(OptionError, match="a dict is no optimiser"):
        make_players({"": own["a"]}, lambda ps: {})
    with pytest.raises(OptionError, match="`scheduler` made a float, which is no learning-rate scheduler"):
        make_schedulers(make_players(own), lambda optimizer: 0.5)


def test_schedulers_step_and_a_plateau_sees_the_loss():
    players = make_players({"a": parameters(), "b": parameters()}, SGD, lr=1.0)
    halving = make_schedulers(players, lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.5))
    for player in players:
        player.parameters[0].grad = torch.ones(3)
        player.optimizer.step()
    advance(halving, 0.0)
    assert [p.optimizer.param_groups[0]["lr"] for p in players] == [0.5, 0.5]
    plateau = make_schedulers(players, lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, "min", 0.1, 0))
    for loss in (1.0, 2.0):
        advance(plateau, loss)
    assert [p.optimizer.param_groups[0]["lr"] for p in players] == pytest.approx([0.05, 0.05])
