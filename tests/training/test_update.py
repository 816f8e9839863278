"""The shorter way to an optimiser's step is the same step, and is left where something else hangs on it."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.adam import adam

from symdgm.training import update as updates
from symdgm.training.update import update


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def backward(model):
    model.zero_grad()
    model(torch.arange(6.0).view(2, 3)).square().sum().backward()


@pytest.fixture
def short(monkeypatch):
    """How often the short way was gone."""
    calls = []
    monkeypatch.setattr(updates, "adam", lambda *a, **k: (calls.append(1), adam(*a, **k)))
    return calls


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"betas": (0.5, 0.9), "maximize": True}])
def test_the_short_way_is_the_optimisers_own_step(options, short):
    one, two = network(), network()
    ours = torch.optim.Adam(one.parameters(), lr=1e-2, fused=True, **options)
    theirs = torch.optim.Adam(two.parameters(), lr=1e-2, fused=True, **options)
    for _ in range(4):
        backward(one)
        update(ours)
        backward(two)
        theirs.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert len(short) == 3  # the first step makes the state
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    backward(one)
    update(ours)
    assert len(short) == 4 and ours.state[one[0].weight]["step"] == 5


def others(model):
    yield torch.optim.Adam(model.parameters(), fused=False)
    yield torch.optim.Adam(model.parameters(), fused=True, amsgrad=True)
    yield torch.optim.AdamW(model.parameters(), fused=True)
    yield torch.optim.SGD(model.parameters(), lr=0.1)
    yield torch.optim.Adam([{"params": [p]} for p in model.parameters()], fused=True)
    yield torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), fused=True)
    hooked = torch.optim.Adam(model.parameters(), fused=True)
    hooked.register_step_pre_hook(lambda *_: None)
    yield hooked


@pytest.mark.parametrize("kind", range(7))
def test_what_else_there_is_makes_its_own_step(kind, short):
    model = network()
    optimizer = list(others(model))[kind]
    for _ in range(3):
        before = model[0].weight.clone()
        backward(model)
        update(optimizer)
        assert not torch.equal(before, model[0].weight)
    assert not short


def test_a_scheduler_still_counts_the_steps(short, recwarn):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(2):
        backward(model)
        update(optimizer)
    scheduler.step()
    assert not short and not recwarn.list


def test_a_parameter_without_gradient_stays(short):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    backward(model)
    update(optimizer)
    backward(model)
    model[0].weight.grad, before = None, model[0].weight.clone()
    update(optimizer)
    assert torch.equal(before, model[0].weight) and not short
