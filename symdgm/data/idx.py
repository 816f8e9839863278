"""The IDX format of MNIST: a magic number, the sizes of the axes, the entries, all big-endian."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from symdgm.errors import DataError
from symdgm.given import path as file_path

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file: the type of its entries."""


def read_idx(path: str | os.PathLike[str]) -> Tensor:
    """Reads an IDX file, plain or compressed by gzip.

    Args:
        path: the file; whether it is compressed is seen from its first bytes, not from its name.

    Returns:
        A tensor with the sizes and the type that the file states.

    Raises:
        DataError: if the file is missing, damaged, no IDX file, or shorter or longer than it says.

    Source:
        Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
    """
    content = _content(Path(file_path("path", path)))
    sizes, dtype, offset = _header(path, content)
    expected = offset + math.prod(sizes) * dtype.itemsize
    if len(content) != expected:
        kind = "truncated" if len(content) < expected else "too long"
        raise DataError(f"`{path}` is {kind}: {len(content)} bytes, where {sizes} needs {expected}")
    entries = np.frombuffer(content, dtype, offset=offset).reshape(sizes)
    return torch.from_numpy(entries.astype(dtype.newbyteorder("=")))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except FileNotFoundError as error:
        raise DataError(f"there is no file `{path}`") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"`{path}` cannot be read: {error}", hint="fetch the file again") from error


def _header(path: object, content: bytes) -> tuple[list[int], np.dtype[np.generic], int]:
    """The sizes of the axes, the type of the entries, and where they begin."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES or content[3] == 0:
        raise DataError(
            f"`{path}` is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}",
            hint="an IDX file begins with 00 00, a type (08 to 0e) and the number of its axes",
        )
    offset = 4 + 4 * content[3]
    if len(content) < offset:
        raise DataError(f"`{path}` is truncated: {len(content)} bytes, where its header needs {offset}")
    return [int(n) for n in np.frombuffer(content[4:offset], ">u4")], np.dtype(DTYPES[content[2]]), offset
