"""Third pass: which line breaks end a statement.

A text without a mark of a statement (``=``, ``propto``, ``minimize``, ``where``, a label) is one objective,
and its line breaks are white space. So they are if the only mark is a ``minimize`` in front. Else a line is
a statement, unless the line before it ends in an operator or wants its operand, or it starts with an
operator itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from symdgm.parsing.bounds import MAX_STATEMENTS
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import CLOSERS, OPENERS, Word, become

JOINS_BEFORE = frozenset(
    {
        "PLUS",
        "MINUS",
        "TIMES",
        "SLASH",
        "CARET",
        "UNDERSCORE",
        "DEFINE",
        "PROPTO",
        "TILDE",
        "COMMA",
        "RELATION",
        "COLON",
    }
)
JOINS_AFTER = JOINS_BEFORE - {"COMMA"} | {
    "FUNCTION",
    "BIG",
    "INTEGRAL",
    "OPTIMIZE",
    "EXTREME",
    "WHERE",
    "OVER",
    "FRACTION",
}
TRAILING = frozenset({"COMMA", "DOT"})
_LEFT_SIDE = 100
"""Words that are looked at for the equals sign of an abbreviation."""
_HEADS = frozenset({"BIG", "INTEGRAL", "OPTIMIZE", "EXTREME", "DERIVATIVE"})
_OBJECTIVE = frozenset({"OPTIMIZE", "EXTREME"})


def split_statements(tokens: list[Word]) -> list[Word]:
    """Line breaks dropped, or made the ends of statements; trailing punctuation dropped."""
    segments = _segments(tokens)
    marks = [_marked(lines) for _, lines in segments]
    alone = not any(marks) or (sum(marks) == 1 and marks[0] and segments[0][1][0].type in _OBJECTIVE)
    out: list[Word] = []
    statements = 0
    for k, (separator, line) in enumerate(segments):
        ends = separator is not None and (
            separator.type == "SEPARATOR" or not (alone or _continues(segments[k - 1][1], line))
        )
        if ends and out and separator is not None:
            _drop_trailing(out)
            out.append(become(separator, "SEPARATOR"))
            statements += 1
            if statements >= MAX_STATEMENTS:
                raise refusal("too-many-statements", separator, bound=MAX_STATEMENTS)
        out += line
    _drop_trailing(out)
    return out


def _segments(tokens: list[Word]) -> list[tuple[Word | None, list[Word]]]:
    """The lines that are not empty, each with the break before it (the hardest of several)."""
    found: list[tuple[Word | None, list[Word]]] = []
    separator: Word | None = None
    line: list[Word] = []
    for token in _part_abbreviations(tokens):
        if token.type not in ("NEWLINE", "SEPARATOR"):
            line.append(token)
            continue
        if line:
            found.append((separator, line))
            separator, line = None, []
        if separator is None or token.type == "SEPARATOR":
            separator = token
    if line:
        found.append((separator, line))
    return found


def _part_abbreviations(tokens: list[Word]) -> Iterator[Word]:
    """``f, where a = 1, b = 2`` is ``f``, ``where a = 1`` and ``where b = 2``."""
    depth, abbreviating = 0, False
    for i, token in enumerate(tokens):
        kind = token.type
        depth += (kind in OPENERS) - (kind in CLOSERS)
        if kind in ("NEWLINE", "SEPARATOR"):
            abbreviating = abbreviating and kind == "NEWLINE"
        elif depth == 0 and kind == "WHERE":
            abbreviating = True
            yield become(token, "SEPARATOR")
        elif depth == 0 and kind == "COMMA" and abbreviating and _defines(tokens, i + 1):
            yield become(token, "SEPARATOR")
            token = become(token, "WHERE")
        yield token


def _defines(tokens: list[Word], i: int) -> bool:
    """Does what follows a comma define another name?"""
    depth = 0
    for token in tokens[i : i + _LEFT_SIDE]:
        depth += (token.type in OPENERS) - (token.type in CLOSERS)
        if depth < 0 or (depth == 0 and token.type in ("COMMA", "NEWLINE", "SEPARATOR", "GREATER")):
            return False
        if depth == 0 and token.type == "DEFINE":
            return True
    return False


def _marked(line: list[Word]) -> bool:
    """Does the line hold a mark of a statement outside of brackets?"""
    if line[0].type in ("OPTIMIZE", "EXTREME", "WHERE"):
        return True
    depth = 0
    for token in line:
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
        elif depth == 0 and token.type in ("DEFINE", "PROPTO", "COLON"):
            return True
    return False


def _continues(before: list[Word], line: list[Word]) -> bool:
    return before[-1].type in JOINS_AFTER or line[0].type in JOINS_BEFORE or _wants_operand(before)


def _wants_operand(line: list[Word]) -> bool:
    r"""Does the line end in a head with its scripts: ``\max_{D}``, ``E_{q(z|x)}``, ``sum_{t=1}^T``?"""
    i, bracketed = len(line), False
    while i > 0:
        i = _operand_start(line, i)
        if i > 0 and line[i - 1].type in ("UNDERSCORE", "CARET"):
            i -= 1
            if i > 0 and _is_head(line[i - 1]):
                return not bracketed or line[i - 1].type == "WORD"
        elif i > 1 and line[i].type in ("LBRACE", "LPAR") and line[i - 1].type == "WORD":
            bracketed = True
        else:
            return i > 0 and i < len(line) and _is_head(line[i]) and i == len(line) - 1
    return False


def _operand_start(line: list[Word], end: int) -> int:
    """Where the word or the bracket that ends before ``end`` begins."""
    depth = 0
    for i in range(end - 1, -1, -1):
        if line[i].type in CLOSERS:
            depth += 1
        elif line[i].type in OPENERS:
            depth -= 1
        if depth == 0:
            return i
    return 0


def _is_head(token: Word) -> bool:
    return token.type in _HEADS or (token.type == "WORD" and token.text == "E")


def _drop_trailing(out: list[Word]) -> None:
    while out and out[-1].type in TRAILING:
        out.pop()
