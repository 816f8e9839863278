r"""The spelling of one name in a declaration: fonts dropped, marks as suffixes, Greek by name.

Example:
    >>> spell(r"\hat{x}_t"), spell("z₁"), spell("x̂"), spell(r"\boldsymbol{\phi}^*"), spell(r"z^{\prime}")
    ('x_hat_t', 'z_1', 'x_hat', 'phi_star', "z'")
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from symdgm.caches import remembered
from symdgm.names import DECORATIONS, canonical

FONT = r"\\(?:math(?:bf|bb|cal|frak|scr|it|sf|tt|rm)|boldsymbol|bm|pmb|text(?:rm|bf|it)?)(?![A-Za-z])"
ARGUMENT = r"\s*(?:\{(?P<group>[^{}]*)\}|(?P<token>\\[A-Za-z]+|[^\W\d_]))"
FONT_CALL = re.compile(FONT + ARGUMENT)
MARK_CALL = re.compile(rf"\\(?:wide)?(?P<name>{'|'.join(DECORATIONS)})(?![A-Za-z])" + ARGUMENT)
BASE = re.compile(r"\s*(?:\\[A-Za-z]+|[^\W_]+)")
COMBINING = {sign: name for name, sign in DECORATIONS.items() if name != "star"}
RAISED = [
    (re.compile(r"\^\s*(?:\{\s*(?:\*|\\ast|\\star)\s*\}|\*|\\ast(?![A-Za-z])|\\star(?![A-Za-z]))"), "_star"),
    (re.compile(r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![A-Za-z]))|[′’]"), "'"),
]
SUBSCRIPT_DIGITS = re.compile("[₀-₉]+")


@remembered(1024)
def spell(written: str) -> str:
    """The canonical spelling of a name that stands alone; what is no name comes back as no name."""
    text = unicodedata.normalize("NFD", written)
    text = FONT_CALL.sub(_argument, text)
    text = MARK_CALL.sub(lambda m: _mark(_argument(m), m["name"]), text)
    text = re.sub(rf"(?<=\w)([{''.join(COMBINING)}])", lambda m: f"_{COMBINING[m.group()]}", text)
    for pattern, plain in RAISED:
        text = pattern.sub(plain, text)
    text = SUBSCRIPT_DIGITS.sub(lambda m: "_" + unicodedata.normalize("NFKD", m.group()), text)
    return canonical(text)


def names_in(values: object, known: tuple[str, ...]) -> set[str] | None:
    """The canonical names of values; None where they are no mapping, or one of them is not known."""
    if values is not None and not isinstance(values, Mapping):
        return None
    names = {name if name in known else spell(str(name)) for name in values or ()}
    return names if names <= set(known) else None


def _argument(match: re.Match[str]) -> str:
    group = match["group"]
    return f"{match['token']} " if group is None else group


def _mark(argument: str, name: str) -> str:
    """A mark belongs to the letter, not to its index: the hat of `x_t` gives `x_hat_t`."""
    base = BASE.match(argument)
    end = base.end() if base else 0
    return f"{argument[:end]}_{name}{argument[end:]}"
