"""Finished functions, and where an objective keeps them."""

from __future__ import annotations

import itertools
import linecache
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from symdgm.caches import CacheInfo, register
from symdgm.errors import ShapeError, SupportError
from symdgm.lowering import FUNCTION, Frozen, LabelRange, Output, ParameterRange, Statement, compiled
from symdgm.lowering.time.cells import is_as_written
from symdgm.runtime.inputs import Kinds, kinds

MAX_PROGRAMS = 32
"""Finished functions that an objective keeps; the one that was made first is dropped first."""

Result = tuple[Tensor, dict[str, Tensor]]
"""The value and the terms."""


@dataclass(frozen=True)
class Program:
    """A finished function.

    Args:
        text: its source.
        plain: what the source defines; every term of its result is differentiable.
        function: what runs: the same, or with `compile` graphs, of whose results the value alone is.
        inputs: its arguments: identifier and what it is, such as ``("x", "data:x")``.
        statements: its statements one by one.
        labels: the observed variables whose values are classes.
        ranges: the parameters that may leave their range.
        networks: its arguments that are networks, as they are called.
        parts: identifier, kind and name of each other argument: ``("x", "data", "x")``.
        needs_like: whether an argument takes its dtype or device from the networks: a scalar, a new tensor.
    """

    text: str
    plain: Callable[..., Result]
    function: Callable[..., Result]
    inputs: tuple[tuple[str, str], ...]
    statements: tuple[Statement, ...]
    labels: tuple[LabelRange, ...]
    ranges: tuple[ParameterRange, ...]
    networks: Mapping[str, Callable[..., Any]]

    parts: tuple[tuple[str, str, str], ...] = field(init=False)
    needs_like: bool = field(init=False)

    def __post_init__(self) -> None:
        # Not when they are first read: that takes a lock, at which `torch.compile` stops.
        others = ((i, what) for i, what in self.inputs if i not in self.networks)
        parts = tuple((identifier, *parted(what)) for identifier, what in others)
        object.__setattr__(self, "parts", parts)
        needs_like = any(kind in ("scalar", "dtype", "device") for _, kind, _ in parts)
        object.__setattr__(self, "needs_like", needs_like)

    def explain(
        self, frozen: Frozen, data: Mapping[str, Tensor], like: Tensor | None, error: Exception
    ) -> None:
        """Raise what is wrong with the data, if that is why PyTorch failed.

        After such a failure on an accelerator nothing can be read back, so only the CPU's labels are seen.

        Raises:
            ShapeError: a dtype or a device that the networks do not have any more.
            SupportError: a class that the parameters do not have.
        """
        try:
            frozen.bound.check_kinds(data, like)
        except ShapeError as found:
            raise found from error
        for labels in self.labels:
            if data[labels.variable].is_cpu:
                try:
                    labels.check(data[labels.variable])
                except SupportError as found:
                    raise (frozen.bound.point(found, labels.origin) if labels.origin else found) from error


@dataclass(frozen=True, slots=True)
class Usual:
    """The call that was made last and its function: a training step makes the same call again.

    Between two steps the networks push all else out of the processor's caches, so that to look at something
    costs ten times what it costs in a loop: this looks at as little as says that the call is the same.

    Args:
        program: the function.
        output: what it returned.
        n: the number of draws.
        kinds: of the data.
        device: the kind of device they are on.
        recurrent: the recurrent networks, and for each whether it was what its class says.
    """

    program: Program
    output: Output
    n: int
    kinds: Kinds
    device: str
    recurrent: tuple[tuple[Any, bool], ...]

    def is_again(self, data: Mapping[str, Tensor], n: int, output: Output) -> bool:
        """Whether a call is the same one, with no `torch.autocast` around, and is not being traced."""
        return (
            not torch.compiler.is_compiling()
            and kinds(data) == self.kinds
            and output is self.output
            and n == self.n
            and not torch.is_autocast_enabled(self.device)
            and all(is_as_written(network) is bare for network, bare in self.recurrent)
        )


@final
class Programs(dict[Hashable, Program]):
    """The functions of one objective by the kind of input; they go with it.

    `symdgm.cache_info` counts those of all objectives that are alive as ``runtime.programs``, and
    `symdgm.cache_clear` drops them. ``usual`` is the call that was made last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hits = self.misses = 0
        self.usual: Usual | None = None
        with _LISTING:
            _ALIVE[next(_serial)] = self

    def keep(self, key: Hashable, program: Program) -> None:
        """Adds a function that was made; one too many drops the oldest."""
        while len(self) >= MAX_PROGRAMS:
            del self[next(iter(self))]
        self[key] = program
        self.misses += 1

    def clear(self) -> None:
        """Drops all."""
        super().clear()
        self.usual = None


_ALIVE: weakref.WeakValueDictionary[int, Programs] = weakref.WeakValueDictionary()
_serial = itertools.count()
_LISTING = threading.Lock()
"""Held while the list is read or grows: weak dictionaries guard against what goes, not against what comes."""
_numbers = itertools.count(1)
"""Tells the sources of generated functions apart in tracebacks."""


def parted(what: str) -> tuple[str, str]:
    """Kind and name of an input: ``("data", "x")``."""
    kind, _, name = what.partition(":")
    return kind, name


def defined(text: str, helpers: Mapping[str, Any] | None = None, name: str = FUNCTION) -> Callable[..., Any]:
    """The function of a source; the lines that tracebacks show go when it goes."""
    filename = f"<symdgm {name} {next(_numbers)}>"
    function: Callable[..., Any] = compiled(text, name, filename, helpers)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
    return function


def _alive() -> list[Programs]:
    with _LISTING:
        return list(_ALIVE.values())


def _count() -> CacheInfo:
    alive = _alive()
    hits, misses = sum(p.hits for p in alive), sum(p.misses for p in alive)
    return CacheInfo(hits, misses, MAX_PROGRAMS * len(alive), sum(map(len, alive)))


def _clear() -> None:
    for programs in _alive():
        programs.clear()
        programs.hits = programs.misses = 0


register("runtime.programs", _count, _clear)
