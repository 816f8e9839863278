"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from symdgm.errors import OptionError


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file so that a reader, or a machine that stops, sees the old content or the new.

    It goes to a temporary file in the same folder, is flushed to the disk, and takes the name at once.

    Args:
        path: the file; its folder is made if it is missing.
        content: all of it.

    Raises:
        OptionError: the path is that of a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise OptionError(f"`{target}` is a folder", hint="write the name of a file in it")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_mode(target))
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced; mkstemp would make it private."""
    return target.stat().st_mode & 0o777 if target.exists() else 0o644


def _flush_folder(folder: Path) -> None:
    """The new name must reach the disk too; where folders cannot be opened the system sees to it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
