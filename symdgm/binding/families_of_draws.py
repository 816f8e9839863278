"""Several independent draws of one law under an index, ``z_{1:K} ~ q(z|x)`` (LANGUAGE.md 8.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sympy import Basic, Integer, Tuple

from symdgm.binding.factors import ATOMS, values_of
from symdgm.binding.read_aggregates import bound_of
from symdgm.binding.reader import Reader
from symdgm.errors import NameResolutionError, NotSupportedError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import Binder
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import IndexRange, Name, Subscripted, base
from symdgm.expressions.places import pattern

ONE = Integer(1)


def as_ranges(binders: Iterable[Binder]) -> Iterator[Binder]:
    """Binders, in which ``prod_{k=1}^K q(z_k|x)`` is ``z_{1:K} ~ q(z|x)``, and ``z, z' ~ q`` two binders."""
    for binder in binders:
        law = binder.law
        if isinstance(law, Aggregate) and law.kind == "prod" and len(law.index.args) == 3:
            yield _from_product(binder, law)
        else:
            yield from _apart(binder)


def _from_product(binder: Binder, law: Aggregate) -> Binder:
    index, lower, upper = law.index.args
    body = law.body
    values = values_of(body) if isinstance(body, Apply | Density) else ()
    if len(values) != 1 or not isinstance(values[0], Subscripted) or values[0].indices != (index,):
        raise NotSupportedError(
            f"`{law}` is read as a product of laws, of which only independent draws can be taken",
            hint="write `E_{z_{1:K} ~ q(z|x)}[...]`",
        )
    drawn = Subscripted(values[0].head, IndexRange(lower, upper))
    head, *_ = body.args
    formal = values[0].head
    one = Apply(head, formal) if isinstance(body, Apply) else Density(head, Tuple(formal), *body.args[2:])
    return Binder(binder.args[0] if binder.variables else Tuple(drawn), one)


def _apart(binder: Binder) -> Iterator[Binder]:
    """``z, z' ~ q(z|x)`` as two draws, where the law has one variable that both stand for."""
    law, drawn = binder.law, binder.variables
    values = values_of(law) if isinstance(law, Apply | Density) else ()
    several = len(drawn) > 1 and len(values) == 1 and len({base(v) for v in (*drawn, *values)}) == 1
    if not several or not isinstance(values[0], ATOMS):
        yield binder
        return
    for variable in drawn:
        yield Binder(Tuple(variable), law)


def read_range(reader: Reader, variable: Basic, scope: frozenset[Basic]) -> Basic:
    """A drawn variable; the range of ``z_{1:K}`` is noted, and its bounds are read.

    Raises:
        NameResolutionError: the upper bound is not bound.
        NotSupportedError: a range that does not begin with 1.
    """
    if not isinstance(variable, Subscripted) or not isinstance(variable.indices[0], IndexRange):
        return variable
    if reader.is_step(variable):
        return variable
    lower, upper = variable.indices[0].args
    if lower != ONE or len(variable.indices) != 1:
        raise NotSupportedError(
            f"`{variable}` does not begin with 1", hint=f"write `{variable.head}_{{1:{upper}}}`"
        )
    if isinstance(upper, Name) and reader.environment.scalar(upper) is None:
        raise NameResolutionError(
            f"nothing says how many draws `{variable}` are", hint=f"bind the number, `{upper}=8`, say"
        )
    read = bound_of(reader, upper, scope)
    reader.families[pattern(variable)] = read
    return Subscripted(variable.head, IndexRange(ONE, read))
