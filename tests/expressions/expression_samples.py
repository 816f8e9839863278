"""Expressions built by hand: at least one of every class of node."""

from __future__ import annotations

import inspect

from sympy import Basic, Integer, Rational, Tuple
from sympy.core.symbol import Str

from symdgm.expressions import applications, arithmetic, calculus, expectations, indices, names, statements
from symdgm.expressions.applications import Apply, Call, Density, Indicator, Inner, Norm, Transposed, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import (
    Binder,
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Labelled, Listing, Name, Placeholder, Relation, Subscripted
from symdgm.expressions.node import Node
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional

MODULES = (applications, arithmetic, calculus, expectations, indices, names, statements)

x, y, z, q, p, f, beta = (Name(n) for n in ("x", "y", "z", "q", "p", "f", "beta"))
t, k, i, j, T, K = (Name(n) for n in "tkijTK")
one, two = Integer(1), Integer(2)


def sub(head: Basic, *index: Basic | int) -> Node:
    return Subscripted(head, *index)


def density(head: Basic, value: Basic, *givens: Basic) -> Node:
    return Density(head, Tuple(value), Tuple(*givens), Tuple())


def expect(body: Basic, *laws: Basic) -> Node:
    return Expect(body, *(law if isinstance(law, Binder) else Binder(Tuple(), law) for law in laws))


def draw(variable: Basic, law: Basic) -> Node:
    return Binder(Tuple(variable), law)


def kl(left: Basic, right: Basic, kind: str = "KL") -> Node:
    return DivergenceBetween(Str(kind), left, right)


def big(kind: str, body: Basic, *index: Basic | int) -> Node:
    return Aggregate(Str(kind), body, Index(*index))


def grad(body: Basic, variable: Basic) -> Node:
    return DerivativeBy(Str("grad"), body, variable)


q_zx, p_xz, p_z = density(q, z, x), density(p, x, z), Apply(p, z)
elbo = expect(call("log", p_xz), q_zx) - beta * kl(q, p)
z_k, z_1K = sub(z, k), sub(z, IndexRange(one, K))
ratio = Apply(p, x, z_k) / density(q, z_k, x)
iwae = expect(call("log", 1 / K * big("sum", ratio, k, 1, K)), draw(z_1K, q_zx))
below = Relation(Str("<="), Placeholder(), t)
differ = Relation(Str("!="), k, i)
bernoulli = Density(
    Name("Bernoulli"), Tuple(x), Tuple(), Tuple(Definition(Name("logits"), Apply(Name("dec"), z)))
)
minimise = Optimize(Str("minimize"), Apply(f, x), Tuple(Name("D")))

SAMPLES: list[Node] = [
    x,
    z_k,
    sub(x, below),
    Labelled(x, i),
    Labelled(x, Str("o")),
    IndexRange(one, T),
    Placeholder(),
    differ,
    Listing(one, Placeholder(), T),
    Plus(x, Minus(y), z),
    Minus(x),
    Times(two, beta, x),
    Quotient(x, y),
    Power(x, two),
    call("log", p_xz),
    Call(Str("max"), x, y),
    Apply(f, x, t),
    p_xz,
    bernoulli,
    Norm(x - Apply(f, z), two),
    Norm(x, one),
    Inner(x, y),
    Transposed(x),
    Indicator(differ),
    grad(call("log", Apply(p, x)), x),
    IntegralOver(Apply(f, t), t, Integer(0), one),
    IntegralOver(Apply(f, t), t),
    draw(z, q_zx),
    elbo,
    iwae,
    kl(q, p),
    DivergenceBetween(Str("Renyi"), q, p, Name("alpha")),
    Entropy(q_zx),
    CrossEntropy(q, p),
    MutualInformation(Tuple(x), Tuple(z)),
    Index(k),
    Index(k, one, K),
    Index(k, differ),
    big("sum", z_k, k, 1, K),
    big("mean", z_k, k),
    Optimize(Str("maximize"), elbo, Tuple()),
    minimise,
    Definition(p_xz, bernoulli),
    Proportional(Apply(p, x), call("exp", -Apply(f, x))),
    Abbreviation(Name("r"), x / y),
    Labeled(Name("loss"), minimise),
    Block(Definition(p_xz, bernoulli), elbo),
    Rational(1, 2) * x,
]


def node_classes() -> list[type[Node]]:
    """Every class of node that the package defines; the root is abstract."""
    found = []
    for module in MODULES:
        members = inspect.getmembers(module, inspect.isclass)
        found += [c for _, c in members if issubclass(c, Node) and c.__module__ == module.__name__]
    return found
