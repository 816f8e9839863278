"""A run that was broken off goes on as if it had not been, bit for bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from training_models import VAE, Saddle, images, same

from symdgm.errors import FileMismatchError
from symdgm.training import TrainingInterrupted, fit

X = images(300)
OPTIONS = {"epochs": 4, "batch_size": 100, "progress": False, "lr": 1e-2}


class Crash(Exception):
    pass


def crash_after(epoch):
    def callback(record):
        if record.epoch == epoch:
            raise Crash

    return callback


def step_scheduler(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)


def numbers(history):
    return [(r.epoch, r.step, r.value, r.terms, r.validation_value) for r in history.epochs]


def loader():
    return DataLoader(TensorDataset(X), batch_size=100, shuffle=True)


def own_loader():
    return DataLoader(
        TensorDataset(X), batch_size=100, shuffle=True, generator=torch.Generator().manual_seed(3)
    )


VARIANTS = {
    "plain": (lambda: X, {}),
    "schedules": (lambda: X, {"scheduler": step_scheduler, "validation": X[:50], "clip_norm": 1.0}),
    "momentum": (lambda: X, {"optimizer": lambda ps: torch.optim.SGD(ps, lr=1e-3, momentum=0.9), "lr": None}),
    "loader": (loader, {"batch_size": None}),
    "loader with a generator": (own_loader, {"batch_size": None}),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [5, None])
def test_resumed_after_an_exception(variant, seed, tmp_path):
    data, options = VARIANTS[variant]
    options = OPTIONS | options | {"seed": seed}
    torch.manual_seed(1)
    whole = VAE()
    expected = fit(whole, data(), **options)
    torch.manual_seed(1)
    with pytest.raises(Crash):
        fit(VAE(), data(), checkpoint=tmp_path / "c", callbacks=[crash_after(2)], **options)
    torch.manual_seed(99)
    model = VAE(seed=8)
    found = fit(model, data(), checkpoint=tmp_path / "c", resume=True, **options)
    assert same(model.state(), whole.state())
    assert numbers(found) == numbers(expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [5, None])
def test_resumed_after_an_interruption_within_an_epoch(variant, seed, tmp_path):
    data, options = VARIANTS[variant]
    options = OPTIONS | options | {"seed": seed}
    torch.manual_seed(1)
    whole = VAE()
    expected = fit(whole, data(), **options)
    torch.manual_seed(1)
    model = VAE()
    model.spoil = lambda step, loss: os.kill(os.getpid(), signal.SIGINT) or loss if step == 4 else loss
    with pytest.raises(TrainingInterrupted, match="interrupted after 1 epochs") as caught:
        fit(model, data(), checkpoint=tmp_path / "c", **options)
    assert model.steps == [0, 1, 2, 3, 4] and len(caught.value.history) == 1
    torch.manual_seed(99)
    model = VAE(seed=8)
    found = fit(model, data(), checkpoint=tmp_path / "c", resume=True, **options)
    assert model.steps == [5, 6, 7, 8, 9, 10, 11]
    assert same(model.state(), whole.state())
    assert numbers(found) == numbers(expected)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import torch
from training_models import VAE, images
from symdgm.training import fit
torch.set_num_threads(1)
model = VAE()
def kill(step, loss):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss
model.spoil = kill
fit(model, images(300), epochs=4, batch_size=100, lr=1e-2, seed=5, progress=False, checkpoint=sys.argv[2])
"""


def test_resumed_after_a_kill(tmp_path):
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, here, str(tmp_path / "c")], check=False, cwd=Path.cwd()
    )
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    whole, model = VAE(), VAE(seed=8)
    fit(whole, X, seed=5, **OPTIONS)
    fit(model, X, seed=5, checkpoint=tmp_path / "c", resume=True, **OPTIONS)
    assert model.steps == [6, 7, 8, 9, 10, 11]
    assert same(model.state(), whole.state())


def test_a_game_goes_on(tmp_path):
    options = {"epochs": 4, "batch_size": 16, "progress": False, "seed": 0}
    data = torch.rand(64)
    whole, model = Saddle(), Saddle()
    fit(whole, data, **options)
    with pytest.raises(Crash):
        fit(Saddle(), data, checkpoint=tmp_path / "c", callbacks=[crash_after(3)], **options)
    fit(model, data, checkpoint=tmp_path / "c", resume=True, **options)
    assert same(model.state(), whole.state())


def test_resuming_without_a_file_begins_and_a_finished_run_is_finished(tmp_path):
    model = VAE()
    first = fit(model, X, checkpoint=tmp_path / "c", resume=True, seed=1, **OPTIONS)
    assert len(first) == 4
    state = {name: value.clone() for name, value in model.state().items()}
    again = fit(model, X, checkpoint=tmp_path / "c", resume=True, seed=1, **OPTIONS)
    assert numbers(again) == numbers(first) and same(model.state(), state)
    longer = fit(model, X, checkpoint=tmp_path / "c", resume=True, seed=1, **OPTIONS | {"epochs": 6})
    assert len(longer) == 6


def test_a_checkpoint_holds_no_code(tmp_path):
    fit(VAE(), X, checkpoint=tmp_path / "c", scheduler=step_scheduler, validation=X, **OPTIONS)
    content = torch.load(tmp_path / "c", weights_only=True)
    assert content["step"] == 12 and content["identity"]["digest"] == "vae"


def test_refusals(tmp_path):
    path = tmp_path / "c"
    fit(VAE(), X, checkpoint=path, **OPTIONS)
    resume = {"checkpoint": path, "resume": True}
    with pytest.raises(
        FileMismatchError, match=r"belongs to another model\nthe file:    E_q.*\nthis model:  min_a"
    ):
        fit(Saddle(), X, **resume, **OPTIONS)
    with pytest.raises(
        FileMismatchError, match=r"went over other data.*\n.*batch_size=100.*\nnow:.*batch_size=50"
    ):
        fit(VAE(), X, **resume, **OPTIONS | {"batch_size": 50})
    with pytest.raises(FileMismatchError, match=r"went over other data.*\n.*300 rows.*\nnow:.*299 rows"):
        fit(VAE(), X[1:], **resume, **OPTIONS)
    path.write_bytes(b"nonsense")
    with pytest.raises(FileMismatchError, match="is no checkpoint"):
        fit(VAE(), X, **resume, **OPTIONS)
    torch.save({"weights": 1}, path)
    with pytest.raises(FileMismatchError, match="is no checkpoint of this version of symdgm"):
        fit(VAE(), X, **resume, **OPTIONS)
