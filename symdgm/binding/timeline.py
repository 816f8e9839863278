"""Which names are sequences, and which index is time (LANGUAGE.md sections 2 and 8.21-8.22)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from sympy import Basic, Integer
from torch import Tensor, nn

from symdgm.binding.sequences_of_data import steps_of_data
from symdgm.errors import NotSupportedError, OptionError
from symdgm.expressions.depth import nodes
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import IndexRange, Name, Relation, Subscripted, base
from symdgm.expressions.steps import at_offset, counted_from, is_size, offset_of, past_of

ONE = Integer(1)
LENGTH = Name("T")
"""The name of the lengths, where the formula writes none."""


@dataclass(frozen=True)
class Timeline:
    """Time in a formula.

    Args:
        index: the step, ``t``.
        length: the name of the last step, ``T``; data of that name are the lengths of the sequences.
        sequences: the variables that have steps, without their index.
        initial: variable → its value before the first step.
        jumps: names of steps that are data, ``t_1`` of ``b_{t_1}``: one for each sequence, counted from 1.
    """

    index: Basic
    length: Basic
    sequences: frozenset[Basic]
    initial: Mapping[Basic, float | Tensor] = field(default_factory=dict)
    jumps: frozenset[Basic] = frozenset()

    def offset(self, node: Basic) -> int | None:
        """How many steps from now: 0 for ``z_t``, -1 for ``z_{t-1}``; None for what is no step."""
        if not isinstance(node, Subscripted) or base(node) not in self.sequences or len(node.indices) != 1:
            return None
        return offset_of(node.indices[0], self.index)

    def number(self, node: Basic) -> int | None:
        """Which step ``z_1`` is, counted from 1; None for what is no numbered step."""
        if not isinstance(node, Subscripted) or base(node) not in self.sequences or len(node.indices) != 1:
            return None
        index = node.indices[0]
        return int(index) if isinstance(index, Integer) and index > 0 else None

    def jump(self, node: Basic) -> Basic | None:
        """The data that say which step ``b_{t_1}`` is, or the length, of ``b_T``; None for anything else."""
        if not isinstance(node, Subscripted) or base(node) not in self.sequences or len(node.indices) != 1:
            return None
        return node.indices[0] if node.indices[0] in {*self.jumps, self.length} else None

    def past(self, node: Basic) -> int | None:
        """How many steps before now a slice ends: 0 for ``x_{<=t}``, 1 for ``x_{<t}``; None for no slice."""
        if not isinstance(node, Subscripted) or base(node) not in self.sequences or len(node.indices) != 1:
            return None
        return past_of(node.indices[0], self.index)

    def component(self, node: Basic) -> tuple[Basic, Basic] | None:
        """``x_t`` and ``j`` of ``x_{t,j}``, a component of a step; None for anything else."""
        if not isinstance(node, Subscripted) or base(node) not in self.sequences or len(node.indices) != 2:
            return None
        first, second = node.indices
        for step, index in ((first, second), (second, first)):
            if offset_of(step, self.index) is not None:
                return Subscripted(node.head, step), index
        return None

    def is_range(self, node: Basic) -> bool:
        """Whether a name is a whole sequence, ``z_{1:T}``."""
        return is_range(node) and base(node) in self.sequences and self.past(node) is None

    def covers(self, node: Basic) -> bool:
        """Whether a name is a sequence, or a step or a slice of one."""
        if not isinstance(node, Subscripted) or base(node) not in self.sequences:
            return False
        places = (self.offset(node), self.number(node), self.past(node), self.jump(node))
        return self.is_range(node) or any(place is not None for place in places)

    def step(self, sequence: Basic, offset: int = 0) -> Basic:
        """``z_t`` or ``z_{t-1}`` of a sequence ``z``."""
        return Subscripted(sequence, at_offset(self.index, offset))

    def first(self, sequence: Basic) -> Basic:
        """``z_1`` of a sequence ``z``."""
        return Subscripted(sequence, ONE)

    def whole(self, sequence: Basic) -> Basic:
        """``z_{1:T}`` of a sequence ``z``."""
        return Subscripted(sequence, IndexRange(ONE, self.length))


def is_range(node: Basic) -> bool:
    """Whether a name has a range for its only index."""
    return (
        isinstance(node, Subscripted) and len(node.indices) == 1 and isinstance(node.indices[0], IndexRange)
    )


def is_past(node: Basic) -> bool:
    """Whether a name has a bound for its only index, ``x_{<t}``."""
    return isinstance(node, Subscripted) and len(node.indices) == 1 and isinstance(node.indices[0], Relation)


def timeline_of(
    expressions: Iterable[Basic],
    declared: Sequence[Basic],
    computed: Sequence[Basic] = (),
    bound: Collection[str] = (),
) -> Timeline | None:
    """Time in formulas and declarations, or None where nothing is a sequence.

    An index is time where factors are declared over variables with it, and a formula sums over it or names a
    range of such a variable. It is time too where a state is computed from step to step, as ``b_t`` from
    ``b_{t-1}``, and a formula jumps to some step of it, ``b_{t_1}``; and in sums over data alone, see
    `steps_of_data`.

    Args:
        expressions: the formulas.
        declared: the notation of the factors.
        computed: that of the deterministic ones among them.
        bound: the names that are bound to values, networks or factors.

    Raises:
        NotSupportedError: two indices of time.
    """
    formulas, heads = list(expressions), {node.args[0] for node in declared}

    def subscripted(node: Basic) -> Iterator[Subscripted]:
        # The name of a law, p_t of p_t(z|x), is no step.
        return (s for s in _subscripted(node) if s not in heads)

    stepped = {
        (i, base(s)) for node in declared for s in subscripted(node) for i in _indices(s) if not is_size(i)
    }
    sums = [n.index for e in formulas for n in nodes(e, Aggregate)]
    summed = {i.variable for i in sums}
    letters = {i for i, _ in stepped}
    ranges = [
        s
        for e in (*formulas, *declared)
        for s in subscripted(e)
        if is_range(s) and all(past_of(s.indices[0], i) is None for i in letters)
    ]
    named = {base(s) for s in ranges}
    indices = {i for i, sequence in stepped if i in summed or sequence in named}
    indices = indices or {i for node in computed for i in _recurs(node) if _jumps(declared, node, i)}
    indices = indices or steps_of_data(formulas, declared, bound)
    if not indices:
        return None
    index = _only(indices)
    sequences = {s for i, s in stepped if i == index}
    for formula in formulas:
        sequences |= {base(s) for s in subscripted(formula) if index in map(counted_from, s.indices[:2])}
    sequences |= named
    for node in (*formulas, *declared):
        slices = (s for s in subscripted(node) if len(s.indices) == 1)
        sequences |= {base(s) for s in slices if past_of(s.indices[0], index) is not None}
    upper = [i.args[2] for i in sums if i.variable == index and len(i.args) == 3]
    length = _last([*upper, *(s.indices[0].args[1] for s in ranges)])
    places = (s for e in (*formulas, *declared) for s in subscripted(e) if base(s) in sequences)
    jumps = {i for s in places for i in _names(s)} - {index, length, *summed}
    return Timeline(index, length, frozenset(sequences), jumps=frozenset(jumps))


def _only(indices: set[Basic]) -> Basic:
    """The one index of time."""
    if len(indices) > 1:
        names = ", ".join(f"`{i}`" for i in sorted(indices, key=str))
        raise NotSupportedError(
            f"{names} are both steps of sequences", hint="use one letter for the step in all factors"
        )
    return next(iter(indices))


def _last(upper: Sequence[Basic]) -> Basic:
    """The name of the last step, by the upper ends of sums and ranges."""
    names = [u for u in map(counted_from, upper) if isinstance(u, Name)]
    return LENGTH if LENGTH in names or not names else names[0]


def _recurs(node: Basic) -> Iterator[Basic]:
    """The steps by which a factor computes a state from the state before."""
    values, givens = node.args[1], node.args[2]
    for value in _subscripted(values):
        for index in _names(value):
            if any(base(g) == base(value) and offset_of(g.indices[0], index) for g in _subscripted(givens)):
                yield index


def _jumps(declared: Sequence[Basic], state: Basic, index: Basic) -> bool:
    """Whether other factors are given a state at a step of another name."""
    over = {base(s) for s in _subscripted(state.args[1])}
    others = (s for node in declared for s in _subscripted(node) if base(s) in over)
    return any(name != index for s in others for name in _names(s))


def is_initial(time: Timeline, node: Basic) -> bool:
    """Whether a name is a value before the first step, ``z_0``."""
    return isinstance(node, Subscripted) and base(node) in time.sequences and node.indices == (Integer(0),)


def initial_value(name: str, value: object) -> float | Tensor:
    """A value before the first step: a number, a tensor of the event's shape, or a trained parameter.

    Raises:
        OptionError: if it is none of these, or not finite.
    """
    if isinstance(value, Tensor):
        if not isinstance(value, nn.Parameter) and not torch.isfinite(value).all():
            raise OptionError(f"`{name}` has values that are not finite", hint="look where they come from")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, float):
        raise OptionError(f"`{name}` is {value}, but a sequence begins by a finite value", hint="such as 0.0")
    raise OptionError(
        f"`{name}` is {type(value).__name__}, but it is the value before the first step",
        hint="give a number, a tensor of the event's shape, or an nn.Parameter",
    )


def _subscripted(node: Basic) -> Iterator[Subscripted]:
    return iter(nodes(node, Subscripted))


def _names(node: Subscripted) -> list[Basic]:
    """The only index of a variable, where it is a name."""
    whole = len(node.indices) == 1 and isinstance(node.indices[0], Name | Subscripted)
    return [node.indices[0]] if whole else []


def _indices(node: Subscripted) -> list[Basic]:
    """The name that the only index of a variable counts from."""
    if len(node.indices) != 1:
        return []
    index = counted_from(node.indices[0])
    return [index] if isinstance(index, Name) else []
