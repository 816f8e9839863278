"""What a word that no rule allows is told: by the parser's state, learnt from the examples of ``mistakes.toml``."""

from __future__ import annotations

from lark.exceptions import UnexpectedToken

from symdgm.errors import GrammarError
from symdgm.parsing.refusals import refusal


def explain(error: UnexpectedToken) -> GrammarError:
    """The refusal of a word that no rule allows."""
    token = error.token
    return refusal("unexpected-word", token, word=str(token))
