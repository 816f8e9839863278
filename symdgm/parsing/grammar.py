"""The grammar, compiled once per process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from types import SimpleNamespace
from typing import Any

from lark import Lark
from lark.lark import PostLex
from lark.lexer import Lexer

from symdgm.parsing import make_atoms, make_formulas, make_lists, make_statements
from symdgm.parsing.grammar_files import grammar_folder, grammar_text
from symdgm.parsing.reduce import Automaton, automaton
from symdgm.parsing.words import Word

RULES: dict[str, Callable[[list[Any]], Any]] = {
    **make_statements.RULES,
    **make_formulas.RULES,
    **make_atoms.RULES,
    **make_lists.RULES,
}
"""Rule of ``objective.lark`` → what makes its node; without state, so that one grammar serves all threads."""

_LOCK = Lock()


class Words(Lexer):  # type: ignore[misc]
    """The words of a text by the terminals of ``lexical.lark``, tried in Lark's order.

    Lark's own lexer counts lines and searches for collisions of terminals, which takes seconds and is a
    test's business.
    """

    __future_interface__ = 2

    def __init__(self, conf: Any) -> None:
        terminals = sorted(
            (t for t in conf.terminals if t.pattern is not None),
            key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
        )
        self._pattern = re.compile("|".join(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in terminals))
        self._ignored = frozenset(conf.ignore)

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Word]:
        """The words of a text, for Lark."""
        return self.words(lexer_state.text.text)

    def words(self, text: str) -> Iterator[Word]:
        """The words of a text; the last terminal takes any character, so that none is passed over."""
        ignored = self._ignored
        for match in self._pattern.finditer(text):
            kind = match.lastgroup
            if kind is not None and kind not in ignored:
                yield Word(kind, match[0], match.start(), match.end())


class Kept(PostLex):  # type: ignore[misc]
    """Tells Lark to keep the terminals that only the passes see."""

    @property
    def always_accept(self) -> tuple[str, ...]:
        """All terminals of ``lexical.lark``."""
        return tuple(re.findall(r"^([A-Z_]+)[.:]", grammar_text("lexical.lark"), re.MULTILINE))

    def process(self, stream: Iterator[Any]) -> Iterator[Any]:
        """The words as they are."""
        return stream


def compiled(**options: Any) -> Lark:
    """The grammar as a parser; ``options`` are Lark's."""
    path = grammar_folder() / "objective.lark"
    chosen: dict[str, Any] = {
        "parser": "lalr",
        "lexer": Words,
        "postlex": Kept(),
        "transformer": SimpleNamespace(**RULES),
    }
    return Lark(
        grammar_text(path.name), import_paths=[str(path.parent)], source_path=str(path), **(chosen | options)
    )


@dataclass(frozen=True, slots=True)
class Grammar:
    """What reads a text: its words, and the automaton that takes them."""

    words: Callable[[str], Iterator[Word]]
    automaton: Automaton


@lru_cache(maxsize=1)
def _shared() -> Grammar:
    lark = compiled()
    return Grammar(Words(lark.lexer_conf).words, automaton(lark))


def grammar() -> Grammar:
    """The compiled grammar of this process."""
    with _LOCK:
        return _shared()
