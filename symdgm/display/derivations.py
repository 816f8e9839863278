r"""Derivations as text and as aligned LaTeX.

The LaTeX is such that both MathJax and KaTeX set it: inside ``\text{}`` stand letters only, since the two
disagree about what a
backslash means there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sympy import Basic

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


def derivation_text(title: str, steps: tuple[Step, ...]) -> str:
    """The steps, numbered, each with what it is, why it holds and what it changed.

    Args:
        title: the equation as it was written.
        steps: the steps.
    """
    lines = [title]
    for number, step in enumerate(steps, 1):
        source = f" [{step.reference}]" if step.reference else ""
        lines += ["", f"{number}. {step.name} ({step.kind.value}): {step.why}{source}"]
        lines += [f"     {_change_text(change, step.kind)}" for change in step.changes]
    return "\n".join(lines)


def _change_text(change: Change, kind: Kind) -> str:
    if change.note:
        return f"{unicode(change.before)}{''.join(_note(change, str, unicode))}"
    return f"{unicode(change.before)} {kind.sign} {unicode(change.after)}"


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
        lines += [rf"& \quad {_change_latex(change, step.kind)} \\[4pt]" for change in step.changes]
    return "\\begin{aligned}\n" + "\n".join(lines) + "\n\\end{aligned}"


def _change_latex(change: Change, kind: Kind) -> str:
    if change.note:
        apart = r"\\ & \qquad " if len(unicode(change.before)) > _WIDE else ""
        return rf"{latex(change.before)} {apart}{''.join(_note(change, _text, latex))}"
    return rf"{latex(change.before)} {_SIGN[kind]} {latex(change.after)}"


def _note(change: Change, words: Callable[[str], str], formula: Callable[[Basic], str]) -> Iterator[str]:
    """A blank, and the words of a note and the formulas in them, each spelled in its way."""
    note = f" {change.note}"
    for i, part in enumerate(_PLACE.split(note) if change.formulas else [note]):
        yield formula(change.formulas[int(part)]) if i % 2 else words(part)


def _text(words: str) -> str:
    r"""Words as ``\text{}``, with special characters outside of it."""
    escaped = "".join(rf"}}{_SPECIAL[c]}\text{{" if c in _SPECIAL else c for c in words)
    return rf"\text{{{escaped}}}".replace(r"\text{}", "")
