"""Long statements of generated code on several lines, as a formatter would set them."""

from __future__ import annotations

import io
import textwrap
import tokenize
from collections.abc import Sequence
from itertools import pairwise

WIDTH = 110
"""The longest line of generated code."""
STEP = "    "
OPENING, CLOSING = "([{", ")]}"
LOOSEST = (("+", "-"), ("*", "/"))
"""Operators at which an expression is broken, those that bind most loosely first."""

Tokens = list[tuple[str, str]]
"""Each token with the white space before it."""


def comment(text: str, indent: int) -> list[str]:
    """A comment, wrapped."""
    lead = " " * indent + "# "
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=lead)


def quoted(text: str, indent: int) -> list[str]:
    """A docstring, wrapped."""
    lead = " " * indent
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    lines = textwrap.wrap(escaped, WIDTH - 6, initial_indent=f'{lead}"""', subsequent_indent=lead)
    return [*lines[:-1], f'{lines[-1]}"""']


def laid_out(statement: str, indent: int) -> list[str]:
    """A statement, broken after brackets, commas and operators where it is longer than a line.

    Args:
        statement: an assignment or the head of a function; it may have several lines, whose indents are kept.
        indent: the indent of its first line.

    Example:
        >>> for line in laid_out("value = " + " + ".join(f"terms['the term {i}']" for i in range(6)), 0):
        ...     print(line)
        value = (
            terms['the term 0']
            + terms['the term 1']
            + terms['the term 2']
            + terms['the term 3']
            + terms['the term 4']
            + terms['the term 5']
        )
    """
    lines = []
    for line in statement.split("\n"):
        own = len(line) - len(line.lstrip(" "))
        lines += _broken(_tokens(line.strip(" ")), " " * (indent + own))
    return lines


def _tokens(line: str) -> Tokens:
    """The tokens of a line; an unclosed bracket or block is no error here."""
    found: Tokens = []
    end = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            if token.string.strip():
                found.append((line[end : token.start[1]], token.string))
                end = token.end[1]
    except tokenize.TokenError:
        pass  # raised at the end of a line that opens a bracket, after all of its tokens
    return found


def _text(tokens: Tokens) -> str:
    return "".join(space + text for space, text in tokens).strip(" ")


def _broken(tokens: Tokens, lead: str) -> list[str]:
    text = _text(tokens)
    if len(lead) + len(text) <= WIDTH:
        return [lead + text]
    equals = _at_top(tokens, ("=",))
    targets = _at_top(tokens[: equals[0]], (",",)) if equals else []
    if targets and len(_text(tokens[: equals[0]])) > WIDTH // 2:
        bracketed = [("", "("), *tokens[: equals[0]], ("", ")"), *tokens[equals[0] :]]
        return _opened(bracketed, lead)
    if equals and _splits(tokens[equals[0] + 1 :]):
        head = _text(tokens[: equals[0] + 1])
        return [f"{lead}{head} (", *_broken(tokens[equals[0] + 1 :], lead + STEP), f"{lead})"]
    splits = _splits(tokens)
    if splits:
        return [line for piece in _pieces(tokens, splits) for line in _broken(piece, lead)]
    return _opened(tokens, lead)


def _splits(tokens: Tokens) -> list[int]:
    """Where an expression may be broken: before its loosest operators outside of all brackets."""
    for operators in LOOSEST:
        found = [i for i in _at_top(tokens, operators) if i and _is_operand(tokens[i - 1][1])]
        if found:
            return found
    return []


def _is_operand(text: str) -> bool:
    return text[-1] not in "+-*/=(,[{:" and text != "lambda"


def _at_top(tokens: Tokens, wanted: Sequence[str]) -> list[int]:
    """The places of tokens outside of all brackets."""
    depth, found = 0, []
    for i, (_, text) in enumerate(tokens):
        if text in OPENING:
            depth += 1
        elif text in CLOSING:
            depth -= 1
        elif not depth and text in wanted:
            found.append(i)
    return found


def _pieces(tokens: Tokens, starts: Sequence[int]) -> list[Tokens]:
    edges = [0, *starts, len(tokens)]
    return [tokens[a:b] for a, b in pairwise(edges)]


def _opened(tokens: Tokens, lead: str) -> list[str]:
    """The line broken inside its longest bracket; a string that is too long is continued by another."""
    start, end = _longest_bracket(tokens)
    if start == end:
        return _cut_strings(tokens, lead)
    head, inside, tail = tokens[: start + 1], tokens[start + 1 : end], tokens[end:]
    commas = [i + 1 for i in _at_top(inside, (",",)) if i + 1 < len(inside)]
    lines = [line for piece in _pieces(inside, commas) for line in _broken(piece, lead + STEP)]
    if commas and not lines[-1].endswith(",") and inside[0][1] != "*":
        lines[-1] += ","
    return [*_broken(head, lead), *lines, *_broken(tail, lead)]


def _longest_bracket(tokens: Tokens) -> tuple[int, int]:
    """The places of the brackets that hold the most text; equal ones if there are none."""
    stack, best, size = [], (0, 0), 0
    for i, (_, text) in enumerate(tokens):
        if text in OPENING:
            stack.append(i)
        elif text in CLOSING and stack:
            start = stack.pop()
            length = len(_text(tokens[start + 1 : i]))
            if not stack and length > size:
                best, size = (start, i), length
    return best


def _cut_strings(tokens: Tokens, lead: str) -> list[str]:
    lines, rest = [], tokens
    for i, (_, text) in enumerate(tokens):
        if text[0] in "'\"" and len(text) > WIDTH // 2:
            room = WIDTH - len(lead) - 4
            content = text[1:-1]
            while len(content) > room and not content[:room].endswith("\\"):
                lines.append(f"{lead}{text[0]}{content[:room]}{text[0]}")
                content = content[room:]
            rest = [("", f"{text[0]}{content}{text[0]}"), *tokens[i + 1 :]]
            break
    return [*lines, lead + _text(rest)]
