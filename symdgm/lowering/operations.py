"""Elementwise operations as Python text: one table of functions, one writer for each kind of arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sympy import Integer, Rational

from symdgm.errors import NotSupportedError
from symdgm.lowering.operands import ATOM, POWER, PRODUCT, SUM, UNARY, Operand

METHODS = (
    "exp", "log", "sqrt", "abs", "tanh", "sinh", "cosh", "sigmoid", "relu", "sin", "cos", "tan", "lgamma",
    "digamma", "erf", "sign", "floor", "ceil", "log1p", "expm1",
)  # fmt: skip
"""Functions that are methods of a tensor under the same name."""
NUMERIC = {
    **dict.fromkeys(("abs", "max", "min"), ""),
    **dict.fromkeys(
        (
            "exp",
            "log",
            "sqrt",
            "tanh",
            "lgamma",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "erf",
            "floor",
            "ceil",
            "log1p",
            "expm1",
        ),
        "math.",
    ),
}
"""Functions of Python numbers, with the module that has them."""


def number(value: Rational | str) -> Operand:
    """An exact number as Python text: ``0.5`` where that is exact, else a fraction."""
    if value == "pi":
        return Operand("math.pi", number=True)
    value = Rational(value)
    if isinstance(value, Integer):
        level = UNARY if value < 0 else ATOM
        return Operand(str(value), level, number=True)
    text = repr(float(value))
    if Rational(text) == value:
        return Operand(text, UNARY if value < 0 else ATOM, number=True)
    return Operand(f"{value.p} / {value.q}", PRODUCT, number=True)


def add(operands: Sequence[Operand]) -> str:
    """``a - b + c``; a term that starts with a minus is subtracted."""
    text = operands[0].at(SUM)
    for operand in operands[1:]:
        negative = operand.level in (PRODUCT, UNARY) and operand.text.startswith("-")
        text += f" - {operand.text[1:]}" if negative else f" + {operand.at(PRODUCT)}"
    return text


def multiply(operands: Sequence[Operand]) -> str:
    """``a * b * c``."""
    return " * ".join([operands[0].at(PRODUCT), *(o.at(UNARY) for o in operands[1:])])


def divide(a: Operand, b: Operand) -> str:
    """``a / b``."""
    return f"{a.at(PRODUCT)} / {b.at(UNARY)}"


def power(a: Operand, b: Operand) -> str:
    """``a**b``."""
    return f"{a.at(ATOM)}**{b.at(UNARY)}"


def xlogy(a: Operand, b: Operand) -> str:
    """``a log b``, which is 0 where both are 0."""
    if b.number and b.text == "0":
        return f"(-{a.at(ATOM)}.where({a.text} == 0, math.inf))"
    return f"xlogy({a.text}, {b.text})"


def negate(a: Operand) -> str:
    """``-a``; the minus of a product stands before its first factor."""
    if a.level == PRODUCT and not a.text.startswith("-"):
        return f"-{a.text}"
    return f"-{a.at(POWER)}"


def function(name: str, operands: Sequence[Operand]) -> str:
    """A function's text.

    Raises:
        NotSupportedError: a function without a tensor form.
    """
    if all(o.number for o in operands):
        return _numeric(name, operands)
    if name in METHODS:
        return f"{operands[0].at(ATOM)}.{name}()"
    if name in _SPECIAL:
        return _SPECIAL[name](*operands)
    raise NotSupportedError(f"the function `{name}` cannot be computed yet")


def _numeric(name: str, operands: Sequence[Operand]) -> str:
    """A function of Python numbers."""
    a = operands[0]
    if name in NUMERIC:
        return f"{NUMERIC[name]}{name}({', '.join(o.text for o in operands)})"
    forms = {
        "sigmoid": f"(1 / (1 + math.exp(-{a.at(POWER)})))",
        "softplus": f"(max({a.text}, 0) + math.log1p(math.exp(-abs({a.text}))))",
        "log_sigmoid": f"(min({a.text}, 0) - math.log1p(math.exp(-abs({a.text}))))",
        "log_one_minus_sigmoid": f"(-max({a.text}, 0) - math.log1p(math.exp(-abs({a.text}))))",
        "relu": f"max({a.text}, 0)",
        "sign": f"(({a.text} > 0) - ({a.text} < 0))",
        "sg": a.at(ATOM),
        "digamma": f"float(torch.tensor({a.text}, dtype=torch.float64).digamma())",
    }
    if name == "gamma_gap":
        return f"float(gamma_gap(torch.tensor({a.text}, dtype=torch.float64), {operands[1].text}))"
    if name not in forms:
        raise NotSupportedError(f"the function `{name}` of a number cannot be computed yet")
    return forms[name]


def _extreme(method: str, bound: str) -> Callable[..., str]:
    """The larger or smaller of two or more; a number bounds by `clamp`."""

    def write(*operands: Operand) -> str:
        tensors = [o for o in operands if not o.number]
        text = tensors[0].text
        for operand in tensors[1:]:
            text = f"{method}({text}, {operand.text})"
        numbers = "".join(f".clamp({bound}={o.text})" for o in operands if o.number)
        return f"{tensors[0].at(ATOM) if len(tensors) == 1 else text}{numbers}"

    return write


_SPECIAL: dict[str, Callable[..., str]] = {
    "softplus": lambda a: f"softplus({a.text}, threshold=50)",
    "log_sigmoid": lambda a: f"logsigmoid({a.text})",
    "log_one_minus_sigmoid": lambda a: f"logsigmoid({negate(a)})",
    "softmax": lambda a: f"{a.at(ATOM)}.softmax(-1)",
    "log_softmax": lambda a: f"{a.at(ATOM)}.log_softmax(-1)",
    "sg": lambda a: f"{a.at(ATOM)}.detach()",
    "root": lambda a: f"root({a.text})",
    "gamma_gap": lambda a, b: f"gamma_gap({a.text}, {b.text})",
    "normal_renyi": lambda *a: f"normal_renyi({', '.join(o.text for o in a)})",
    "score": lambda gain, log_prob: f"score({gain.text}, {log_prob.text})",
    "minimised": lambda loss: f"Minimised.apply({loss.text})",
    "max": _extreme("torch.maximum", "min"),
    "min": _extreme("torch.minimum", "max"),
}
LEVELS = {
    "add": SUM,
    "mul": PRODUCT,
    "div": PRODUCT,
    "neg": UNARY,
    "pow": POWER,
    "xlogy": ATOM,
    "weighted": ATOM,
}
LAST_AXIS = ("softmax", "log_softmax")
"""Functions over the last axis of an event."""


def write(name: str, operands: Sequence[Operand]) -> tuple[str, int]:
    """An operation's text, and how tightly it binds."""
    writers: dict[str, Callable[[], str]] = {
        "add": lambda: add(operands),
        "mul": lambda: multiply(operands),
        "div": lambda: divide(*operands),
        "neg": lambda: negate(*operands),
        "pow": lambda: power(*operands),
        "xlogy": lambda: xlogy(*operands),
        "weighted": lambda: f"weighted({operands[0].text}, {operands[1].text})",
        "identity": lambda: operands[0].text,
    }
    if name.startswith("is "):
        return f"({operands[0].at(SUM)} {name[3:]} {operands[1].at(SUM)})", ATOM
    if name in writers:
        text, level = writers[name](), LEVELS.get(name, operands[0].level)
        return text, operands[0].level if name == "neg" and operands[0].level == PRODUCT else level
    return function(name, operands), ATOM
