"""Seventh pass: what bars and angles are: a norm, a separator, "given"; an inner product or a comparison.

``||`` between two distributions directly inside the brackets of a divergence separates; elsewhere it opens
and closes a norm. ``|`` only ever means "given". ``<`` compares inside a subscript or an indicator, and
opens an inner product elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import CLOSERS, OPENERS, Word, become

ENDS_OPERAND = frozenset({"NAME", "NUMBER", "PLACEHOLDER", "LABEL_TEXT", "TRANSPOSE", "ELLIPSIS"}) | CLOSERS
HEADS = frozenset({"EXPECT", "BIG", "DERIVATIVE", "INTEGRAL", "OPTIMIZE"})
"""Heads whose sub- and superscripts are no end of an operand."""


@dataclass(slots=True)
class _Frame:
    """An open bracket, norm or angle.

    ``of_head``: it belongs to a head, and is no operand; ``separated``: a ``||`` was met.
    """

    opening: Word | None = None
    compares: bool = False
    of_head: bool = False
    separated: bool = False

    def is_a(self, kind: str) -> bool:
        """Was it opened by a word of this kind?"""
        return self.opening is not None and self.opening.type == kind


def classify_bars(tokens: list[Word]) -> list[Word]:
    """Bars and angles told by where they stand."""
    return _Classifying(tokens).run()


class _Classifying:
    """One walk, with the brackets that are open and whether an operand has just ended."""

    def __init__(self, tokens: list[Word]) -> None:
        self.tokens = tokens
        self.out: list[Word] = []
        self.frames = [_Frame()]
        self.operand = False

    def run(self) -> list[Word]:
        for token in self.tokens:
            kind = token.type
            if kind in _STEPS:
                self.out.append(_STEPS[kind](self, token))
                continue
            if kind in OPENERS:
                self._open(token)
            elif kind in CLOSERS:
                self._close()
            else:
                self.operand = kind in ENDS_OPERAND
            self.out.append(token)
        self._check_closed()
        return self.out

    def _open(self, token: Word) -> None:
        before = self.out[-1].type if self.out else ""
        of_head = before in HEADS or (token.type == "SUP_OPEN" and before == "SUB_CLOSE" and not self.operand)
        compares = token.type == "SUB_OPEN" or before == "INDICATOR"
        self.frames.append(_Frame(token, compares, of_head))
        self.operand = False

    def _close(self) -> None:
        self._check_closed()
        self.operand = not self.frames.pop().of_head

    def _check_closed(self) -> None:
        """A norm or an angle that is still open is refused where it was opened."""
        frame = self.frames[-1]
        if frame.opening is not None and frame.opening.type in ("DOUBLE", "LESS"):
            raise refusal("unclosed-bars", frame.opening, bars=frame.opening.text)

    def _double(self, token: Word) -> Word:
        frame = self.frames[-1]
        if self.operand and frame.is_a("DOUBLE"):
            self.frames.pop()
            return become(token, "NORM_CLOSE")
        if self.operand and frame.is_a("SIDES_OPEN"):
            return self._separator(token)
        self.frames.append(_Frame(token))
        self.operand = False
        return become(token, "NORM_OPEN")

    def _separator(self, token: Word) -> Word:
        frame = self.frames[-1]
        if frame.separated:
            raise refusal("two-separators", token)
        frame.separated, self.operand = True, False
        return become(token, "SEPARATES")

    def _comma(self, token: Word) -> Word:
        if self.frames[-1].is_a("SIDES_OPEN"):
            return self._separator(token)
        self.operand = False
        return token

    def _bar(self, token: Word) -> Word:
        self.operand = False
        return become(token, "GIVEN")

    def _less(self, token: Word) -> Word:
        frame = self.frames[-1]
        first = frame.is_a("SUB_OPEN") and self.out[-1].type in ("SUB_OPEN", "COMMA")
        if frame.compares and (self.operand or first):
            self.operand = False
            return become(token, "RELATION")
        self.frames.append(_Frame(token))
        self.operand = False
        return become(token, "ANGLE_OPEN")

    def _greater(self, token: Word) -> Word:
        if self.frames[-1].is_a("LESS"):
            self.frames.pop()
            self.operand = True
            return become(token, "ANGLE_CLOSE")
        if not self.frames[-1].compares:
            raise refusal("stray-comparison", token)
        self.operand = False
        return become(token, "RELATION")

    def _left_angle(self, token: Word) -> Word:
        self._open(token)
        return become(token, "ANGLE_OPEN")

    def _right_angle(self, token: Word) -> Word:
        self._close()
        return become(token, "ANGLE_CLOSE")


_STEPS = {
    "DOUBLE": _Classifying._double,
    "BAR": _Classifying._bar,
    "COMMA": _Classifying._comma,
    "LESS": _Classifying._less,
    "GREATER": _Classifying._greater,
    "LANGLE": _Classifying._left_angle,
    "RANGLE": _Classifying._right_angle,
}
