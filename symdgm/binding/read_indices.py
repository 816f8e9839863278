"""Deciding what an index on a name means.

| in ``z_k`` | is | because |
| --- | --- | --- |
| a sample | ``z_k`` | a binder ``z_{1:K}`` is in scope |
| the declared variable | ``z_k`` | it is drawn under that very name |
| an entry | `EntryOf` | ``z`` is bound to a tensor, a list, or a function of the index |
| another example | `RowOf` | the index runs over the examples, to ``B``, ``N`` or ``M`` |
| a component | `Component` | ``z`` is a variable |

(LANGUAGE.md 8.1, 8.7, 8.28, 8.29.)
"""

from __future__ import annotations

from sympy import Basic, Integer, Number

from symdgm.binding.free_index import free_index
from symdgm.binding.read_time import read_step, refuse_slice
from symdgm.binding.reader import Reader
from symdgm.binding.tables import is_list_of_networks, length
from symdgm.binding.unsupported import refuse
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.applications import Apply
from symdgm.expressions.names import (
    IndexRange,
    Labelled,
    Name,
    Placeholder,
    Subscripted,
    base,
    spelled,
)
from symdgm.expressions.resolved import Component, EntryOf, RowOf
from symdgm.expressions.statements import Definition

ONE = Integer(1)


def read_indexed(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A name with an index, where a number is wanted; see the table above."""
    return _read_indexed(reader, node, scope, argument=False)


def read_indexed_argument(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A name with an index as an argument of a density or a network."""
    return _read_indexed(reader, node, scope, argument=True)


def _read_indexed(reader: Reader, node: Basic, scope: frozenset[Basic], *, argument: bool) -> Basic:
    """A name with an index.

    Raises:
        NameResolutionError: the index is free; the bracketed text is offered.
        NotSupportedError: a step of a sequence.
    """
    assert isinstance(node, Subscripted)
    if not argument:
        refuse_slice(reader.environment, node)
    if node in scope or reader.environment.scalar(node) is not None:
        return Reader.name(reader, node, scope)
    step = read_step(reader, node, scope)
    if step is not None:
        return step
    time = reader.environment.time
    component = time.component(node) if time is not None else None
    if component is not None and component[1] in reader.indices and component[1] in scope:
        of, index = component
        value = reader.argument(of, scope) if argument else reader.read(of, scope)
        return _element(reader, value, node, index)
    indices = [i for i in node.indices if i in reader.indices and i in scope]
    if reader.is_variable(node):
        _refuse_step(node, indices)
        return _plain(reader, node, scope, argument)
    if Subscripted(node.head, Placeholder()) in scope:
        return _sample(reader, node, scope)
    if spelled(node.head) in reader.environment.tables:
        return _entry(reader, node, scope)
    free_index(reader, node, scope)
    refuse(node)
    _refuse_second_time(reader, node, indices)
    if len(indices) != 1 or len(node.indices) != 1:
        return _plain(reader, node, scope, argument)
    return _element(
        reader,
        reader.argument(node.head, scope) if argument else reader.read(node.head, scope),
        node,
        indices[0],
    )


def _plain(reader: Reader, node: Basic, scope: frozenset[Basic], argument: bool) -> Basic:
    if argument:
        reader.observe(node, argument=True)
        return node
    return Reader.name(reader, node, scope)


def _refuse_step(node: Subscripted, indices: list[Basic]) -> None:
    if indices:
        raise NotSupportedError(
            f"`{node}` is read as a step of a sequence, which this version cannot compute yet: a factor is "
            "declared over it",
            hint="declare the factor over the whole variable, to sum over its components",
        )


def _refuse_second_time(reader: Reader, node: Subscripted, indices: list[Basic]) -> None:
    """Refuse ``x_s`` of a sequence under a sum over s, where t is time."""
    time = reader.environment.time
    if time is None or not indices or base(node) not in time.sequences:
        return
    whole, component = time.whole(base(node)), Subscripted(node.head, time.index, *indices)
    raise NotSupportedError(
        f"`{node}` is a step of the sequence `{base(node)}` by another index than `{time.index}`, which this "
        "version cannot compute yet",
        hint=f"let a network read the whole sequence, as in `h_{{1:{time.length}}} = f({whole})`, and sum "
        f"over its steps `h_{time.index}`; a component of a step is `{component}`",
    )


def _sample(reader: Reader, node: Subscripted, scope: frozenset[Basic]) -> Basic:
    """One of several draws, or all of them."""
    upper = reader.families[Subscripted(node.head, Placeholder())]
    (index,) = node.indices if len(node.indices) == 1 else (None,)
    if isinstance(index, IndexRange) and index.args == (ONE, upper):
        return node
    if index in reader.indices and index in scope:
        reader.indices[index].use("sample", upper)
        return node
    if isinstance(index, Number) or (index is not None and reader.environment.scalar(index) is not None):
        return Subscripted(node.head, reader.read(index, scope))
    free_index(reader, node, scope)
    raise NameResolutionError(
        f"`{node}` is none of the draws `{node.head}_{{1:{upper}}}`",
        hint=f"write an index of a sum, `sum_{{k=1}}^{upper}`, or a number from 1",
    )


def _entry(reader: Reader, node: Subscripted, scope: frozenset[Basic]) -> Basic:
    """An entry of a table."""
    value = reader.environment.tables[spelled(node.head)]
    if is_list_of_networks(value):
        raise NameResolutionError(f"`{node}` is a network, not a number", hint=f"apply it, as in `{node}(x)`")
    free_index(reader, node, scope)
    count = length(value)
    for place, index in enumerate(node.indices):
        if index in reader.indices and not place and count is not None:
            starts_at_zero = reader.indices[index].lower == 0
            reader.indices[index].use("entry", Integer(count - 1 if starts_at_zero else count))
    return EntryOf(node.head, *(reader.read(i, scope) for i in node.indices))


def _element(reader: Reader, value: Basic, node: Subscripted, index: Basic) -> Basic:
    """Another example, or a component, of what the name without its index is."""
    if reader.indices[index].runs_over_rows:
        reader.indices[index].use("row", value)
        return RowOf(value, index)
    reader.indices[index].use("component", value)
    return Component(value, index)


def read_labelled(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A name with a label, where a number is wanted."""
    return _read_labelled(reader, node, scope, argument=False)


def read_labelled_argument(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A name with a label as an argument of a density or a network."""
    return _read_labelled(reader, node, scope, argument=True)


def _read_labelled(reader: Reader, node: Basic, scope: frozenset[Basic], *, argument: bool) -> Basic:
    """``x^{(i)}``: like ``x_i`` where ``i`` is an index, and else an example of the batch (8.7)."""
    assert isinstance(node, Labelled)
    head, label = node.args
    if node in scope:
        return node
    if label in reader.indices and label in scope:
        return _read_indexed(reader, Subscripted(head, label), scope, argument=argument)
    free_index(reader, Subscripted(head, label), scope)
    if isinstance(label, Name) and not reader.is_variable(node) and reader.environment.scalar(label) is None:
        result = reader.argument(head, scope) if argument else reader.read(head, scope)
        reader.resolutions.setdefault(node, result)
        return result
    raise NotSupportedError(
        f"`{node}` is read as a superscript label, which this version cannot compute yet",
        hint="give the variable a name of its own, such as `x_1`",
    )


def read_applied(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """``f_k(x)``: the k-th of a list of networks, or the k-th component of what one returns."""
    head = node.args[0]
    if not isinstance(head, Subscripted) or reader.environment.network(head) == spelled(head):
        return Reader.apply(reader, node, scope)
    if reader.is_product(node):
        return Reader.apply(reader, node, scope)
    table = reader.environment.tables.get(spelled(head.head))
    indices = [i for i in head.indices if i in reader.indices and i in scope]
    if table is not None and is_list_of_networks(table):
        entry = _entry_of_networks(reader, head, scope)
        return Apply(entry, *(reader.argument(a, scope) for a in node.args[1:]))
    if indices and len(head.indices) == 1 and reader.environment.network(head.head) is not None:
        applied = reader.read(Apply(head.head, *node.args[1:]), scope)
        return _element(reader, applied, head, indices[0])
    if indices:
        raise NotSupportedError(
            f"`{head}` is one of several distributions, which this version cannot compute yet",
            hint="an index stands on a variable, on a table of numbers, or on a list of networks",
        )
    free_index(reader, head, scope)
    return Reader.apply(reader, node, scope)


def _entry_of_networks(reader: Reader, head: Subscripted, scope: frozenset[Basic]) -> Basic:
    count = length(reader.environment.tables[spelled(head.head)])
    assert count is not None
    free_index(reader, head, scope)
    (index, *others) = head.indices
    if others:
        raise NotSupportedError(
            f"`{head}` has several indices, but a list of networks has one", hint="write one index"
        )
    if index in reader.indices:
        zero = reader.indices[index].lower == 0
        reader.indices[index].use("entry", Integer(count - 1 if zero else count))
    return EntryOf(head.head, reader.read(index, scope))


def as_written(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A value or a given of a density, with an index decided; it still says which variable it is.

    ``x_n`` of a row becomes ``x = x_n``, so that it goes to the variable ``x`` wherever it stands.
    """
    if not isinstance(node, Subscripted | Labelled) or node in scope:
        return node
    if isinstance(node, Labelled):
        read = read_labelled_argument(reader, node, scope)
    else:
        read = read_indexed_argument(reader, node, scope)
    if read == node:
        return node
    return Definition(read.args[0], read) if isinstance(read, RowOf | Component) else read


def as_it_is(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A name whose index has been decided before."""
    return node


def read_name(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A plain name where a number is wanted: an index, a size, or whatever else it is bound to."""
    length_of_table = reader.environment.lengths.get(spelled(node))
    if node not in scope and length_of_table is not None:
        return Integer(length_of_table)
    if node not in scope and spelled(node) in reader.environment.batch_sizes:
        return node
    if node in reader.dummies and node not in scope and not reader.is_variable(node):
        free_index(reader, Subscripted(node, node), scope)
    return Reader.name(reader, node, scope)
