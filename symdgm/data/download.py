"""Fetching a file from the first mirror that has it, and believing only its checksum."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from symdgm.errors import DataError

TIMEOUT = 30.0
"""Seconds without a byte after which a mirror is given up."""


def download(urls: Sequence[str], path: str | os.PathLike[str], md5: str) -> Path:
    """Fetches a file, unless it is there already.

    Args:
        urls: mirrors, in the order in which they are tried.
        path: where the file goes; it appears there whole and checked, or not at all.
        md5: the checksum of its content, in hexadecimal.

    Returns:
        The path.

    Raises:
        DataError: if no mirror gives the file, with what each of them said.
    """
    target = Path(path)
    if target.exists() and _md5(target.read_bytes()) == md5:
        return target
    failures = []
    for url in urls:
        try:
            content = _fetch(url)
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: {error}")
            continue
        if _md5(content) == md5:
            return _write(target, content)
        failures.append(f"{url}: the checksum is {_md5(content)}, not {md5}")
    raise DataError(f"`{target.name}` could not be fetched", hint="\n".join(failures))


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        content: bytes = answer.read()
    return content


def _md5(content: bytes) -> str:
    # A checksum against damage on the way, as the mirrors publish it; not a signature.
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _write(target: Path, content: bytes) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        file.write(content)
    return Path(file.name).replace(target)
