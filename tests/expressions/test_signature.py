from __future__ import annotations

import time

import pytest
from expression_samples import (
    SAMPLES,
    K,
    T,
    beta,
    big,
    density,
    draw,
    elbo,
    expect,
    f,
    i,
    iwae,
    j,
    k,
    kl,
    p,
    p_xz,
    p_z,
    q,
    q_zx,
    sub,
    t,
    x,
    y,
    z,
    z_1K,
)
from sympy import Integer, Rational, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Norm, Transposed, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.expectations import Binder
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Labelled, Name, Relation
from symdgm.expressions.node import Node
from symdgm.expressions.signature import canonical, signature
from symdgm.expressions.statements import Optimize

a, b, c = x, y, z
z2 = Name("z'")
data = Name("data")
p_data = sub(p, data)
log_pxz = call("log", p_xz)


def over(index: Node, length: Node = K) -> Node:
    z_i = sub(z, index)
    ratio = Apply(p, x, z_i) / density(q, z_i, x)
    return expect(call("log", 1 / length * big("sum", ratio, index, 1, length)), draw(z_1K, q_zx))


SAME: dict[str, list[Node]] = {
    "sums": [a + b + c, c + b + a, a + (b + c), Plus(Plus(a, c), b), a - (Minus(b) - c), -(-a - b) + c],
    "a negative sum": [-(a + b), -a - b, (-1) * (a + b), Times(Minus(Integer(1)), a + b)],
    "products": [a * b * c, c * (a * b), Times(b, a, c)],
    "coefficients": [
        2 * a * b,
        a * 2 * b,
        Times(a, Times(b, Integer(2))),
        4 * a * b / 2,
        a * b / Rational(1, 2),
    ],
    "signs": [-a * b, a * (-b), -(a * b), (-1) * a * b, Times(Minus(a), b), 2 * (-a) * b / 2],
    "fractions": [a / b, a * (1 / b), a * Power(b, Integer(-1)), a * Power(b, Minus(Integer(1)))],
    "fractions of products": [a / (b * c), a / b / c, a * (1 / c) / b, 1 / (b * c) * a],
    "fractions of fractions": [a / (b / c), a * c / b],
    "halves": [Norm(a, 2) / 2, Rational(1, 2) * Norm(a, 2), Quotient(Integer(1), Integer(2)) * Norm(a, 2)],
    "roots": [call("sqrt", a), Power(a, Rational(1, 2)), a**0.5],
    "inverse roots": [1 / call("sqrt", a), Power(a, Rational(-1, 2))],
    "data": [
        expect(f, Binder(Tuple(x), data)),
        expect(f, Apply(data, x)),
        expect(f, Apply(p_data, x)),
        expect(f, draw(x, Apply(data, x))),
        expect(f, draw(x, p_data)),
        expect(f, Apply(sub(q, data), x)),
        expect(f, Apply(Name("p_data"), x)),
        expect(f, Apply(sub(Name("p_hat"), data), x)),
    ],
    "a law names its variable": [expect(log_pxz, q_zx), expect(log_pxz, draw(z, q_zx))],
    "a sample may be primed": [expect(Apply(f, z), q_zx), expect(Apply(f, z2), draw(z2, q_zx))],
    "a prime in a law": [expect(Apply(f, z), Apply(q, z)), expect(Apply(f, z2), Apply(q, z2))],
    "nested expectations": [
        expect(expect(log_pxz, q_zx), Apply(data, x)),
        expect(log_pxz, Apply(data, x), q_zx),
        expect(log_pxz, draw(x, data), draw(z, q_zx)),
    ],
    "order of joint variables": [
        expect(f, Apply(p, x, y)),
        expect(f, Binder(Tuple(x, y), Apply(p, x, y))),
        expect(f, Binder(Tuple(y, x), Apply(p, x, y))),
    ],
    "index names": [over(k), over(j), over(i), iwae],
    "index in a condition": [
        Aggregate(Str("sum"), sub(x, k), Index(k, Relation(Str("!="), k, i))),
        Aggregate(Str("sum"), sub(x, j), Index(j, Relation(Str("!="), j, i))),
    ],
    "mean": [
        big("mean", sub(x, k), k, 1, K),
        1 / K * big("sum", sub(x, j), j, 1, K),
        big("sum", sub(x, j), j, 1, K) / K,
    ],
    "mean of four": [big("mean", sub(x, k), k, 1, 4), Rational(1, 4) * big("sum", sub(x, k), k, 1, 4)],
    "integrals": [IntegralOver(Apply(f, t), t, Integer(0), T), IntegralOver(Apply(f, y), y, Integer(0), T)],
    "max": [call("max", a, b), call("max", b, a)],
    "players": [
        Optimize(Str("minimize"), f, Tuple(Name("G"), Name("E"))),
        Optimize(Str("minimize"), f, Tuple(Name("E"), Name("G"))),
    ],
    "shadowed samples": [
        expect(z + expect(z, draw(z, p)), draw(z, q)),
        expect(z2 + expect(z, draw(z, p)), draw(z2, q)),
    ],
}

DIFFERENT: dict[str, list[Node]] = {
    "arithmetic": [a + b, a - b, b - a, a * b, a / b, b / a, a**b, b**a, 2 * a, a**2, -(a**2), (-a) ** 2],
    "squares are not multiplied out": [(a * b) ** 2, (2 * a) ** 2, Times(a, b, a, b)],
    "nothing cancels": [kl(q, p) - kl(q, p), Integer(0) * kl(q, p), Integer(0) + kl(q, p)],
    "towers": [
        Power(Integer(9), Integer(9)),
        Power(Power(Integer(9), Integer(9)), Integer(9)),
        Integer(81) * x,
    ],
    "divergences": [kl(q, p), kl(p, q), kl(q, p, "JS"), kl(q_zx, p), kl(q_zx, p_z)],
    "names": [
        log_pxz,
        call("log", Apply(p, x, z)),
        call("log", density(p, z, x)),
        call("log", density(sub(p, 1), x, z)),
        call("log", density(p, sub(x, 1), z)),
        call("log", density(p, x, sub(z, 1))),
        call("log", density(p, sub(x, t), sub(z, t - 1))),
        call("log", density(p, sub(x, IndexRange(Integer(1), T)), z)),
    ],
    "free primes": [Apply(f, z), Apply(f, z2)],
    "transitions": [kl(density(p, z2, z), q), kl(density(p, z, z2), q), kl(density(p, z, z), q)],
    "labels": [Labelled(x, i), Labelled(x, Str("i")), x**i, sub(x, i)],
    "order of laws that depend": [expect(f, Apply(data, x), q_zx), expect(f, q_zx, Apply(data, x))],
    "free or bound": [
        expect(Apply(f, z), draw(z, q)),
        expect(Apply(f, y), draw(z, q)),
        expect(Apply(f, z), q),
    ],
    "two samples": [
        expect(z * z2, draw(z, q), draw(z2, q)),
        expect(z * z, draw(z, q), draw(z2, q)),
        expect(z2 * z2, draw(z, q), draw(z2, q)),
    ],
    "which index": [
        big("sum", big("sum", sub(x, k), j, 1, K), k, 1, K),
        big("sum", big("sum", sub(x, k), k, 1, K), j, 1, K),
    ],
    "bound or free index": [big("sum", sub(x, k), k, 1, K), big("sum", sub(x, j), k, 1, K)],
    "data sets": [
        expect(f, Apply(data, x)),
        expect(f, Apply(sub(data, Name("l")), x)),
        expect(f, Apply(p, x)),
    ],
    "what data is called elsewhere": [expect(f, draw(x, p)), expect(f, Apply(p, x))],
    "vectors do not commute": [Times(Transposed(a), b), Times(b, Transposed(a))],
    "functions and networks": [call("log", x), Apply(Name("log"), x)],
    "a name is not its text": [Apply(p, Name("x,y")), Apply(p, x, y)],
    "quotients by nothing": [x / Integer(0), x, Integer(0) / x],
    "aggregates": [
        big("sum", f, k, 1, K),
        big("prod", f, k, 1, K),
        big("mean", f, k, 1, K),
        big("mean", f, k),
    ],
}


@pytest.mark.parametrize("group", SAME.values(), ids=SAME)
def test_same(group: list[Node]) -> None:
    first, *others = [canonical(e) for e in group]
    assert [o for o in others if o != first] == [], first
    assert len({signature(e) for e in group}) == 1


@pytest.mark.parametrize("group", DIFFERENT.values(), ids=DIFFERENT)
def test_different(group: list[Node]) -> None:
    assert len({signature(e) for e in group}) == len(group), [canonical(e) for e in group]


def test_samples_are_pairwise_different() -> None:
    assert len({signature(e) for e in SAMPLES}) == len(SAMPLES)


def test_a_signature_is_a_digest() -> None:
    assert len(signature(elbo)) == 32
    assert int(signature(elbo), 16) >= 0
    assert signature(elbo) == signature(elbo.func(*elbo.args))


def test_the_canonical_text_is_readable() -> None:
    assert canonical(expect(log_pxz, q_zx)) == r"\E[z@0 ~ q(z|x;): \log(p(x|z@0;))]"
    assert canonical(beta / 2 - x) == "(-1*x + 1/2*beta)"


def test_a_name_with_odd_characters_has_a_signature() -> None:
    assert signature(Name("\ud800")) != signature(Name("x"))


def long_sum(terms: int) -> Node:
    return Plus(*[sub(x, n) * call("log", density(p, x, sub(z, n))) for n in range(terms)])


def best_of(runs: int, expression: Node) -> float:
    times = []
    for _ in range(runs):
        start = time.thread_time()
        signature(expression)
        times.append(time.thread_time() - start)
    return min(times)


def test_cost_is_linear_in_the_number_of_terms() -> None:
    short, long = best_of(5, long_sum(250)), best_of(3, long_sum(2000))
    assert long / short < 8 * 4


def test_a_thousand_terms_take_little_time() -> None:
    assert best_of(3, Plus(*[Name(f"a{n}") * x for n in range(1000)])) < 0.5


def test_depth_costs_no_frames() -> None:
    for make in (lambda e: call("log", e + 1), lambda e: expect(e * x, q_zx), lambda e: 1 / (1 + e)):
        node: Node = x
        for _ in range(250):
            node = make(node)
        assert len(signature(node)) == 32


def test_large_powers_are_never_evaluated() -> None:
    tower = Power(Integer(9), Power(Integer(9), Power(Integer(9), Integer(9))))
    assert canonical(tower) == "(9)^((9)^((9)^9))"
