"""What a word that no rule allows is told: by the parser's state, learnt from the examples of ``mistakes.toml``."""

from __future__ import annotations

from symdgm.errors import GrammarError
from symdgm.parsing.reduce import UnexpectedWord
from symdgm.parsing.refusals import refusal


def explain(error: UnexpectedWord) -> GrammarError:
    """The refusal of a word that no rule allows."""
    return refusal("unexpected-word", error.word, word=error.word.text)
