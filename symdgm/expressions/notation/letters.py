"""Names in the three spellings: Greek letters, decorations, upright words."""

from __future__ import annotations

from symdgm.names import DECORATIONS, GREEK

NO_COMMAND = ("omicron",)
"""Greek letters for which LaTeX has no command of its own."""


def undecorated(text: str) -> tuple[str, list[str], int]:
    """The letter of a name, its decorations from the inside out, and how many primes it has.

    Example:
        >>> undecorated("x_bar_hat'")
        ('x', ['bar', 'hat'], 1)
    """
    bare = text.rstrip("'")
    primes = len(text) - len(bare)
    marks: list[str] = []
    while (cut := bare.rfind("_")) > 0 and bare[cut + 1 :] in DECORATIONS:
        marks.insert(0, bare[cut + 1 :])
        bare = bare[:cut]
    return bare, marks, primes


def ascii_name(text: str) -> str:
    """A name as it is stored."""
    return text


def unicode_name(text: str) -> str:
    """A name with Greek letters; a single letter carries its decorations as combining characters."""
    bare, marks, primes = undecorated(text)
    shown = GREEK.get(bare, bare)
    if len(shown) != 1:
        return "_".join([shown, *marks]) + "'" * primes
    for mark in marks:
        shown += "_star" if mark == "star" else DECORATIONS[mark]
    return shown + "'" * primes


def latex_name(text: str) -> str:
    r"""A name in LaTeX: ``\theta``, ``\hat{x}``, ``\mathrm{enc}``, ``x^{*}``."""
    bare, marks, primes = undecorated(text)
    if bare in GREEK and bare not in NO_COMMAND:
        shown = "\\epsilon" if bare == "eps" else f"\\{bare}"
    else:
        shown = bare if len(bare) == 1 else f"\\mathrm{{{bare.replace('_', chr(92) + '_')}}}"
    for mark in marks:
        shown = f"{shown}^{{*}}" if mark == "star" else f"\\{mark}{{{shown}}}"
    return shown + "'" * primes
