"""Integrals of densities in closed form, against quadrature; and which densities have none."""

import contextlib
import math
import time

import pytest
import torch
from formula_values import evaluated
from scipy import integrate, special
from sympy import Basic

from symdgm.errors import NotSupportedError, SymdgmError
from symdgm.expressions.logarithms import Side, factors_of, log_terms
from symdgm.expressions.names import Name
from symdgm.expressions.normaliser import Normalised, normalised
from symdgm.parsing import parse

X = Name("x")
NUMBERS = {"a": 1.7, "b": 2.3, "m": -0.6, "s": 0.8, "nu": 3.5, "y": 0.4, "beta": 1.3}
ALL, POSITIVE = (-math.inf, math.inf), (0.0, math.inf)


def value_of(node: Basic, numbers: dict[str, float]) -> float:
    values = {Name(name): torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}
    return float(evaluated(node, values))


def found(text: str) -> Normalised | None:
    factors, sides = factors_of(parse(text), [X])
    terms = [term for factor in factors for term in log_terms(factor)]
    return normalised(terms, X, sides, [Name("s"), Name("m")])


KNOWN = [
    ("exp(-x^2/2)", ALL),
    ("exp(-||x||^2/2)", ALL),
    ("exp(-sum(x^2))", ALL),
    ("exp(-<x, x>)", ALL),
    ("exp(-||x||_1)", ALL),
    ("exp(-(x - m)^2/(2 s^2))", ALL),
    ("exp(-||x - m||^2/(2 s^2))", ALL),
    ("exp(-beta x^2 + y x + a)", ALL),
    ("x^2 exp(-x^2)", ALL),
    ("(1 + x^2) exp(-x^2 + 3 x)", ALL),
    ("(x + a)^2 exp(-x^2)", ALL),
    ("(x^2 - 2x + 1) exp(-x^2)", ALL),
    ("exp(-abs(x)/b)", ALL),
    ("abs(x)^(2.5) exp(-3 x^2)", ALL),
    ("exp(-x^4)", ALL),
    ("1/(1 + x^2)", ALL),
    ("(1 + x^2/nu)^(-(nu + 1)/2)", ALL),
    ("1/(3 + 2x + x^2)^2", ALL),
    ("1/cosh(x)", ALL),
    ("cosh(2 x + 1)^(-2)", ALL),
    ("x^2 exp(-x) 1[x > 0]", POSITIVE),
    ("x^(a - 1) exp(-b x) 1[x > 0]", POSITIVE),
    ("x^(-a - 1) exp(-b/x) 1[0 < x]", POSITIVE),
    ("x^{1/3} exp(-2 x^3) 1[x >= 0]", POSITIVE),
    ("x^2 1[x > 0] 1[x < 1]", (0.0, 1.0)),
    ("(1 - x)^3 1[x > 0] 1[x < 1]", (0.0, 1.0)),
    ("exp(-b x) 1[x > 2]", (2.0, math.inf)),
    ("exp(2 x) 1[x < 1]", (-math.inf, 1.0)),
    ("exp(-x^2 + x) 1[x > -1] 1[x < 2]", (-1.0, 2.0)),
    ("exp(-x^2/2) 1[x > 1]", (1.0, math.inf)),
    ("1[x > 0] 1[x < 3]", (0.0, 3.0)),
    ("x^(a - 1) (1 - x)^(b - 1) 1[x > 0] 1[x < 1]", (0.0, 1.0)),
    ("x (1 - x) 1[x > 0] 1[x < 1]", (0.0, 1.0)),
    ("x^2 (3 - x) 1[x > 0] 1[x < 3]", (0.0, 3.0)),
]


@pytest.mark.parametrize(("text", "interval"), KNOWN)
def test_the_integral_is_that_of_quadrature(text: str, interval: tuple[float, float]) -> None:
    result = found(text)
    assert result is not None

    def density(x: float) -> float:
        return math.exp(value_of(result.log_density, {**NUMBERS, "x": x}))

    mass, error = integrate.quad(density, *interval, limit=200)
    assert error < 1e-6
    assert value_of(result.log_integral, NUMBERS) == pytest.approx(math.log(mass), rel=1e-6, abs=1e-7)
    assert all(value_of(c, NUMBERS) > 0 for c in result.conditions)


UNKNOWN = [
    "exp(-U(x))", "exp(x^2)", "exp(-x)", "exp(-x^4 + x^2)", "x^3 exp(-x^2)", "(x + 2) exp(-x^2)",
    "(x^2 - 1) exp(-x^2)", "(-1 - x^2) exp(-x^2)", "(x^2 + a) exp(-x^2)", "x^(2.5) exp(-x^2)", "exp(-exp(x))",
    "exp(-||x||)", "exp(-||x||^2/(2 f(y)))", "exp(-||x||^2 ||x||_1)", "exp(-x^2) + exp(-(x - 1)^2)",
    "1/x", "x^2",
    "exp(-x^2) 1[x > 3] 1[x < 1]", "1/(x^2 - 1)", "1/(1 + x^2)^{1/2}", "exp(x) 1[x > 0]",
    "1/x 1[x > 0] 1[x < 1]",
    "(x + a)^1000 exp(-x^2)", "x^999 exp(-x) 1[x > 0]", "2", "x^(-1) (1 - x) 1[x > 0] 1[x < 1]", "1[x > 0]",
    "exp(-x^2/0)", "exp(-x^2 0^(-2))", "exp(-x^(1/0))", "exp(-(-1)^(1/2) x^2)",
    "x^((-1)^(1/2)) exp(-x) 1[x > 0]",
    "x (x - 1/2) 1[x > 0] 1[x < 1]", "1/cosh(x^2)", "cosh(x)", "log(x)^2 exp(-x)", "max(x, 0) exp(-x^2)",
]  # fmt: skip


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_not_in_the_table_has_no_integral(text: str) -> None:
    assert found(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "exp(-x^2 (9^999)^999)", "(((9^99)^99)^99 + x)^2 exp(-x^2)", "exp(-x^2)^(9^(9^99))",
        "((((x + a)^8 + b)^8 + m)^8 + s)^8 exp(-x^2)",
        "exp(-(" + " + ".join(f"a_{i} x" for i in range(80)) + ")^8)",
        "x^" + "9" * 60 + " exp(-x) 1[x > 0]", "exp(-x^2)" * 90, "2^(3 + 10^9) exp(-x^2 2^(3 + 10^9))",
    ],
)  # fmt: skip
def test_no_formula_takes_long(text: str) -> None:
    start = time.thread_time()
    with contextlib.suppress(SymdgmError):
        found(text)
    assert time.thread_time() - start < 2


def test_a_negative_gamma_is_no_number() -> None:
    """Where a condition does not hold, the integral is not finite, rather than a wrong number."""
    result = found("x^(a - 1) exp(-b x) 1[x > 0]")
    assert result is not None
    for wrong in ({"a": -0.5}, {"b": -1.0}):
        assert math.isnan(value_of(result.log_integral, {**NUMBERS, **wrong}))
    right = value_of(result.log_integral, {"a": 0.01, "b": 1.0})
    assert right == pytest.approx(special.gammaln(0.01), rel=1e-12)


def test_regions() -> None:
    factors, sides = factors_of(parse("1[x > 0] f(x) 1[1 >= x]"), [X])
    assert [str(f) for f in factors] == ["f(x)"]
    assert sides == [Side(X, ">", parse("0")), Side(X, "<=", parse("1"))]
    for text in ("1[x in S]", "1[x != 0]", "1[x > y]", "1[y > 0]"):
        with pytest.raises(NotSupportedError, match="does not compare a variable of the density"):
            factors_of(parse(text), [X])


def test_terms_of_a_logarithm() -> None:
    def shown(text: str) -> list[str]:
        return [str(t) for t in log_terms(parse(text))]

    assert shown("exp(-a)^2 b/c") == ["-(2 a)", "log b", "-log c"]
    assert shown("exp(a - b)") == ["a", "-b"]
    assert shown("exp(-(a - b))") == ["-a", "b"]
    assert shown("q(z|x)^0.5 p(z)") == ["1/2 log q(z|x)", "log p(z)"]
    assert shown("sqrt(x)") == ["1/2 log x"]
