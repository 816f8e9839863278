"""What each keyword of an objective is: a network, a scalar, a shape or a distribution."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from sympy import Basic
from torch import Tensor, nn

from symdgm.binding.environment import Environment
from symdgm.binding.factors import Factor, givens_of, reference, values_of
from symdgm.binding.scalars import Scalars, is_scalar
from symdgm.binding.steps_of_factors import of_now
from symdgm.binding.tables import LISTS, indexed_names, is_table, table
from symdgm.binding.timeline import Timeline, initial_value, is_initial, timeline_of
from symdgm.binding.unsupported import LAWS
from symdgm.binding.written import Written
from symdgm.distributions import Deterministic, Distribution, Joint
from symdgm.errors import GrammarError, NameResolutionError, OptionError, SymdgmError, nearest
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import Subscripted, base, spelled
from symdgm.expressions.scope import free_names, heads

Declared = Sequence[tuple[Basic, Distribution]]
Read = Callable[[str], Basic]
"""Text → node."""

ENTRIES = (*LISTS, Tensor)
"""What an index takes an entry of, even where that seems to be applied: ``w_k (a + b)``."""
STEP = "step"
"""The one parameter of a function that is a schedule of a scalar, wherever its name stands."""


def classify(
    expressions: Sequence[Basic],
    declared: Declared,
    names: Mapping[str, object],
    read: Read,
    options: Sequence[str] = (),
    time: Timeline | None = None,
    text: Written | None = None,
    variables: Collection[str] = (),
) -> Environment:
    """The environment of a formula.

    A function is a network where the formula applies it, and else a schedule; with one parameter called
    ``step`` it is always a schedule, so that ``beta (a + b)`` stays a product.

    Args:
        expressions: what uses the names.
        declared: the distributions with their notation.
        names: keyword → value; a distribution here is bound under the keyword as its name.
        read: text → name node.
        options: keywords that are no names, to suggest for a misspelt one.
        time: the sequences of the formulas, where they are known already.
        text: where the formula was read, for carets.
        variables: names of variables besides those of the distributions.

    Raises:
        OptionError: a keyword that the formula does not use, or a value that can be none of these.
        NameResolutionError: one factor is declared twice.
    """
    applied = _called(expressions)
    mentioned = applied | {spelled(n) for e in expressions for n in free_names(e)}
    factors = [*declared]
    time = time or _time(expressions, declared, names, read)
    initial: dict[Basic, float | Tensor] = {}
    networks: dict[str, Callable[..., object]] = {}
    scalars: dict[str, object] = {}
    shapes: dict[str, torch.Size] = {}
    tables: dict[str, object] = {}
    indexed, inline = indexed_names(expressions), _drawn_in_place(expressions)
    arguments = {*variables, *_arguments(expressions, [*declared, *_bound_laws(names, read)])}
    _refuse_spelled_twice(names, read)
    for keyword, value in names.items():
        node = read(keyword)
        name = spelled(node)
        if time is not None and is_initial(time, node):
            initial[base(node)] = _beginning(keyword, value, base(node), time, text)
        elif isinstance(value, Distribution):
            factors += [(_renamed(node, declared_node(part, read)), part) for part in _parts(value)]
        elif is_shape(value) and (over := _over(node, time, [f for f, _ in factors], inline)):
            shapes |= dict.fromkeys(over, torch.Size((value,) if isinstance(value, int) else value))  # type: ignore[arg-type]
        elif name in indexed and is_table(value) and (name not in mentioned or isinstance(value, ENTRIES)):
            tables[name] = table(keyword, value)
        elif name not in mentioned:
            raise _unused(keyword, [*options, *sorted(mentioned - _keys(names, read))])
        elif name in applied and callable(value) and not is_number(value):
            networks[name] = value
        elif is_scalar(value):
            scalars[name] = value
        elif isinstance(value, Tensor) and name not in arguments and not _is_step(time, node):
            tables[name] = value
        else:
            raise _at(_meaningless(keyword, value, applied=name in applied), text, [node])
    if time is not None:
        factors = [of_now(time, *factor) for factor in factors]
        time = _with_data(time, [node for node, _ in factors], tables, initial)
    numbered = tuple(Factor(i, node, d) for i, (node, d) in enumerate(factors))
    _refuse_duplicates(numbered)
    return Environment(numbered, networks, Scalars(scalars), shapes, tables, time=time)


def named(keyword: str, read: Read) -> Basic:
    """The name that a keyword binds.

    Raises:
        OptionError: a word of the language, such as ``tr``, or no name.
    """
    try:
        return read(keyword)
    except GrammarError as error:
        raise OptionError(
            f"`{keyword}` cannot be bound, for the language reads it as something else than a name",
            hint="call it otherwise, here and in the formula: `tr`, `sum`, `max` and the like are operations",
        ) from error


def _with_data(
    time: Timeline, laws: Sequence[Basic], tables: Mapping[str, object], initial: dict[Basic, float | Tensor]
) -> Timeline:
    """The sequences with their values before the first step; what is bound as a table is none of them."""
    own = {base(v) for node in laws for v in values_of(node)}
    sequences = frozenset(s for s in time.sequences if s in own or spelled(s) not in tables)
    return replace(time, initial=initial, sequences=sequences)


def _beginning(
    keyword: str, value: object, sequence: Basic, time: Timeline, text: Written | None
) -> float | Tensor:
    """A value before the first step; the caret of a wrong one stands where an earlier step is read."""
    try:
        return initial_value(keyword, value)
    except OptionError as error:
        steps = [n for n in (text.spans if text else ()) if time.covers(n) and base(n) == sequence]
        raise _at(error, text, sorted(steps, key=lambda n: (time.offset(n) or 0) >= 0)) from None


def _at(error: OptionError, text: Written | None, nodes: Sequence[Basic]) -> SymdgmError:
    """An error with a caret under the first of some nodes that is written."""
    span = next((text.spans[n] for n in nodes if n in text.spans), None) if text else None
    return error if text is None or span is None else error.at(text.source, span)


def _meaningless(keyword: str, value: object, *, applied: bool) -> OptionError:
    """The error for a value that can be nothing that a formula names."""
    if not applied and isinstance(value, Tensor | str):
        is_a = f"it has shape {list(value.shape)}" if isinstance(value, Tensor) else "it is a str"
        return OptionError(
            f"`{keyword}` must be one number; {is_a}",
            hint="give a number, a 0-d tensor, or a function of the training step; data are given when the "
            "formula is evaluated",
        )
    return OptionError(
        f"`{keyword}` is bound to {type(value).__name__}, which has no meaning in this formula",
        hint="bind a distribution, a network that the formula applies, a number, or the "
        "event shape of a variable",
    )


def _time(
    expressions: Sequence[Basic], declared: Declared, names: Mapping[str, object], read: Read
) -> Timeline | None:
    """The sequences of formulas and of all that is declared, by keyword too."""
    nodes = [*declared, *_bound_laws(names, read)]
    computed = [node for node, d in nodes if isinstance(d, Deterministic)]
    return timeline_of(expressions, [node for node, _ in nodes], computed, _keys(names, read))


def _bound_laws(names: Mapping[str, object], read: Read) -> list[tuple[Basic, Distribution]]:
    """The distributions that keywords are bound to."""
    parts = [part for value in names.values() if isinstance(value, Distribution) for part in _parts(value)]
    return [(declared_node(part, read), part) for part in parts]


def _parts(distribution: Distribution) -> Sequence[Distribution]:
    return distribution.factors if isinstance(distribution, Joint) else (distribution,)


def _drawn_in_place(expressions: Iterable[Basic]) -> set[Basic]:
    """The variables of laws that are written in place, ``eps`` of ``eps ~ N(0, I)``."""
    laws = [b for e in expressions for b in nodes(e, Binder) if isinstance(b.law, Apply | Density)]
    return {v for b in laws if spelled(b.law.args[0]) in LAWS for v in (*b.variables, *values_of(b.law))}


def _over(node: Basic, time: Timeline | None, factors: Sequence[Basic], inline: set[Basic]) -> list[str]:
    """The names of the variables that a name means: its own, and those of the steps of a sequence."""
    variables = [v for f in factors for v in (*values_of(f), *givens_of(f))]
    own = [spelled(node)] if node in variables or node in inline else []
    if time is None or node not in time.sequences:
        return own
    return [*own, spelled(node), *(spelled(v) for v in variables if time.covers(v) and base(v) == node)]


def is_shape(value: object) -> bool:
    """Whether a value can be an event shape."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (
        isinstance(value, tuple | list) and all(isinstance(v, int) for v in value)
    )


def declared_node(distribution: Distribution, read: Read) -> Basic:
    """The notation of a distribution's declaration."""
    return read(distribution.declaration.text)


def refuse_unused(
    names: Mapping[str, object], used: Iterable[str], options: Iterable[str], read: Read
) -> None:
    """Raise `OptionError` for a keyword that the formula does not use."""
    known = set(used)
    for keyword in names:
        if spelled(read(keyword)) not in known:
            raise _unused(keyword, options)


def _unused(keyword: str, candidates: Iterable[str]) -> OptionError:
    close = nearest(keyword, candidates)
    return OptionError(
        f"`{keyword}` is no option, and the formula does not use it",
        hint=f"did you mean `{close}`?" if close else f"leave it out, or write `{keyword}` in the formula",
    )


def _keys(names: Mapping[str, object], read: Read) -> set[str]:
    return {spelled(read(keyword)) for keyword in names}


def _refuse_spelled_twice(names: Iterable[str], read: Read) -> None:
    seen: dict[str, str] = {}
    for keyword in names:
        first = seen.setdefault(spelled(read(keyword)), keyword)
        if first != keyword:
            raise OptionError(
                f"`{first}` and `{keyword}` are two spellings of one name, which is bound twice",
                hint="leave one out",
            )


def _called(expressions: Iterable[Basic]) -> set[str]:
    """The names of functions and distributions, with and without their subscripts."""
    found = {head for e in expressions for head in heads(e)}
    return {spelled(h) for h in found} | {spelled(h.head) for h in found if isinstance(h, Subscripted)}


def _is_step(time: Timeline | None, node: Basic) -> bool:
    """Whether a name is a step of a sequence."""
    return time is not None and base(node) in time.sequences


def _arguments(expressions: Iterable[Basic], laws: Declared) -> set[str]:
    """What densities and networks are asked at: variables, which no tensor that is bound stands for."""
    asked = [n for e in (*expressions, *(node for node, _ in laws)) for n in nodes(e, Apply, Density)]
    return {spelled(v) for n in asked for v in (*values_of(n), *givens_of(n))}


def is_number(value: Callable[..., object]) -> bool:
    """Whether what can be called is a number all the same: a tensor, or a function of ``step``."""
    if isinstance(value, Tensor | nn.Module):
        return isinstance(value, Tensor)
    try:
        return list(inspect.signature(value).parameters) == [STEP]
    except (TypeError, ValueError):  # a function without a readable signature, such as a builtin
        return False


def _renamed(head: Basic, node: Basic) -> Basic:
    """A declaration under another name."""
    return reference(head, values_of(node), givens_of(node))


def _refuse_duplicates(factors: Sequence[Factor]) -> None:
    seen: dict[tuple[object, ...], Factor] = {}
    for factor in factors:
        key = (factor.head, frozenset(factor.variables), frozenset(factor.givens))
        first = seen.setdefault(key, factor)
        if first is not factor:
            raise NameResolutionError(
                f"`{factor.node}` is bound twice",
                hint="leave one out, or bind it under another name by a keyword, as in `p_2=...`",
            )
