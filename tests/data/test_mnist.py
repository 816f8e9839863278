"""MNIST: the official names, both splits, a download that believes only checksums."""

import functools
import gzip
import hashlib
import http.server
import importlib
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from symdgm.data import mnist
from symdgm.data.download import download
from symdgm.errors import DataError

module = importlib.import_module("symdgm.data.mnist")
SHARED = Path(__file__).parents[3] / "shared" / "data"


def files(rows, first=0):
    """Images and labels in which row i is filled with the digit i mod 10."""
    labels = (np.arange(first, first + rows) % 10).astype("u1")
    images = np.repeat(labels, 784)
    return {
        "images-idx3-ubyte": struct.pack(">4I", 0x803, rows, 28, 28) + images.tobytes(),
        "labels-idx1-ubyte": struct.pack(">2I", 0x801, rows) + labels.tobytes(),
    }


def write(folder, part, rows, packed=True):
    for name, content in files(rows).items():
        path = folder / f"{part}-{name}"
        (path.with_name(path.name + ".gz") if packed else path).write_bytes(
            gzip.compress(content, 1) if packed else content
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    write(folder, "train", 60_000)
    write(folder, "t10k", 10_000, packed=False)
    return folder


def test_all_four_files(whole):
    data = mnist(whole)
    assert [tuple(part.images.shape) for part in data] == [(50_000, 784), (10_000, 784), (10_000, 784)]
    assert all(torch.equal(part.labels, torch.arange(len(part.labels)) % 10) for part in data)
    assert torch.equal(data.test.images[:, 0] * 255, data.test.labels.float())


def test_the_test_set_alone(tmp_path):
    write(tmp_path, "t10k", 10_000)
    data = mnist(tmp_path, flat=False)
    assert [tuple(part.images.shape) for part in data] == [(8_000, 28, 28), (1_000, 28, 28), (1_000, 28, 28)]


def test_the_folder_is_named_by_the_environment(whole, monkeypatch):
    monkeypatch.setenv("SYMDGM_DATA", str(whole))
    assert len(mnist().test.images) == 10_000
    monkeypatch.delenv("SYMDGM_DATA")
    with pytest.raises(DataError, match=r"no folder of data is named\ngive root=\.\.\., or set SYMDGM_DATA"):
        mnist()


def test_refusals(tmp_path):
    with pytest.raises(
        DataError, match=r"there are no files of MNIST in .*\nexpected: train-images-idx3-ubyte"
    ):
        mnist(tmp_path)
    write(tmp_path, "t10k", 100)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = labels.read_bytes()
    labels.unlink()
    with pytest.raises(DataError, match="has the images or the labels of `t10k`, not both"):
        mnist(tmp_path)
    labels.write_bytes(gzip.compress(files(99)["labels-idx1-ubyte"]))
    with pytest.raises(
        DataError, match=r"are not those of MNIST\nimages \[100, 28, 28\], labels \[99\]; MNIST has"
    ):
        mnist(tmp_path)
    labels.write_bytes(content)
    write(tmp_path, "train", 100)
    with pytest.raises(
        DataError, match=r"`t10k` in .*\nimages \[100, 28, 28\].*MNIST has 10000 rows of 28×28"
    ):
        mnist(tmp_path)


@pytest.mark.skipif(not (SHARED / "t10k-images-idx3-ubyte.gz").exists(), reason="no MNIST in ../shared/data")
def test_the_real_test_set():
    data = mnist(SHARED)
    assert [len(part.images) for part in data] == [8_000, 1_000, 1_000]
    assert data.train.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert 0.12 < data.train.images.mean().item() < 0.14 and data.train.images.max() == 1


@pytest.fixture
def server(tmp_path):
    """The four files on a server of this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    write(folder, "train", 60_000)
    write(folder, "t10k", 10_000)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *args: None})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_download(server, tmp_path, monkeypatch):
    folder, url = server
    monkeypatch.setattr(module, "MIRRORS", ("http://127.0.0.1:9/", url))
    monkeypatch.setattr(module, "MD5", {name: md5(folder / f"{name}.gz") for name in module.MD5})
    data = mnist(tmp_path / "new", download=True)
    assert len(data.train.images) == 50_000
    assert names(tmp_path / "new") == names(folder)
    monkeypatch.setattr(module, "MIRRORS", ())
    assert len(mnist(tmp_path / "new", download=True).test.images) == 10_000


def test_a_damaged_download_never_appears(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"half a fi")
    target = tmp_path / "folder" / "target"
    with pytest.raises(DataError) as caught:
        download([source.as_uri(), (tmp_path / "none").as_uri()], target, "0" * 32)
    assert "`target` could not be fetched" in str(caught.value)
    assert "the checksum is" in str(caught.value) and "No such file" in str(caught.value)
    assert not target.parent.exists()


def test_a_damaged_file_is_fetched_again(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"whole")
    target.write_bytes(b"damaged")
    assert download([source.as_uri()], target, md5(source)).read_bytes() == b"whole"
    assert download([], target, md5(source)) == target
