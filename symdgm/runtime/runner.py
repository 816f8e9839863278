"""Running an objective: a finished function for each kind of input, made by the first evaluation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from symdgm.lowering import (
    FUNCTION,
    Emission,
    Frozen,
    Output,
    TooManyStates,
    emit,
    environment,
    function_text,
    unshare,
)
from symdgm.lowering.time.cells import is_as_written, recurrent
from symdgm.runtime.carried import Carried
from symdgm.runtime.compiling import Compiled
from symdgm.runtime.graphs import in_graphs
from symdgm.runtime.inputs import identifiers, kinds
from symdgm.runtime.parts import Divider, undone
from symdgm.runtime.precision import Narrowed, full_precision, has_autocast, surrounding
from symdgm.runtime.programs import Program, Programs, Result, Usual, defined, parted

_NOTHING = torch.empty(0)
"""Stands for a tensor whose dtype and device nobody asks for."""


class Runner:
    """Evaluates a frozen objective.

    A function is made under a lock, so that threads may share an objective; a copy or a pickle leaves the
    functions behind.

    Args:
        frozen: the plan.
        names: how each term is called.
        docstring: what prints as one line for the generated function.
        anchor: a tensor whose dtype and device new tensors take, or None for torch's default.
        sharing: whether a network is called once for all occurrences of the same distribution.
        backend: of `torch.compile`, or None for plain PyTorch.
        precision: in which networks compute, or None for that of their weights.
        budget: bytes for what networks compute of draws and states, or None for as many as that takes.
    """

    def __init__(
        self,
        frozen: Frozen,
        names: list[str],
        docstring: object,
        anchor: Callable[[], Tensor | None],
        *,
        sharing: bool = True,
        backend: str | None = None,
        precision: torch.dtype | None = None,
        budget: int | None = None,
    ) -> None:
        self.frozen, self.names = frozen, names
        self.docstring, self.anchor = docstring, anchor
        self.sharing, self.backend, self.precision, self.budget = sharing, backend, precision, budget
        self._recurrent = recurrent(s.call for s in frozen.sources.values())
        self._narrowed: dict[tuple[int, torch.dtype], Narrowed] = {}
        self.programs = Programs()
        self.latest: dict[Output, Program] = {}
        self.events: dict[str, torch.Size] = {}
        self.identifiers = identifiers(frozen)
        self.carried = Carried()
        self._making = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("programs", "latest", "carried", "_making")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = {"programs": Programs(), "latest": {}, "carried": Carried()}
        vars(self).update(state, **kept, _making=threading.RLock())

    def __call__(
        self, data: Mapping[str, Tensor], *, n: int = 1, output: Output = Output.MEAN, apart: bool = False
    ) -> Result:
        """The value and the terms, of a graph each differentiable only if they are taken ``apart``.

        Raises:
            SupportError: an observed class that the parameters do not have.
        """
        usual = self.programs.usual
        if usual is not None and usual.is_again(data, n, output):
            self.programs.hits += 1
            return self._run(usual.program, data, n, None, apart)
        key, around = self.key(data, output, n), surrounding(self._device(data))
        program = self.programs.get(key)
        if program is None:
            with self._making:
                program = self.programs.get(key)
                if program is None:
                    return self._first(key, data, n, output, apart)
        if not torch.compiler.is_compiling():  # a graph would be made anew for each count
            self.programs.hits += 1
            self.latest[output] = program
            self.programs.usual = None
            if around is None and has_autocast(device := self._device(data)):
                bare = tuple((network, is_as_written(network)) for network in self._recurrent)
                self.programs.usual = Usual(program, output, n, kinds(data), device, bare)
        return self._run(program, data, n, around, apart)

    def _run(
        self, program: Program, data: Mapping[str, Tensor], n: int, around: torch.dtype | None, apart: bool
    ) -> Result:
        """The result of a function, for a precision around."""
        function = program.plain if apart else program.function
        try:
            arguments = self._arguments(program, data, n, self.precision or around)
            if around is None:
                result = function(**arguments)
            else:
                with full_precision(self._device(data)):
                    result = function(**arguments)
        except (RuntimeError, IndexError) as error:
            program.explain(self.frozen, data, self.anchor(), error)
            raise
        return self._told(result)

    def of(self, frozen: Frozen, names: list[str]) -> Runner:
        """A runner of another plan that runs it in the same way."""
        return Runner(
            frozen, names, self.docstring, self.anchor,
            sharing=self.sharing, backend=self.backend, precision=self.precision, budget=self.budget,
        )  # fmt: skip

    def _told(self, result: Result) -> Result:
        """A result that a derivative has tracked though nobody asked for gradients, without its graph."""
        if not self.frozen.differentiates or torch.is_grad_enabled():
            return result
        value, terms = result
        return value.detach(), {name: term.detach() for name, term in terms.items()}

    def key(self, data: Mapping[str, Tensor], output: Output, n: int = 1) -> Hashable:
        """What a function is specialised to: event shapes, dtypes and devices; of the batch, whether it is 1.

        A network that squeezes returns other axes for one example than for several.
        """
        size = next((len(v) for v in data.values()), n)
        events = ((k, self._event(k, data[k]), data[k].dtype, data[k].device) for k in sorted(data))
        around, written = surrounding(self._device(data)), map(is_as_written, self._recurrent)
        return (output, size == 1, around, *written, *events)

    def _event(self, name: str, value: Tensor) -> Hashable:
        """The event shape; of a sequence, whatever its number of steps."""
        return ("steps", *value.shape[2:]) if name in self.frozen.bound.sequences else value.shape[1:]

    def program(self, data: Mapping[str, Tensor], n: int = 1, output: Output = Output.MEAN) -> Program:
        """The function for a kind of input; it is made, without gradients, if there is none yet."""
        key = self.key(data, output, n)
        with self._making:
            if key not in self.programs:
                with torch.no_grad():
                    self._first(key, data, n, output)
            else:
                self.latest[output] = self.programs[key]
            self.programs.usual = None
            return self.latest[output]

    def arguments(self, program: Program, data: Mapping[str, Tensor], n: int = 1) -> dict[str, Any]:
        """The arguments of a finished function, read now: networks, scalars and tensors are never copied."""
        return self._arguments(program, data, n, self._dtype(data))

    def _arguments(
        self, program: Program, data: Mapping[str, Tensor], n: int, dtype: torch.dtype | None
    ) -> dict[str, Any]:
        like = self._like(data) if program.needs_like else _NOTHING
        arguments = {
            identifier: data[name] if kind == "data" else self._read(kind, name, data, n, like, dtype)
            for identifier, kind, name in program.parts
        }
        if dtype is None:
            return {**arguments, **program.networks}
        return arguments | {i: self._narrow(call, dtype) for i, call in program.networks.items()}

    def last(self) -> Program | None:
        """The function of means that ran last, or that of another output where there was none."""
        return next((self.latest[o] for o in Output if o in self.latest), None)

    def _first(
        self, key: Hashable, data: Mapping[str, Tensor], n: int, output: Output, apart: bool = False
    ) -> Result:
        """The first evaluation for a kind of input, which makes its function."""
        if self.budget is not None and not self.frozen.bound.sequences:
            return self._first_in_parts(key, data, n, output, apart)
        emission = self._emitted(data, n, output)
        self._keep(key, output, emission, emission.text)
        return self._told(emission.result)

    def _first_in_parts(
        self, key: Hashable, data: Mapping[str, Tensor], n: int, output: Output, apart: bool
    ) -> Result:
        """The same within a budget of memory: the function is made on two examples."""
        with undone(self.frozen, self._like(data)):
            emission = self._emitted({name: v[:2] for name, v in data.items()}, min(n, 2), output)
            program = self._keep(key, output, emission, emission.text)
            values = {**environment(), **self.arguments(program, data, n)}
            batch = next((len(v) for v in data.values()), n)
            with torch.enable_grad(), full_precision(self._device(data)):
                divider = Divider(emission.statements, emission.draws, values, batch)
            assert self.budget is not None
            statements = divider.divided(self.budget, self._size(data))
        inputs = dict(program.inputs)
        text = function_text(
            FUNCTION,
            str(self.docstring),
            [i for i in inputs if inputs[i].startswith("data:")],
            [i for i in inputs if not inputs[i].startswith("data:")],
            statements,
            "value, terms",
        )
        plain, call = self._callables(text, emission)
        self.programs[key] = self.latest[output] = replace(program, text=text, plain=plain, function=call)
        return self(data, n=n, output=output, apart=apart)

    def _keep(self, key: Hashable, output: Output, emission: Emission, text: str) -> Program:
        """Makes the function of an emission."""
        by_identifier = {i: what for what, i in self.identifiers.items()}
        inputs = tuple((i, by_identifier[i]) for i in emission.inputs)
        self.events.update(emission.events)
        plain, call = self._callables(text, emission)
        networks = {
            i: self.frozen.sources[name].call
            for i, (kind, name) in ((i, parted(what)) for i, what in inputs)
            if kind == "network"
        }
        labels, ranges = emission.labels, emission.ranges
        program = Program(text, plain, call, inputs, emission.statements, labels, ranges, networks)
        self.programs.keep(key, program)
        self.latest[output] = program
        return program

    def _size(self, data: Mapping[str, Tensor]) -> str:
        """The text of the number of examples."""
        first = next(iter(data), None)
        return self.identifiers["n"] if first is None else f"{self.identifiers[f'data:{first}']}.shape[0]"

    def _callables(self, text: str, emission: Emission) -> tuple[Callable[..., Result], ...]:
        plain = defined(text, helpers := {"carried": self.carried})
        if self.backend is None:
            return plain, plain
        if self.frozen.bound.sequences and not self.frozen.differentiates:
            return plain, in_graphs(emission, str(self.docstring), self.backend, helpers) or plain
        return plain, Compiled(text, self.backend, emission.uneven.axes, plain)

    def _emitted(self, data: Mapping[str, Tensor], n: int, output: Output) -> Emission:
        """The first evaluation; where a variable has too many states to be summed over, that by draws."""
        while True:
            known, noise = set(self.frozen.choices.many), torch.get_rng_state()
            try:
                return self._emit(data, n, output)
            except TooManyStates:
                if self.frozen.choices.many == known:
                    raise
            torch.set_rng_state(noise)
            self.frozen = self.frozen.lowered_again()
            self.identifiers = identifiers(self.frozen)
            self.programs.clear()

    def _emit(self, data: Mapping[str, Tensor], n: int, output: Output) -> Emission:
        like = self._like(data)
        dtype = self._dtype(data)
        values = {
            i: self._read(*parted(what), data, n, like, dtype)
            for what, i in self.identifiers.items()
            if not what.startswith("data:") or what[5:] in data
        }
        gradients = self.frozen.differentiates or torch.is_grad_enabled()
        with torch.set_grad_enabled(gradients), full_precision(self._device(data)):
            return emit(
                self.frozen if self.sharing else unshare(self.frozen),
                values,
                arguments=self.identifiers,
                names=self.names,
                batch=self._size(data),
                output=output,
                docstring=str(self.docstring),
                helpers={"carried": self.carried},
            )

    def _read(
        self,
        kind: str,
        name: str,
        data: Mapping[str, Tensor],
        n: int,
        like: Tensor,
        dtype: torch.dtype | None,
    ) -> Any:
        """The value of an input of a function now."""
        if kind == "data":
            return data[name]
        if kind == "network":
            call = self.frozen.sources[name].call
            return call if dtype is None else self._narrow(call, dtype)
        if kind == "scalar":
            return self.frozen.bound.environment.scalars.tensor(name, like)
        if kind == "size":
            return self.frozen.bound.environment.scalars.size(name)
        if kind == "table":
            return self.frozen.bound.environment.tables[name]
        if kind == "initial":
            return self.frozen.bound.beginnings[name]
        if kind == "tensor":
            index, _, parameter = name.partition(":")
            return self.frozen.bound.environment.factors[int(index)].constants[parameter]
        if kind == "state":
            return self.frozen.choices.states[name]
        if kind == "matrix":
            index, _, condition = name.partition(":")
            return self.frozen.bound.environment.factors[int(index)].matrices[condition]
        if kind == "factor":
            return self.frozen.bound.environment.factors[int(name)].distribution
        return {"n": n, "dtype": like.dtype, "device": like.device}[kind]

    def _dtype(self, data: Mapping[str, Tensor]) -> torch.dtype | None:
        """In which networks compute, where that is not the precision of their weights."""
        return self.precision or surrounding(self._device(data))

    def _narrow(self, call: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
        """A network as it is called in half precision, where that is asked for, here or all around."""
        known = self._narrowed.get((id(call), dtype))
        if known is None or known.network is not call:
            known = self._narrowed[id(call), dtype] = Narrowed(call, dtype)
        return known

    def _device(self, data: Mapping[str, Tensor]) -> str:
        """The kind of device of the data, or of the networks."""
        for value in data.values():
            return value.device.type
        found = self.anchor()
        return "cpu" if found is None else found.device.type

    def _like(self, data: Mapping[str, Tensor]) -> Tensor:
        """A floating tensor whose dtype and device new tensors take."""
        anchor = self.anchor()
        if anchor is None:
            anchor = next((v for v in data.values() if v.is_floating_point()), None)
        return torch.empty(0) if anchor is None else anchor
