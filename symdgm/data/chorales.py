"""Bach's chorales as piano rolls."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import Tensor

from symdgm.data.download import download as fetch
from symdgm.data.folder import data_folder
from symdgm.data.sequences import Ragged, RaggedSplits, ragged
from symdgm.errors import DataError
from symdgm.given import switch

FILE = "jsb-chorales-quarter.json"
MIRRORS = ("https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/",)
"""Where the file is fetched from."""
MD5 = "3bf6c38f846f08869f8ae53078e34902"
LOWEST, NOTES = 21, 88
"""The lowest key of a piano as a MIDI number, and how many keys there are."""
COUNTS = {"train": 229, "valid": 76, "test": 77}


def chorales(root: str | os.PathLike[str] | None = None, *, download: bool = False) -> RaggedSplits:
    """The 382 chorales of J. S. Bach at steps of a quarter note, as piano rolls of 88 keys.

    Args:
        root: the folder with ``jsb-chorales-quarter.json``; default: the folder named in ``SYMDGM_DATA``.
        download: fetches the file (0.4 MB) into ``root`` if it is not there.

    Returns:
        229 chorales to train on, 76 for validation, 77 for the test; zeros and ones, float32
        ``[N, T, 88]``, and the number of steps of each.

    Raises:
        DataError: if no folder is named, the file is missing or not what it should be, or cannot be fetched.

    Source:
        N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, "Modeling temporal dependencies in high-dimensional
        sequences" (2012); the file is that of C. Z. Huang.
    """
    path = data_folder(root) / FILE
    if switch("download", download) and not path.exists():
        fetch([f"{mirror}{FILE}" for mirror in MIRRORS], path, MD5)
    parts = _read(path)
    train, valid, test = (_rolls(parts[name]) for name in COUNTS)
    return RaggedSplits(train, valid, test)


def _read(path: Path) -> dict[str, list[list[list[int]]]]:
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"there is no `{path.name}` in `{path.parent}`", hint="or download=True") from error
    except ValueError as error:
        raise DataError(f"`{path}` is no JSON", hint="fetch it anew") from error
    sizes = {name: len(parts.get(name, ())) for name in COUNTS} if isinstance(parts, dict) else {}
    if sizes != COUNTS:
        raise DataError(
            f"`{path}` is not the file of the chorales", hint=f"expected: {COUNTS}; found: {sizes}"
        )
    return {name: parts[name] for name in COUNTS}


def _rolls(pieces: list[list[list[int]]]) -> Ragged:
    return ragged([_roll(piece) for piece in pieces])


def _roll(piece: list[list[int]]) -> Tensor:
    """``[steps, 88]`` with ones where a key sounds."""
    roll = torch.zeros(len(piece), NOTES)
    for step, notes in enumerate(piece):
        roll[step, [int(note) - LOWEST for note in notes]] = 1
    return roll
