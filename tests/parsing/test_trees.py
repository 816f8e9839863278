"""Which tree a text gives: the conventions that other rooms rely on."""

from __future__ import annotations

import pytest
from sympy import Basic, Integer, Rational, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, Indicator, Norm, Transposed, call
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
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional
from symdgm.parsing import parse

a, b, c, k, p, q, t, x, y, z = map(Name, "abckpqtxyz")
D, G, K, T = map(Name, "DGKT")
Q = Density(q, Tuple(z), Tuple(x), Tuple())
P = Density(p, Tuple(x), Tuple(z), Tuple())


def sub(head: Basic, *indices: Basic | int) -> Subscripted:
    return Subscripted(head, *indices)  # type: ignore[return-value]


def big(kind: str, body: Basic, *index: Basic | int) -> Aggregate:
    return Aggregate(Str(kind), body, Index(*index))  # type: ignore[return-value]


def expect(body: Basic, *binders: Binder) -> Expect:
    return Expect(body, *binders)  # type: ignore[return-value]


def over(law: Basic, *variables: Basic) -> Binder:
    return Binder(Tuple(*variables), law)  # type: ignore[return-value]


def relation(sign: str, left: Basic, right: Basic) -> Relation:
    return Relation(Str(sign), left, right)  # type: ignore[return-value]


TREES: list[tuple[str, Basic]] = [
    # sums and products
    ("a - b + c", Plus(a, Minus(b), c)),
    ("a + (b + c)", Plus(a, Plus(b, c))),
    ("(a b) c", Times(Times(a, b), c)),
    ("a * b c", Times(a, b, c)),
    ("-a b + c", Plus(Times(Minus(a), b), c)),
    ("-x^2", Minus(Power(x, 2))),
    ("a - -b", Plus(a, Minus(Minus(b)))),
    ("+a", a),
    ("a/b c", Times(Quotient(a, b), c)),
    ("a b/c", Quotient(Times(a, b), c)),
    ("1/2 a", Times(Rational(1, 2), a)),
    ("2/4", Quotient(Integer(2), Integer(4))),
    ("0.25", Rational(1, 4)),
    ("1e-3", Rational(1, 1000)),
    (".5", Rational(1, 2)),
    ("x^y^z", Power(x, Power(y, z))),
    ("x^-1", Power(x, Minus(Integer(1)))),
    ("gamma^t (a + b)", Times(Power(Name("gamma"), t), Plus(a, b))),
    ("2^x_t", Power(Integer(2), sub(x, t))),
    ("x^2_t", Power(sub(x, t), 2)),
    (r"\sqrt[3]{x}", Power(x, Rational(1, 3))),
    ("u^T y", Times(Transposed(Name("u")), y)),
    ("e^{x}", call("exp", x)),
    # names
    ("x_hat'", Name("x_hat'")),
    (r"\hat{x}_t'", sub(Name("x_hat'"), t)),
    ("a_bar_t", sub(Name("a_bar"), t)),
    ("q_phi", sub(q, Name("phi"))),
    ("z_{t-1}", sub(z, Plus(t, Minus(Integer(1))))),
    ("z_{1:T}", sub(z, IndexRange(Integer(1), T))),
    ("z_{:t}", sub(z, IndexRange(Placeholder(), t))),
    ("z_{<=t}", sub(z, relation("<=", Placeholder(), t))),
    ("x_i_j", sub(x, Name("i"), Name("j"))),
    ("x_t^{(k)}", sub(Labelled(x, k), t)),
    (r"x^{\text{o}}", Labelled(x, Str("o"))),
    (r"x^{\mathrm{a b}}", Labelled(x, Str("a b"))),
    ("x^*", Name("x_star")),
    ("log_var(x)", Apply(sub(Name("log"), Name("var")), x)),
    # applications
    ("f(x, t)", Apply(Name("f"), x, t)),
    ("p(z)", Apply(p, z)),
    ("p(x|z)", P),
    ("p(x|z; theta)", Density(p, Tuple(x), Tuple(z), Tuple(Name("theta")))),
    ("p(x|z; (a, b))", Density(p, Tuple(x), Tuple(z), Tuple(a, b))),
    ("p(x=G(z))", Apply(p, Definition(x, Apply(G, z)))),
    ("Uniform{1..T}", Apply(Name("Uniform"), IndexRange(Integer(1), T))),
    ("Uniform({1, …, T})", Apply(Name("Uniform"), IndexRange(Integer(1), T))),
    ("p(h_1, …, h_k)", Apply(p, sub(Name("h"), IndexRange(Integer(1), k)))),
    ("q(·|x)", Density(q, Tuple(Placeholder()), Tuple(x), Tuple())),
    ("beta (a + b)", Apply(Name("beta"), Plus(a, b))),
    ("p(x|z) (a + b)", Times(P, Plus(a, b))),
    ("E(x) + H(x)", Plus(Apply(Name("E"), x), Apply(Name("H"), x))),
    ("mean(x)", Apply(Name("mean"), x)),
    ("sum(x)", call("sum", x)),
    # functions and what they take
    ("log p(x|z)", call("log", P)),
    ("log p(x|z) p(z)", call("log", Times(P, Apply(p, z)))),
    ("log(a) b", Times(call("log", a), b)),
    ("log(x)^2", Power(call("log", x), 2)),
    ("log x^2", call("log", Power(x, 2))),
    ("ln x", call("log", x)),
    ("stop_grad[a]", call("sg", a)),
    ("max(a, b)", Call(Str("max"), a, b)),
    ("||a - b||^2", Power(Norm(Plus(a, Minus(b)), 2), 2)),
    ("||a||_1", Norm(a, 1)),
    ("||a||_2^2", Power(Norm(a, 2), 2)),
    ("1[k != a]", Indicator(relation("!=", k, a))),
    ("1[k = a]", Indicator(relation("==", k, a))),
    ("1 [k]", Times(Integer(1), k)),
    # expectations
    ("E_q[a]", expect(a, over(q))),
    ("E_q(z|x)[a]", expect(a, over(Q))),
    ("E_{z ~ q(z|x)}[a]", expect(a, over(Q, z))),
    ("E_{x, y ~ p, z ~ q}[a]", expect(a, over(p, x, y), over(q, z))),
    ("E_{x, z}[a]", expect(a, over(Tuple(), x, z))),
    ("E_{p(x), z ~ q}[a]", expect(a, over(Apply(p, x)), over(q, z))),
    ("E_{p(x) q(y)}[a]", expect(a, over(Times(Apply(p, x), Apply(q, y))))),
    ("E_p E_q a b", expect(expect(Times(a, b), over(q)), over(p))),
    ("⟨a⟩_q", expect(a, over(q))),
    ("KL[q || p]", DivergenceBetween(Str("KL"), q, p)),
    ("W[q || p]", DivergenceBetween(Str("W_1"), q, p)),
    ("D_{2}[q || p]", DivergenceBetween(Str("Renyi"), q, p, 2)),
    ("W_2^2(q, p)", Power(DivergenceBetween(Str("W_2"), q, p), 2)),
    ("W(x) + D_phi(x)", Plus(Apply(Name("W"), x), Apply(sub(D, Name("phi")), x))),
    ("H[q] + H(q)", Plus(Entropy(q), Entropy(q))),
    ("H[q, p]", CrossEntropy(q, p)),
    ("I[x; z]", MutualInformation(Tuple(x), Tuple(z))),
    # indices and calculus
    ("sum_{k=1}^K a * b + c", Plus(big("sum", Times(a, b), k, Integer(1), K), c)),
    ("sum_k a/b", big("sum", Quotient(a, b), k)),
    ("sum_{k != t} a", big("sum", a, k, relation("!=", k, t))),
    ("sum_{k in {0, 1}} a", big("sum", a, k, relation("in", k, Listing(Integer(0), Integer(1))))),
    ("sum_{k=1} a", big("sum", a, k, Integer(1), Placeholder())),
    ("log sum_k a/b", call("log", big("sum", Quotient(a, b), k))),
    ("prod_k a prod_k b", Times(big("prod", a, k), big("prod", b, k))),
    ("sum_k a sum_t b", big("sum", Times(a, big("sum", b, t)), k)),
    ("grad_x a b", DerivativeBy(Str("grad"), Times(a, b), x)),
    ("grad_x · a", DerivativeBy(Str("div"), a, x)),
    ("∂a/∂x_k b", Times(DerivativeBy(Str("partial"), a, sub(x, k)), b)),
    ("int_0^1 a + b dt c", Times(IntegralOver(Plus(a, b), t, Integer(0), Integer(1)), c)),
    ("int int a dx dy", IntegralOver(IntegralOver(a, x), y)),
    # statements
    ("min_{G,D} a", Optimize(Str("minimize"), a, Tuple(G, D))),
    ("min_G max_D a", Optimize(Str("minimize"), Optimize(Str("maximize"), a, Tuple(D)), Tuple(G))),
    ("minimize a over D", Optimize(Str("minimize"), a, Tuple(D))),
    ("loss: max a over D", Labeled(Name("loss"), Optimize(Str("maximize"), a, Tuple(D)))),
    ("max(a, b) + c", Plus(Call(Str("max"), a, b), c)),
    ("a := b", Definition(a, b)),
    ("a = min_D b", Definition(a, Optimize(Str("minimize"), b, Tuple(D)))),
    ("min_D a = b", Optimize(Str("minimize"), Definition(a, b), Tuple(D))),
    ("p(x) propto b", Proportional(Apply(p, x), b)),
    ("a, where b = 2, c = 3", Block(a, Abbreviation(b, Integer(2)), Abbreviation(c, Integer(3)))),
    ("a = b\nc", Block(Definition(a, b), c)),
    ("a\nb", Times(a, b)),
    ("minimize a\nb", Optimize(Str("minimize"), Times(a, b), Tuple())),
    ("a = b\n+ c", Definition(a, Plus(b, c))),
]


@pytest.mark.parametrize(("text", "tree"), TREES, ids=[text for text, _ in TREES])
def test_a_text_gives_its_tree(text: str, tree: Basic) -> None:
    assert parse(text) == tree
