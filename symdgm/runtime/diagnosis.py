"""Finding the first bad intermediate of an evaluation that was not finite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from symdgm.errors import NonFiniteError, SymdgmError
from symdgm.expressions.notation import unicode
from symdgm.lowering import Output, Statement, environment
from symdgm.runtime.runner import Runner


def diagnose(runner: Runner, data: Mapping[str, Tensor], n: int = 1) -> SymdgmError:
    """Run the statements of an evaluation one by one, and name the first value that is NaN or infinite.

    Args:
        runner: what was evaluated; the noise is drawn again from the current random state.
        data: the batch.
        n: the number of draws, where there are no data.
    """
    program = runner.programs[runner.key(data, Output.MEAN)]
    arguments = runner.arguments(program, data, n)
    for name, value in arguments.items():
        if _bad(value):
            return NonFiniteError(f"the input `{name}` {_what(value)}", hint="clean the data, or look at the step before")
    values: dict[str, Any] = {**environment(), **arguments}
    found: tuple[Statement, str] | None = None
    with torch.no_grad():
        for statement in program.statements:
            exec(compile(statement.text, "<symdgm>", "exec"), values)
            found = found or next(((statement, name) for name in statement.names if _bad(values[name])), None)
    terms = [name for name, value in values["terms"].items() if _bad(value)]
    if found is None:
        return NonFiniteError(
            "the objective is not finite, but no intermediate value is bad when the step is repeated",
            hint="a network of its own randomness, or an overflow in the sum of the terms",
        )
    statement, name = found
    where = f" of `{unicode(statement.origin)}`" if statement.origin is not None else ""
    which = ", ".join(f"`{t}`" for t in terms) or "the objective"
    return NonFiniteError(
        f"the term {which} is not finite: the first bad intermediate is `{name}`{where}, which {_what(values[name])}",
        hint=f"it was computed by `{statement.text}`{_ranges(statement, name, values)}",
    )


def _bad(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all())


def _what(value: Tensor) -> str:
    bad = int((~torch.isfinite(value)).sum())
    kind = "NaN" if bool(torch.isnan(value).any()) else "infinite"
    return f"is {kind} in {bad} of {value.numel()} entries"


def _ranges(statement: Statement, name: str, values: Mapping[str, Any]) -> str:
    """The ranges of what the statement read."""
    used = dict.fromkeys(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", statement.text))
    ranges = [
        f"{u} in [{float(v.min()):.4g}, {float(v.max()):.4g}]"
        for u in used
        if u != name and isinstance(v := values.get(u), Tensor) and v.is_floating_point() and v.numel()
    ]
    return f" with {', '.join(ranges)}" if ranges else ""
