"""Finding the first bad intermediate of an evaluation that was not finite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from symdgm.errors import NonFiniteError, ParameterError, SymdgmError
from symdgm.expressions.notation import unicode
from symdgm.lowering import Statement, environment
from symdgm.runtime.programs import Program
from symdgm.runtime.runner import Runner


def diagnose(runner: Runner, data: Mapping[str, Tensor], n: int = 1) -> SymdgmError:
    """Run the statements of an evaluation one by one, and name the first value that is NaN or infinite.

    Args:
        runner: what was evaluated; the noise is drawn again from the current random state.
        data: the batch.
        n: the number of draws, where there are no data.

    Returns:
        The error to raise: the bad input, else parameters out of their range, else the term, the first
        bad intermediate and its variable, with bad weights.
    """
    program = runner.program(data, n)
    arguments = runner.arguments(program, data, n)
    for name, value in arguments.items():
        if _bad(value):
            return NonFiniteError(
                f"the input `{name}` {_what(value)}", hint="clean the data, or look at the step before"
            )
    values: dict[str, Any] = {**environment(), **arguments}
    found: tuple[Statement, str] | None = None
    with torch.set_grad_enabled(runner.frozen.differentiates):
        for statement in program.statements:
            exec(compile(statement.text, "<symdgm>", "exec"), values)
            found = found or next(((statement, name) for name in statement.names if _bad(values[name])), None)
    out_of_range = _out_of_range(runner, program, values)
    if out_of_range is not None:
        return out_of_range
    if found is None:
        return NonFiniteError(
            "the objective is not finite, but no intermediate value is bad when the step is repeated",
            hint="a network of its own randomness, or an overflow in the sum of the terms",
        )
    return _explained(*found, values)


def _out_of_range(runner: Runner, program: Program, values: dict[str, Any]) -> SymdgmError | None:
    """What is wrong with parameters that are finite, yet out of their range."""
    # What a step of a loop computes has no name outside of it but as the whole of all steps, if that is kept.
    steps = {name.removesuffix("_all"): value for name, value in values.items() if name.endswith("_all")}
    for law in program.ranges:
        try:
            law.check(lambda text: eval(compile(text, "<symdgm>", "eval"), {**steps, **values}))
        except NameError:
            continue
        except ParameterError as error:
            return runner.frozen.bound.point(error, law.origin) if law.origin else error
    return None


def _explained(statement: Statement, name: str, values: Mapping[str, Any]) -> NonFiniteError:
    """The error for a statement whose result ``name`` is bad."""
    terms = [term for term, value in values["terms"].items() if _bad(value)]
    which = f"the term {', '.join(f'`{t}`' for t in terms)}" if terms else "the objective"
    where = f" of `{unicode(statement.origin)}`" if statement.origin is not None else ""
    return NonFiniteError(
        f"{which} is not finite: the first bad intermediate is `{name}`{where}, which {_what(values[name])}",
        hint=f"it was computed by `{statement.text}`"
        f"{_ranges(statement, name, values)}{_weights(statement, values)}",
    )


def _bad(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all())


def _what(value: Tensor) -> str:
    bad = int((~torch.isfinite(value)).sum())
    kind = "NaN" if bool(torch.isnan(value).any()) else "infinite"
    return f"is {kind} in {bad} of {value.numel()} entries"


def _used(statement: Statement) -> list[str]:
    """The names that a statement reads or writes, each once."""
    return list(dict.fromkeys(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", statement.text)))


def _ranges(statement: Statement, name: str, values: Mapping[str, Any]) -> str:
    """The ranges of what the statement read."""
    ranges = [
        f"{u} in [{v.min().item():.4g}, {v.max().item():.4g}]"
        for u in _used(statement)
        if u != name and isinstance(v := values.get(u), Tensor) and v.is_floating_point() and v.numel()
    ]
    return f" with {', '.join(ranges)}" if ranges else ""


def _weights(statement: Statement, values: Mapping[str, Any]) -> str:
    """The weights of the networks in the statement that are themselves bad."""
    bad = [
        f"the weight `{name}` of `{used}` {_what(weight)}"
        for used in _used(statement)
        if isinstance(module := values.get(used), nn.Module)
        for name, weight in (*module.named_parameters(), *module.named_buffers())
        if _bad(weight)
    ]
    return f"; {', '.join(bad)}" if bad else ""
