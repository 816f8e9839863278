"""Canonical forms have the value of what they were made from, in random models of finite variables."""

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import symdgm as sd
from symdgm.binding import BoundFacts, bind
from symdgm.binding.structure import BayesRule, structure_of
from symdgm.binding.written import Excerpt
from symdgm.rewriting.canonical import Canonical
from symdgm.rewriting.finite_models import FiniteModel, NotFiniteError
from symdgm.rewriting.marginals import marginal
from symdgm.rewriting.polynomials import TooLargeError

DENSITIES = ("p(x|z)", "p(z)", "q(z|x)", "p(x,z)", "p(z|x)", "r(w|z)")
SCALARS = ("a", "b", "2", "1/3", "f(x)")
LAWS = (("z' ~ q(z|x)", "z"), ("z' ~ p(z)", "z"), ("w' ~ r(w|z)", "w"), ("x' ~ data(x)", "x"))
SIDES = ("KL[q(z|x)||p(z)]", "H[q(z|x)]", "H[q(z|x), p(z)]", "KL[q(z|x)||p(z|x)]", "log p(x)")


@st.composite
def formulas(draw, depth=3):
    """Text of a random formula in which every density may stand, under a logarithm or not."""
    kind = draw(st.integers(0, 9)) if depth else draw(st.integers(0, 2))
    inner = formulas(depth=depth - 1)
    if kind == 0:
        return f"log {draw(st.sampled_from(DENSITIES))}"
    if kind == 1:
        return draw(st.sampled_from(DENSITIES + SCALARS))
    if kind == 2:
        return draw(st.sampled_from(SIDES))
    if kind == 3:
        return f"({draw(inner)} + {draw(inner)})"
    if kind == 4:
        return f"({draw(inner)} - {draw(inner)})"
    if kind == 5:
        return f"({draw(inner)}) ({draw(inner)})"
    if kind == 6:
        a, b = (draw(st.sampled_from(DENSITIES)) for _ in range(2))
        return f"log({a}^{draw(st.integers(1, 3))}/({b} exp({draw(inner)})))"
    if kind == 7:
        return f"({draw(inner)})^{draw(st.integers(2, 3))}/({draw(st.sampled_from(SCALARS))})"
    if kind == 8:
        return f"exp(1/4 ({draw(inner)}))"
    law, variable = draw(st.sampled_from(LAWS))
    body = re.sub(rf"(?<![A-Za-z]){variable}(?![A-Za-z])", f"{variable}'", draw(inner))
    return f"E_{{{law}}}[{body}]"


def model_of(text, seed):
    expression = sd.parse(text)
    known = sd.parse("log p(x|z) + log p(z) + log r(w|z) + log q(z|x) + log p(x) + a + b + f(x)")
    environment = structure_of([known, expression], frozenset())
    bound = bind(expression, environment, Excerpt(expression)).expression
    facts = BoundFacts(environment, bound)
    rules = BayesRule(environment, facts.law)
    return bound, Canonical(facts, rules, marginal), FiniteModel(facts, rules, seed)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(formulas(), st.integers(0, 3))
def test_the_canonical_form_has_the_same_value(text, seed):
    bound, form, model = model_of(text, seed)
    try:
        after = form.node(form.of(form.by_factors(bound)))
    except TooLargeError:
        assume(False)
    for states in model.assignments([bound]):
        try:
            expected, found = model.value(bound, states), model.value(after, states)
        except NotFiniteError:
            assume(False)
        assert found == pytest.approx(expected, rel=1e-7, abs=1e-7), text


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(formulas(depth=2))
def test_a_canonical_form_is_its_own(text):
    bound, form, _ = model_of(text, 0)
    try:
        whole = form.of(form.by_factors(bound))
        assert form.of(form.node(whole)) == whole
    except TooLargeError:
        assume(False)


SAME = [
    ("log(6 a/4)", "log a + log 3 - log 2"),
    ("log(p(z)^2 a)", "2 log p(z) + log a"),
    ("sqrt(p(z)) sqrt(p(z))", "p(z)"),
    ("exp(2 log p(z) + 1)", "exp(1) p(z)^2"),
    ("q(z|x)^n q(z|x)^m", "q(z|x)^{n + m}"),
    ("log(2 a + 2 b)", "log 2 + log(a + b)"),
    ("1/(2 a + 2 b)", "1/2 1/(a + b)"),
    ("||2 a - 2 b||", "2 ||b - a||"),
    ("||a - a||", "0"),
    ("mean_{k=1}^K f(k)", "1/K sum_{k=1}^K f(k)"),
    ("log prod_{k=1}^K p(z)", "K log p(z)"),
    ("E_{q(z|x) r(w|z)}[log p(z)]", "E_q(z|x)[log p(z)]"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_equal_formulas_have_one_form(a, b):
    assert sd.equivalent(a, b).proved


DIFFERENT = [("log(a b)", "log a + log b"), ("sqrt(a^2)", "a"), ("(a^2)^{1/2}", "a"), ("p(z)^n", "p(z)^m")]


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_what_holds_for_positive_numbers_only_is_not_used(a, b):
    assert not sd.equivalent(a, b).proved
