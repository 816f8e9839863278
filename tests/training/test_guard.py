"""A bad number never reaches the weights, and its explanation replays the very step."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest
import torch
from torch import nn
from training_models import VAE, images, loss_is, same

from symdgm.errors import NonFiniteError
from symdgm.training import Evaluation, Stepper, fit
from symdgm.training import guard as guards
from symdgm.training.guard import DeferredGuard

X = {"x": images(32)}


class Root:
    """sum sqrt(w) + w.sum(): finite at w = 0, where its gradient is not."""

    variables = ("x",)
    ragged: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __init__(self, start):
        self.w = nn.Parameter(torch.tensor(start))
        self.v = nn.Parameter(torch.ones(2))
        self.players = {"": [self.w, self.v]}

    def evaluate(self, batch, player="", *, apart=False):
        root, linear = self.w.sqrt().sum(), (self.v * self.w).sum() * batch["x"].mean()
        return Evaluation(root + linear, {"sqrt": root, "linear": linear})

    def schedule(self, step): ...

    def moved(self, player): ...

    def train_mode(self, on): ...

    def state(self):
        return {"the.w": self.w.detach(), "the.v": self.v.detach()}


def deferred(stepper):
    """The stepper as it would be on an accelerator; fused optimisers know found_inf on the CPU too."""
    stepper._guard = DeferredGuard(stepper.trainable, stepper.players, torch.device("cpu"))
    return stepper


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_weights_are_those_from_before_the_bad_step(bad):
    good, model = VAE(), VAE()
    torch.manual_seed(0)
    stepper = Stepper(good)
    for _ in range(3):
        stepper(X)
    good_optimizer = copy.deepcopy(stepper.players[0].optimizer.state_dict())
    model.spoil = loss_is(bad)
    torch.manual_seed(0)
    stepper = Stepper(model)
    with pytest.raises(NonFiniteError, match=f"the loss is {'nan' if bad != bad else '-?inf'}"):
        for _ in range(5):
            stepper(X)
    assert model.steps == [0, 1, 2, 3] and same(model.state(), good.state())
    found = stepper.players[0].optimizer.state_dict()
    assert torch.equal(found["state"][0]["exp_avg"], good_optimizer["state"][0]["exp_avg"])


def test_the_diagnosis_sees_the_same_noise():
    model = VAE()
    model.spoil = loss_is(math.nan)
    made = []
    evaluate = model.evaluate
    model.evaluate = lambda batch, player="": made.append(evaluate(batch)) or made[-1]
    torch.manual_seed(4)
    stepper = Stepper(model)
    with pytest.raises(NonFiniteError) as caught:
        for _ in range(5):
            stepper(X)
    found = [next(iter(evaluation.terms.values())) for evaluation in made]
    assert len(found) == 5 and torch.equal(found[3], found[4])
    assert f"{found[3].item():.6f}" in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}, {"clip_value": 1.0}])
@pytest.mark.parametrize("prepare", [lambda stepper: stepper, deferred])
def test_a_bad_gradient_of_a_finite_loss(options, prepare):
    model = Root([1.0, 0.0])
    stepper = prepare(Stepper(model, **options))
    words = (
        "the objective is finite, but its gradient is not through the term sqrt: `the.w`\nthe usual causes"
    )
    with pytest.raises(NonFiniteError, match=words):
        stepper(X)
        stepper.settle()
    assert model.w.tolist() == [1.0, 0.0] and model.v.tolist() == [1.0, 1.0]


def test_a_gradient_whose_norm_overflows():
    model = Root([1.0, 1.0])
    model.v.data.fill_(1e30)
    with pytest.raises(NonFiniteError, match="finite, but so large that its size cannot be computed"):
        Stepper(model, clip_norm=1.0)(X)


def test_an_accelerator_skips_by_itself_and_is_asked_later():
    good, model = VAE(), VAE()
    torch.manual_seed(0)
    stepper = Stepper(good)
    for _ in range(3):
        stepper(X)
    model.spoil = lambda step, loss: loss * math.nan if step == 3 else loss
    torch.manual_seed(0)
    stepper = deferred(Stepper(model))
    for _ in range(6):
        stepper(X)
    assert model.steps[-1] == 5 and same(model.state(), good.state())
    model.steps.append(3)
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        stepper.settle()
    assert same(model.state(), good.state())


def test_an_accelerator_explains_the_step_that_was_bad():
    model, told = VAE(), []
    model.diagnose = lambda batch, rng, player: (told.append(batch), NonFiniteError("that one"))[1]
    stepper = deferred(Stepper(model))
    stepper(X), stepper(X)
    stepper.settle()
    bad = {"x": torch.full((8, X["x"].shape[1]), math.nan)}
    stepper(X), stepper(bad), stepper(X)
    with pytest.raises(NonFiniteError, match="that one"):
        stepper.settle()
    assert len(told) == 1 and told[0] is bad


def test_an_accelerator_looks_at_losses_whose_gradient_is_finite():
    model = VAE()
    model.spoil = lambda step, loss: loss + math.nan
    before = {name: value.clone() for name, value in model.state().items()}
    stepper = deferred(Stepper(model))
    stepper(X)
    assert same(model.state(), before)
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        stepper.settle()


def test_an_accelerator_without_bad_numbers_makes_the_same_steps():
    one, two = VAE(), VAE()
    torch.manual_seed(0)
    stepper = Stepper(one)
    for _ in range(4):
        stepper(X)
    torch.manual_seed(0)
    stepper = deferred(Stepper(two))
    for _ in range(4):
        stepper(X)
    stepper.settle()
    stepper.release()
    assert same(one.state(), two.state())
    assert "found_inf" not in vars(stepper.players[0].optimizer)


def test_the_number_of_undecided_steps_is_bounded(monkeypatch):
    monkeypatch.setattr(guards, "PENDING", 3)
    model = VAE()
    model.spoil = lambda step, loss: loss * math.nan
    stepper = deferred(Stepper(model))
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        for _ in range(10):
            stepper(X)
    assert len(model.steps) == 3


def test_who_gets_which_guard():
    fused = Stepper(VAE()).players
    plain = Stepper(VAE(), optimizer=torch.optim.SGD).players
    kinds = [
        type(guards.make_guard(VAE(), players, torch.device(device))).__name__
        for players, device in ((fused, "cpu"), (plain, "meta"), (fused, "meta"))
    ]
    assert kinds == ["ImmediateGuard", "ImmediateGuard", "DeferredGuard"]


def test_fit_stops_with_the_diagnosis():
    model = VAE()
    model.spoil = loss_is(math.nan)
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        fit(model, X["x"], epochs=9, progress=False)
    assert all(torch.isfinite(value).all() for value in model.state().values())
    assert model.modes[-1] is False
