"""What is written is the language: parsing gives the same tree back, in every spelling."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from expression_samples import (
    SAMPLES,
    K,
    T,
    big,
    call,
    density,
    expect,
    kl,
    one,
    sub,
    two,
)
from sympy import Basic, Integer, Rational, Tuple
from sympy.core.symbol import Str
from test_notation import BRACKETS, LATEX, PAPERS, UNICODE

from symdgm.expressions.applications import Apply, Call, Density, Indicator, Inner, Norm, Transposed
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times, quotient
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import Binder, Entropy
from symdgm.expressions.indices import Index
from symdgm.expressions.names import IndexRange, Labelled, Listing, Name, Placeholder, Relation
from symdgm.expressions.node import Node, walk
from symdgm.expressions.notation import ascii, latex, unicode
from symdgm.expressions.signature import signature
from symdgm.parsing import parse

SPELLINGS = (ascii, unicode, latex)
FRAGMENTS = (IndexRange, Placeholder, Relation, Listing, Index, Binder)
"""Nodes that stand only inside of others."""

CASES = [e for e in (*SAMPLES, *(c[0] for c in (*PAPERS, *BRACKETS, *LATEX, *UNICODE)))
         if not isinstance(e, FRAGMENTS)]  # fmt: skip


def is_of_the_language(expression: Basic) -> bool:
    """Whether no part of an expression can be made by code alone: negative numbers, SymPy's sums, f(x)(y)."""
    found: list[Basic] = []
    walk(expression, found.append)
    return all(
        isinstance(n, Node | Tuple | Str) or (isinstance(n, Rational) and n.p >= 0) for n in found
    ) and not any(isinstance(n, Apply) and isinstance(n.args[0], Apply) for n in found)


@pytest.mark.parametrize("node", [e for e in CASES if is_of_the_language(e)], ids=str)
def test_what_is_written_is_read_back(node: Node) -> None:
    for write in SPELLINGS:
        assert parse(write(node)) == node


@pytest.mark.parametrize("node", [Integer(-1) + Name("x"), Rational(-1, 2) * Name("x")], ids=str)
def test_negative_numbers_are_read_back_as_the_same(node: Node) -> None:
    for write in SPELLINGS:
        assert signature(parse(write(node))) == signature(node)


LETTERS = [Name(n) for n in ("x", "y", "z", "theta", "x_hat", "x'", "enc", "beta", "a_bar", "D", "x_star")]
INDICES = [Name(n) for n in "tkij"]


class Grower:
    """Random expressions; every tree that it grows can be written by an author."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one_of(self, choices: list[Callable[[], Basic]]) -> Basic:
        return self.random.choice(choices)()

    def index(self) -> Name:
        return self.random.choice(INDICES)

    def name(self) -> Basic:
        letter = self.random.choice(LETTERS)
        return self.one_of([
            *[lambda: letter] * 4,
            lambda: sub(
                letter, self.random.choice([self.index(), one, self.index() - 1, IndexRange(one, T)])
            ),
            lambda: Labelled(letter, self.index()),
        ])  # fmt: skip

    def head(self) -> Basic:
        return self.random.choice([Name("f"), Name("p"), sub(Name("q"), Name("phi")), Name("N"), Name("D")])

    def density(self) -> Basic:
        return density(self.head(), self.name(), *[self.name() for _ in range(self.random.randint(1, 2))])

    def law(self) -> Basic:
        return self.one_of([self.density, lambda: Apply(Name("p"), self.name()), lambda: Name("q")])

    def leaf(self) -> Basic:
        return self.one_of([
            self.name,
            self.density,
            lambda: Integer(self.random.randint(0, 9)),
            lambda: Rational(1, 2),
            lambda: Apply(self.head(), self.name()),
        ])  # fmt: skip

    def grow(self, depth: int) -> Basic:
        return self.leaf() if depth <= 0 else self.one_of([*self.arithmetic(depth), *self.others(depth)])

    def part(self, depth: int) -> Basic:
        return self.grow(depth - 1 - self.random.randint(0, 1))

    def arithmetic(self, depth: int) -> list[Callable[[], Basic]]:
        part = lambda: self.part(depth)  # noqa: E731
        return [
            lambda: Plus(part(), part(), part()),
            lambda: Plus(part(), Minus(part())),
            *[lambda: Times(part(), part()), lambda: Times(part(), part(), part())] * 2,
            *[lambda: quotient(part(), part())] * 2,
            lambda: Power(part(), part()),
            lambda: Minus(part()),
        ]

    def others(self, depth: int) -> list[Callable[[], Basic]]:
        part = lambda: self.part(depth)  # noqa: E731
        pick = self.random.choice
        return [
            *[lambda: call(pick(["log", "exp", "tanh", "sqrt", "abs", "sg", "tr"]), part())] * 2,
            lambda: Call(Str("max"), part(), part()),
            lambda: Apply(self.head(), part(), part()),
            lambda: Density(self.head(), Tuple(self.name()), Tuple(), Tuple(part())),
            lambda: Norm(part(), pick([one, two])),
            lambda: Inner(part(), part()),
            lambda: Transposed(part()),
            lambda: DerivativeBy(Str(pick(["grad", "laplacian", "div", "partial"])), part(), self.name()),
            lambda: IntegralOver(part(), Name("t"), Integer(0), one),
            lambda: expect(part(), self.law()),
            lambda: expect(part(), *[Binder(Tuple(self.name()), self.law()) for _ in range(2)]),
            lambda: kl(self.law(), self.law(), pick(["KL", "JS", "W_1", "MMD", "chi2"])),
            lambda: Entropy(self.density()),
            lambda: big(pick(["sum", "prod", "mean"]), part(), self.index(), 1, K),
            lambda: big(pick(["sum", "prod", "mean"]), part(), self.index()),
            lambda: Indicator(Relation(Str(pick(["!=", "<", "<=", "=="])), self.index(), Name("c"))),
        ]


@pytest.mark.parametrize("seed", range(10))
def test_random_expressions_are_read_back(seed: int) -> None:
    grower = Grower(seed)
    for _ in range(60):
        node = grower.grow(grower.random.randint(1, 4))
        for write in SPELLINGS:
            assert parse(write(node)) == node, write(node)


@pytest.mark.parametrize("name", ["z", "zz", "h1", "theta", "latent", "z_1", "lambda_{t-1}", "z'"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_integrals_over_variables_of_any_name(name: str, spelling: Callable[[Basic], str]) -> None:
    node = parse(f"int p({name}) p(x|{name}) d {name}")
    assert parse(spelling(node)) == node
