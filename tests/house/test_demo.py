"""The demonstration: it trains, says what it found, and draws it."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
import torch

from symdgm import cli
from symdgm.data import binarize, digits
from symdgm.demo import FIXED, Redrawn, bound, run
from symdgm.zoo import vae

PIXEL_MODEL = -26.76
"""Nats of a test image under independent pixels with their training means: what no latent variable can do."""


@pytest.fixture(autouse=True)
def _no_folder_of_data(monkeypatch):
    monkeypatch.delenv("SYMDGM_DATA", raising=False)


def size_of_png(path):
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def test_the_bar_is_what_independent_pixels_reach():
    data = digits()
    test = binarize(data.test.images, torch.Generator().manual_seed(FIXED))
    mean = data.train.images.mean(0).clamp(1e-3, 1 - 1e-3)
    value = (test * mean.log() + (1 - test) * (1 - mean).log()).sum(-1).mean().item()
    assert value == pytest.approx(PIXEL_MODEL, abs=0.01)


def test_a_short_run_beats_independent_pixels_and_draws(tmp_path, capsys):
    picture = tmp_path / "new" / "demo.png"
    assert cli.main(["demo", "--epochs", "40", "--out", str(picture), "--code"]) == 0
    out = capsys.readouterr().out
    assert "maximize 𝔼_q(z|x)[log p(x|z)] − β KL[q(z|x) ‖ p(z)]" in out
    assert "closed form (equality)" in out
    assert "def objective(x, *, enc, dec, beta):" in out
    value = float(out.split("Test ELBO")[1].split("±")[0].replace("−", "-"))
    assert PIXEL_MODEL + 1.5 < value < -20
    width, height = size_of_png(picture)
    assert width > 1500
    assert height > 700


def test_equal_seeds_give_equal_runs_and_leave_the_random_state_alone(tmp_path):
    before = torch.get_rng_state()
    first, second, third = (run(epochs=1, seed=seed, out=tmp_path / "x.png") for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert (first.elbo, first.error) == (second.elbo, second.error)
    assert first.history.last.terms == second.history.last.terms
    assert first.elbo != third.elbo


def test_the_bound_is_the_mean_over_images_with_its_standard_error():
    torch.manual_seed(0)
    model = vae(64, latent=2, hidden=8)
    images = binarize(digits().test.images)
    elbo, error = bound(model, images)
    # A hand-written bound, with draws of its own; z below 5 of the difference of two estimates.
    with torch.no_grad():
        networks = model.objective.bound.environment.networks
        loc, scale = networks["enc"](images)
        kl = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(-1)
        z = loc + scale * torch.randn(64, *loc.shape)
        logits = networks["dec"](z)
        log_p = torch.distributions.Bernoulli(logits=logits, validate_args=False).log_prob(images).sum(-1)
    draws = log_p - kl
    noise = draws.std(0).square().mean().div(64 * len(images)).sqrt().item() * math.sqrt(2)
    assert abs(elbo - draws.mean().item()) < 5 * noise
    assert error == pytest.approx(draws.mean(0).std().item() / math.sqrt(len(images)), rel=0.02)


def test_training_images_are_redrawn_each_time():
    grey = torch.full((4, 1000), 0.25)
    images = Redrawn(grey)
    first, second = images[[0, 1]], images[[0, 1]]
    assert first.shape == (2, 1000)
    assert not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    # The mean of 4,000 draws: five standard errors are 0.034.
    assert torch.cat([first, second]).mean().item() == pytest.approx(0.25, abs=0.035)


def test_mnist_is_trained_on_where_a_folder_has_it(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
        struct.pack(">IIII", 0x803, *images.shape) + images.tobytes()
    )
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 10_000) + bytes(10_000))
    assert cli.main(["demo", "--data", str(tmp_path), "--epochs", "1", "--out", str(tmp_path / "m.png")]) == 0
    out = capsys.readouterr().out
    assert "MNIST, 28×28 pixels, binarised: 8000 images to train on," in out
    assert "over 1000 images" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "`epochs` is 0"),
        (["--out", "picture.xyz"], "`picture.xyz` is no name of a picture"),
        (["--data", "no-such-folder"], "there are no files of MNIST in `no-such-folder`"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_training(words, message, capsys):
    assert cli.main(["demo", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_folder_of_the_environment_is_taken(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SYMDGM_DATA", str(tmp_path))
    assert cli.main(["demo"]) == 2
    assert "there are no files of MNIST" in capsys.readouterr().err
