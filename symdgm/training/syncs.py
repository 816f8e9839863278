"""Finding where a step waits for the device: what a recorded step can never do."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeVar, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Value = TypeVar("Value")

READS = frozenset(
    {
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::masked_select",
        "aten::_unique2",
        "aten::unique_dim",
        "aten::unique_consecutive",
        "aten::repeat_interleave.Tensor",
        "aten::equal",
        "aten::bincount",
        "aten::_linalg_check_errors",
    }
)
"""Operations whose result, or its size, the host has to know."""

COPIES = frozenset({"aten::_to_copy", "aten::copy_"})
"""What copies even a single number."""


def find_syncs(call: Callable[[], Value]) -> tuple[Value, list[str]]:
    """The result of a call, and where it read values back: operation and line, each once.

    Example:
        >>> value, found = find_syncs(lambda: torch.ones(2).sum().item())
        >>> value, found[0].split(" ")[0]
        (2.0, '`item`')
    """
    finder = _Finder()
    with finder:
        result = call()
    return result, list(dict.fromkeys(finder.found))


@final
class _Finder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks at every operation while it runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.name()
        if name in READS or _is_masked(name, args) or _is_copied(name, args, result):
            self.found.append(f"{_word(name)} at {_line()}")
        return result


def _is_masked(name: str, args: tuple[Any, ...]) -> bool:
    """Whether a mask decides how many entries come out, as in ``x[x > 0]``, or how many go in."""
    into = name in ("aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
    if into and args[2].numel() == 1 and not any(args[3:4]):
        return False
    indices = args[1] if into or name == "aten::index.Tensor" else ()
    return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in indices)


def _is_copied(name: str, args: tuple[Any, ...], result: object) -> bool:
    """Whether tensors came from an accelerator or go there; a single number of the host is no copy."""
    if not isinstance(result, Tensor):
        return False
    given = [a for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg])]
    tensors = [a for a in given if isinstance(a, Tensor)]
    if result.device.type == "cpu":
        return any(t.device.type != "cpu" for t in tensors)
    return any(t.device.type == "cpu" and (t.dim() > 0 or name in COPIES) for t in tensors)


def _word(name: str) -> str:
    return "`item`" if name == "aten::_local_scalar_dense" else f"`{name.removeprefix('aten::')}`"


def _line() -> str:
    """The innermost line that is not PyTorch's or this file's."""
    root = torch.__path__[0]
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith(root)]
    own = [f for f in frames if f.filename != __file__]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "an unknown line"
