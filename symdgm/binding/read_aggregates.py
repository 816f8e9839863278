"""Reading sums, products and means over an index, and what the index runs over."""

from __future__ import annotations

from sympy import Basic, Integer

from symdgm.binding.plates import Plate
from symdgm.binding.read_time import is_time, read_over_time
from symdgm.binding.reader import Reader
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import Name, Placeholder, Relation, spelled
from symdgm.expressions.node import text

ONE = Integer(1)


def read_aggregate(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """``sum_{k=1}^K body``, ``prod_j body``, ``mean_{k != i} body``, ``sum_y body`` over a finite variable.

    Raises:
        NameResolutionError: nothing says what the index runs over.
        NotSupportedError: an index over the steps of a sequence, or over a list of values.
    """
    assert isinstance(node, Aggregate)
    variable = node.index.variable
    if len(node.index.args) == 3 and any(bound.has(variable) for bound in node.index.args[1:]):
        raise NameResolutionError(
            f"a bound of the index `{variable}` names `{variable}` itself",
            hint=f"an index ends at a number or at a size, as in `{node.kind}_{{k=1}}^K`",
        )
    if is_time(reader.environment, node.index):
        return read_over_time(reader, node, scope)
    if reader.is_variable(variable):
        return _over_states(reader, node, scope)
    plate = _plate(reader, node, scope)
    outer = reader.indices.get(variable)
    reader.indices[variable] = plate
    try:
        body = reader.read(node.body, scope | {variable})
    finally:
        reader.indices.pop(variable)
        if outer is not None:
            reader.indices[variable] = outer
    return _resolved(reader, node, body, plate)


def _over_states(reader: Reader, node: Aggregate, scope: frozenset[Basic]) -> Basic:
    """A sum over all values of a finite variable."""
    variable = node.index.variable
    bounds = node.index.args[1:]
    whole = len(bounds) == 2 and isinstance(bounds[1], Name) and _is_open(reader, bounds[1], scope)
    if bounds and not whole:
        raise NotSupportedError(
            f"`{variable}` is a variable of a distribution, so that its sum is over all of its values",
            hint=f"write `{node.kind}_{variable}` without bounds",
        )
    return Aggregate(node.args[0], reader.read(node.body, scope | {variable}), Index(variable))


def _plate(reader: Reader, node: Aggregate, scope: frozenset[Basic]) -> Plate:
    """What an index runs over, as far as its bounds say it."""
    bounds = node.index.args[1:]
    if len(bounds) == 2:
        upper = bounds[1]
        if isinstance(upper, Name) and _is_open(reader, upper, scope):
            return Plate(_first(node, reader.read(bounds[0], scope)), None)
        return Plate(*(bound_of(reader, b, scope) for b in bounds))
    return _conditioned(reader, node, scope) if bounds else Plate()


def _is_open(reader: Reader, upper: Name, scope: frozenset[Basic]) -> bool:
    """Whether an upper bound is a name that nothing says, such as the ``d`` of a vector."""
    environment = reader.environment
    known = {*environment.batch_sizes, *environment.lengths}
    named = environment.scalar(upper) is not None or upper in scope or reader.is_variable(upper)
    return not named and spelled(upper) not in known


def _first(node: Aggregate, lower: Basic) -> Basic:
    """The number from which an index runs whose end is not said."""
    if isinstance(lower, Integer) and lower > 0:
        return lower
    raise NotSupportedError(
        f"`{node.index.variable}` runs from `{lower}` to an end that nothing says",
        hint=f"components are counted from 1: write `{node.kind}_{{{node.index.variable}=1}}^d`, or bind "
        f"`{node.index.args[2]}`",
    )


def bound_of(reader: Reader, bound: Basic, scope: frozenset[Basic]) -> Basic:
    """A bound; the scalars in it are whole numbers."""
    for name in bound.atoms(Name):
        if reader.environment.scalar(name) is not None:
            reader.environment.sizes[spelled(name)] = None
    return reader.read(bound, scope)


def _conditioned(reader: Reader, node: Aggregate, scope: frozenset[Basic]) -> Plate:
    """``k != i``, ``t > 1``: the range is that of the other index, or that of what is indexed."""
    relation = node.index.args[1]
    variable = node.index.variable
    if not isinstance(relation, Relation) or relation.args[0].name == "in":
        raise NotSupportedError(
            f"`{node.index}` is an index over a list of values, which this version cannot compute yet",
            hint=f"write a range, `{node.kind}_{{{variable}=1}}^K`, or a condition, `{variable} != i`",
        )
    sides = relation.args[1:]
    others = [reader.indices[s] for s in sides if s in reader.indices and s != variable]
    condition = Relation(relation.args[0], *(s if s == variable else reader.read(s, scope) for s in sides))
    if not others:
        return Plate(condition=condition)
    return Plate(others[0].lower, others[0].upper, condition, dict(others[0].uses))


def _resolved(reader: Reader, node: Aggregate, body: Basic, plate: Plate) -> Basic:
    """The aggregate with its range written out."""
    variable, kind = node.index.variable, node.kind
    rows = "row" in plate.uses or (plate.upper is not None and spelled(plate.upper) in _batches(reader))
    if rows:
        return _over_rows(reader, node, body, plate)
    upper = plate.upper if plate.upper is not None else _default(plate)
    if upper is None and "component" not in plate.uses:
        raise NameResolutionError(
            f"nothing says what `{variable}` runs over in `{kind}_{variable}`",
            hint=f"write its bounds, `{kind}_{{{variable}=1}}^K`, and bind `K`",
        )
    if upper is None and plate.condition is None and plate.lower == ONE:
        return Aggregate(node.args[0], body, Index(variable))
    end = upper if upper is not None else Placeholder()
    condition = () if plate.condition is None else (plate.condition,)
    return Aggregate(node.args[0], body, Index(variable, plate.lower, end, *condition))


def _batches(reader: Reader) -> dict[str, None]:
    return reader.environment.batch_sizes


def _default(plate: Plate) -> Basic | None:
    """The end of a range that is not written: that of the samples, or of a table alone."""
    if "sample" in plate.uses:
        return plate.uses["sample"]
    return None if "component" in plate.uses else plate.uses.get("entry")


def _over_rows(reader: Reader, node: Aggregate, body: Basic, plate: Plate) -> Basic:
    """An aggregate over the examples of the batch; to a bound number of rows it is scaled (8.7)."""
    variable = node.index.variable
    if set(plate.uses) - {"row"}:
        what = next(what for what in plate.uses if what != "row")
        raise NameResolutionError(
            f"`{variable}` runs over the examples of the batch, but it is also the index of a {what}",
            hint="give the two indices different names",
        )
    condition = () if plate.condition is None else (plate.condition,)
    size = reader.environment.scalar(plate.upper) if plate.upper is not None else None
    if size is None:
        upper = plate.upper if plate.upper is not None else batch_size(reader)
        return Aggregate(node.args[0], body, Index(variable, ONE, upper, *condition))
    if node.kind == "prod" or condition:
        raise NotSupportedError(
            f"`{node.kind}` over all `{size}` rows of the data cannot be estimated from a batch",
            hint="write a sum of logarithms, `sum_{n=1}^N log p(x_n)`",
        )
    index = Index(variable, ONE, batch_size(reader))
    mean = Aggregate(text("mean"), body, index)
    return Times(plate.upper, mean) if node.kind == "sum" else mean


def batch_size(reader: Reader) -> Name:
    """A name for the number of examples, which nothing else has."""
    taken = {*reader.environment.scalars, *map(spelled, reader.free)}
    name = next(n for n in ("B", "B'", "B''") if n not in taken)
    reader.environment.batch_sizes[name] = None
    return Name(name)
