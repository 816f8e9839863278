r"""Integrals that are known: :math:`\log Z = \log \int f(x)\,dx` of a density over one scalar.

| region | density | integral |
| --- | --- | --- |
| all | polynomial times :math:`e^{-c x^2 + b x}` | moments of a normal |
| all | :math:`|x|^a e^{-c |x|^p}` | :math:`\tfrac2p c^{-s} \Gamma(s)`, :math:`s = (a + 1)/p` |
| all | :math:`(A x^2 + B x + C)^{-k}` | :math:`\sqrt{\pi/A}\,\Gamma(k-\tfrac12) D^{1/2-k}/\Gamma(k)` |
| all | :math:`\cosh(c x + d)^{-k}` | :math:`\sqrt\pi\,\Gamma(k/2) / (c\,\Gamma((k+1)/2))` |
| x > 0 | :math:`x^a e^{-c x^p}` | :math:`\tfrac1{|p|} c^{-s} \Gamma(s)` |
| 0 < x < 1 | :math:`x^a (1-x)^b` | :math:`B(a+1, b+1)` |
| one or two sides | :math:`e^{-c x^2 + b x}`, :math:`e^{b x}` | by the error function; elementary |
| two sides | a polynomial | elementary |

Here :math:`D = C - B^2/4A`. SymPy does the algebra; what is not in the table is not integrated, so that no
formula takes long.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Integer, Rational, Symbol, oo

MAX_DEGREE = 8
"""The degree, in all names together, up to which a formula is multiplied out."""
MAX_GAMMA = 50
"""The largest number at which the gamma function is taken."""


class UnknownError(Exception):
    """A formula that the table does not know."""


Found = tuple[Expr, tuple[Expr, ...]]
"""The log of an integral, and what must be positive for it to exist."""


def integral(log_f: Expr, x: Symbol, low: Expr, high: Expr) -> Found | None:
    """The log of the integral of ``exp(log_f)`` over an interval; None if it is not in the table.

    Args:
        log_f: the log of the density.
        x: what is integrated over.
        low: the lower end, or minus infinity.
        high: the upper end, or infinity.

    Raises:
        UnknownError: a formula of another form, or an interval that is empty.
    """
    if low >= high:
        raise UnknownError
    exponent, logs = _parted(log_f, x)
    if low == -oo and high == oo:
        return _over_all(exponent, logs, x)
    if low == 0 and high == oo:
        positive = {x: logs.get(x, Integer(0)) + logs.get(sympy.Abs(x), Integer(0))}
        found = _gamma(exponent, positive, x, sides=1) if set(logs) <= {x, sympy.Abs(x)} else None
        if found is not None:
            return found
    if (low, high) == (0, 1) and exponent == 0 and logs and set(logs) <= {x, sympy.Abs(x), 1 - x}:
        zero = Integer(0)
        return _beta(logs.get(x, zero) + logs.get(sympy.Abs(x), zero), logs.get(1 - x, zero))
    if not logs:
        return _bounded_exponential(exponent, x, low, high)
    factor = _polynomial(logs, x, low, high)
    if exponent == 0 and factor is not None and -oo < low and high < oo:
        return sympy.log(sympy.integrate(factor, (x, low, high))), ()
    return None


def is_infinite(log_f: Expr, x: Symbol, low: Expr, high: Expr) -> bool:
    """Whether an integral is known to be infinite, since the density does not fall fast enough at infinity.

    Args:
        log_f: the log of the density.
        x: what is integrated over.
        low: the lower end, or minus infinity.
        high: the upper end, or infinity.

    Raises:
        UnknownError: a formula of another form.

    Example:
        >>> x = Symbol("x", real=True)
        >>> is_infinite(x, x, -oo, oo), is_infinite(x, x, -oo, Integer(0)), is_infinite(-(x**2), x, -oo, oo)
        (True, False, False)
    """
    exponent, logs = _parted(log_f, x)
    ends = [side for side, end in ((1, high), (-1, low)) if end in (oo, -oo)]
    return any(_lasts(exponent, logs, x, side) for side in ends)


def _lasts(exponent: Expr, logs: Mapping[Expr, Expr], x: Symbol, side: int) -> bool:
    """Whether ``e^exponent`` times powers of polynomials falls no faster than 1/x towards one end."""
    turned = sympy.expand(exponent.subs(sympy.Abs(x), side * x).subs(x, side * x))
    arguments = [_without_sign(argument) for argument in logs]
    if not all(formula.is_polynomial(x) for formula in (turned, *arguments)):
        return False
    form = sympy.Poly(turned, x)
    if form.degree() > 0:
        return bool(form.LC().is_Rational and form.LC() > 0)
    if not all(k.is_Rational for k in logs.values()):
        return False
    return bool(sum(k * sympy.degree(a, x) for a, k in zip(arguments, logs.values(), strict=True)) >= -1)


def _parted(log_f: Expr, x: Symbol) -> tuple[Expr, dict[Expr, Expr]]:
    """The terms that are no logarithms, multiplied out, and argument → coefficient of those that are."""
    logs: dict[Expr, Expr] = {}
    rest = Integer(0)
    for term in sympy.Add.make_args(log_f):
        coefficient, function = term.as_independent(x)
        if isinstance(function, sympy.log):
            argument = function.args[0]
            logs[argument] = logs.get(argument, Integer(0)) + coefficient
        elif function.has(sympy.log) or function.has(sympy.cosh):
            raise UnknownError
        else:
            rest += term
    return sympy.expand(rest), logs


def _over_all(exponent: Expr, logs: Mapping[Expr, Expr], x: Symbol) -> Found | None:
    if exponent == 0 and len(logs) == 1:
        ((argument, k),) = logs.items()
        return _cosh(argument, -k, x) if isinstance(argument, sympy.cosh) else _student(argument, -k, x)
    return _gaussian(exponent, logs, x) or _gamma(exponent, logs, x, sides=2)


def _gaussian(exponent: Expr, logs: Mapping[Expr, Expr], x: Symbol) -> Found | None:
    """A polynomial times the exponential of a quadratic: moments of a normal."""
    factor, form = _polynomial(logs, x, -oo, oo), _quadratic(exponent, x)
    if factor is None or form is None or _is_not_positive(form[0]):
        return None
    c, b, d = form
    mean, variance = b / (2 * c), 1 / (2 * c)
    total = Integer(0)
    for (power,), coefficient in sympy.Poly(factor, x).terms():
        total += coefficient * sum(
            sympy.binomial(power, 2 * j) * sympy.factorial2(2 * j - 1) * variance**j * mean ** (power - 2 * j)
            for j in range(power // 2 + 1)
        )
    moment = sympy.expand(total)
    if _is_not_positive(moment):
        return None
    return sympy.log(sympy.pi / c) / 2 + b**2 / (4 * c) + d + sympy.log(moment), _unknown(c)


def _gamma(exponent: Expr, logs: Mapping[Expr, Expr], x: Symbol, *, sides: int) -> Found | None:
    """``|x|^a exp(-c |x|^p)`` on one or both sides of zero."""
    size = sympy.Abs(x) if sides == 2 else x
    if set(logs) - {size}:
        return None
    a = logs.get(size, Integer(0))
    coefficient, power = sympy.expand(exponent).as_independent(x, as_Add=False)
    p = _exponent_of(power, x, sides)
    if p is None or _is_not_positive(-coefficient):
        return None
    c, s = -coefficient, (a + 1) / p
    if _is_not_positive(s) or (s.free_symbols and not isinstance(p, Rational)):
        return None
    return sympy.log(sides / sympy.Abs(p)) - s * sympy.log(c) + _log_gamma(s), _unknown(c, s)


def _exponent_of(power: Expr, x: Symbol, sides: int) -> Expr | None:
    base, p = power.as_base_exp()
    if not isinstance(p, Rational) or p == 0:
        return None
    if sides == 1:
        return p if base in (x, sympy.Abs(x)) else None
    even = base == x and p.is_integer and p % 2 == 0
    return p if p > 0 and (even or base == sympy.Abs(x)) else None


def _student(argument: Expr, k: Expr, x: Symbol) -> Found | None:
    """A quadratic to a negative power."""
    form = _quadratic(-sympy.expand(_without_sign(argument)), x)
    if form is None:
        return None
    a, b, c = form[0], -form[1], -form[2]
    rest = c - b**2 / (4 * a)
    if any(map(_is_not_positive, (a, rest, k - Rational(1, 2)))):
        return None
    log_z = sympy.log(sympy.pi) / 2 + _log_gamma(k - Rational(1, 2)) - _log_gamma(k) - sympy.log(a) / 2
    return log_z + (Rational(1, 2) - k) * sympy.log(rest), _unknown(a, rest, k - Rational(1, 2))


def _cosh(argument: Expr, k: Expr, x: Symbol) -> Found | None:
    inner = sympy.expand(argument.args[0])
    slope = sympy.diff(inner, x)
    if slope.has(x) or slope == 0 or _is_not_positive(k):
        return None
    log_z = sympy.log(sympy.pi) / 2 + _log_gamma(k / 2) - _log_gamma((k + 1) / 2)
    return log_z - sympy.log(sympy.Abs(slope)), _unknown(k)


def _beta(a: Expr, b: Expr) -> Found | None:
    if _is_not_positive(a + 1) or _is_not_positive(b + 1):
        return None
    return _log_gamma(a + 1) + _log_gamma(b + 1) - _log_gamma(a + b + 2), _unknown(a + 1, b + 1)


def _bounded_exponential(exponent: Expr, x: Symbol, low: Expr, high: Expr) -> Found | None:
    """The exponential of a line or a parabola over an interval."""
    form = _quadratic(exponent, x)
    if form is None:
        return None
    c, b, d = form
    if c == 0:
        return _line(b, d, low, high)
    if _is_not_positive(c):
        return None
    ends = [_error_function(sympy.sqrt(c), end, b / (2 * c)) for end in (high, low)]
    width = sympy.log(sympy.pi / c) / 2 + b**2 / (4 * c) + d
    return width + sympy.log((ends[0] - ends[1]) / 2), _unknown(c)


def _error_function(root: Expr, end: Expr, mean: Expr) -> Expr:
    return (Integer(1) if end > 0 else Integer(-1)) if end in (oo, -oo) else sympy.erf(root * (end - mean))


def _line(b: Expr, d: Expr, low: Expr, high: Expr) -> Found | None:
    if b == 0:
        return (d + sympy.log(high - low), ()) if -oo < low and high < oo else None
    if b.is_number:
        rises = b > 0
        if (high if rises else low) in (oo, -oo):
            return None
        return d + sympy.log((sympy.exp(b * high) - sympy.exp(b * low)) / b), ()
    if high == oo and low > -oo:
        return d + b * low - sympy.log(-b), _unknown(-b)
    return None


def _quadratic(exponent: Expr, x: Symbol) -> tuple[Expr, Expr, Expr] | None:
    """``c, b, d`` of ``-c x^2 + b x + d``."""
    if not exponent.is_polynomial(x) or sympy.degree(exponent, x) > 2:
        return None
    form = sympy.Poly(exponent, x)
    return -form.coeff_monomial(x**2), form.coeff_monomial(x), form.coeff_monomial(1)


def _polynomial(logs: Mapping[Expr, Expr], x: Symbol, low: Expr, high: Expr) -> Expr | None:
    """The product of polynomials to whole powers, where none of them changes its sign in the interval."""
    product = Integer(1)
    for argument, k in logs.items():
        even = isinstance(k, Integer) and k % 2 == 0
        base = _without_sign(argument) if even else argument
        if not isinstance(k, Integer) or not 0 < k <= MAX_DEGREE or not base.is_polynomial(x):
            return None
        if not even and _changes_sign(base, x, low, high):
            return None
        product *= base**k
        if sympy.degree(product, x) > MAX_DEGREE:
            return None
    return sympy.expand(product)


def _changes_sign(polynomial: Expr, x: Symbol, low: Expr, high: Expr) -> bool:
    """Whether a polynomial is negative somewhere in an interval; so it is taken to be with symbols."""
    form = sympy.Poly(polynomial, x)
    if not all(c.is_Rational for c in form.all_coeffs()):
        return True
    roots = sympy.real_roots(form, multiple=False) if form.degree() else []
    if any(count % 2 and low < root < high for root, count in roots):
        return True
    inside = [Integer(0), low + 1, high - 1, (low + high) / 2]
    point = next(p for p in inside if p.is_finite and low < p < high)
    return bool(form.eval(point) < 0)


def _without_sign(argument: Expr) -> Expr:
    return argument.args[0] if isinstance(argument, sympy.Abs) else argument


def _log_gamma(s: Expr) -> Expr:
    """The log of the gamma function, which is no number where ``s`` is negative."""
    if s.is_number and s > MAX_GAMMA:
        raise UnknownError
    if isinstance(s, Rational) and s.q <= 2:
        return sympy.log(sympy.gamma(s))
    return sympy.loggamma(s) if s.is_number else sympy.loggamma(s + 1) - sympy.log(s)


def _is_not_positive(value: Expr) -> bool:
    return value.is_positive is not True and bool(value.is_number or value.is_nonpositive)


def _unknown(*values: Expr) -> tuple[Expr, ...]:
    return tuple(v for v in values if not v.is_number)
