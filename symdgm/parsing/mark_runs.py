"""Eighth pass: juxtaposition becomes TIMES, and what a head takes without brackets is put into brackets.

A function or an expectation takes the juxtaposed run that follows, up to ``*``, ``/``, ``+``, ``-``; a big
operator takes the whole product, up to ``+``, ``-``, or a big operator over the same index; an integral
goes up to its ``dx``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from symdgm.errors import GrammarError
from symdgm.parsing.bounds import MAX_NESTING
from symdgm.parsing.classify_bars import ENDS_OPERAND
from symdgm.parsing.refusals import refusal
from symdgm.parsing.runs import (
    BREAKS,
    DIFFERENTIAL,
    OPERATORS,
    SIGNS,
    STARTS_OPERAND,
    TAKES_RUN,
    TWO_GROUPS,
    Frame,
)
from symdgm.parsing.words import CLOSERS, OPENERS, Word, after


def mark_runs(tokens: list[Word], text: str) -> Iterator[Word]:
    """Words with every product and every argument explicit.

    ``text`` is what the readings of a refusal quote.
    """
    return _Marking(tokens, text).run()


class _Marking:
    """One walk, with what is open and whether an operand has just ended."""

    def __init__(self, tokens: list[Word], text: str) -> None:
        self.tokens = tokens
        self.text = text
        self.out: list[Word] = []
        self.frames: list[Frame] = []
        self.operand = False
        self.next_head: Word | None = None
        self.indices: dict[int, str] = {}

    def run(self) -> Iterator[Word]:
        """The words, each as soon as it is certain.

        So the first mistake of a text is the one that is refused.
        """
        i = sent = 0
        while i < len(self.tokens):
            yield from self.out[sent:]
            sent = len(self.out)
            token = self.tokens[i]
            if token.type == "NAME" and self._differential(i):
                i = self._integrate(i)
                continue
            _STEPS.get(token.type, _Marking._plain)(self, i, token)
            i += 1
        self._end_bodies(None)
        yield from self.out[sent:]

    def _type(self, i: int) -> str:
        return self.tokens[i].type if i < len(self.tokens) else ""

    def _push(self, frame: Frame) -> None:
        self.frames.append(frame)
        if len(self.frames) > MAX_NESTING:
            raise refusal("too-nested", self.out[-1], bound=MAX_NESTING)

    def _plain(self, i: int, token: Word) -> None:
        self.out.append(token)
        self.operand = token.type in ENDS_OPERAND

    # ---- operands

    def _start(self, i: int, token: Word) -> None:
        """An operand begins; right behind another one it is a product."""
        if self.operand:
            self._check_run(i, token)
            if token.type == "BIG":
                self._end_same_index(self._index(i))
            self.out.append(after(self.out[-1], "TIMES"))
        self.out.append(token)
        self.operand = token.type in ENDS_OPERAND
        if token.type in OPENERS:
            self._push(Frame("bracket", self.next_head, token.type))
            self.next_head = None

    def _head(self, i: int, token: Word) -> None:
        self._start(i, token)
        self.operand = False
        if token.type == "BIG":
            self.indices[token.start] = self._index(i)
        if token.type in TWO_GROUPS or self._type(i + 1) in ("SUB_OPEN", "SUP_OPEN"):
            self.next_head = token
            if token.type in TWO_GROUPS and self._type(i + 1) != "OPEN":
                raise refusal("fraction-without-groups", token, fraction=token.text)
        else:
            self._body(i + 1, token)

    def _open(self, i: int, token: Word) -> None:
        """A bracket that is no operand of its own: arguments, scripts, labels."""
        self.out.append(token)
        self.operand = False
        self._push(Frame("bracket", self.next_head, token.type))
        self.next_head = None

    def _close(self, i: int, token: Word) -> None:
        self._end_bodies(token)
        if self.out[-1].type in OPENERS:
            raise refusal("empty-brackets", token, bracket=self.out[-1].text + token.text)
        self.out.append(token)
        head = self.frames.pop().head
        self.operand = head is None
        if head is None:
            return
        if head.type in TWO_GROUPS and self._type(i + 1) != "OPEN":
            raise refusal("fraction-without-groups", head, fraction=head.text)
        if self._type(i + 1) == "SUP_OPEN" and head.type in ("BIG", "INTEGRAL"):
            self.next_head = head
        else:
            self._body(i + 1, head)

    def _body(self, i: int, head: Word) -> None:
        """What a head takes: the bracket that follows, or a run, a product, an integrand without brackets."""
        if head.type in TAKES_RUN:
            if self._type(i) == "OPEN":
                return
            self._begin("run", head)
        elif head.type == "BIG":
            self._begin("product", head, self.indices[head.start])
        elif head.type == "INTEGRAL":
            self._begin("integral", head)

    def _begin(self, kind: str, head: Word, index: str = "") -> None:
        self.out.append(after(self.out[-1], "OPEN"))
        self._push(Frame(kind, head, index, len(self.out)))

    # ---- operators and ends

    def _sign(self, i: int, token: Word) -> None:
        """``+`` or ``-`` between operands ends all runs and products; in front of one it is a sign."""
        if self.operand or self._just_begun("run"):
            self._end_bodies(token, integrals=False)
        self.out.append(token)
        self.operand = False

    def _operator(self, i: int, token: Word) -> None:
        """``*`` or ``/`` ends the runs; behind a run, ``/`` could be meant in two ways."""
        if not self.operand:
            self._check_operand(token)
            raise refusal("operator-without-left", token, operator=token.text)
        if self._type(i + 1) == "BIG" and self._end_same_index(self._index(i + 1)):
            pass
        elif token.type == "SLASH" and self._top("run"):
            raise self._two_readings(i, token)
        while self._top("run"):
            self._end_one()
        self.out.append(token)
        self.operand = False

    def _break(self, i: int, token: Word) -> None:
        if token.type == "GIVEN" and not self.operand and self._bracket() != "ARGS_OPEN":
            raise refusal("bars-for-size", token)
        self._end_bodies(token)
        self.out.append(token)
        self.operand = False

    def _top(self, kind: str) -> bool:
        return bool(self.frames) and self.frames[-1].kind == kind

    def _bracket(self) -> str:
        """The kind of the bracket that we are in."""
        return next((frame.index for frame in reversed(self.frames) if frame.kind == "bracket"), "")

    def _just_begun(self, kind: str) -> bool:
        return self._top(kind) and self.frames[-1].begun == len(self.out)

    def _end_one(self) -> None:
        self.frames.pop()
        self.out.append(after(self.out[-1], "CLOSE"))

    def _end_bodies(self, token: Word | None, *, integrals: bool = True) -> None:
        """Close what heads have begun, down to the bracket (or, at a sign, to the integral)."""
        self._check_operand(token)
        while self.frames and self.frames[-1].kind != "bracket":
            if self.frames[-1].kind == "integral":
                if not integrals:
                    return
                head = self.frames[-1].head
                assert head is not None
                raise refusal("integral-without-variable", head)
            self._end_one()

    def _check_operand(self, token: Word | None) -> None:
        """Before an end: a head has its body, and an operator its right side."""
        if self.operand or not self.out:
            return
        top = self.frames[-1] if self.frames else None
        if top is not None and top.head is not None and top.begun == len(self.out):
            raise refusal(
                "head-without-body",
                token or top.head,
                head=self.text[top.head.start : self.out[-1].end],
            )
        if self.out[-1].type in OPERATORS:
            raise refusal("operator-without-right", self.out[-1], operator=self.out[-1].text or " ")

    # ---- big operators

    def _index(self, i: int) -> str:
        """The name of the index of the big operator at ``i``."""
        j, depth = i + 2, 0
        while self._type(j) not in ("COMMA", "DEFINE", "RELATION", ""):
            depth += (self._type(j) in OPENERS) - (self._type(j) in CLOSERS)
            if depth < 0:
                break
            j += 1
        return "".join(token.text for token in self.tokens[i + 2 : j])

    def _end_same_index(self, index: str) -> bool:
        """A big operator over the same index closes the one that is open."""
        depth = len(self.frames)
        while depth and self.frames[depth - 1].kind in ("run", "product"):
            depth -= 1
            if self.frames[depth].kind == "product" and self.frames[depth].index == index:
                while len(self.frames) > depth:
                    self._end_one()
                return True
        return False

    # ---- integrals

    def _differential(self, i: int) -> bool:
        """Does the name at ``i`` end an integral: ``dx``, ``d x``?"""
        if not self.operand or self._type(i + 1) == "ARGS_OPEN":
            return False
        if not any(frame.kind == "integral" for frame in self._bodies()):
            return False
        name = self.tokens[i].text
        return (name == "d" and self._type(i + 1) == "NAME") or DIFFERENTIAL.fullmatch(name) is not None

    def _bodies(self) -> Iterator[Frame]:
        for frame in reversed(self.frames):
            if frame.kind == "bracket":
                return
            yield frame

    def _integrate(self, i: int) -> int:
        """Close the integral; its variable is left as a name."""
        token = self.tokens[i]
        while not self._top("integral"):
            self._end_one()
        self._end_one()
        start = token.start
        self.out.append(Word("DIFFERENTIAL", "d", start, start + 1))
        if token.text != "d":
            self.out.append(Word("NAME", token.text[1:], start + 1, token.end))
            self.operand = True
        else:
            self.out.append(self.tokens[i + 1])
            self.operand = True
            i += 1
        return i + 1

    # ---- what could be meant in two ways

    def _check_run(self, i: int, token: Word) -> None:
        """``log a log b``: is the second function in the first one?"""
        if not self._top("run") or token.type not in ("FUNCTION", "DERIVATIVE"):
            return
        head = self.frames[-1].head
        if head is None or head.type == "EXPECT" or (self._type(i + 1) == "OPEN" and token.text != head.text):
            return
        first = self._body_text(token)
        raise refusal("function-in-a-run", token, head=self._head_text(), body=first, function=token.text)

    def _two_readings(self, i: int, slash: Word) -> GrammarError:
        bottom = self.text[slash.end : self._factor_end(i + 1)].strip()
        return refusal(
            "quotient-of-a-run", slash, head=self._head_text(), top=self._body_text(slash), bottom=bottom
        )

    def _head_text(self) -> str:
        frame = self.frames[-1]
        assert frame.head is not None
        return self.text[frame.head.start : self.out[frame.begun - 1].start].strip()

    def _body_text(self, token: Word) -> str:
        return self.text[self.out[self.frames[-1].begun - 1].start : token.start].strip()

    def _factor_end(self, i: int) -> int:
        """Where in the text the factor that begins at ``i`` ends."""
        depth, end, first = 0, 0, i
        while i < len(self.tokens):
            kind = self.tokens[i].type
            ends = (
                kind in OPERATORS
                or kind in BREAKS
                or kind in CLOSERS
                or (i > first and kind in STARTS_OPERAND)
            )
            if depth == 0 and ends:
                break
            depth += (kind in OPENERS) - (kind in CLOSERS)
            end = self.tokens[i].end
            i += 1
        return end


_STEPS: dict[str, Callable[[_Marking, int, Word], None]] = {
    **dict.fromkeys(STARTS_OPERAND, _Marking._start),
    **dict.fromkeys(
        ("FUNCTION", "ROOT", "FRACTION", "EXPECT", "BIG", "DERIVATIVE", "INTEGRAL", "OPTIMIZE"),
        _Marking._head,
    ),
    **dict.fromkeys(OPENERS - STARTS_OPERAND, _Marking._open),
    **dict.fromkeys(CLOSERS, _Marking._close),
    **dict.fromkeys(SIGNS, _Marking._sign),
    **dict.fromkeys(("TIMES", "SLASH"), _Marking._operator),
    **dict.fromkeys(BREAKS, _Marking._break),
}
