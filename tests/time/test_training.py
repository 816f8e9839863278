"""Training on sequences of different lengths: every form of data, validation, checkpoints."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, WHOLE, Gaussian, data, spoiled
from torch import nn

import symdgm as sd
from symdgm.data.sequences import ragged

LENGTHS = [3, 6, 1, 4, 2, 6, 5]
X = data(batch=7)
LIST = [X[b, :n] for b, n in enumerate(LENGTHS)]


def model():
    dmm = DMM()
    return sd.Model(f"maximize {WHOLE}", *dmm.factors, z_0=dmm.start)


def weights(trained):
    return torch.cat([p.detach().flatten() for p in trained.parameters()])


def test_every_form_trains_the_same():
    lengths = torch.tensor(LENGTHS)
    forms = [LIST, ragged(LIST), {"x": X, "T": lengths}, {"x": spoiled(X, LENGTHS), "T": lengths}]
    found = []
    for form in forms:
        trained = model()
        history = trained.fit(form, epochs=2, batch_size=3, seed=1, progress=False)
        assert len(history) == 2
        found.append(weights(trained))
    assert not torch.equal(found[0], weights(model()))
    for other in found[1:]:
        assert torch.equal(other, found[0])


def test_validation_and_resuming(tmp_path):
    options = {"batch_size": 3, "seed": 1, "progress": False, "validation": LIST[:3]}
    whole, parts = model(), model()
    history = whole.fit(LIST, epochs=3, **options)
    assert all(record.validation_value is not None for record in history.epochs)
    path = tmp_path / "checkpoint.pt"
    parts.fit(LIST, epochs=1, checkpoint=path, **options)
    resumed = model()
    resumed.fit(LIST, epochs=3, checkpoint=path, resume=True, **options)
    assert torch.equal(weights(resumed), weights(whole))


def test_the_beginning_is_trained_and_saved(tmp_path):
    trained, other = model(), model()
    trained.fit(LIST, epochs=1, batch_size=3, seed=1, progress=False)
    assert not torch.equal(trained.state()["initial_z"], other.state()["initial_z"])
    trained.save(tmp_path / "model.safetensors")
    other.load(tmp_path / "model.safetensors")
    assert torch.equal(weights(other), weights(trained))


def test_training_lowers_the_bound_on_the_data():
    trained = model()
    value = trained.objective(x=X, T=torch.tensor(LENGTHS)).item()
    trained.fit(LIST, epochs=60, batch_size=7, lr=0.02, seed=1, progress=False)
    assert trained.objective(x=X, T=torch.tensor(LENGTHS)).item() > value + 2


@pytest.mark.parametrize(
    ("options", "written"),
    [({"checkpoint": 2}, "steps[start:start + 2]"), ({"truncate": 2}, "time % 2 == 0")],
)
def test_models_take_segments(options, written):
    dmm = DMM()
    trained = sd.Model(f"maximize {WHOLE}", *dmm.factors, z_0=dmm.start, **options)
    assert trained.fit(LIST, epochs=1, progress=False).epochs[0].value < 0
    assert written in trained.objective.code


def test_a_player_may_own_the_value_before_the_first_step():
    start = nn.Parameter(torch.zeros(2))
    game = sd.Model(
        """
        loss_d: minimize sum_{t=1}^T E_q(z_t|z_{t-1},x_t)[sum(d(z_t))] over d
        loss_q: minimize -sum_{t=1}^T E_q(z_t|z_{t-1},x_t)[sum(d(z_t))] over q
        """,
        sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(4, 2)),
        d=nn.Linear(2, 1),
        z_0=start,
        players={"q": ["q(z_t|z_{t-1},x_t)", "z_0"]},
    )
    assert {name: len(owned) for name, owned in game.players.items()} == {"d": 2, "q": 3}
    game.fit({"x": torch.randn(8, 4, 2), "T": torch.arange(8) % 4 + 1}, epochs=1, seed=0, progress=False)
    assert start.abs().sum() > 0
