"""Sixth pass.

Which names are heads (expectations, divergences, entropies, indicators), and what each bracket is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from symdgm.parsing.finding import Finding
from symdgm.parsing.heads import (
    ARGUMENT_AFTER,
    ARGUMENT_BEFORE,
    CANONICAL,
    DERIVATIVES,
    KINDS,
    OPERANDS_AFTER,
    OPTIMIZE,
    RELATIONS,
)
from symdgm.parsing.refusals import refusal
from symdgm.parsing.statistic_heads import divergence, entropy, information, squared_chi
from symdgm.parsing.words import CLOSERS, GROUPS, OPENERS, Word


def find_heads(tokens: list[Word]) -> list[Word]:
    """Names told from heads, brackets told by what they are for."""
    finding = Finding(tokens)
    start, depth = True, 0
    for i, token in enumerate(finding.tokens):
        kind = token.type
        if kind in OPENERS:
            depth += 1
        elif kind in CLOSERS:
            depth -= 1
        if i in finding.decided or i in finding.dropped:
            continue
        if kind in ("EXTREME", "OPTIMIZE"):
            start = _optimize(finding, i, start and depth == 0)
            continue
        step = _STEPS.get(kind)
        if step is not None:
            step(finding, i, depth)
        if depth == 0 and kind != "SUB_CLOSE":
            start = kind in ("SEPARATOR", "DEFINE", "COLON")
    return finding.written()


def _name(finding: Finding, i: int, depth: int) -> None:
    text = finding.tokens[i].text
    if text == "E" and finding.type_at(i + 1) == "SUB_OPEN":
        finding.decide(i, "EXPECT")
        return
    if text == "E" and finding.type_at(i + 1) in ("LSQB", "LSET"):
        raise refusal("expectation-without-law", finding.tokens[i])
    if text in _SPECIAL and _SPECIAL[text](finding, i):
        return
    behind = finding.behind_scripts(i)
    if finding.type_at(behind) == "LPAR":
        finding.bracket(behind, "ARGS_OPEN")
    elif finding.type_at(behind) in ("LBRACE", "LSET") and _is_set(finding, behind):
        _family(finding, behind)


def _family(finding: Finding, i: int) -> None:
    """``Uniform{1..T}``: the set is the argument."""
    finding.bracket(i, "SET_OPEN")


def _laplacian(finding: Finding, i: int) -> bool:
    r"""``Δ_x f``, ``\Delta_x f``; the word ``Delta``, plain or upright, is a name."""
    if finding.type_at(i + 1) != "SUB_OPEN" or finding.tokens[i].end - finding.tokens[i].start not in (1, 6):
        return False
    if finding.type_at(finding.partner[i + 1] + 1) not in OPERANDS_AFTER:
        return False
    finding.decide(i, "DERIVATIVE", "laplacian")
    return True


def _number(finding: Finding, i: int, depth: int) -> None:
    """``1[k != i]``, ``1_{k != i}``: an indicator."""
    behind = i + 1
    if finding.tokens[i].text != "1" or finding.type_at(behind) not in (
        "LPAR",
        "LSQB",
        "LBRACE",
        "SUB_OPEN",
        "LSET",
    ):
        return
    inner = behind + 1
    nested = (
        finding.type_at(behind) == "SUB_OPEN"
        and finding.type_at(inner) in GROUPS
        and finding.partner[inner] == finding.partner[behind] - 1
    )
    held = finding.inside[inner if nested else behind]
    if not held & {"RELATION", "LESS", "GREATER", "DEFINE"}:
        return
    finding.decide(i, "INDICATOR")
    finding.bracket(behind)
    if nested:
        finding.dropped.update((inner, finding.partner[inner]))


def _function(finding: Finding, i: int, depth: int) -> None:
    text = finding.tokens[i].text.lstrip("\\")
    text = CANONICAL.get(text, text)
    finding.decide(i, "FUNCTION", text)
    behind = i + 1
    if finding.type_at(behind) == "SUB_OPEN":
        _function_with_subscript(finding, i, text)
    elif finding.type_at(behind) == "SUP_OPEN":
        raise refusal("power-of-a-function", finding.tokens[i], function=text)
    elif finding.type_at(behind) in GROUPS:
        root = finding.partner[behind] + 1
        if text == "sqrt" and finding.type_at(behind) == "LSQB" and finding.type_at(root) == "LBRACE":
            finding.decide(i, "ROOT")
            finding.bracket(root)
        finding.bracket(behind)


def _function_with_subscript(finding: Finding, i: int, text: str) -> None:
    """``log_sigma(x)`` is a network's name; ``log_2 x`` is refused."""
    if finding.type_at(i + 2) == "NUMBER":
        raise refusal("logarithm-with-base", finding.tokens[i], function=text)
    finding.decide(i, "NAME")
    behind = finding.behind_scripts(i)
    if finding.type_at(behind) == "LPAR":
        finding.bracket(behind, "ARGS_OPEN")


def _optimize(finding: Finding, i: int, start: bool) -> bool:
    text = "".join(re.findall(r"[A-Za-z]+", finding.tokens[i].text))
    behind = i + 1
    if finding.type_at(behind) == "SUB_OPEN":
        behind = finding.partner[behind] + 1
    elif (
        finding.tokens[i].type == "EXTREME"
        and finding.type_at(behind) in GROUPS
        and "COMMA" in finding.inside[behind]
    ):
        finding.decide(i, "FUNCTION", text)
        finding.bracket(behind)
        return False
    if not start:
        raise refusal("optimum-inside", finding.tokens[i], word=text)
    finding.decide(i, "OPTIMIZE", OPTIMIZE.get(text, text.replace("ise", "ize")))
    return True


def _derivative(finding: Finding, i: int, depth: int) -> None:
    text = finding.tokens[i].text
    kind = DERIVATIVES.get(text, text)
    if finding.type_at(i + 1) == "SUP_OPEN":
        raise refusal("second-derivative", finding.tokens[i])
    if finding.type_at(i + 1) != "SUB_OPEN":
        raise refusal("derivative-by-what", finding.tokens[i], operator=kind)
    dot = finding.partner[i + 1] + 1
    if finding.type_at(dot) == "SUP_OPEN":
        raise refusal("second-derivative", finding.tokens[i])
    if finding.type_at(dot) == "TIMES" and finding.tokens[dot].text != "*" and kind == "grad":
        kind = "div"
        finding.dropped.add(dot)
    finding.decide(i, "DERIVATIVE", kind)


def _partial(finding: Finding, i: int, depth: int) -> None:
    r"""``∂/∂x f``, ``\frac{∂}{∂x} f``, ``\frac{∂ f}{∂ x}``, ``∂f/∂x``, ``partial_x f``."""
    if finding.type_at(i + 1) == "SUB_OPEN":
        finding.decide(i, "DERIVATIVE", "partial")
        return
    raise refusal("derivative-by-what", finding.tokens[i], operator="partial")


def _big(finding: Finding, i: int, depth: int) -> None:
    text = {"∑": "sum", "∏": "prod"}.get(finding.tokens[i].text, finding.tokens[i].text.lstrip("\\"))
    finding.decide(i, "BIG", text)
    if finding.type_at(i + 1) == "SUB_OPEN":
        return
    if finding.type_at(i + 1) not in GROUPS:
        raise refusal("sum-over-what", finding.tokens[i], operator=text)
    if text == "mean":
        finding.decide(i, "NAME", "mean")
        if finding.type_at(i + 1) == "LPAR":
            finding.bracket(i + 1, "ARGS_OPEN")
    else:
        finding.decide(i, "FUNCTION", text)
        finding.bracket(i + 1)


def _group(finding: Finding, i: int, depth: int) -> None:
    if _is_set(finding, i):
        finding.bracket(i, "SET_OPEN")
    else:
        finding.bracket(i)


def _is_set(finding: Finding, i: int) -> bool:
    if finding.type_at(i) not in ("LBRACE", "LSET"):
        return False
    if finding.tokens[i - 1].text in ("in", "\\in", "∈") and i > 0:
        return True
    if finding.type_at(finding.partner[i] + 1) == "SUB_OPEN":
        return True
    return bool(finding.inside[i] & {"COMMA", "RANGE", "ELLIPSIS"})


def _colon(finding: Finding, i: int, depth: int) -> None:
    if depth > 0:
        finding.decide(i, "RANGE")


def _dot(finding: Finding, i: int, depth: int) -> None:
    """``q(·|x)``: an argument that is left open."""
    if finding.type_at(i - 1) in ARGUMENT_BEFORE and finding.type_at(i + 1) in ARGUMENT_AFTER:
        finding.decide(i, "PLACEHOLDER")
    elif finding.tokens[i].type == "DOT":
        raise refusal("unknown-character", finding.tokens[i], character=".")


def _relation(finding: Finding, i: int, depth: int) -> None:
    finding.decide(i, "RELATION", RELATIONS.get(finding.tokens[i].text.lstrip("\\")))


_SPECIAL: dict[str, Callable[[Finding, int], bool]] = {
    **{name.split("_")[0]: divergence for name in KINDS},
    "H": entropy,
    "I": information,
    "chi": squared_chi,
    "Delta": _laplacian,
}
_STEPS: dict[str, Callable[[Finding, int, int], None]] = {
    "NAME": _name,
    "NUMBER": _number,
    "FUNCTION": _function,
    "DERIVATIVE": _derivative,
    "PARTIAL": _partial,
    "BIG": _big,
    "LPAR": _group,
    "LSQB": _group,
    "LBRACE": _group,
    "LSET": _group,
    "COLON": _colon,
    "TIMES": _dot,
    "DOT": _dot,
    "RELATION": _relation,
}
