"""Checkpoints: everything that decides how a run goes on, in one file that is written whole."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symdgm.errors import FileMismatchError
from symdgm.training.atomic import write_atomically
from symdgm.training.files import check_identity
from symdgm.training.randomness import RandomState

FORMAT = 2
"""The layout of the file; raised when it changes."""


@dataclass(frozen=True, eq=False)
class Moment:
    """The random streams between two steps: torch's own, and the one of the data order.

    Args:
        noise: torch's streams.
        order: the state of the data's own generator, or None if the data have none.
    """

    noise: RandomState
    order: Tensor | None

    @classmethod
    def capture(cls, device: torch.device, order: torch.Generator | None) -> Moment:
        """The streams as they stand now."""
        return cls(RandomState.capture(device), None if order is None else order.get_state())

    def restore(self, order: torch.Generator | None) -> None:
        """Sets the streams back."""
        self.noise.restore()
        if order is not None and self.order is not None:
            order.set_state(self.order)

    def pack(self) -> dict[str, Tensor | None]:
        """Plain tensors, for the file."""
        return {"cpu": self.noise.cpu, "accelerator": self.noise.accelerator, "order": self.order}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any], device: torch.device) -> Moment:
        """The inverse of `pack`; the stream of an accelerator that is not there now is left out."""
        accelerator = None if device.type == "cpu" else packed["accelerator"]
        return cls(RandomState(packed["cpu"], accelerator, device), packed["order"])


def write_checkpoint(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Writes a checkpoint; whoever reads it sees the last whole one, whenever the machine stops."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    write_atomically(path, buffer.getvalue())


def read_checkpoint(
    path: str | os.PathLike[str], identity: Mapping[str, str], data: str
) -> dict[str, Any] | None:
    """Reads a checkpoint, without running any code that it might hold.

    Args:
        path: the file.
        identity: of the model that is to go on.
        data: the description of the data that it goes on with.

    Returns:
        The content, or None if there is no such file yet.

    Raises:
        FileMismatchError: if it is no checkpoint, or one of another model, or of other data.
    """
    if not Path(path).exists():
        return None
    content = _unpickled(path)
    check_identity(path, content["identity"], identity)
    if content["data"] != data:
        raise FileMismatchError(
            f"the run in `{path}` went over other data, and cannot be continued with these",
            hint=f"the checkpoint:  {content['data']}\nnow:             {data}",
        )
    return content


def _unpickled(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise FileMismatchError(f"`{path}` is no checkpoint: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileMismatchError(
            f"`{path}` is no checkpoint of this version of symdgm",
            hint="`checkpoint` files are written by fit; weights alone are read by load",
        )
    return content
