"""Invariants 2 to 5 of the nodes, for every class of them."""

from __future__ import annotations

import copy
import pickle
from importlib import import_module

import numpy as np
import pytest
import sympy
from expression_samples import SAMPLES, beta, density, elbo, f, kl, node_classes, p, q, sub, x, y, z
from sympy import Add, Basic, Integer, Mul, Rational, Symbol, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, Norm
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times, quotient, terms_of
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import Binder, DivergenceBetween, Expect
from symdgm.expressions.names import Name, base, spelled
from symdgm.expressions.node import Node, to_node, walk
from symdgm.expressions.signature import signature

MADE = ("symdgm.expressions.known", "symdgm.expressions.resolved")
"""Nodes that binding and rewriting make, and that no text is read as."""
ALL_SUBCLASSES = [
    c for c in Node.__subclasses__() if c.__module__.startswith("symdgm.") and c.__module__ not in MADE
]


def test_every_class_is_known_and_has_a_sample() -> None:
    assert set(node_classes()) == set(ALL_SUBCLASSES)
    assert {c.__name__ for c in node_classes()} - {type(s).__name__ for s in SAMPLES} == set()


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_a_node_is_its_arguments(node: Node) -> None:
    again = node.func(*node.args)
    assert again == node
    assert hash(again) == hash(node)
    assert all(isinstance(a, Basic) for a in node.args)


@pytest.mark.parametrize("kind", node_classes())
def test_a_class_has_no_state_of_its_own(kind: type[Node]) -> None:
    assert kind.__slots__ == ()
    assert kind.__subclasses__() == []
    assert kind.is_commutative is True


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_copies_are_equal(node: Node) -> None:
    assert pickle.loads(pickle.dumps(node)) == node
    assert copy.deepcopy(node) == node
    assert str(pickle.loads(pickle.dumps(node))) == str(node)


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_nodes_are_immutable(node: Node) -> None:
    with pytest.raises(AttributeError):
        node.note = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        node.args[0:0] = [1]  # type: ignore[index]


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_nothing_is_assumed(node: Node) -> None:
    assert node.is_nonnegative is None
    assert node.is_positive is None
    assert node.is_real is None
    assert node.is_zero is None


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_names_are_no_symbols(node: Node) -> None:
    assert node.free_symbols == set()
    assert node.subs(Symbol("x"), Symbol("y")) == node


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_every_printer_of_sympy_agrees_with_the_notation(node: Node) -> None:
    from symdgm.expressions.notation import ascii, latex, unicode

    assert str(node) == repr(node) == sympy.sstr(node) == ascii(node)
    assert sympy.latex(node) == latex(node)
    assert node._repr_latex_() == f"$\\displaystyle {latex(node)}$"
    lines = sympy.pretty(node).splitlines()
    assert [line.strip() for line in lines] == unicode(node).splitlines()
    assert sympy.srepr(node).startswith(type(node).__name__ + "(")


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_nodes_print_inside_of_sympy_objects(node: Node) -> None:
    pair = Tuple(node, Integer(2))
    assert str(pair) == f"({node}, 2)"
    assert sympy.latex(node) in sympy.latex(pair)
    assert isinstance(sympy.pretty(pair), str)


WRONG: list[tuple[type[Node], tuple[object, ...], str]] = [
    (Plus, (x,), "Plus takes 2 arguments, not 1"),
    (Plus, (x, Str("a")), "Plus does not take Str here"),
    (Times, (x, Tuple(y)), "Times does not take Tuple here"),
    (Quotient, (x, y, z), "Quotient takes 2 arguments, not 3"),
    (Minus, (), "Minus takes 1 arguments, not 0"),
    (Name, (x,), "Name does not take Name here"),
    (Call, (x, y), "Call does not take Name here"),
    (Density, (p, x, z, Tuple()), "Density does not take Name here"),
    (Expect, (x, q), "Expect does not take Name here"),
    (Binder, (z, q), "Binder does not take Name here"),
    (DivergenceBetween, ("KL", q, p), "str is no part of a formula"),
    (Norm, (x, True), "a truth value is no part of a formula"),
    (Apply, (f, None), "NoneType is no part of a formula"),
    (Apply, (f, "x + y"), "str is no part of a formula"),
]


@pytest.mark.parametrize(("kind", "args", "words"), WRONG)
def test_wrong_arguments_are_refused(kind: type[Node], args: tuple[object, ...], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        kind(*args)


@pytest.mark.parametrize("kind", [k for k in node_classes() if k.kinds not in ((), ([Basic],))])
def test_no_class_takes_no_argument_at_all_where_it_needs_one(kind: type[Node]) -> None:
    with pytest.raises(TypeError):
        kind()


def test_numbers_enter_exactly() -> None:
    assert to_node(0.1) == Rational(1, 10)
    assert to_node(3) == Integer(3)
    assert to_node(1e-3) == Rational(1, 1000)
    assert to_node(np.float32(0.1)) == to_node(np.float64(0.1)) == Rational(1, 10)
    assert to_node(np.int64(3)) == Integer(3)
    assert quotient(Integer(1), Integer(2)) == Rational(1, 2)
    assert isinstance(quotient(Integer(2), Integer(4)), Quotient)
    assert isinstance(quotient(Integer(1), Integer(0)), Quotient)


WRITTEN = [
    (y + x, "y + x"),
    (x - y, "x - y"),
    (x - y + z, "x - y + z"),
    (x - (y + z), "x - (y + z)"),
    (x + (y + z), "x + (y + z)"),
    (2 * x, "2 x"),
    (x * 2, "x * 2"),
    (2.5 * x, "5/2 x"),
    (x * 0.5, "x * (1/2)"),
    (2 + x, "2 + x"),
    (2 - x, "2 - x"),
    (x - 2, "x - 2"),
    (2 / x, "2/x"),
    (x / 2, "x/2"),
    (2**x, "2^x"),
    (x**2, "x^2"),
    (-x, "-x"),
    (+x, "x"),
    (Integer(2) * x, "2 x"),
    (Integer(2) + x, "2 + x"),
    (Integer(2) - x, "2 - x"),
    (Integer(2) / x, "2/x"),
    (Integer(2) ** x, "2^x"),
    (Rational(1, 2) * x, "1/2 x"),
    (x * y / z * x, "x y/z x"),
    (x / (y * z), "x/(y z)"),
    (sum([x, y, z]), "0 + x + y + z"),
]


@pytest.mark.parametrize(("node", "text"), WRITTEN, ids=[t for _, t in WRITTEN])
def test_operators_keep_the_written_order(node: Node, text: str) -> None:
    assert isinstance(node, Node)
    assert str(node) == text


def test_equal_divergences_do_not_cancel() -> None:
    difference = kl(q, p) - kl(q, p)
    assert difference != 0
    assert str(difference) == "KL[q || p] - KL[q || p]"
    assert signature(difference) != signature(Integer(0))
    assert str(elbo - elbo) == f"{elbo} - ({elbo})"


def test_two_priors_of_one_name_are_two() -> None:
    p_1, p_2 = sub(p, 1), sub(p, 2)
    difference = kl(q, p_1) - kl(q, p_2)
    assert difference.args[0] != difference.args[1].args[0]
    assert len(difference.args) == 2
    assert signature(kl(q, p_1)) != signature(kl(q, p_2))


def test_sympy_arithmetic_does_not_cancel_estimates() -> None:
    assert Add(kl(q, p), -kl(q, p)) != 0
    assert Add(kl(q, p), -kl(q, sub(p, 2))) != 0
    assert Integer(0) + kl(q, p) - kl(q, p) != 0
    assert Add(kl(q, p), kl(q, sub(p, 2)), evaluate=False).args == (kl(q, p), kl(q, sub(p, 2)))
    assert Mul(x, x, evaluate=False).args == (x, x)


def test_terms_carry_their_signs() -> None:
    assert terms_of(x - (y - z)) == [(1, x), (-1, y), (1, z)]
    assert terms_of(-(x + y)) == [(-1, x), (-1, y)]


def test_names_know_their_base_and_their_key() -> None:
    assert base(sub(Name("z'"), 1)) == z
    assert spelled(sub(q, Name("phi"))) == "q_phi"
    assert spelled(sub(z, x - 1)) == "z_{x-1}"


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_equal_trees_are_equal_whether_or_not_their_hashes_are_known(node: Node) -> None:
    fresh = pickle.loads(pickle.dumps(node))
    assert fresh == node and node == fresh
    assert (hash(fresh), fresh) == (hash(node), node)
    others = [other for other in SAMPLES if other != node]
    assert len(others) == len(SAMPLES) - 1 and not any(node == other for other in (*others, 2, "z", None))


def test_nodes_are_found_once_in_written_order() -> None:
    tree = x + Apply(f, y, x + 1) * x
    assert nodes(tree)[0] is tree and nodes(tree, Name)[0] == x
    assert list(nodes(tree, Plus)) == [tree, x + 1] and nodes(tree, Expect) == ()
    everything: list[Basic] = []
    walk(tree, everything.append)
    assert list(nodes(tree)) == list(dict.fromkeys(everything))


def test_walk_visits_parents_first() -> None:
    seen: list[Basic] = []
    walk(x + beta * y, seen.append)
    assert [n for n in seen if isinstance(n, Name)] == [x, beta, y]
    assert seen[0] == x + beta * y


def test_density_parts() -> None:
    node = density(q, z, x)
    assert (node.head, node.values, node.givens, node.parameters) == (q, (z,), (x,), ())


def printed_by_sympy() -> set[str]:
    """The class names that some printer of SymPy dispatches on."""
    found: set[str] = set()
    for name in (
        "latex",
        "mathml",
        "pretty.pretty",
        "pycode",
        "repr",
        "str",
        "numpy",
        "c",
        "julia",
        "octave",
    ):
        for item in vars(import_module(f"sympy.printing.{name}")).values():
            if isinstance(item, type):
                found |= {a.removeprefix("_print_") for a in dir(item) if a.startswith("_print_")}
    return found


def test_no_node_takes_a_name_that_a_printer_of_sympy_dispatches_on() -> None:
    taken = printed_by_sympy()
    assert {"Derivative", "Integral", "Expectation", "Transpose"} <= taken
    assert not taken & {c.__name__ for c in ALL_SUBCLASSES}
