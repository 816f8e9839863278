"""The folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

from symdgm.errors import DataError
from symdgm.given import path

FOLDER = "SYMDGM_DATA"
"""The environment variable that names the folder of real data."""


def data_folder(root: str | os.PathLike[str] | None) -> Path:
    """The folder that is asked for, or that which `FOLDER` names.

    Raises:
        DataError: if neither names one.
    """
    named = os.environ.get(FOLDER) if root is None else root
    if named is None or (isinstance(named, str) and not named):
        raise DataError("no folder of data is named", hint=f"give root=..., or set {FOLDER}")
    return Path(path("root", named))
