from __future__ import annotations

import pytest
from expression_samples import (
    SAMPLES,
    K,
    T,
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
    q,
    q_zx,
    sub,
    t,
    x,
    y,
    z,
    z_1K,
)
from sympy import Basic, Integer, Tuple
from sympy.core.symbol import Str

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.expectations import Binder, CrossEntropy, Entropy, MutualInformation
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Labelled, Name, Relation
from symdgm.expressions.node import Node
from symdgm.expressions.scope import bound_variables, free_names, heads, replace
from symdgm.expressions.signature import signature
from symdgm.expressions.statements import Definition, Optimize

z2, w = Name("z'"), Name("w")
fzx, fzy, fxy = Apply(f, z, x), Apply(f, z, y), Apply(f, x, y)
data = Apply(Name("data"), x)
unit = Apply(Name("N"), Integer(0), w)


BOUND: list[tuple[Node, tuple[Basic, ...]]] = [
    (draw(z, q), (z,)),
    (Binder(Tuple(), q_zx), (z,)),
    (Binder(Tuple(), q), ()),
    (expect(fzx, data, q_zx), (x, z)),
    (expect(fzx, draw(z2, q_zx)), (z2,)),
    (Binder(Tuple(), Apply(p, x) * density(q, y, x)), (x, y)),
    (Binder(Tuple(), call("sg", q_zx)), (z,)),
    (big("sum", f, k, 1, K), (k,)),
    (IntegralOver(f, t), (t,)),
    (kl(q_zx, Apply(p, z)), (z,)),
    (kl(Apply(p, x), Apply(p, y)), (x, y)),
    (Entropy(q_zx), (z,)),
    (CrossEntropy(q_zx, p), (z,)),
    (MutualInformation(Tuple(x), Tuple(z)), (x, z)),
    (Binder(Tuple(), Apply(q, Definition(z, fxy))), (z,)),
    (x + y, ()),
]


@pytest.mark.parametrize(("node", "names"), BOUND, ids=str)
def test_bound_variables(node: Node, names: tuple[Basic, ...]) -> None:
    assert bound_variables(node) == names


FREE: list[tuple[Node, set[Basic]]] = [
    (x, {x}),
    (sub(z, t - 1), {sub(z, t - 1), t}),
    (Labelled(x, i), {Labelled(x, i), i}),
    (Apply(f, x), {x}),
    (Apply(sub(f, Name("phi")), x), {x}),
    (q_zx, {z, x}),
    (Apply(p, Definition(x, Apply(f, z))), {z}),
    (expect(fzx, q_zx), {x}),
    (expect(fzx, data, q_zx), set()),
    (expect(fzx, q_zx, data), {x}),
    (expect(z, density(q, z, z)), {z}),
    (expect(z, draw(z, unit)), {w}),
    (expect(z, draw(z, Apply(p, z))), set()),
    (expect(z2, draw(z2, Apply(p, z))), set()),
    (expect(z, draw(z, q)), set()),
    (expect(z, q), {z}),
    (expect(y, Apply(p, x) * density(q, y, x)), set()),
    (expect(expect(z, q_zx), density(p, x, z)), {z}),
    (iwae, {x, K}),
    (elbo, {x, Name("beta")}),
    (kl(q_zx, Apply(p, z)), {x}),
    (kl(q_zx, Apply(p, z)) + z, {x, z}),
    (Entropy(density(p, y, x)), {x}),
    (big("sum", Apply(f, k), k, k, K), {k, K}),
    (big("sum", sub(x, k) + k, k, 1, T), {sub(x, k), T}),
    (Aggregate(Str("sum"), f * k, Index(k, Relation(Str("!="), k, i))), {f, i}),
    (IntegralOver(Apply(f, t), t, Integer(0), t), {t}),
    (MutualInformation(Tuple(x), Tuple(z)), set()),
    (Optimize(Str("minimize"), fzx, Tuple(Name("G"))), {z, x}),
]


@pytest.mark.parametrize(("node", "names"), FREE, ids=[str(node) for node, _ in FREE])
def test_free_names(node: Node, names: set[Basic]) -> None:
    assert free_names(node) == names


def test_heads_are_apart() -> None:
    f_k = sub(f, k)
    assert heads(expect(Apply(f_k, z), q_zx) - kl(q, p)) == {f_k, q, p}
    assert heads(draw(z, q)) == {q}
    assert heads(kl(call("sg", q), p)) == {q, p}
    assert heads(x + y) == set()


REPLACED: list[tuple[str, Node, dict[Basic, Basic], str]] = [
    ("free", x + y, {x: z}, "z + y"),
    ("at once", x + y, {x: y, y: x}, "y + x"),
    ("a node that is no name", fzx + fzy, {fzx: y}, "y + f(z, y)"),
    ("in arguments", Apply(f, x), {x: y + z}, "f(y + z)"),
    ("not the base of an indexed name", sub(x, t), {x: y}, "x_t"),
    ("the index of a name", sub(z, t - 1), {t: Integer(3)}, "z_{3-1}"),
    ("the label of a name", Labelled(x, i), {i: j}, "x^{(j)}"),
    ("a network keeps its name", Apply(f, x), {f: y + z}, "f(x)"),
    ("a head is renamed", Apply(f, x) + kl(f, p), {f: Name("g")}, "g(x) + KL[g || p]"),
    ("index of a head", Apply(sub(f, k), x), {k: Integer(3)}, "f_3(x)"),
    ("given by name", call("log", p_xz), {z: Apply(f, y)}, "log p(x|z=f(y))"),
    ("value by name", call("log", p_xz), {x: y}, "log p(x=y|z)"),
    ("a sample of the same base", call("log", p_xz), {z: z2}, "log p(x|z')"),
    ("parameters are no names", Density(p, Tuple(x), Tuple(), Tuple(y)), {y: w}, "p(x; w)"),
    ("bound is not free", expect(fzx, q_zx), {z: y}, "E_q(z|x)[f(z, x)]"),
    ("bound in a node that is replaced", expect(fzx, q_zx), {fzx: y}, "E_q(z|x)[f(z, x)]"),
    ("given of the law", expect(fzx, q_zx), {x: y}, "E_q(z|x=y)[f(z, y)]"),
    ("capture by an implicit variable", expect(fzy, q_zx), {y: z}, "E_{z' ~ q(z|x)}[f(z', z)]"),
    ("capture by a written variable", expect(fzy, draw(z, q)), {y: z}, "E_{z' ~ q}[f(z', z)]"),
    ("no capture, no renaming", expect(z, q_zx), {y: z}, "E_q(z|x)[z]"),
    ("capture twice", expect(fzy * z2, q_zx), {y: z}, "E_{z'' ~ q(z|x)}[f(z'', z) z']"),
    (
        "nested shadowing",
        expect(y * expect(fzy, q_zx), draw(z, p)),
        {y: z},
        "E_{z' ~ p}[z E_{z' ~ q(z|x)}[f(z', z)]]",
    ),
    (
        "inner binder shadows",
        expect(expect(z, draw(z, p)) * x, draw(x, q)),
        {z: y},
        "E_{x ~ q}[E_{z ~ p}[z] x]",
    ),
    ("free in the given of its own law", expect(z, density(q, z, z)), {z: y}, "E_q(z|z=y)[z]"),
    (
        "capture by a later law",
        expect(fxy, data, density(q, w, y)),
        {y: x},
        "E_{x' ~ data(x), q(w|y=x)}[f(x', x)]",
    ),
    ("an index is captured", big("sum", sub(x, k) * y, k, 1, K), {y: k}, "sum_{k'=1}^K x_{k'} k"),
    ("bounds of an index are outside", big("sum", k, k, 1, k), {k: T}, "sum_{k=1}^T k"),
    (
        "conditions of an index are inside",
        Aggregate(Str("sum"), k * y, Index(k, Relation(Str("!="), k, i))),
        {i: k, k: T},
        "sum_{k' != k} k' y",
    ),
    ("an index that heads use", big("sum", Apply(sub(f, k), y), k), {y: k}, "sum_{k'} f_{k'}(k)"),
    (
        "a family of samples",
        iwae,
        {x: sub(z, j)},
        "E_{z'_{1:K} ~ q(z|x=z_j)}[log(1/K sum_{k=1}^K p(z_j, z'_k)/q(z'_k|x=z_j))]",
    ),
    ("a sample is bound by its family", iwae, {sub(z, k): y}, str(iwae)),
    ("an integral", IntegralOver(t * y, t, Integer(0), t), {y: t, t: T}, "int_0^T t' t dt'"),
    ("a divergence binds its own", kl(q_zx, Apply(p, z)), {z: y}, "KL[q(z|x) || p(z)]"),
    ("a divergence keeps formal names", kl(q_zx, Apply(p, z)), {x: z}, "KL[q(z|x=z) || p(z)]"),
    (
        "an index reaches formal names",
        expect(sub(z, t), density(q, sub(z, t), sub(z, t - 1))),
        {t: Integer(3)},
        "E_q(z_3|z_{3-1})[z_3]",
    ),
    (
        "an index that makes names meet",
        expect(Apply(f, sub(z, t), sub(z, 3)), draw(sub(z, t), q)),
        {t: Integer(3)},
        "E_{z'_3 ~ q}[f(z'_3, z_3)]",
    ),
    ("players stay", Optimize(Str("minimize"), x, Tuple(x)), {x: y}, "min_x y"),
]


@pytest.mark.parametrize(("node", "swaps", "text"), [c[1:] for c in REPLACED], ids=[c[0] for c in REPLACED])
def test_replace(node: Node, swaps: dict[Basic, Basic], text: str) -> None:
    assert str(replace(node, swaps)) == text


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_nothing_replaced_is_the_very_same_tree(node: Node) -> None:
    assert replace(node, {}) is node
    assert replace(node, {Name("nowhere"): y}) == node


@pytest.mark.parametrize(
    "node", [e for e in SAMPLES if free_names(e) and not isinstance(e, Aggregate)], ids=str
)
def test_free_names_follow_a_replacement(node: Node) -> None:
    fresh = {name: Name(f"v{n}") for n, name in enumerate(sorted(free_names(node), key=str))}
    after = replace(node, fresh, factors=heads(node))
    assert free_names(after) <= set(fresh.values())
    assert heads(after) == heads(node)


def test_densities_written_as_applications_name_their_arguments() -> None:
    node = call("log", Apply(p, z))
    assert str(replace(node, {z: y}, factors=[p])) == "log p(z=y)"
    assert str(replace(node, {z: y})) == "log p(y)"
    assert str(replace(node, {z: sub(z, k)}, factors=[p])) == "log p(z_k)"


def test_renaming_a_bound_variable_means_the_same() -> None:
    captured = replace(expect(fzy, q_zx), {y: w})
    renamed = replace(expect(Apply(f, z2, w), draw(z2, q_zx)), {})
    assert captured != renamed
    assert signature(captured) == signature(renamed)


def test_a_product_of_laws_that_would_capture_is_refused() -> None:
    node = expect(fxy, Apply(p, x) * density(q, y, x, w))
    with pytest.raises(NotSupportedError, match="`x` would be captured by the product of laws `p"):
        replace(node, {w: x})
    assert str(replace(node, {w: T})) == "E_{p(x) q(y|x, w=T)}[f(x, y)]"


def test_families_of_samples_bind_every_index() -> None:
    body = sub(z, 1) * sub(z, j) * sub(z, IndexRange(Integer(1), Integer(2)))
    assert free_names(expect(body, draw(z_1K, q))) == {j, K}


def test_deep_trees_cost_no_frames() -> None:
    node: Node = x
    for _ in range(250):
        node = expect(node * y, q_zx)
    assert free_names(node) == {x, y}
    assert free_names(replace(node, {y: z})) == {x, z}
    assert heads(node) == {q}


def test_variables_in_written_order() -> None:
    pair = Binder(Tuple(y, x), Apply(p, x, y))
    assert bound_variables(pair) == (y, x)
