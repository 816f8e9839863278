"""Derivations as text and as aligned LaTeX."""

from __future__ import annotations

from symdgm.expressions.notation import latex, unicode
from symdgm.rewriting.rule import Change, Kind, Step

_LATEX_SIGN = {Kind.EQUALITY: "=", Kind.UNBIASED: r"\approx", Kind.BIASED: r"\approx"}


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
        lines += [f"     {line}" for change in step.changes for line in _change_text(change, step.kind)]
    return "\n".join(lines)


def _change_text(change: Change, kind: Kind) -> list[str]:
    if change.note:
        return [change.note]
    return [f"{unicode(change.before)} {kind.sign} {unicode(change.after)}"]


def derivation_latex(title: str, steps: tuple[Step, ...]) -> str:
    r"""The steps as one ``aligned`` block, a step a line, with its name as a remark.

    Args:
        title: the equation as it was written, in LaTeX.
        steps: the steps.
    """
    lines = [rf"& {title} \\"]
    for number, step in enumerate(steps, 1):
        remark = rf"&& \text{{{number}. {_escaped(step.name)} ({step.kind.value})}}"
        for change in step.changes:
            if change.note:
                body = rf"\text{{{_escaped(change.note)}}}"
            else:
                body = rf"{latex(change.before)} {_LATEX_SIGN[step.kind]} {latex(change.after)}"
            lines.append(rf"& {body} {remark} \\[4pt]")
            remark = "&&"
    return "\\begin{aligned}\n" + "\n".join(lines) + "\n\\end{aligned}"


def _escaped(text: str) -> str:
    for character in "\\{}_^#&%$~":
        text = text.replace(character, {"\\": "/", "~": r"\sim ", "^": r"\^{}"}.get(character, f"\\{character}"))
    return text
