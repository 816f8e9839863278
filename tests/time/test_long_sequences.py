"""Segments of loops, and how cost grows with the number of steps."""

from __future__ import annotations

import time

import pytest
import torch
from time_models import DMM, data, noise_of, same
from torch import nn

import symdgm as sd
from symdgm.errors import NotSupportedError, OptionError

LENGTHS = [3, 9, 1, 7]


def evaluate(objective, x, lengths=None):
    torch.manual_seed(3)
    return objective(x=x, **({} if lengths is None else {"T": torch.tensor(lengths)}))


@pytest.mark.parametrize("steps", [1, 2, 4, 100])
def test_checkpoints_change_no_value_and_no_gradient(steps):
    model, x = DMM(), data(steps=9)
    objective, plain = model.objective(checkpoint=steps), model.objective()
    for _ in range(2):
        same(evaluate(objective, x, LENGTHS), evaluate(plain, x, LENGTHS), model.parameters, 1e-12)
    assert "checkpoint(segment" in objective.code


@pytest.mark.parametrize("options", [{}, {"checkpoint": 3}])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_truncated_gradients_are_those_of_a_loop_that_detaches(steps, options):
    model, x = DMM(), data(steps=9)
    objective = model.objective(truncate=steps, **options)
    for _ in range(2):
        found = evaluate(objective, x, LENGTHS)
        torch.manual_seed(3)
        wanted = model.by_hand(x, LENGTHS, noise_of(LENGTHS, 2), detach=steps).mean()
        same(found, wanted, model.parameters)


@pytest.mark.parametrize("recurrent", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("backward", [True, False])
def test_recurrent_modules_are_cut_and_computed_anew_as_loops_are(recurrent, backward):
    model, x = DMM(recurrent, backward=backward), data(steps=9)
    for options in ({"truncate": 2}, {"checkpoint": 2}, {"truncate": 4, "checkpoint": 2}):
        objective = model.objective(**options)
        found = evaluate(objective, x, LENGTHS)
        torch.manual_seed(3)
        wanted = model.by_hand(x, LENGTHS, noise_of(LENGTHS, 2), detach=options.get("truncate", 0)).mean()
        same(found, wanted, model.parameters)
        assert objective.code.count("in_segments(") == 2


def test_a_module_that_reads_in_both_directions_cannot_be_cut():
    factors = [
        sd.Normal("q(z_t|h_t)", lambda h: (h[:, :2], torch.ones_like(h[:, :2]))),
        sd.Deterministic("h(h_t|x_t,h_{t-1})", nn.GRU(3, 2, bidirectional=True)),
        sd.Normal("p(x_t|z_t)", lambda z: (z[:, :1].expand(-1, 3), torch.ones(len(z), 3))),
    ]
    text = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]"
    with pytest.raises(NotSupportedError, match="whose module reads in both directions"):
        sd.Objective(text, *factors, truncate=2)(x=torch.zeros(2, 5, 3))
    assert sd.Objective(text, *factors, checkpoint=2)(x=torch.zeros(2, 5, 3)).isfinite()


@pytest.mark.parametrize("name", ["truncate", "checkpoint"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "all"])
def test_segments_of_no_whole_number_are_refused(name, value):
    with pytest.raises(OptionError, match=f"`{name}` is {value!r}\nwrite a whole number of steps, 1 or more"):
        DMM().objective(**{name: value})


def remembered(objective: sd.Objective, steps: int) -> int:
    """Bytes that an evaluation keeps for its gradient, each storage once; weights do not count."""
    weights = {p.untyped_storage().data_ptr() for p in objective.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    x = data(batch=2, steps=steps)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        evaluate(objective, x)
    return sum(kept.values())


@pytest.mark.parametrize("options", [{}, {"checkpoint": 16}])
def test_memory_grows_linearly_with_the_number_of_steps(options):
    objective = DMM().objective(**options)
    evaluate(objective, data(batch=2, steps=4))
    sizes = [remembered(objective, steps) for steps in (64, 128, 256)]
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert second == pytest.approx(2 * first, rel=0.1)
    assert sizes[2] < 4.4 * sizes[0]


def test_checkpoints_save_the_memory_of_the_loop():
    """What a deep network in the loop computes is not remembered."""
    model = DMM()
    deep = nn.Sequential(nn.Linear(7, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 7))
    shallow = model.combine
    factor = sd.Normal("q(z_t|z_{t-1},h_t)", lambda z, h: shallow(deep(torch.cat([z, h], -1))))
    deep.double()
    model.factors[0] = factor
    plain, saved = model.objective(), model.objective(checkpoint=16)
    for objective in (plain, saved):
        evaluate(objective, data(batch=2, steps=4))
    assert remembered(saved, 256) < 0.5 * remembered(plain, 256)


def test_the_code_is_the_same_for_every_number_of_steps():
    model = DMM()
    codes = []
    for steps in (2, 50, 400):
        objective = model.objective()
        evaluate(objective, data(steps=steps))
        codes.append(objective.code)
    assert codes[0] == codes[1] == codes[2]


def test_building_takes_the_same_time_whatever_the_number_of_steps():
    """What the first evaluation takes longer than a later one is writing, which no step adds to."""
    model, extra = DMM(), {}
    for steps in (8, 512):
        x = data(batch=2, steps=steps)
        first, later = [], []
        for _ in range(3):
            sd.cache_clear()
            objective = model.objective()
            first.append(seconds(objective, x))
            later.append(seconds(objective, x))
        extra[steps] = min(first) - min(later)
    assert extra[512] < 10 * max(extra[8], 0.02)


def seconds(objective, x):
    """Processor seconds of one evaluation."""
    started = time.thread_time()
    evaluate(objective, x)
    return time.thread_time() - started
