"""Each identity of folding, by its text and by numbers."""

from __future__ import annotations

import pytest
import torch
from formula_values import evaluated
from sympy import Integer, Rational

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.folding import fold
from symdgm.expressions.names import Name

a, b = Name("a"), Name("b")
zero, one, two, half = Integer(0), Integer(1), Integer(2), Rational(1, 2)
LOG2 = call("log", two)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Plus(zero, a), a),
        (Plus(a, Minus(zero)), a),
        (Plus(Plus(a, b), one), Plus(a, b, one)),
        (Plus(one, Minus(half)), half),
        (Plus(zero, zero), zero),
        (Minus(Minus(a)), a),
        (Minus(Plus(a, Minus(b))), Plus(Minus(a), b)),
        (Times(one, a), a),
        (Times(zero, a), zero),
        (Times(one, one), one),
        (Times(a, Minus(b)), Minus(Times(a, b))),
        (Times(Minus(a), Minus(b)), Times(a, b)),
        (Quotient(a, one), a),
        (Quotient(zero, two), zero),
        (Quotient(one, two), half),
        (Power(a, one), a),
        (Power(one, a), one),
        (Power(two, two), Integer(4)),
        (Power(Minus(a), two), Power(a, two)),
        (call("log", one), zero),
        (call("log", Rational(1, 3)), Minus(call("log", Integer(3)))),
        (call("softplus", zero), LOG2),
        (call("sigmoid", zero), half),
        (Plus(one, Minus(call("sigmoid", a))), call("sigmoid", Minus(a))),
        (Plus(one, Minus(call("sigmoid", Minus(a)))), call("sigmoid", a)),
        (Plus(Times(a, LOG2), Times(Plus(one, Minus(a)), LOG2)), LOG2),
        (Plus(b, Minus(Times(a, LOG2)), Minus(Times(Plus(one, Minus(a)), LOG2))), Plus(b, Minus(LOG2))),
    ],
    ids=str,
)
def test_identity(before, after):
    assert fold(before) == after
    values = {a: torch.tensor(0.3).double(), b: torch.tensor(1.7).double()}
    torch.testing.assert_close(evaluated(before, values), evaluated(after, values))


@pytest.mark.parametrize(
    "kept",
    [
        Plus(a, b),
        Plus(Times(a, LOG2), Times(Plus(one, Minus(b)), LOG2)),
        Plus(Times(a, LOG2), Minus(Times(Plus(one, Minus(a)), LOG2))),
        Quotient(a, zero),
        Quotient(zero, zero),
        Quotient(one, zero),
        Plus(a, Minus(a)),
        Times(a, Plus(one, b)),
        call("log", two),
    ],
    ids=str,
)
def test_nothing_else_is_touched(kept):
    assert fold(kept) == kept
