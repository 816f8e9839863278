"""`fit` against the loop written by hand, over all forms of data, and what it promises around it."""

import inspect
import json
import math
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from training_models import VAE, Saddle, images, same

from symdgm.data import digits
from symdgm.errors import DataError, OptionError, SupportError
from symdgm.training import FIT_OPTIONS, EpochRecord, History, fit

X = images(300)


def trained(data=X, model=None, **options):
    model = model or VAE()
    history = fit(model, data, **{"epochs": 2, "seed": 7, "progress": False} | options)
    return model, history


def test_bit_equal_to_a_loop_by_hand_on_real_images():
    data = digits().train.images[:300]
    model, history = trained(data, epochs=3, batch_size=100, lr=1e-2, clip_norm=5.0)
    other = VAE()
    torch.manual_seed(7)
    order = torch.Generator().manual_seed(int(torch.empty((), dtype=torch.int64).random_().item()))
    torch.empty((), dtype=torch.int64).random_()  # the seed of the validation, drawn in any case
    optimizer = torch.optim.Adam(other.module.parameters(), lr=1e-2, fused=True)
    means = []
    for _ in range(3):
        values = []
        for index in torch.randperm(300, generator=order).split(100):
            optimizer.zero_grad()
            evaluation = other.evaluate({"x": data[index]})
            evaluation.loss.backward()
            torch.nn.utils.clip_grad_norm_(other.module.parameters(), 5.0)
            optimizer.step()
            values.append(evaluation.value.item())
        means.append(sum(values) / 3)
    assert same(model.state(), other.state())
    assert [record.value for record in history.epochs] == pytest.approx(means, rel=1e-6)


def test_training_increases_the_objective():
    _, history = trained(epochs=30, lr=1e-2)
    assert history.last.value > history.epochs[0].value + 5


@pytest.mark.parametrize(
    "data",
    [X.numpy(), X.double().numpy(), {"x": X}, (X,), [X.numpy()], TensorDataset(X)],
    ids=["array", "float64", "dict", "tuple", "list", "TensorDataset"],
)
def test_all_forms_in_memory_give_the_same_weights(data):
    assert same(trained(data)[0].state(), trained()[0].state())


@pytest.mark.parametrize(
    "data",
    [
        # With a generator of its own, the loader draws nothing from the stream of the noise.
        lambda: DataLoader(TensorDataset(X), batch_size=128, generator=torch.Generator()),
        lambda: [{"x": x} for x in X.split(128)],
        lambda: ((x,) for x in X.split(128)),
    ],
    ids=["DataLoader", "list of batches", "generator"],
)
def test_batches_give_the_weights_of_data_in_order(data):
    assert same(trained(data(), epochs=1)[0].state(), trained(epochs=1, shuffle=False)[0].state())


def test_a_seed_is_repeatable_and_leaves_the_callers_noise_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, _ = trained()
    assert torch.equal(torch.get_rng_state(), before)
    torch.randn(5)
    second, _ = trained()
    assert same(first.state(), second.state())
    assert not same(first.state(), trained(seed=8)[0].state())


def test_without_a_seed_the_callers_stream_decides():
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(trained(seed=None)[0].state())
    assert same(states[0], states[1]) and not same(states[0], states[2])


def test_schedule_is_told_every_step():
    model, _ = trained(epochs=2, batch_size=100)
    assert model.steps == [0, 1, 2, 3, 4, 5]


def test_a_schedule_acts(monkeypatch):
    model = VAE()
    monkeypatch.setattr(model, "schedule", lambda step: setattr(model, "beta", 0.5 * step))
    _, history = trained(model=model, epochs=2, batch_size=300)
    for beta, record in zip((0.0, 0.5), history.epochs, strict=True):
        first, kl = record.terms.values()
        assert record.value == pytest.approx(first - beta * kl, rel=1e-6)


def test_averages_are_weighted_by_rows(monkeypatch):
    model = VAE()
    evaluate = model.evaluate
    seen = []

    def watched(batch, player=""):
        evaluation = evaluate(batch)
        seen.append((len(batch["x"]), evaluation.value.item()))
        return evaluation

    monkeypatch.setattr(model, "evaluate", watched)
    _, history = trained(model=model, epochs=1, batch_size=128)
    assert [rows for rows, _ in seen] == [128, 128, 44]
    assert history.last.value == pytest.approx(sum(r * v for r, v in seen) / 300, rel=1e-6)


def test_validation_watches_and_changes_nothing():
    alone, _ = trained(epochs=3)
    watched, history = trained(epochs=3, validation=images(90, seed=2))
    assert same(alone.state(), watched.state())
    assert watched.modes == [True, False, True, False, True, False, False]
    assert watched.checked == [300, 90]
    record = history.last
    assert record.validation_value == pytest.approx(
        record.validation_terms["E_q(z|x)[log p(x|z)]"] - record.validation_terms["KL[q(z|x) || p(z)]"],
        rel=1e-5,
    )


def test_validation_draws_the_same_noise_every_time():
    _, history = trained(epochs=3, optimizer=torch.optim.SGD, lr=1e-30, validation=X)
    values = {record.validation_value for record in history.epochs}
    assert len(values) == 1


def test_validation_forms_no_gradient(monkeypatch):
    model = VAE()
    evaluate = model.evaluate
    graded = []

    def watched(batch, player=""):
        evaluation = evaluate(batch)
        graded.append((len(batch["x"]), evaluation.loss.requires_grad))
        return evaluation

    monkeypatch.setattr(model, "evaluate", watched)
    trained(model=model, epochs=1, validation=DataLoader(TensorDataset(X[:50]), batch_size=50))
    assert (50, False) in graded and (128, True) in graded and (50, True) not in graded


def test_scheduler_and_callbacks():
    rates, records = [], []

    def make(optimizer):
        rates.append(optimizer)
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    trained(epochs=5, lr=1e-2, scheduler=make, callbacks=[records.append, lambda r: r.epoch == 3])
    assert [record.epoch for record in records] == [1, 2, 3]
    assert rates[0].param_groups[0]["lr"] == pytest.approx(1e-2 / 8)


def test_a_plateau_is_measured_by_the_validation_loss():
    made = []

    def make(optimizer):
        made.append(torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0))
        return made[0]

    _, history = trained(epochs=1, scheduler=make, validation=X[:60])
    assert made[0].best == pytest.approx(-history.last.validation_value)


def test_a_game():
    game, history = trained(
        torch.ones(64), Saddle(), epochs=40, batch_size=16, optimizer=torch.optim.SGD, lr=0.1
    )
    assert abs(game.a.item()) < 1e-4 and abs(game.b.item()) < 1e-4
    assert list(history.last.terms) == ["b", "b: V", "a", "a: V"]
    assert game.order[:4] == ["b", "a", "b", "a"]


def test_data_are_checked_before_the_first_step():
    model = VAE()
    with pytest.raises(SupportError, match=r"x lies outside \[0, 1\]"):
        fit(model, X - 1, progress=False)
    assert model.steps == []
    with pytest.raises(SupportError, match=r"x lies outside \[0, 1\]"):
        fit(model, X, validation=X - 1, progress=False)
    assert model.steps == []


def test_batches_of_a_loader_are_checked_in_the_first_epoch():
    model, _ = trained(DataLoader(TensorDataset(X), batch_size=128), epochs=3)
    assert model.checked == [128, 128, 44]


def test_double_precision_models_get_double_data():
    model = VAE()
    model.module.double()
    model, history = trained(X.numpy(), model)
    assert model.encoder[0].weight.dtype == torch.float64 and math.isfinite(history.last.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epoch": 3}, "unknown option `epoch`\ndid you mean `epochs`"),
        ({"bacth_size": 3}, "did you mean `batch_size`"),
        ({"epochs": 0}, "`epochs` is 0"),
        ({"epochs": 2.0}, "`epochs` is 2.0"),
        ({"epochs": True}, "`epochs` is True"),
        ({"batch_size": -1}, "`batch_size` is -1"),
        ({"lr": 0.0}, "`lr` must be a positive number, not 0.0"),
        ({"lr": "fast"}, "`lr` must be a positive number, not 'fast'"),
        ({"clip_norm": "a"}, "`clip_norm` must be a positive number, not 'a'"),
        ({"seed": "a"}, "`seed` must be a whole number from 0 on, below 2\\^64, not 'a'"),
        ({"seed": 2**64}, "`seed` must be a whole number from 0 on"),
        ({"checkpoint": 5}, "`checkpoint` is 5"),
        ({"resume": True}, "`resume` needs to know the file"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(OptionError, match=words):
        fit(VAE(), X, **options)


def test_the_list_of_options_is_the_signature():
    signature = inspect.signature(fit)
    assert {"trainable", "data", "unknown", *FIT_OPTIONS} == set(signature.parameters)


def test_data_without_batches():
    with pytest.raises(DataError, match="epoch 1 had no batch\nthe data are empty"):
        trained([])

    class Once:
        def __init__(self):
            self.rest = iter([{"x": X}])

        def __iter__(self):
            return iter(list(self.rest))

    with pytest.raises(DataError, match="epoch 2 had no batch"):
        trained(Once())


def test_validation_batches_are_checked_and_must_be_there():
    model, _ = trained(validation=[{"x": X[:30]}])
    assert model.checked == [300, 30]
    with pytest.raises(SupportError, match=r"x lies outside \[0, 1\]"):
        trained(validation=[{"x": X - 1}])
    with pytest.raises(DataError, match="the validation data had no batch\nthey can be"):
        trained(validation=[])


def test_history_is_plain_data():
    _, history = trained(validation=X[:20])
    assert pickle.loads(pickle.dumps(history)) == history
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
    assert [record.step for record in history.epochs] == [3, 6] and len(history) == 2
    assert isinstance(history.last, EpochRecord) and history.last.seconds > 0
    table = repr(history).split("\n")
    assert len(table) == 3 and len({len(line) for line in table}) == 1
    assert table[0].split() == ["epoch", "step", "seconds", "value", "E[log", "p(x|z)]", "KL", "validation"]
    assert repr(History()) == "History: no epoch yet"


def test_arrays_are_not_changed():
    data = X.numpy().copy()
    trained(data)
    assert np.array_equal(data, X.numpy())
