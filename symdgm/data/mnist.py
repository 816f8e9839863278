"""MNIST from its IDX files."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from symdgm.data.download import download as fetch
from symdgm.data.folder import data_folder
from symdgm.data.idx import read_idx
from symdgm.data.splits import Splits, split
from symdgm.errors import DataError
from symdgm.given import switch

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Where the files are fetched from, in this order."""

MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""The four files, and the checksums of their compressed forms."""

ROWS = {"train": 60_000, "t10k": 10_000}
"""Rows of the two parts."""


def mnist(root: str | os.PathLike[str] | None = None, *, flat: bool = True, download: bool = False) -> Splits:
    """The handwritten digits of MNIST, 28×28 pixels.

    All four files: 50,000 rows to train on, 10,000 for validation, and the test set of 10,000, which is the
    split of Burda, Grosse & Salakhutdinov (2016). Two files, those of the test set: its first 8,000 rows to
    train on, the next 1,000 for validation, the last 1,000 for the test.

    Args:
        root: the folder with the files, plain or ``.gz``; default: the folder named in ``SYMDGM_DATA``.
        flat: ``[N, 784]`` (the default) or ``[N, 28, 28]``.
        download: fetches the four files (12 MB) into ``root`` if they are not there.

    Returns:
        Intensities k/255 in [0, 1], float32, and the labels.

    Raises:
        DataError: if no folder is named, files are missing or damaged, or cannot be fetched.

    Source:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition"
        (1998).
    """
    folder = data_folder(root)
    if switch("download", download):
        for name, md5 in MD5.items():
            if _find(folder, name) is None:
                fetch([f"{mirror}{name}.gz" for mirror in MIRRORS], folder / f"{name}.gz", md5)
    test = _pair(folder, "t10k", switch("flat", flat))
    train = _pair(folder, "train", flat)
    if test is None:
        raise DataError(
            f"there are no files of MNIST in `{folder}`",
            hint=f"expected: {', '.join(MD5)}, with or without .gz; or download=True",
        )
    if train is None:
        return split(*test, train=8_000, validation=1_000)
    joined = torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]])
    return split(*joined, train=50_000, validation=10_000)


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.exists()), None)


def _pair(folder: Path, part: str, flat: bool) -> tuple[Tensor, Tensor] | None:
    """Images and labels of one part, or None if neither file is there."""
    paths = [_find(folder, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
    if paths == [None, None]:
        return None
    if paths[0] is None or paths[1] is None:
        raise DataError(f"`{folder}` has the images or the labels of `{part}`, not both")
    images, labels = read_idx(paths[0]), read_idx(paths[1])
    rows = ROWS[part]
    if images.shape != (rows, 28, 28) or labels.shape != (rows,) or images.dtype != torch.uint8:
        raise DataError(
            f"the files `{part}` in `{folder}` are not those of MNIST",
            hint=f"images {list(images.shape)}, labels {list(labels.shape)}; "
            f"MNIST has {rows} rows of 28×28 bytes",
        )
    pixels = images.to(torch.float32) / 255
    return (pixels.flatten(1) if flat else pixels), labels.to(torch.int64)
