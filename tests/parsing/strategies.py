"""Well-formed expressions and model blocks of all classes of nodes, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sympy import Basic, Integer, Rational, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import (
    FUNCTIONS,
    Apply,
    Call,
    Density,
    Indicator,
    Inner,
    Norm,
    Transposed,
)
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times, quotient
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import (
    DIVERGENCES,
    Binder,
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Labelled, Listing, Name, Placeholder, Relation, Subscripted
from symdgm.expressions.node import walk
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional

SEVERAL = ("max", "min", "logsumexp", "softmax")
Nodes = st.SearchStrategy[Basic]


def listed(strategy: Nodes, least: int, most: int) -> st.SearchStrategy[list[Basic]]:
    return st.lists(strategy, min_size=least, max_size=most)


def tuples(strategy: Nodes, least: int, most: int) -> Nodes:
    return listed(strategy, least, most).map(lambda held: Tuple(*held))


words = st.sampled_from(
    ["x", "z", "theta", "phi", "x_hat", "a_bar", "x'", "enc", "beta", "x_star", "ell", "eps", "h2"]
).map(Name)
dummies = st.sampled_from(["i", "j", "k", "t"]).map(Name)
heads = st.sampled_from(["f", "p", "q", "enc", "mu", "G"]).map(Name)
numbers = st.integers(0, 30).map(Integer) | st.fractions(0, 3, max_denominator=8).map(
    lambda f: Rational(f.numerator, f.denominator)
)
shifts = st.tuples(dummies, st.integers(1, 3)).map(lambda d: Plus(d[0], Minus(Integer(d[1]))))
positions = (
    dummies
    | shifts
    | st.integers(0, 9).map(Integer)
    | st.tuples(st.integers(1, 2).map(Integer), dummies).map(lambda d: IndexRange(*d))
    | dummies.map(lambda t: IndexRange(Placeholder(), t))
    | st.tuples(st.sampled_from(["<", "<="]), dummies).map(lambda d: Relation(Str(d[0]), Placeholder(), d[1]))
)
labels = dummies | st.sampled_from(["o", "obs", "+"]).map(Str)
labelled = st.tuples(words, labels).map(lambda d: Labelled(*d))
names = (
    words
    | labelled
    | st.tuples(words | labelled, listed(positions, 1, 2)).map(lambda d: Subscripted(d[0], *d[1]))
)
conditions = st.tuples(st.sampled_from(Relation.OPERATORS[:6]), dummies, dummies | numbers).map(
    lambda d: Relation(Str(d[0]), d[1], d[2])
)
memberships = st.tuples(dummies, listed(st.integers(0, 5).map(Integer), 2, 3)).map(
    lambda d: Relation(Str("in"), d[0], Listing(*d[1]))
)
indices = (
    dummies.map(lambda k: Index(k))
    | st.tuples(dummies, numbers, words).map(lambda d: Index(*d))
    | (conditions | memberships).map(lambda c: Index(c.args[1], c))
)


def numeric(node: Basic) -> bool:
    """Is the expression made of numbers only, so that its powers may be refused?"""
    found: list[Basic] = []
    walk(node, lambda part: found.append(part) if isinstance(part, Name) else None)
    return not found


def densities(inner: Nodes) -> Nodes:
    arguments = st.tuples(heads, tuples(inner, 1, 2), tuples(inner, 0, 2), tuples(inner, 0, 1))
    return arguments.filter(lambda d: bool(d[2].args or d[3].args)).map(lambda d: Density(*d))


def applications(inner: Nodes) -> Nodes:
    named = st.tuples(words, inner).map(lambda d: Definition(*d))
    return st.tuples(heads, listed(inner | named | st.just(Placeholder()), 1, 3)).map(
        lambda d: Apply(d[0], *d[1])
    )


def binders() -> st.SearchStrategy[list[Binder]]:
    """A bare name is a law only where it stands alone.

    ``E_q``; in a list it is a variable, ``E_{t, eps}``.
    """
    laws = applications(names) | densities(names)
    drawn = st.tuples(tuples(names, 1, 2), heads | laws)
    listed_ones = st.lists(
        (drawn | st.tuples(st.just(Tuple()), laws)).map(lambda d: Binder(*d)), min_size=1, max_size=2
    )
    named = tuples(names, 2, 3).map(lambda t: [Binder(t, Tuple())])
    return listed_ones | named | heads.map(lambda q: [Binder(Tuple(), q)])


def sides(inner: Nodes) -> st.SearchStrategy[Any]:
    return st.tuples(heads | densities(inner), heads | densities(inner))


def composed(inner: Nodes) -> Nodes:
    """One more operation around what there is."""
    return st.one_of(
        listed(inner, 2, 3).map(lambda t: Plus(*t)),
        listed(inner, 2, 3).map(lambda t: Times(*t)),
        inner.map(Minus),
        st.tuples(inner, inner).map(lambda d: quotient(*d)).filter(lambda n: not isinstance(n, Integer)),
        st.tuples(inner, inner)
        .filter(lambda d: not (numeric(d[0]) or numeric(d[1])))
        .map(lambda d: Power(*d)),
        st.tuples(names, numbers).map(lambda d: Power(*d)),
        inner.map(Transposed),
        st.tuples(st.sampled_from([f for f in FUNCTIONS if f not in SEVERAL]), inner).map(
            lambda d: Call(Str(d[0]), d[1])
        ),
        st.tuples(st.sampled_from(SEVERAL), listed(inner, 2, 3)).map(lambda d: Call(Str(d[0]), *d[1])),
        applications(inner),
        densities(inner),
        st.tuples(inner, st.sampled_from([2, 1, 3]).map(Integer)).map(lambda d: Norm(*d)),
        st.tuples(inner, inner).map(lambda d: Inner(*d)),
        conditions.map(Indicator),
        st.tuples(inner, binders()).map(lambda d: Expect(d[0], *d[1])),
        st.tuples(st.sampled_from([d for d in DIVERGENCES if d != "Renyi"]), sides(inner)).map(
            lambda d: DivergenceBetween(Str(d[0]), *d[1])
        ),
        st.tuples(sides(inner), names | numbers).map(lambda d: DivergenceBetween(Str("Renyi"), *d[0], d[1])),
        (heads | densities(inner)).map(Entropy),
        sides(inner).map(lambda d: CrossEntropy(*d)),
        st.tuples(tuples(names, 1, 2), tuples(names, 1, 2)).map(lambda d: MutualInformation(*d)),
        st.tuples(st.sampled_from(Aggregate.KINDS), inner, indices).map(
            lambda d: Aggregate(Str(d[0]), *d[1:])
        ),
        st.tuples(st.sampled_from(DerivativeBy.KINDS), inner, names).map(
            lambda d: DerivativeBy(Str(d[0]), *d[1:])
        ),
        st.tuples(inner, st.sampled_from(["t", "x", "theta"]).map(Name)).map(lambda d: IntegralOver(*d)),
        st.tuples(inner, dummies, numbers, words).map(lambda d: IntegralOver(*d)),
    )


expressions: Nodes = st.recursive(names | numbers, composed, max_leaves=10)
"""Any expression."""

lefts = words | st.tuples(heads, listed(words, 1, 2)).map(lambda d: Apply(d[0], *d[1])) | densities(words)
directions = st.sampled_from(["minimize", "maximize", "argmin", "argmax"]).map(Str)
optimisers = st.tuples(directions, expressions, tuples(words, 0, 2)).map(lambda d: Optimize(*d))
games = optimisers | st.tuples(directions, optimisers, tuples(words, 1, 2)).map(lambda d: Optimize(*d))
statements = st.one_of(
    games,
    st.tuples(lefts, expressions | games).map(lambda d: Definition(*d)),
    st.tuples(lefts, expressions).map(lambda d: Proportional(*d)),
)
blocks = st.tuples(
    statements,
    listed(
        st.one_of(
            statements,
            st.tuples(words, expressions).map(lambda d: Abbreviation(*d)),
            st.tuples(words, games).map(lambda d: Labeled(*d)),
        ),
        1,
        3,
    ),
).map(lambda d: Block(d[0], *d[1]))
"""Model blocks."""
