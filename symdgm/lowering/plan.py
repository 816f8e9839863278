"""The plan: a typed graph of tensor operations, in which equal nodes are one node.

| kind | detail | arguments |
| --- | --- | --- |
| OBSERVE | variable | |
| SCALAR | name | |
| NUMBER | exact value | |
| NETWORK | name of the network | its inputs |
| OUTPUT | name of the function | the network, whose one output it is |
| LAW | number of the factor | the networks that give its parameters |
| PARAMETER | parameter | the law |
| DRAW | variable, which stream, how many, what is special | the law, what else it is made from |
| STATES | variable, which stream, how many of each component | the law, opaque or not |
| WEIGHT | | the law, its states |
| APPLY | operation | operands |
| LOG_DENSITY | | the law, the values |
| REDUCE | operation, axis | operands |
| OPAQUE | number of the factor | what it is given |
| SAMPLE | variable, which stream, how many, what is special | the opaque law |
| ENTRY | variable | the sample of all variables |
| STATE | name of the state | the value that it is shown |
| PATH | variable, whose expectation, which stream | the draw |
| REWEIGHED | variable | log-weights, their axis, the path, a power |
| SURROGATE | estimator, how many draws | the values, the draw, what else it needs |
| POINTS | whose, which stream, how many | the laws that are drawn so often: an axis of independent draws |
| KNOWN | which integral | the laws |
| COMPARE | the divergence, variables of the first | the points of both |
| SIZE | whose | |
| INDEX | what it runs over, which of its axes, where it stands | its bounds |
| POSITION | | the index, or the examples |
| ALONG | which axis | the value, the index along which it is read, the axis that it had |
| PICK | | several draws, their axis, the number of one |
| AGGREGATE | operation | the values, the index, a condition |
| TABLE | name | indices |
| CALLS | name of a list of networks | the index, the inputs |
| INDICATOR | | a condition |
| PERMUTED | | the value whose components are permuted over the examples |
| POINT | | the value, by which one differentiates |
| DERIVATIVE | which | what is differentiated, the point |
| STEPS | | an observed sequence, step by step |
| GATHER | | what has no steps, for every step |
| FIRST | which step, counted from 1 | a sequence |
| JOINED | | the law of the first step, that of the others |
| STOPPED | | a law whose parameters get no gradient |
| LAG | sequence | its steps, to be read one step earlier |
| SEQUENCE | network, direction | its inputs, step by step |
| LOOP | its body | what it reads from outside |
| TIME | rows | |
| STEP_OF | | a sequence, which step of each |
| LEAF | what it is in the body of a loop | |
| TRACE | what is kept of every step | the loop |
| EVERY_STATE | sequence, now or before | the law of its first step |
| INITIAL | number of the factor, sequence | |
| OFFSET | number of the linear factor, which of its conditions | these conditions |
| CHAIN | number of the chain, how it is left out | its tables or matrices |
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from sympy import Basic


class Kind(Enum):
    """What a node of the plan does."""

    OBSERVE = auto()
    SCALAR = auto()
    NUMBER = auto()
    NETWORK = auto()
    OUTPUT = auto()
    LAW = auto()
    PARAMETER = auto()
    DRAW = auto()
    STATES = auto()
    WEIGHT = auto()
    APPLY = auto()
    LOG_DENSITY = auto()
    REDUCE = auto()
    OPAQUE = auto()
    SAMPLE = auto()
    ENTRY = auto()
    STATE = auto()
    PATH = auto()
    REWEIGHED = auto()
    SURROGATE = auto()
    POINTS = auto()
    KNOWN = auto()
    COMPARE = auto()
    SIZE = auto()
    INDEX = auto()
    POSITION = auto()
    ALONG = auto()
    PICK = auto()
    AGGREGATE = auto()
    TABLE = auto()
    CALLS = auto()
    INDICATOR = auto()
    PERMUTED = auto()
    POINT = auto()
    DERIVATIVE = auto()
    STEPS = auto()
    GATHER = auto()
    FIRST = auto()
    JOINED = auto()
    STOPPED = auto()
    LAG = auto()
    SEQUENCE = auto()
    LOOP = auto()
    TIME = auto()
    STEP_OF = auto()
    LEAF = auto()
    TRACE = auto()
    EVERY_STATE = auto()
    INITIAL = auto()
    OFFSET = auto()
    CHAIN = auto()


@dataclass(frozen=True, eq=False)
class PlanNode:
    """A node; two nodes are equal only if they are the same object.

    Args:
        kind: what it does.
        args: the nodes that it reads.
        detail: what else identifies it.
        origin: the expression that it computes, for names, comments and errors.
    """

    kind: Kind
    args: tuple[PlanNode, ...]
    detail: tuple[Hashable, ...]
    origin: Basic | None = field(default=None)

    def word(self, index: int = 0) -> str:
        """An entry of the detail that is a name."""
        return str(self.detail[index])

    def number(self, index: int = 0) -> int:
        """An entry of the detail that counts."""
        entry = self.detail[index]
        assert isinstance(entry, int)
        return entry


class Plan:
    """A builder that returns the node it already has instead of an equal one."""

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, ...], PlanNode] = {}

    def node(
        self, kind: Kind, *args: PlanNode, detail: tuple[Hashable, ...] = (), origin: Basic | None = None
    ) -> PlanNode:
        """The one node of this kind, arguments and detail."""
        key = (kind, detail, *map(id, args))
        if key not in self._known:
            self._known[key] = PlanNode(kind, args, detail, origin)
        return self._known[key]

    def __len__(self) -> int:
        return len(self._known)


def ordered(roots: Iterator[PlanNode] | list[PlanNode]) -> list[PlanNode]:
    """All nodes below the roots, each after those that it reads."""
    done: dict[PlanNode, None] = {}
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done[node] = None
        else:
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))
    return list(done)


def uses(roots: list[PlanNode]) -> dict[PlanNode, int]:
    """How many nodes read each node; a root counts as read once."""
    counts: dict[PlanNode, int] = dict.fromkeys(roots, 1)
    for node in ordered(roots):
        for argument in node.args:
            counts[argument] = counts.get(argument, 0) + 1
    return counts
