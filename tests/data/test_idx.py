"""IDX files: every type, plain and compressed; damaged ones are refused in words."""

import gzip
import struct

import numpy as np
import pytest
import torch

from symdgm.data import read_idx
from symdgm.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(array, code):
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(TYPES[code]).tobytes()


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_type(code, pack, tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "f").write_bytes(pack(idx(array, code)))
    found = read_idx(tmp_path / "f")
    assert found.tolist() == array.tolist()
    assert found.dtype == torch.from_numpy(array.astype(TYPES[code][1:])).dtype


GOOD = idx(np.arange(6).reshape(2, 3), 0x08)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no IDX file: it begins with nothing"),
        (b"\x89PNG....", "is no IDX file: it begins with 89 50 4e 47\nan IDX file begins with 00 00"),
        (b"\0\0\x07\x01" + GOOD[4:], "begins with 00 00 07 01"),
        (b"\0\0\x08\0", "begins with 00 00 08 00"),
        (GOOD[:8], "is truncated: 8 bytes, where its header needs 12"),
        (GOOD[:-1], r"is truncated: 17 bytes, where \[2, 3\] needs 18"),
        (GOOD + b"x", r"is too long: 19 bytes, where \[2, 3\] needs 18"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "is truncated"),
        (gzip.compress(GOOD, mtime=0)[:-9], "cannot be read"),
        (
            gzip.compress(GOOD, mtime=0)[:-8] + bytes(8),
            "cannot be read: CRC check failed.*\nfetch the file again",
        ),
    ],
)
def test_damaged_files(content, words, tmp_path):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_idx(tmp_path / "f")


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        read_idx(tmp_path / "f")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)
