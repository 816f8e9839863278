"""The grammar, compiled once per process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import Any

from lark import Lark, Token
from lark.lark import PostLex
from lark.lexer import BasicLexer, Lexer

from symdgm.parsing.grammar_files import grammar_folder, grammar_text
from symdgm.parsing.nodes import Nodes

_LOCK = Lock()


class Words(Lexer):  # type: ignore[misc]
    """Lark's basic lexer without its search for collisions, which takes seconds and is a test's business."""

    __future_interface__ = 2

    def __init__(self, conf: Any) -> None:
        conf.skip_validation = True
        self._lexer = BasicLexer(conf)

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Token]:
        """The words of a text."""
        return self._lexer.lex(lexer_state, parser_state)  # type: ignore[no-any-return]


class Kept(PostLex):  # type: ignore[misc]
    """Tells Lark to keep the terminals that only the passes see."""

    @property
    def always_accept(self) -> tuple[str, ...]:
        """All terminals of ``lexical.lark``."""
        return tuple(re.findall(r"^([A-Z_]+)[.:]", grammar_text("lexical.lark"), re.MULTILINE))

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The words as they are."""
        return stream


def compiled(**options: Any) -> Lark:
    """The grammar as a parser; ``options`` are Lark's."""
    path = grammar_folder() / "objective.lark"
    chosen: dict[str, Any] = {
        "parser": "lalr",
        "lexer": Words,
        "postlex": Kept(),
        "transformer": Nodes(),
    } | options
    return Lark(grammar_text(path.name), import_paths=[str(path.parent)], source_path=str(path), **chosen)


@lru_cache(maxsize=1)
def _shared() -> Lark:
    return compiled()


def grammar() -> Lark:
    """The compiled grammar of this process."""
    with _LOCK:
        return _shared()
