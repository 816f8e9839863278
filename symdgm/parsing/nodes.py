"""From the rules of ``objective.lark`` to nodes: one method a rule, called as the parser reduces."""

from __future__ import annotations

from typing import Any

from lark import Token
from sympy import Basic, Integer, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, Indicator, Inner, Norm, Transpose
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times, quotient
from symdgm.expressions.calculus import Derivative, Integral
from symdgm.expressions.expectations import CrossEntropy, Divergence, Entropy, Expect, MutualInformation
from symdgm.expressions.names import Labelled, Listing, Name, Placeholder, Range, Relation, Subscripted
from symdgm.expressions.statements import (
    Abbreviation,
    Block,
    Definition,
    Labeled,
    Optimize,
    Proportional,
)
from symdgm.parsing.binders import Law, binders, family
from symdgm.parsing.ellipses import DOTS, fold_ellipses
from symdgm.parsing.indices import IndexSpec, aggregate
from symdgm.parsing.numbers import check_index, check_power, number
from symdgm.parsing.pieces import Piece, kinds, piece, pieces
from symdgm.parsing.refusals import refusal

_NAMES = (Name, Subscripted, Labelled)
_SEVERAL = frozenset({"max", "min", "logsumexp", "softmax"})


class Nodes:
    """The callbacks of the rules; without state, so that one compiled grammar serves all threads."""

    # ---- statements

    def start(self, c: list[Any]) -> Piece:
        return c[0]

    def block(self, c: list[Any]) -> Piece:
        held = pieces(c)
        return piece(c, Block(*(p.node for p in held)), held)

    def optimize(self, c: list[Any]) -> Piece:
        body = c[-1]
        players: list[Piece] = c[2] if len(c) > 2 else []
        direction = Str(str(c[0]))
        return piece(c, Optimize(direction, body.node, _tuple(players)), [*players, body])

    def over(self, c: list[Any]) -> Piece:
        """The players behind ``over`` are those of the outermost optimiser."""
        found, players = c[0], c[2]
        direction, body, own = found.node.args
        if own:
            raise refusal("players-twice", c[1])
        return piece(c, Optimize(direction, body, _tuple(players)), [*found.parts, *players])

    def labeled(self, c: list[Any]) -> Piece:
        label, found = pieces(c)
        return piece(c, Labeled(label.node, found.node), [label, found])

    def labeled_over(self, c: list[Any]) -> Piece:
        return self.labeled([c[0], self.over(c[2:])])

    def abbreviation(self, c: list[Any]) -> Piece:
        left, right = pieces(c)
        _check_left(left)
        return piece(c, Abbreviation(left.node, right.node), [left, right])

    def definition(self, c: list[Any]) -> Piece:
        left, right = pieces(c)
        _check_left(left)
        return piece(c, Definition(left.node, right.node), [left, right])

    def proportional(self, c: list[Any]) -> Piece:
        left, right = pieces(c)
        _check_left(left)
        return piece(c, Proportional(left.node, right.node), [left, right])

    def list(self, c: list[Any]) -> list[Piece]:
        return pieces(c)

    # ---- arithmetic

    def expression(self, c: list[Any]) -> Piece:
        held = pieces(c)
        terms = [held[0].node]
        for sign, term in zip(c[1::2], c[2::2], strict=True):
            terms.append(term.node if sign.type == "PLUS" else Minus(term.node))
        made = piece(c, Plus(*terms), held)
        made.numeric = all(p.numeric for p in held)
        return made

    def product(self, c: list[Any]) -> Piece:
        held = pieces(c)
        made = _multiply(c)
        made.numeric = all(p.numeric for p in held)
        return made

    def minus(self, c: list[Any]) -> Piece:
        made = piece(c, Minus(c[1].node), [c[1]])
        made.numeric = c[1].numeric
        return made

    def positive(self, c: list[Any]) -> Piece:
        return c[1]

    def power(self, c: list[Any]) -> Piece:
        """Scripts in a row: ``x^2^3`` is a power of a power, from right to left; a transpose binds first."""
        exponents: list[Piece] = []
        base = c[0]
        for k, script in enumerate(c[1:], 1):
            if isinstance(script, Token):
                base = piece(c[: k + 1], Transpose(_tower(base, exponents).node), [base, *exponents])
                exponents = []
            else:
                exponents.append(script)
        return _tower(base, exponents)

    def raised(self, c: list[Any]) -> Piece:
        inner = c[1]
        return Piece(inner.node, inner.start, c[2].end_pos, inner.depth, inner.parts, inner.numeric)

    # ---- atoms

    def number(self, c: list[Any]) -> Piece:
        return number(c[0])

    def group(self, c: list[Any]) -> Piece:
        return c[1]

    def function(self, c: list[Any]) -> Piece:
        arguments = c[2]
        name = str(c[0])
        if len(arguments) > 1 and name not in _SEVERAL:
            raise refusal("one-argument", arguments[1].span, function=name)
        return piece(c, Call(Str(name), *(a.node for a in arguments)), arguments)

    def root(self, c: list[Any]) -> Piece:
        degree, body = pieces(c)
        return piece(c, Power(body.node, quotient(Integer(1), degree.node)), [body, degree])

    def absolute(self, c: list[Any]) -> Piece:
        return piece(c, Call(Str("abs"), c[1].node), [c[1]])

    def fraction(self, c: list[Any]) -> Piece:
        top, bottom = pieces(c)
        return piece(c, quotient(top.node, bottom.node), [top, bottom])

    def norm(self, c: list[Any]) -> Piece:
        held = pieces(c)
        order = held[1].node if len(held) > 1 else Integer(2)
        return piece(c, Norm(held[0].node, order), held)

    def inner(self, c: list[Any]) -> Piece:
        held = pieces(c)
        return piece(c, Inner(*(p.node for p in held)), held)

    def average(self, c: list[Any]) -> Piece:
        laws = binders(c[4])
        return piece(c, Expect(c[1].node, *(p.node for p in laws)), [c[1], *laws])

    def indicator(self, c: list[Any]) -> Piece:
        return piece(c, Indicator(c[2].node), [c[2]])

    def expectation(self, c: list[Any]) -> Piece:
        laws, body = binders(c[2]), c[5]
        return piece(c, Expect(body.node, *(p.node for p in laws)), [*laws, body])

    def divergence(self, c: list[Any]) -> Piece:
        *order, left, right = pieces(c)
        nodes = [p.node for p in (left, right, *order)]
        if str(c[0]) in ("W_1", "W_2") and order:
            raise refusal("which-divergence", c[0], name="W")
        return piece(c, Divergence(Str(str(c[0])), *nodes), [*order, left, right])

    def entropy(self, c: list[Any]) -> Piece:
        return piece(c, Entropy(c[2].node), [c[2]])

    def cross_entropy(self, c: list[Any]) -> Piece:
        held = pieces(c)
        return piece(c, CrossEntropy(*(p.node for p in held)), held)

    def information(self, c: list[Any]) -> Piece:
        left, right = c[2], c[4]
        return piece(c, MutualInformation(_tuple(left), _tuple(right)), [*left, *right])

    def aggregate(self, c: list[Any]) -> Piece:
        upper = c[4] if isinstance(c[4], Piece) else None
        return aggregate(c, c[2], upper, c[-2])

    def derivative(self, c: list[Any]) -> Piece:
        variable, body = c[1], c[3]
        return piece(c, Derivative(Str(str(c[0])), body.node, variable.node), [variable, body])

    def integral(self, c: list[Any]) -> Piece:
        *bounds, body, variable = pieces(c)
        node = Integral(body.node, variable.node, *(p.node for p in bounds))
        return piece(c, node, [*bounds, body, variable])

    def subscript(self, c: list[Any]) -> Piece:
        return c[1]

    # ---- names

    def name(self, c: list[Any]) -> Piece:
        """A name with its labels inside and its subscripts outside, in whatever order they were written."""
        head: Basic = Name(str(c[0]))
        parts: list[Piece] = []
        indices: list[Piece] = []
        for script in c[1:]:
            if isinstance(script, list):
                indices += script
            else:
                head = Labelled(head, script.node)
                parts.append(script)
        if indices:
            head = Subscripted(head, *(p.node for p in indices))
        return _name(c, head, [*parts, *indices])

    def indexed(self, c: list[Any]) -> list[Piece]:
        return fold_ellipses([check_index(p) for p in pieces(c)])

    def label(self, c: list[Any]) -> Piece:
        return c[1]

    def label_text(self, c: list[Any]) -> Piece:
        return piece(c, Str(str(c[0])), [])

    def range(self, c: list[Any]) -> Piece:
        """``1:T``, ``:t``, ``t:``."""
        at = next(k for k, child in enumerate(c) if isinstance(child, Token))
        sides = [c[:at], c[at + 1 :]]
        held = [check_index(side[0]) if side else piece(c, Placeholder(), []) for side in sides]
        return piece(c, Range(*(p.node for p in held)), pieces(c))

    def half_relation(self, c: list[Any]) -> Piece:
        return piece(c, Relation(Str(str(c[0])), Placeholder(), c[1].node), [c[1]])

    def ellipsis(self, c: list[Any]) -> Piece:
        return piece(c, DOTS, [])

    def placeholder(self, c: list[Any]) -> Piece:
        return piece(c, Placeholder(), [])

    # ---- arguments

    def application(self, c: list[Any]) -> Piece:
        head = c[0]
        if isinstance(c[1], Piece):
            return piece(c, Apply(head.node, c[1].node), [head, c[1]])
        groups = c[2]
        values = groups["values"]
        every = [head, *values, *groups["givens"], *groups["parameters"]]
        if not groups["givens"] and not groups["parameters"]:
            return piece(c, Apply(head.node, *(p.node for p in values)), every)
        held = (_tuple(values), _tuple(groups["givens"]), _tuple(groups["parameters"]))
        return piece(c, Density(head.node, *held), every)

    def arguments(self, c: list[Any]) -> dict[str, list[Piece]]:
        found: dict[str, list[Piece]] = {"values": c[0], "givens": [], "parameters": []}
        for mark, group in zip(c[1::2], c[2::2], strict=True):
            found["givens" if mark.type == "GIVEN" else "parameters"] = group
        return found

    def values(self, c: list[Any]) -> list[Piece]:
        return fold_ellipses(pieces(c))

    def listing(self, c: list[Any]) -> Piece:
        """A set; ``{1..T}`` and ``{1, …, T}`` are ranges."""
        held = fold_ellipses(pieces(c))
        if len(held) == 1 and isinstance(held[0].node, Range):
            return piece(c, held[0].node, held)
        return piece(c, Listing(*(p.node for p in held)), held)

    # ---- laws and indices

    def laws(self, c: list[Any]) -> list[Any]:
        return [child for child in c if not isinstance(child, Token)]

    def law(self, c: list[Any]) -> Law:
        return Law(c[0] if isinstance(c[0], list) else [c[0]], c[2])

    def several(self, c: list[Any]) -> list[Piece]:
        return pieces(c)

    def family(self, c: list[Any]) -> Piece:
        upper = c[6] if len(c) > 6 else None
        return family(c, c[1], c[4], upper)

    def indices(self, c: list[Any]) -> list[IndexSpec]:
        return [
            child if isinstance(child, IndexSpec) else IndexSpec.conditioned(child)
            for child in c
            if not isinstance(child, Token)
        ]

    def free_index(self, c: list[Any]) -> IndexSpec:
        return IndexSpec(c[0])

    def from_index(self, c: list[Any]) -> IndexSpec:
        return IndexSpec(c[0], check_index(c[2]))

    def range_index(self, c: list[Any]) -> IndexSpec:
        return IndexSpec(c[0], check_index(c[2]), check_index(c[4]))

    def relation(self, c: list[Any]) -> Piece:
        left, right = pieces(c)
        return piece(c, Relation(Str(str(c[1])), left.node, right.node), [left, right])

    def equality(self, c: list[Any]) -> Piece:
        left, right = pieces(c)
        return piece(c, Relation(Str("=="), left.node, right.node), [left, right])


def _tuple(held: list[Piece]) -> Tuple:
    return Tuple(*(p.node for p in held))


def _check_left(left: Piece) -> None:
    if not isinstance(left.node, (*_NAMES, Apply, Density)):
        raise refusal("left-hand-side", left.span)


def _name(c: list[Any], node: Basic, parts: list[Piece]) -> Piece:
    made = piece(c, node, parts)
    return made


def _multiply(c: list[Any]) -> Piece:
    """Factors from left to right; a product that the author put into brackets stays one factor."""
    factors = [c[0].node]
    parts = [c[0]]
    end = 1
    for operator, factor in zip(c[1::2], c[2::2], strict=True):
        end += 2
        if operator.type == "TIMES":
            factors.append(factor.node)
            parts.append(factor)
            continue
        top = _times(c[: end - 2], factors, parts)
        made = piece(c[:end], quotient(top.node, factor.node), [top, factor])
        factors, parts = [made.node], [made]
    return _times(c, factors, parts)


def _times(c: list[Any], factors: list[Basic], parts: list[Piece]) -> Piece:
    return parts[0] if len(factors) == 1 else piece(c, Times(*factors), parts)


def _tower(base: Piece, exponents: list[Piece]) -> Piece:
    if not exponents:
        return base
    exponent = exponents[-1]
    for lower in reversed(exponents[:-1]):
        exponent = _raise(lower, exponent)
    return _raise(base, exponent)


def _raise(base: Piece, exponent: Piece) -> Piece:
    check_power(base, exponent)
    if base.node == _E:
        return piece([base, exponent], Call(Str("exp"), exponent.node), [exponent])
    made = piece([base, exponent], Power(base.node, exponent.node), [base, exponent])
    made.numeric = base.numeric and exponent.numeric
    return made


_E = Name("e")
