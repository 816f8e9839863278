"""Players: an optimiser, a step size and a number of steps of their own; and steps without data."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest
import torch
from torch import nn
from training_models import VAE, Saddle, images

from symdgm.errors import DataError, NonFiniteError, OptionError, SymdgmError
from symdgm.training import Evaluation, Stepper, fit
from symdgm.training.meter import Meter
from symdgm.training.optimizers import advance, make_schedulers

ONE = {"x": torch.ones(4)}


class Mean:
    """The mean of draws from N(mu, 1), without data."""

    variables = ()
    ragged: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __init__(self):
        self.mu = nn.Parameter(torch.tensor(3.0))
        self.players = {"": [self.mu]}
        self.identity = {"equation": "E_p(x)[x^2]", "digest": "mean"}
        self.rows = []

    def evaluate(self, batch, player="", *, apart=False):
        (rows,) = (len(value) for value in batch.values())
        self.rows.append(rows)
        value = ((self.mu + torch.randn(rows)) ** 2).mean()
        return Evaluation(value, {"E": value})

    def schedule(self, step): ...

    def moved(self, player): ...

    def check(self, data): ...

    def train_mode(self, on): ...

    def state(self):
        return {"mu": self.mu.detach()}

    def load_state(self, state):
        self.mu.data.copy_(state["mu"])


def test_a_player_with_more_steps_moves_on_every_batch_of_a_round():
    game = Saddle()
    stepper = Stepper(game, lr=0.1, steps={"b": 3})
    moved = [list(stepper(ONE)) for _ in range(7)]
    assert moved == [["b"], ["b"], ["b", "a"], ["b"], ["b"], ["b", "a"], ["b"]]


def test_each_player_has_its_own_step_size():
    game = Saddle()
    optimizers = Stepper(game, optimizer=torch.optim.SGD, lr={"b": 0.5}).players
    assert [p.optimizer.param_groups[0]["lr"] for p in optimizers] == [0.5, 1e-3]
    kinds = Stepper(game, optimizer={"b": torch.optim.SGD, "a": torch.optim.AdamW}).players
    assert [type(p.optimizer) for p in kinds] == [torch.optim.SGD, torch.optim.AdamW]
    with pytest.raises(OptionError, match="unknown player `c`"):
        Stepper(game, lr={"c": 0.1})
    with pytest.raises(OptionError, match="`lr` must be a positive number, not 0"):
        Stepper(game, lr={"a": 0})
    with pytest.raises(OptionError, match=r"`steps\['a'\]` is 0"):
        Stepper(game, steps={"a": 0})


def test_optimiser_states_are_apart():
    game = Saddle()
    stepper = Stepper(game, lr=0.1, steps={"b": 2})
    for _ in range(4):
        stepper(ONE)
    b, a = (player.optimizer.state for player in stepper.players)
    assert list(b) == [game.b] and list(a) == [game.a]
    assert float(b[game.b]["step"]) == 4 and float(a[game.a]["step"]) == 2


def test_a_scheduler_for_one_player():
    game = Saddle()
    stepper = Stepper(game, lr=0.1)
    schedulers = make_schedulers(stepper.players, {"a": lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5)})
    stepper(ONE)
    advance(schedulers, 0.0)
    assert [p.optimizer.param_groups[0]["lr"] for p in stepper.players] == [0.1, 0.05]


def test_the_meter_averages_each_player_over_its_own_steps():
    meter = Meter(["D", "G"])
    number = lambda v: torch.tensor(float(v))  # noqa: E731
    meter.add({"G": Evaluation(number(7), {"g": number(7)})}, rows=2)
    meter.add({"D": Evaluation(number(1), {"d": number(1)}, maximized=True)}, rows=2)
    both = {
        "D": Evaluation(number(4), {"d": number(4)}, maximized=True),
        "G": Evaluation(number(9), {"g": number(9)}),
    }
    meter.add(both, rows=1)
    loss, value, terms = meter.means()
    assert (loss, value) == (-2.0, 2.0)
    assert terms == pytest.approx({"D": 2.0, "D: d": 2.0, "G": 23 / 3, "G: g": 23 / 3})
    other = Meter(["D", "G"])
    other.resume(**meter.state())
    assert other.means() == meter.means()


def test_after_each_step_the_model_is_told():
    game = Saddle()
    told = []
    game.moved = told.append
    stepper = Stepper(game, steps={"b": 2})
    stepper(ONE), stepper(ONE)
    assert told == ["b", "b", "a"]


def test_a_diagnosis_knows_its_player():
    game = Saddle()
    game.diagnose = lambda batch, rng, player: NonFiniteError(f"the loss of {player}")
    evaluate = game.evaluate
    game.evaluate = lambda batch, player: (
        Evaluation(torch.tensor(math.nan), {}) if player == "a" else evaluate(batch, player)
    )
    with pytest.raises(SymdgmError, match="the loss of a"):
        Stepper(game)(ONE)


def test_a_round_goes_on_after_a_break(tmp_path):
    options = {"epochs": 4, "batch_size": 16, "progress": False, "seed": 0, "steps": {"b": 3}}
    data = torch.rand(80)  # five steps an epoch: no epoch ends with a round
    whole, model = Saddle(), Saddle()
    expected = fit(whole, data, **options)

    def crash(record):
        if record.epoch == 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(Saddle(), data, checkpoint=tmp_path / "c", callbacks=[crash], **options)
    found = fit(model, data, checkpoint=tmp_path / "c", resume=True, **options)
    assert torch.equal(model.a, whole.a) and torch.equal(model.b, whole.b)
    assert [r.terms for r in found.epochs] == [r.terms for r in expected.epochs]


def test_steps_without_data():
    model = Mean()
    history = fit(model, n=64, steps=200, lr=0.05, seed=0, progress=False)
    assert abs(model.mu.item()) < 0.1 and history.last.step == 200
    assert set(model.rows) == {64}
    again = Mean()
    fit(again, batch_size=32, epochs=2, progress=False)
    assert again.rows == [32] * 200


def test_steps_without_data_refuse_what_has_no_meaning():
    with pytest.raises(DataError, match="the model has no data variable, but data are given"):
        fit(Mean(), torch.ones(3))
    with pytest.raises(DataError, match="the model has the data `x`, and none are given"):
        fit(VAE())
    with pytest.raises(OptionError, match="`steps=5` says how much is drawn without data"):
        fit(VAE(), images(8), steps=5)
    with pytest.raises(OptionError, match="`n=5` says how much is drawn without data"):
        fit(VAE(), images(8), n=5)
    with pytest.raises(OptionError, match="`shuffle` has no effect without data"):
        fit(Mean(), shuffle=True)
    with pytest.raises(OptionError, match="`n` is 0"):
        fit(Mean(), n=0)
