r"""Fourth pass: every sub- and superscript in brackets of its own, subscripts first, and by its meaning.

``\sigma^2_t`` becomes ``sigma`` SUB ``t`` SUP ``2``; ``x^*``, ``x^\prime`` and ``x_hat`` become
decorations, ``x^{(i)}`` a label, ``u^T`` a transpose. A script without braces is one word, as in LaTeX:
``gamma^t (r)`` is a product. Only an expectation's subscript reaches further: ``E_q_phi(z|x)``.
"""

from __future__ import annotations

from typing import NamedTuple

from symdgm.names import DECORATIONS
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import GROUPS, Word, after, become, partners

SCRIPTS = frozenset({"UNDERSCORE", "CARET", "PRIME", "MARK"})
_BASES = frozenset(
    {
        "WORD", "NUMBER", "FUNCTION", "BIG", "INTEGRAL", "DERIVATIVE", "PARTIAL", "OPTIMIZE", "EXTREME",
        "DOUBLE", "NORM_CLOSE",
        "ABS_CLOSE", "RPAR", "RSQB", "RBRACE", "RSET", "RANGLE", "GREATER", "TRANSPOSE",
    }
)  # fmt: skip
_WITHOUT_INDEX = frozenset({"NUMBER", "RPAR", "RSQB", "RBRACE"})
_ENDS_A_NAME = frozenset(
    {"RPAR", "RSQB", "RBRACE", "RSET", "COMMA", "BAR", "SEMI", "TILDE", "UNDERSCORE", "LPAR"}
)


class _Piece(NamedTuple):
    """A stretch of words, and the brackets that it is put into."""

    start: int
    end: int
    opening: Word | None = None
    closing: Word | None = None


def order_scripts(tokens: list[Word]) -> list[Word]:
    """Words with every script in brackets, decorations and labels told from powers."""
    return _Ordering(tokens).run()


class _Ordering:
    """One walk over the words; a stretch that is put elsewhere is walked where it is put."""

    def __init__(self, tokens: list[Word]) -> None:
        self.tokens = tokens
        self.partner = partners(tokens)
        self.out: list[Word] = []
        self.work = [_Piece(0, len(tokens))]
        self.law_ends: dict[int, int] = {}

    def run(self) -> list[Word]:
        while self.work:
            piece = self.work.pop()
            if piece.opening is not None:
                self.out.append(piece.opening)
            self._walk(piece)
        return self.out

    def _walk(self, piece: _Piece) -> None:
        i = piece.start
        while i < piece.end:
            token = self.tokens[i]
            if token.type in SCRIPTS:
                pieces, i = self._gather(i, piece.end)
                self._postpone(pieces, _Piece(i, piece.end, None, piece.closing))
                return
            if token.type == "UNDER":
                pieces, i = self._under(i)
                self._postpone(pieces, _Piece(i, piece.end, None, piece.closing))
                return
            if token.type == "UNKNOWN":
                raise refusal("unknown-character", token, character=_shown(token.text))
            self.out.append(token)
            i += 1
        if piece.closing is not None:
            self.out.append(piece.closing)

    def _postpone(self, pieces: list[_Piece], rest: _Piece) -> None:
        self.work.append(rest)
        self.work.extend(reversed(pieces))

    def _under(self, i: int) -> tuple[list[_Piece], int]:
        r"""``\underset{G}{\min}`` is ``\min_{G}``."""
        close = self.partner.get(i + 1)
        second = self.partner.get(close + 1) if close is not None else None
        if close is None or second is None:
            raise refusal("script-without-argument", self.tokens[i], script=self.tokens[i].text)
        opening, closing = self.tokens[i + 1], self.tokens[close]
        lower = _Piece(i + 2, close, become(opening, "SUB_OPEN"), become(closing, "SUB_CLOSE"))
        return [_Piece(close + 2, second), lower], second + 1

    def _gather(self, i: int, end: int) -> tuple[list[_Piece], int]:
        """The scripts that follow one another: decorations, labels, subscripts, then powers."""
        base = self.out[-1] if self.out else None
        if base is None or base.type not in _BASES:
            raise refusal("script-without-base", self.tokens[i], script=self.tokens[i].text)
        marks: list[_Piece] = []
        labels: list[_Piece] = []
        lowered: list[_Piece] = []
        raised: list[_Piece] = []
        while i < end and self.tokens[i].type in SCRIPTS:
            token = self.tokens[i]
            if token.type in ("PRIME", "MARK"):
                marks.append(_Piece(i, i, token))
                i += 1
            elif token.type == "UNDERSCORE":
                i = self._lower(i, base, marks, lowered)
            else:
                i = self._raise(i, base, marks, labels, raised)
        return marks + labels + lowered + raised, i

    def _lower(self, i: int, base: Word, marks: list[_Piece], lowered: list[_Piece]) -> int:
        start, stop, after_it = self._argument(i)
        if base.type == "WORD" and base.text == "E" and start == i + 1:
            after_it = stop = self._law_end(stop)
        if stop == start + 1 and self.tokens[start].text in DECORATIONS and base.type == "WORD":
            marks.append(_Piece(start, start, become(self.tokens[start], "MARK")))
            return after_it
        opening = become(self.tokens[i], "SUB_OPEN")
        lowered.append(_Piece(start, stop, opening, after(self.tokens[after_it - 1], "SUB_CLOSE")))
        return after_it

    def _law_end(self, i: int) -> int:
        """``E_q_phi(z|x)``: an expectation's subscript goes on over the law's own subscripts and arguments.

        Laws within laws end together; where each ends is kept, so that none is walked twice.
        """
        passed: list[int] = []
        while i < len(self.tokens) and self.tokens[i].type in SCRIPTS and i not in self.law_ends:
            passed.append(i)
            i = i + 1 if self.tokens[i].type in ("PRIME", "MARK") else self._argument(i)[2]
        if i in self.law_ends:
            i = self.law_ends[i]
        elif i < len(self.tokens) and self.tokens[i].type == "LPAR":
            i = self.partner[i] + 1
        self.law_ends.update(dict.fromkeys(passed, i))
        return i

    def _raise(
        self, i: int, base: Word, marks: list[_Piece], labels: list[_Piece], raised: list[_Piece]
    ) -> int:
        start, stop, after_it = self._argument(i)
        inside = self.tokens[start:stop]
        whole = inside[0] if len(inside) == 1 else None
        if base.type in _WITHOUT_INDEX and inside[0].type == "WORD" and stop == after_it:
            stop = after_it = self._subscripts_end(stop)
        braced = self.tokens[i + 1].type == "LBRACE"
        if base.type == "WORD" and all(token.type == "PRIME" for token in inside):
            marks += [_Piece(k, k, self.tokens[k]) for k in range(start, stop)]
        elif base.type == "WORD" and whole is not None and _is_star(whole):
            marks.append(_Piece(i, i, become(whole, "MARK", "star")))
        elif whole is not None and whole.type == "LABEL_TEXT" and base.type not in ("BIG", "INTEGRAL"):
            labels.append(_Piece(i, i, whole))
        elif whole is not None and whole.type in ("PLUS", "MINUS"):
            labels.append(_Piece(i, i, become(whole, "LABEL_TEXT")))
        elif whole is not None and _is_transpose(whole) and base.type not in ("BIG", "INTEGRAL"):
            raised.append(_Piece(i, i, become(whole, "TRANSPOSE")))
        elif base.type == "WORD" and braced and self._in_parentheses(start, stop):
            opening, closing = (
                become(self.tokens[start], "LABEL_OPEN"),
                become(self.tokens[stop - 1], "LABEL_CLOSE"),
            )
            labels.append(_Piece(start + 1, stop - 1, opening, closing))
        else:
            if whole is not None and whole.type == "LABEL_TEXT":
                whole.type = "WORD"
            opening = become(self.tokens[i], "SUP_OPEN")
            raised.append(_Piece(start, stop, opening, after(self.tokens[after_it - 1], "SUP_CLOSE")))
        return after_it

    def _subscripts_end(self, i: int) -> int:
        """``2^x_t``: a number has no index, so the subscript is the exponent's."""
        while i < len(self.tokens) and self.tokens[i].type == "UNDERSCORE":
            i = self._argument(i)[2]
        return i

    def _in_parentheses(self, start: int, stop: int) -> bool:
        return self.tokens[start].type == "LPAR" and self.partner[start] == stop - 1

    def _argument(self, i: int) -> tuple[int, int, int]:
        """Where the argument of the script at ``i`` starts and stops, and where the text goes on."""
        first = i + 1
        if first >= len(self.tokens):
            raise refusal("script-without-argument", self.tokens[i], script=self.tokens[i].text)
        token = self.tokens[first]
        lower = self.tokens[i].type == "UNDERSCORE"
        if token.type == "LBRACE" or (not lower and token.type in GROUPS):
            close = self.partner[first]
            if close == first + 1:
                raise refusal("script-without-argument", self.tokens[i], script=self.tokens[i].text)
            return first + 1, close, close + 1
        stop = self._one_word(first, lower)
        if stop is None:
            raise refusal("script-without-argument", self.tokens[i], script=self.tokens[i].text)
        return first, stop, stop

    def _one_word(self, i: int, lower: bool) -> int | None:
        kind = self.tokens[i].type
        if kind in ("WORD", "NUMBER", "LABEL_TEXT") or (lower and kind in ("FUNCTION", "EXTREME")):
            return i + 1
        if lower:
            return None
        if kind in ("PRIME", "STAR", "TRANSPOSE", "TIMES"):
            return i + 1
        if kind in ("PLUS", "MINUS") and self._ends_a_name(i + 1):
            return i + 1
        if kind == "MINUS" and i + 1 < len(self.tokens) and self.tokens[i + 1].type in ("WORD", "NUMBER"):
            return i + 2
        if kind == "FRACTION":
            return self._groups(i + 1, 2)
        if kind == "FUNCTION" and i + 1 < len(self.tokens) and self.tokens[i + 1].type in GROUPS:
            return self._groups(i + 1, 1)
        return None

    def _ends_a_name(self, i: int) -> bool:
        """Does a list or a bracket end here, so that ``x^+`` is a label?"""
        return i >= len(self.tokens) or self.tokens[i].type in _ENDS_A_NAME

    def _groups(self, i: int, count: int) -> int | None:
        for _ in range(count):
            if i not in self.partner:
                return None
            i = self.partner[i] + 1
        return i


def _shown(character: str) -> str:
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _is_star(token: Word) -> bool:
    return token.type == "STAR" or (token.type == "TIMES" and token.text in ("*", "∗", "\\ast"))


def _is_transpose(token: Word) -> bool:
    return token.type == "TRANSPOSE" or (token.type == "WORD" and token.text == "T")
