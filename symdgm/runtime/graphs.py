"""`torch.compile` for sequences: what goes from step to step stays Python, the rest are graphs.

How long sequences are is read by Python, and a loop over time would be unrolled: minutes of compiling, anew
for other lengths. So statements stay as they are where they pack steps or run over time, and each stretch
between becomes a function of tensors, compiled as one graph in which the number of steps and of sequences is
dynamic. Statements that read nothing but data come first, such as where steps lie; all others stay in their
order, and so do draws.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, final

from symdgm.lowering import FUNCTION, Emission, Statement, Uneven, function_text
from symdgm.lowering.naming import Names
from symdgm.lowering.time.uneven import changed_by_loops, loaded
from symdgm.runtime.compiling import Compiled, without_effect
from symdgm.runtime.programs import defined

FEWEST = 2
"""Statements from which on a graph is worth its call; those that put terms together do not count."""
RESULT = ("value", "terms")
"""What the function returns."""
STILL = {"torch", "backwards", "len", "sum"}
"""What the layout may call."""


@final
class Graphs:
    """The statements of a function, some of them as calls of graphs.

    Args:
        statements: of the function.
        given: the names of its arguments.
        uneven: what differs from batch to batch.
    """

    def __init__(self, statements: Sequence[Statement], given: Sequence[str], uneven: Uneven) -> None:
        self.texts: dict[str, str] = {}
        self._uneven = uneven
        self._names = Names([*given, *(n for s in statements for n in (*s.names, *loaded(s.text)))])
        self.statements = _still(statements, uneven.data)
        self._known = dict.fromkeys([*given, *(n for s in self.statements for n in s.names)])
        rest = [s for s in statements if s not in self.statements]
        for python, group in groupby(rest, uneven.is_python):
            run = list(group)
            rest = rest[len(run) :]
            whole = not python and sum(s.names[0] not in RESULT for s in run) >= FEWEST
            self.statements += [self._graph(run, rest)] if whole else run
            self._known.update(dict.fromkeys(n for s in run for n in s.names))

    def _graph(self, run: Sequence[Statement], rest: Sequence[Statement]) -> Statement:
        """The call of a graph that does some statements, where others follow."""
        name, made = self._names.fresh("graph"), [n for s in run for n in s.names]
        used, later = _read(run), _read(rest) | set(RESULT)
        reads = [n for n in self._known if n in used]
        result = f"({', '.join(n for n in made if n in later)},)"
        self.texts[name] = function_text(name, "One graph.", [], reads, list(run), result)
        return Statement(f"{result} = {name}({', '.join(f'{n}={n}' for n in reads)})", ())

    def compiled(self, backend: str) -> dict[str, Compiled[tuple[Any, ...]]]:
        """Each graph by name."""
        return {
            name: Compiled(text, backend, self._uneven.axes, name=name) for name, text in self.texts.items()
        }


def in_graphs(
    emission: Emission, docstring: str, backend: str, helpers: Mapping[str, Any]
) -> Callable[..., Any] | None:
    """The function of an emission with graphs in it, or None where there is none to be made.

    Args:
        emission: of an objective over sequences.
        docstring: one line about the function.
        backend: of `torch.compile`.
        helpers: what takes the place of helpers of generated code.
    """
    given = emission.inputs
    graphs = Graphs(emission.statements, given, emission.uneven)
    if not graphs.texts:
        without_effect("nothing lies between what goes from step to step")
        return None
    first = [n for n in given if n in emission.uneven.data]
    others = [n for n in given if n not in first]
    text = function_text(FUNCTION, docstring, first, others, graphs.statements, ", ".join(RESULT))
    return defined(text, {**helpers, **graphs.compiled(backend)})


def _still(statements: Sequence[Statement], data: Collection[str]) -> list[Statement]:
    """The statements that read nothing but observed data, such as the layout; none of them draws."""
    known, found = set(data), []
    changed = {name for s in statements for name in changed_by_loops(s.text)}
    for statement in statements:
        reads, names = loaded(statement.text), set(statement.names)
        if reads & known and reads <= known | STILL and not names & changed and "rand" not in statement.text:
            known |= names
            found.append(statement)
    return found


def _read(statements: Sequence[Statement]) -> set[str]:
    return set().union(*(loaded(s.text) for s in statements))
