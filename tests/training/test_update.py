"""The shorter way to an optimiser's step is the same step, and is left where something else hangs on it."""

import copy

import pytest
import torch
from torch import nn

from symdgm.training import update as updates
from symdgm.training.update import Update


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def backward(model):
    model.zero_grad()
    model(torch.arange(6.0).view(2, 3)).square().sum().backward()


@pytest.fixture
def short(monkeypatch):
    """How often the short way was gone."""
    calls, kernel = [], updates.kernel
    monkeypatch.setattr(updates, "kernel", lambda *a, **k: (calls.append(1), kernel(*a, **k)))
    return calls


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"betas": (0.5, 0.9), "maximize": True}])
def test_the_short_way_is_the_optimisers_own_step(options, short):
    one, two = network(), network()
    ours = torch.optim.Adam(one.parameters(), lr=1e-2, fused=True, **options)
    theirs = torch.optim.Adam(two.parameters(), lr=1e-2, fused=True, **options)
    update = Update(ours)
    for _ in range(4):
        backward(one)
        update()
        backward(two)
        theirs.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert len(short) == 3  # the first step makes the state
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    backward(one)
    update()
    backward(two)
    theirs.step()
    assert len(short) == 4 and [int(s["step"]) for s in ours.state.values()] == [5] * 4
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    backward(one)
    ours.step()
    assert [int(s["step"]) for s in ours.state.values()] == [6] * 4, "counts side by side are still counts"


def others(model):
    yield torch.optim.Adam(model.parameters(), fused=False)
    yield torch.optim.Adam(model.parameters(), fused=True, amsgrad=True)
    yield torch.optim.AdamW(model.parameters(), fused=True)
    yield torch.optim.SGD(model.parameters(), lr=0.1)
    yield torch.optim.Adam([{"params": [p]} for p in model.parameters()], fused=True)
    yield torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), fused=True)
    yield torch.optim.Adam(model.parameters(), fused=True, weight_decay=0.1, decoupled_weight_decay=True)
    hooked = torch.optim.Adam(model.parameters(), fused=True)
    hooked.register_step_pre_hook(lambda *_: None)
    yield hooked


@pytest.mark.parametrize("kind", range(8))
def test_what_else_there_is_makes_its_own_step(kind, short):
    model = network()
    optimizer = list(others(model))[kind]
    update = Update(optimizer)
    for _ in range(3):
        before = model[0].weight.clone()
        backward(model)
        update()
        assert not torch.equal(before, model[0].weight)
    assert not short


def test_a_scheduler_still_counts_the_steps(short, recwarn):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    update = Update(optimizer)
    for _ in range(2):
        backward(model)
        update()
    scheduler.step()
    assert not short and not recwarn.list


def test_a_parameter_without_gradient_stays(short):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    update = Update(optimizer)
    backward(model)
    update()
    backward(model)
    model[0].weight.grad, before = None, model[0].weight.clone()
    update()
    assert torch.equal(before, model[0].weight) and not short


def test_dtypes_of_their_own(short):
    model, twin = network(), network()
    model[2].double(), twin[2].double()
    ours, theirs = (torch.optim.Adam(m.parameters(), fused=True) for m in (model, twin))
    update = Update(ours)
    for _ in range(3):
        for one in (model, twin):
            one.zero_grad()
            one[2](one[:2](torch.arange(6.0).view(2, 3)).double()).square().sum().backward()
        update()
        theirs.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert not short


def test_a_state_that_is_begun_anew_counts_anew(short):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    update = Update(optimizer)
    for _ in range(3):
        backward(model)
        update()
    optimizer.state[model[0].weight]["step"] = torch.zeros(())
    backward(model)
    update()
    assert [int(s["step"]) for s in optimizer.state.values()] == [1, 4, 4, 4] and len(short) == 3


def another_order(state, parameter):
    state[parameter] = state.pop(parameter)


def begun_anew(state, parameter):
    state[parameter] = {}


@pytest.mark.parametrize(("change", "ways"), [(another_order, 1), (begun_anew, 2)])
def test_a_state_that_was_changed_is_taken_as_it_is(change, ways, short):
    one, two = network(), network()
    ours, theirs = (torch.optim.Adam(m.parameters(), lr=1e-2, fused=True) for m in (one, two))
    update = Update(ours)
    for step in range(4):
        if step == 2:
            change(ours.state, one[0].weight)
            change(theirs.state, two[0].weight)
        backward(one)
        update()
        backward(two)
        theirs.step()
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert len(short) == ways
