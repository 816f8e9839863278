"""Where the grammar is: in the installed package, or beside it in a checkout."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def grammar_folder() -> Path:
    """The folder of the grammar.

    ``symdgm/grammar`` where the package is installed, ``grammar`` in a checkout.
    """
    package = Path(__file__).resolve().parent.parent
    installed = package / "grammar"
    return installed if (installed / "objective.lark").is_file() else package.parent / "grammar"


def grammar_text(name: str) -> str:
    """The text of one of its files."""
    return (grammar_folder() / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def known_commands() -> tuple[str, ...]:
    """The LaTeX commands that ``lexical.lark`` names."""
    text = grammar_text("lexical.lark")
    branches = re.findall(r"\\\\(?:\[[a-z]+\]\?)?\(?([A-Za-z|*\\?]{2,})", text)
    return tuple(sorted({name for branch in branches for name in re.findall(r"[A-Za-z]{2,}", branch)}))
