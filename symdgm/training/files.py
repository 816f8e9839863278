"""Weights as safetensors, with the equation that they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from symdgm.errors import FileMismatchError
from symdgm.given import path as file_path
from symdgm.training.atomic import write_atomically
from symdgm.training.protocol import Trainable

TIED = "symdgm.tied"
"""The metadata entry with the names that share one tensor, as JSON: name → the name it is stored under."""


def save(
    path: str | os.PathLike[str], state: Mapping[str, Tensor], identity: Mapping[str, str] | None = None
) -> None:
    """Writes weights, and the equation in the file's metadata.

    Args:
        path: the file, by custom ``*.safetensors``; replaced whole if it exists.
        state: weights and buffers by name; tied ones are stored once, views as what they show.
        identity: `Trainable.identity`.
    """
    target = file_path("path", path)
    stored: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    first: dict[object, str] = {}
    for name, value in state.items():
        owner = first.setdefault(_memory(name, value), name)
        if owner == name:
            # A copy of its own: the format refuses views and shared memory.
            stored[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            tied[name] = owner
    metadata = {**(identity or {}), TIED: json.dumps(tied)}
    write_atomically(target, safetensors.torch.save(stored, metadata))


def _memory(name: str, value: Tensor) -> object:
    """Equal for two tensors that are one."""
    if value.numel() == 0:
        return name
    return value.device, value.data_ptr(), value.dtype, value.shape, value.stride()


def load(path: str | os.PathLike[str], trainable: Trainable) -> None:
    """Reads weights into a model; nothing is changed if they do not fit.

    Args:
        path: a file that `save` wrote.
        trainable: the model; floating weights are cast to its dtype.

    Raises:
        FileMismatchError: if the file is missing or no safetensors file, belongs to another equation, or has
            missing, unexpected or ill-shaped weights; the message says both sides.
    """
    state, metadata = read(path)
    check_identity(path, metadata, trainable.identity)
    _check_state(path, state, trainable.state())
    trainable.load_state(state)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights of a file, tied ones under all their names, and its identity."""
    try:
        with safetensors.safe_open(Path(file_path("path", path)), framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError as error:
        raise FileMismatchError(f"there is no file `{path}`") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise FileMismatchError(
            f"`{path}` is not a safetensors file: {error}", hint="give a file that `save` wrote"
        ) from error
    tied: dict[str, str] = json.loads(metadata.pop(TIED, "{}"))
    return state | {name: state[owner] for name, owner in tied.items()}, metadata


def check_identity(path: object, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raises `FileMismatchError` if a file was written for another equation."""
    if found.get("digest") != expected.get("digest"):
        raise FileMismatchError(
            f"`{path}` belongs to another model",
            hint=f"the file:    {found.get('equation', 'no equation')}\n"
            f"this model:  {expected.get('equation', 'no equation')}",
        )


def _check_state(path: object, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    if missing or unexpected:
        raise FileMismatchError(
            f"the weights in `{path}` are not those of this model",
            hint=f"only in the model: {_listing(missing)}\nonly in the file:  {_listing(unexpected)}",
        )
    for name, value in expected.items():
        if found[name].shape != value.shape or _kind(found[name]) != _kind(value):
            raise FileMismatchError(
                f"the weight `{name}` does not fit",
                hint=f"in `{path}`:  {_describe(found[name])}\nin this model:  {_describe(value)}",
            )


def _listing(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _kind(value: Tensor) -> str:
    if value.is_complex():
        return "complex"
    return "floating" if value.is_floating_point() else str(value.dtype)


def _describe(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
