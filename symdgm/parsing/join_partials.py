r"""Pass between names and heads: ``\partial`` with its variable is one derivative.

``∂/∂x f`` and ``\frac{∂}{∂x} f`` become ``partial_{x} f``; ``∂f/∂x`` and ``\frac{∂ f}{∂ x}`` become
``partial_{x} (f)``.
"""

from __future__ import annotations

from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import Word, after, become, partners

_SCRIPTS = ("SUB_OPEN", "LABEL_OPEN", "LABEL_TEXT")


def join_partials(tokens: list[Word]) -> list[Word]:
    """Words with every partial derivative as one head."""
    if not any(token.type == "PARTIAL" for token in tokens):
        return tokens
    return _Joining(tokens).run()


class _Joining:
    """One walk; ``ends`` holds where the function of a derivative ends, and where the text goes on."""

    def __init__(self, tokens: list[Word]) -> None:
        self.tokens = tokens
        self.partner = partners(tokens)
        self.out: list[Word] = []
        self.ends: dict[int, int] = {}

    def run(self) -> list[Word]:
        i = 0
        while i < len(self.tokens):
            if i in self.ends:
                self.out.append(after(self.out[-1], "RPAR"))
                i = self.ends.pop(i)
            elif (
                self._kind(i) == "FRACTION"
                and self._kind(i + 2) == "PARTIAL"
                and self._kind(i + 3) != "SUB_OPEN"
            ):
                i = self._fraction(i)
            elif self._kind(i) == "PARTIAL" and self._kind(i + 1) != "SUB_OPEN":
                i = self._slash(i)
            else:
                self.out.append(self.tokens[i])
                i += 1
        return self.out

    def _kind(self, i: int) -> str:
        return self.tokens[i].type if i < len(self.tokens) else ""

    def _fraction(self, i: int) -> int:
        r"""``\frac{∂ f}{∂ x}``: position of the fraction → where to go on."""
        close = self.partner.get(i + 1, i)
        below = close + 1
        last = self.partner.get(below, -1)
        if self._kind(below + 1) != "PARTIAL" or self._variable_end(below + 2) != last:
            raise refusal("derivative-by-what", self.tokens[i + 2], operator="partial")
        self._head(self.tokens[i + 2], below + 2, last)
        return self._body(i + 3, close, last + 1)

    def _slash(self, i: int) -> int:
        """``∂f/∂x``: position of the first sign → where to go on."""
        slash = self._operand_end(i + 1)
        last = self._variable_end(slash + 2)
        if self._kind(slash) != "SLASH" or self._kind(slash + 1) != "PARTIAL" or last is None:
            raise refusal("derivative-by-what", self.tokens[i], operator="partial")
        self._head(self.tokens[i], slash + 2, last)
        return self._body(i + 1, slash, last)

    def _body(self, start: int, stop: int, behind: int) -> int:
        """The function between ``start`` and ``stop``, if it stands inside; else what follows is taken."""
        if start == stop:
            return behind
        self.out.append(after(self.out[-1], "LPAR"))
        self.ends[stop] = behind
        return start

    def _head(self, sign: Word, start: int, stop: int) -> None:
        variable = self.tokens[start:stop]
        opening, closing = become(variable[0], "SUB_OPEN", ""), after(variable[-1], "SUB_CLOSE")
        self.out += [become(sign, "DERIVATIVE", "partial"), opening, *variable, closing]

    def _variable_end(self, i: int) -> int | None:
        """Behind the name at ``i`` and its scripts; None if there is no name."""
        if self._kind(i) != "NAME":
            return None
        i += 1
        while self._kind(i) in _SCRIPTS:
            i = self.partner.get(i, i) + 1
        return i

    def _operand_end(self, i: int) -> int:
        """Behind the name, its scripts and its arguments; ``i`` itself if there is none."""
        end = self._variable_end(i)
        if end is None:
            return self.partner.get(i, i - 1) + 1
        return self.partner.get(end, end - 1) + 1 if self._kind(end) == "LPAR" else end
