"""Running an objective: a finished function for each kind of input, made by the first evaluation that sees it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symdgm.lowering import FUNCTION, Emission, Frozen, Output, Statement, compiled, emit
from symdgm.lowering.naming import Names, identifier

MAX_PROGRAMS = 32
"""Finished functions that an objective keeps; the one that was made first is dropped first."""

_serial = itertools.count(1)


@dataclass(frozen=True)
class Program:
    """A finished function.

    Args:
        text: its source.
        function: what the source defines.
        inputs: its arguments: identifier and what it is, such as ``("x", "data:x")``.
        statements: its statements one by one.
    """

    text: str
    function: Callable[..., tuple[Tensor, dict[str, Tensor]]]
    inputs: tuple[tuple[str, str], ...]
    statements: tuple[Statement, ...]


class Runner:
    """Evaluates a frozen objective.

    Args:
        frozen: the plan.
        names: how each term is called.
        docstring: one line for the generated function.
        anchor: a tensor whose dtype and device new tensors take, or None for torch's default.
    """

    def __init__(self, frozen: Frozen, names: list[str], docstring: str, anchor: Callable[[], Tensor | None]) -> None:
        self.frozen = frozen
        self.names = names
        self.docstring = docstring
        self.anchor = anchor
        self.programs: dict[Hashable, Program] = {}
        self.events: dict[str, torch.Size] = {}
        self.identifiers = _identifiers(frozen)

    def __call__(
        self, data: Mapping[str, Tensor], *, n: int = 1, output: Output = Output.MEAN
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The value and the terms; see `Program`."""
        key = self.key(data, output)
        program = self.programs.get(key)
        if program is None:
            return self._first(key, data, n, output)
        return program.function(**self.arguments(program, data, n))

    def key(self, data: Mapping[str, Tensor], output: Output) -> Hashable:
        """What a function is specialised to: event shapes, dtypes and devices; never the batch's size."""
        return (output, *((k, v.shape[1:], v.dtype, v.device) for k, v in data.items()))

    def arguments(self, program: Program, data: Mapping[str, Tensor], n: int = 1) -> dict[str, Any]:
        """The arguments of a finished function, read now: networks, scalars and tensors are never copied."""
        return {identifier: self._read(what, data, n) for identifier, what in program.inputs}

    def last(self) -> Program | None:
        """The function that was made last."""
        return next(reversed(self.programs.values()), None)

    def _first(
        self, key: Hashable, data: Mapping[str, Tensor], n: int, output: Output
    ) -> tuple[Tensor, dict[str, Tensor]]:
        emission = self._emit(data, n, output)
        by_identifier = {i: what for what, i in self.identifiers.items()}
        inputs = tuple((i, by_identifier[i]) for i in emission.inputs)
        function = compiled(emission.text, FUNCTION, f"<symdgm objective {next(_serial)}>")
        while len(self.programs) >= MAX_PROGRAMS:
            del self.programs[next(iter(self.programs))]
        self.events.update(emission.events)
        self.programs[key] = Program(emission.text, function, inputs, emission.statements)
        return emission.result

    def _emit(self, data: Mapping[str, Tensor], n: int, output: Output) -> Emission:
        values = {i: self._read(what, data, n) for what, i in self.identifiers.items() if not _absent(what, data)}
        first = next(iter(data), None)
        batch = f"{self.identifiers[f'data:{first}']}.shape[0]" if first is not None else self.identifiers["n"]
        return emit(
            self.frozen,
            values,
            arguments=self.identifiers,
            names=self.names,
            batch=batch,
            output=output,
            docstring=self.docstring,
        )

    def _read(self, what: str, data: Mapping[str, Tensor], n: int) -> Any:
        kind, _, name = what.partition(":")
        if kind == "data":
            return data[name]
        if kind == "scalar":
            return self._scalar(name, data)
        if kind == "network":
            return self.frozen.sources[name].call
        if kind == "tensor":
            index, _, parameter = name.partition(":")
            return self.frozen.bound.environment.factors[int(index)].distribution.constants[parameter]  # type: ignore[attr-defined]
        return n if kind == "n" else getattr(self._like(data), kind)

    def _scalar(self, name: str, data: Mapping[str, Tensor]) -> Tensor:
        value = self.frozen.bound.environment.scalars[name]
        like = self._like(data)
        return value if isinstance(value, Tensor) else torch.tensor(value, dtype=like.dtype, device=like.device)

    def _like(self, data: Mapping[str, Tensor]) -> Tensor:
        """A floating tensor whose dtype and device new tensors take."""
        anchor = self.anchor()
        if anchor is None:
            anchor = next((v for v in data.values() if v.is_floating_point()), None)
        return torch.empty(0) if anchor is None else anchor


def _absent(what: str, data: Mapping[str, Tensor]) -> bool:
    kind, _, name = what.partition(":")
    return kind == "data" and name not in data


def _identifiers(frozen: Frozen) -> dict[str, str]:
    """What an objective may take → its identifier in generated code."""
    names = Names()
    return {what: _reserved(what) or names.fresh(hint) for what, hint in _wanted(frozen)}


def _reserved(what: str) -> str | None:
    return what if what in ("n", "dtype", "device") else None


def _wanted(frozen: Frozen) -> Iterator[tuple[str, str]]:
    bound = frozen.bound
    for name in bound.data:
        yield f"data:{name}", name
    for name in bound.scalars:
        yield f"scalar:{name}", name
    for name in frozen.sources:
        yield f"network:{name}", name
    for factor in bound.environment.factors:
        for parameter in getattr(factor.distribution, "constants", {}):
            yield f"tensor:{factor.index}:{parameter}", f"{identifier(str(factor.node))}_{parameter}"
    yield from (("n", "n"), ("dtype", "dtype"), ("device", "device"))
