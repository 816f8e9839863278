"""Names and numbers short enough for a bar or a table."""

from __future__ import annotations

import re

WIDTH = 28
"""Characters of a term's name at most."""


def number(value: float) -> str:
    """Four significant digits with a proper minus sign, trailing zeros kept so that the bar stands still."""
    return f"{value:#.4g}".replace("-", "−").rstrip(".")


def short_names(names: list[str]) -> list[str]:
    """Names of terms, short enough for a bar, and still different from each other.

    Example:
        >>> short_names(["E_{q(z|x)}[log p(x|z)]", "KL[q(z|x) || p(z)]"])
        ['E[log p(x|z)]', 'KL']
        >>> short_names(["KL[q(y|x) || p(y)]", "KL[q(z|x) || p(z)]"])
        ['KL[q(y|x) || p(y)]', 'KL[q(z|x) || p(z)]']
    """
    for shorten in (lambda name: _without_body(_without_law(name)), _without_law):
        short = [_cut(shorten(name)) for name in names]
        if len(set(short)) == len(names):
            return short
    return names


_LAW = re.compile(r"([E𝔼])_(?:\{(?:[^{}]|\{[^{}]*\})*\}|[^\s\[\]({})]*(?:\([^()]*\))?)(?=\[)")
_DIVERGENCE = re.compile(r"((?:D_)?(?:KL|JS|TV|MMD|SW|Energy|Sinkhorn|W_?[12]?|H|I|D_\w+))\[.*\]")


def _without_law(name: str) -> str:
    return _LAW.sub(r"\1", name)


def _without_body(name: str) -> str:
    found = _DIVERGENCE.fullmatch(name)
    return found[1] if found else name


def _cut(name: str) -> str:
    return name if len(name) <= WIDTH else name[: WIDTH - 1] + "…"
