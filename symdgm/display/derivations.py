r"""Derivations as text and as aligned LaTeX.

The LaTeX is such that both MathJax and KaTeX set it: inside ``\text{}`` stand letters only, since the two
disagree about what a
backslash means there.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator

from sympy import Basic

from symdgm.expressions.arithmetic import Plus
from symdgm.expressions.names import Name
from symdgm.expressions.notation import latex, unicode
from symdgm.rewriting.rule import Change, Kind, Step

_SIGN = {
    Kind.EQUALITY: "=", Kind.UP_TO_A_CONSTANT: "=", Kind.UNBIASED: r"\approx", Kind.BIASED: r"\approx",
    Kind.LOWER_BOUND: r"\gtrsim", Kind.LOWER: r"\le", Kind.UPPER: r"\ge", Kind.ASSUMPTION: "=",
}  # fmt: skip
_SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"{\wedge}", "#": r"\#", "&": r"\&",
    "%": r"\%", "$": r"\$", "~": r"\sim ",
}  # fmt: skip
"""Characters that cannot stand inside ``\\text{}``, as mathematics."""

_PLACE = re.compile(r"\{(\d+)\}")
"""Where a formula stands in a note."""

_WIDE = 80
"""Characters of a formula from which on what is said of it stands below it."""
_LINE, _PAGE = 110, 130
"""Characters of a line of text, and of a formula whose LaTeX is as wide as a page: indices are set small."""

_BELOW = r"\\ & \qquad "
"""Begins a line that goes on with the one above."""


def derivation_text(title: str, steps: tuple[Step, ...]) -> str:
    """The steps, numbered, each with what it is, why it holds and what it changed.

    Args:
        title: the equation as it was written.
        steps: the steps.
    """
    lines = [title]
    for number, step in enumerate(steps, 1):
        source = f" [{step.reference}]" if step.reference else ""
        heading = f"{number}. {step.name} ({step.kind.value}): {step.why}{source}"
        lines += ["", *textwrap.wrap(heading, _LINE, subsequent_indent="   ", break_on_hyphens=False)]
        lines += [f"     {_change_text(change, step.kind)}" for change in step.changes]
    return "\n".join(lines)


def _change_text(change: Change, kind: Kind) -> str:
    if change.note:
        return f"{unicode(change.before)}{''.join(_note(change, str, unicode))}"
    apart = "\n       " if _width(change.before) + _width(change.after) > _LINE else ""
    return f"{unicode(change.before)}{apart or ' '}{kind.sign} {unicode(change.after)}"


def derivation_latex(title: str, steps: tuple[Step, ...]) -> str:
    r"""The steps as one ``aligned`` block: the name of each step, and below it what it changed.

    Args:
        title: the equation as it was written, in LaTeX.
        steps: the steps.
    """
    lines = [rf"& {title} \\[4pt]"]
    for number, step in enumerate(steps, 1):
        source = f" [{step.reference}]" if step.reference else ""
        lines.append(rf"& {_text(f'{number}. {step.name} ({step.kind.value}){source}')} \\")
        changes = [rf"& \quad {_change_latex(change, step.kind)} \\" for change in step.changes]
        lines += [*changes[:-1], f"{changes[-1]}[4pt]"] if changes else []
    return "\\begin{aligned}\n" + "\n".join(lines) + "\n\\end{aligned}"


def equation_latex(formula: Basic) -> str:
    """An equation in LaTeX, for an ``aligned`` block; one that is wider than a page goes on below."""
    return _BELOW.join(_lines(formula))


def _change_latex(change: Change, kind: Kind) -> str:
    before = equation_latex(change.before)
    if change.note:
        note = "".join(_note(change, str, unicode))
        wide = _width(change.before) > _WIDE or _width(change.before) + len(note) > _PAGE
        return rf"{before} {_BELOW if wide else ''}{''.join(_note(change, _text, latex))}"
    apart = _BELOW if _width(change.before) + _width(change.after) > _PAGE else ""
    return rf"{before} {apart}{_SIGN[kind]} {equation_latex(change.after)}"


def _width(formula: Basic) -> int:
    return len(unicode(formula))


def _lines(formula: Basic) -> list[str]:
    """A formula in LaTeX, a sum that is too wide as lines of as many terms as a line holds."""
    if _width(formula) <= _PAGE or not isinstance(formula, Plus):
        return [latex(formula)]
    lines: list[list[Basic]] = [[]]
    for term in formula.args:
        if lines[-1] and sum(map(_width, lines[-1])) + _width(term) > _PAGE:
            lines.append([])
        lines[-1].append(term)
    first, *others = lines
    # Behind a letter, which is cut off again, terms are written as they are in the midst of a sum.
    return [_sum(first), *(_sum([Name("x"), *line]).removeprefix("x ") for line in others)]


def _sum(terms: list[Basic]) -> str:
    if len(terms) > 1:
        return latex(Plus(*terms))
    alone = latex(terms[0])
    return rf"\left({alone}\right)" if isinstance(terms[0], Plus) else alone


def _note(change: Change, words: Callable[[str], str], formula: Callable[[Basic], str]) -> Iterator[str]:
    """A blank, and the words of a note and the formulas in them, each spelled in its way."""
    note = f" {change.note}"
    for i, part in enumerate(_PLACE.split(note) if change.formulas else [note]):
        yield formula(change.formulas[int(part)]) if i % 2 else words(part)


def _text(words: str) -> str:
    r"""Words as ``\text{}``, with special characters outside of it."""
    escaped = "".join(rf"}}{_SPECIAL[c]}\text{{" if c in _SPECIAL else c for c in words)
    return rf"\text{{{escaped}}}".replace(r"\text{}", "")
