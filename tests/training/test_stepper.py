"""One step equals the step written by hand, and a player moves nothing but its own."""

import copy

import pytest
import torch
from torch import nn
from training_models import VAE, Saddle, images, same

from symdgm.errors import OptionError, ParameterError
from symdgm.training import Evaluation, Stepper

X = {"x": images(32)}


def by_hand(model, steps, *, clip_norm=None, clip_value=None, make=torch.optim.Adam, **options):
    parameters = list(model.module.parameters())
    optimizer = make(parameters, lr=1e-3, **options)
    for step in range(steps):
        model.schedule(step)
        optimizer.zero_grad()
        model.evaluate(X).loss.backward()
        if clip_value is not None:
            nn.utils.clip_grad_value_(parameters, clip_value)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimizer.step()
    return model.state()


@pytest.mark.parametrize(
    "clip",
    [
        {},
        {"clip_norm": 0.5},
        {"clip_norm": 1e6},
        {"clip_value": 0.01},
        {"clip_norm": 0.3, "clip_value": 0.05},
    ],
)
def test_bit_equal_to_a_loop_by_hand(clip):
    torch.manual_seed(0)
    expected = by_hand(VAE(), 5, fused=True, **clip)
    torch.manual_seed(0)
    model = VAE()
    stepper = Stepper(model, **clip)
    for _ in range(5):
        stepper(X)
    assert same(model.state(), expected)
    assert model.steps == [0, 1, 2, 3, 4] and stepper.step == 5


@pytest.mark.parametrize("limit", [{"clip_norm": 0.25}, {"clip_value": 0.01}])
def test_clipping_limits_the_gradient(limit):
    model = VAE()
    Stepper(model, **limit)(X)
    gradient = torch.cat([p.grad.flatten() for p in model.module.parameters()])
    if "clip_norm" in limit:
        assert gradient.norm().item() == pytest.approx(0.25, rel=1e-4)
    else:
        assert gradient.abs().max().item() == pytest.approx(0.01)


def test_data_get_no_gradient():
    x = X["x"].clone().requires_grad_()
    Stepper(VAE())({"x": x})
    assert x.grad is None


def test_the_evaluation_is_from_before_the_update():
    model = VAE()
    torch.manual_seed(0)
    expected = model.evaluate(X)
    torch.manual_seed(0)
    (found,) = Stepper(model)(X).values()
    assert torch.equal(found.value, expected.value)


def test_a_game_in_the_order_of_the_players():
    game = Saddle()
    stepper = Stepper(game, optimizer=torch.optim.SGD, lr=0.1)
    a, b = game.a.item(), game.b.item()
    evaluations = stepper({"x": torch.ones(4)})
    # b moves first: db = a - b; then a, which sees the new b: da = -(b + a).
    after = b + 0.1 * (a - b)
    assert game.order == ["b", "a"] and list(evaluations) == ["b", "a"]
    assert game.b.item() == pytest.approx(after)
    assert game.a.item() == pytest.approx(a - 0.1 * (after + a))


def test_a_game_reaches_its_saddle():
    game = Saddle()
    stepper = Stepper(game, optimizer=torch.optim.SGD, lr=0.1)
    for _ in range(200):
        stepper({"x": torch.ones(4)})
    assert abs(game.a.item()) < 1e-6 and abs(game.b.item()) < 1e-6


def test_other_players_get_no_gradient():
    game = Saddle()
    stepper = Stepper(game, optimizer={"b": torch.optim.SGD, "a": lambda ps: torch.optim.SGD(ps, lr=0.0)})
    kept = game.b.grad = torch.tensor([7.0])
    stepper._move(stepper.players[1], {"x": torch.ones(4)})
    assert game.b.grad is kept and kept.item() == 7.0
    assert game.b.item() == -2.0


def test_a_part_of_the_parameters():
    model = VAE()
    before = copy.deepcopy(model.state())
    Stepper(model, optimizer=lambda ps: torch.optim.SGD(model.decoder.parameters(), lr=0.1))(X)
    moved = {
        name.split(".")[0] for name, value in model.state().items() if not torch.equal(value, before[name])
    }
    assert moved == {"decoder"}
    assert all(p.grad is None for p in model.encoder.parameters())


@pytest.mark.parametrize("name", ["lr", "clip_norm", "clip_value"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_limits_are_positive(name, value):
    with pytest.raises(OptionError, match=f"`{name}` must be a positive number, not {value}"):
        Stepper(VAE(), **{name: value})


def test_an_objective_without_parameters_is_refused(monkeypatch):
    model = VAE()
    one = torch.ones(())
    monkeypatch.setattr(model, "evaluate", lambda batch, player="": Evaluation(one, {}))
    with pytest.raises(
        ParameterError, match="the objective depends on no parameter\na network that is bound"
    ):
        Stepper(model)(X)


@pytest.mark.parametrize("maximized", [False, True])
@pytest.mark.parametrize("inputs", [None, "a"])
def test_the_gradient_of_an_evaluation_is_that_of_its_loss(maximized, inputs):
    a, b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (2.0, 3.0))
    value = a.square() * b
    evaluation = Evaluation(value, {}, maximized)
    sign = -1 if maximized else 1
    assert evaluation.loss.item() == sign * 12
    evaluation.backward(None if inputs is None else [a])
    assert a.grad.item() == sign * 12
    assert (b.grad.item() == sign * 4) if inputs is None else b.grad is None
