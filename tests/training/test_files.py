"""Weights in files: exact, whole, and only for the model that they belong to."""

import os
import stat

import pytest
import safetensors
import torch
from training_models import VAE, Saddle, images, same

from symdgm.errors import FileMismatchError
from symdgm.training import fit, load, save
from symdgm.training.atomic import write_atomically
from symdgm.training.files import read


@pytest.fixture
def model():
    model = VAE()
    fit(model, images(), seed=0, progress=False)
    return model


def test_round_trip_is_exact(model, tmp_path):
    save(tmp_path / "vae.safetensors", model.state(), model.identity)
    other = VAE(seed=1)
    load(tmp_path / "vae.safetensors", other)
    assert same(other.state(), model.state())


def test_the_equation_stands_in_the_file(model, tmp_path):
    save(tmp_path / "vae.safetensors", model.state(), model.identity)
    with safetensors.safe_open(tmp_path / "vae.safetensors", "pt") as file:
        assert file.metadata()["equation"] == model.identity["equation"]
        assert set(file.keys()) == set(model.state())


def test_tied_and_strided_tensors(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    state = {
        "tied": base,
        "also": base,
        "transposed": base.T,
        "row": base[1],
        "expanded": torch.tensor(2.5).expand(3),
        "number": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "also empty": torch.zeros(0, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "flag": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    save(tmp_path / "f", state)
    found, _ = read(tmp_path / "f")
    assert found["tied"] is found["also"]
    assert same({k: v.detach() for k, v in state.items()}, found)
    assert [v.dtype for v in state.values()] == [found[k].dtype for k in state]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "folder" / "weights"
    write_atomically(path, b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    write_atomically(path, b"old")

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_another_equation_is_refused_with_both_texts(model, tmp_path):
    save(tmp_path / "f", model.state(), model.identity)
    game = Saddle()
    with pytest.raises(FileMismatchError) as caught:
        load(tmp_path / "f", game)
    words = str(caught.value)
    assert "belongs to another model" in words
    assert "the file:    E_q(z|x)[log p(x|z)] - beta KL[q || p]" in words
    assert "this model:  min_a max_b V(a, b)" in words
    assert game.a.item() == 1.0


def test_a_file_without_an_equation_is_refused(model, tmp_path):
    save(tmp_path / "f", model.state())
    with pytest.raises(FileMismatchError, match="the file:    no equation"):
        load(tmp_path / "f", model)


def test_an_equation_spelled_otherwise_is_the_same(model, tmp_path):
    save(tmp_path / "f", model.state(), model.identity | {"equation": "another spelling"})
    load(tmp_path / "f", VAE())


def test_weights_that_do_not_fit(model, tmp_path):
    state = model.state()
    renamed = {name.replace("encoder.0", "enc.0"): value for name, value in state.items()}
    save(tmp_path / "names", renamed, model.identity)
    with pytest.raises(
        FileMismatchError, match=r"are not those of this model\n.*`encoder.0.weight`.*\n.*`enc.0.weight`"
    ):
        load(tmp_path / "names", model)
    save(tmp_path / "shapes", VAE(hidden=16).state(), model.identity)
    before = {name: value.clone() for name, value in model.state().items()}
    with pytest.raises(
        FileMismatchError, match=r"`encoder.0.weight` does not fit\n.*\[16, 64\]\n.*\[32, 64\]"
    ):
        load(tmp_path / "shapes", model)
    save(tmp_path / "kinds", {n: v.long() for n, v in state.items()}, model.identity)
    with pytest.raises(FileMismatchError, match=r"does not fit\n.*int64.*\n.*float32"):
        load(tmp_path / "kinds", model)
    assert same(model.state(), before)


def test_double_weights_load_into_a_float_model(model, tmp_path):
    save(tmp_path / "f", {n: v.double() for n, v in model.state().items()}, model.identity)
    other = VAE(seed=1)
    load(tmp_path / "f", other)
    assert same(other.state(), model.state())


def test_files_that_are_none(model, tmp_path):
    with pytest.raises(FileMismatchError, match="there is no file"):
        load(tmp_path / "nothing", model)
    (tmp_path / "text").write_text("weights")
    with pytest.raises(FileMismatchError, match="is not a safetensors file"):
        load(tmp_path / "text", model)
    with pytest.raises(FileMismatchError, match="is not a safetensors file"):
        load(tmp_path, model)
    save(tmp_path / "cut", model.state(), model.identity)
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-100])
    with pytest.raises(FileMismatchError, match="is not a safetensors file"):
        load(tmp_path / "cut", model)
