"""What the search for heads knows: which bracket closes which, what stands inside, what is decided."""

from __future__ import annotations

from symdgm.parsing.words import CLOSER_OF, CLOSERS, OPENERS, Word


class Finding:
    """The words of one walk, and what was found out about them.

    ``decided`` are the words whose kind is certain, ``dropped`` which words go, ``moved`` which go
    elsewhere, ``partner`` the closing bracket of an opening one, ``inside`` the kinds of words directly
    inside a bracket.
    """

    def __init__(self, tokens: list[Word]) -> None:
        self.tokens = tokens
        self.decided: set[int] = set()
        self.dropped: set[int] = set()
        self.moved: dict[int, tuple[int, int]] = {}
        self.partner: dict[int, int] = {}
        self.inside: dict[int, set[str]] = {}
        self.outer: dict[int, int] = {}
        self._survey()

    def _survey(self) -> None:
        """What stands directly inside each bracket, and which bracket each one stands in."""
        opened: list[int] = [-1]
        self.inside[-1] = set()
        for i, token in enumerate(self.tokens):
            if token.type in OPENERS:
                self.outer[i] = opened[-1]
                opened.append(i)
                self.inside[i] = set()
            elif token.type in CLOSERS:
                self.partner[opened.pop()] = i
            else:
                self.inside[opened[-1]].add(token.type)

    def written(self) -> list[Word]:
        """The words as decided."""
        out: list[Word] = []
        for i, token in enumerate(self.tokens):
            if i in self.dropped:
                continue
            out.append(token)
            if i in self.moved:
                out += [self.tokens[k] for k in range(*self.moved[i])]
        return out

    def type_at(self, i: int) -> str:
        """The kind of the word at ``i``; empty beyond the ends."""
        return self.tokens[i].type if 0 <= i < len(self.tokens) else ""

    def decide(self, i: int, kind: str, text: str | None = None) -> None:
        """The word at ``i`` is of this kind, with this text."""
        token = self.tokens[i]
        token.type = kind
        token.text = token.text if text is None else text
        self.decided.add(i)

    def bracket(self, i: int, opening: str = "OPEN") -> None:
        """The bracket that opens at ``i`` is for ``opening``."""
        self.decide(i, opening)
        self.decide(self.partner[i], CLOSER_OF[opening])

    def behind_scripts(self, i: int) -> int:
        """The position behind the labels and subscripts of the name at ``i``."""
        i += 1
        while self.type_at(i) in ("SUB_OPEN", "LABEL_OPEN", "LABEL_TEXT"):
            i = self.partner.get(i, i) + 1
        return i
