"""The words of the refusals: the labelled mistakes of ``grammar/mistakes.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from string import Template

from symdgm.errors import GrammarError
from symdgm.parsing.grammar_files import grammar_text
from symdgm.parsing.words import Word


@dataclass(frozen=True, slots=True)
class Mistake:
    """A labelled mistake: what is said, what to write instead, and texts in which it is made."""

    problem: str
    hint: str
    examples: tuple[str, ...]


@lru_cache(maxsize=1)
def mistakes() -> dict[str, Mistake]:
    """All labelled mistakes by label."""
    table = tomllib.loads(grammar_text("mistakes.toml"))
    return {
        label: Mistake(entry["problem"], entry["hint"], tuple(entry["examples"]))
        for label, entry in table.items()
    }


def refusal(label: str, place: Word | tuple[int, int], **said: object) -> GrammarError:
    """The error for a labelled mistake.

    Args:
        label: the mistake's label in ``mistakes.toml``.
        place: the word, or the span of characters, that the caret stands on.
        said: the author's own words, filled into the message.
    """
    mistake = mistakes()[label]
    span = (place.start, place.end) if isinstance(place, Word) else place
    words = {name: shorten(str(value)) for name, value in said.items()}
    problem, hint = (Template(text).substitute(words) for text in (mistake.problem, mistake.hint))
    return GrammarError(problem, hint=hint, span=span)


def shorten(text: str, width: int = 60) -> str:
    """The author's text in a message: on one line and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
