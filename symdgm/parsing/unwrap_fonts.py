r"""Second pass: fonts are dropped, letters get their one spelling, and decorations move behind their letter.

``\mathbf{x}`` is ``x``, ``\hat{x}_t`` is ``x`` MARK ``_t``, ``φ`` and ``\varphi`` are ``phi``, ``x²`` is
``x^{2}``, ``\frac12`` is ``\frac{1}{2}``; ``\underbrace{a}_{\text{note}}`` is ``{a}``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from symdgm.errors import nearest
from symdgm.names import DECORATIONS, GREEK, LETTERS, VARIANTS
from symdgm.parsing.grammar_files import known_commands
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import Word, become, partners

ACCENTS = {
    "hat": "hat", "widehat": "hat", "tilde": "tilde", "widetilde": "tilde", "bar": "bar", "overline": "bar",
    "dot": "dot", "ddot": "ddot", "vec": "vec",
}  # fmt: skip
MARKS = {mark: name for name, mark in DECORATIONS.items() if name != "star"} | {"\u0305": "bar"}
NAMES = {"infty": "infty", "aleph": "aleph", "E": "E", "KL": "KL", "imath": "i", "jmath": "j"}
"""LaTeX commands that are plain names."""


class _Wrapper(NamedTuple):
    """An open brace: whether it is dropped, and the accent (with the output's length) that it belongs to."""

    dropped: bool
    accent: Word | None
    begin: int


def unwrap_fonts(tokens: list[Word]) -> list[Word]:
    """The words without fonts, in one spelling."""
    return _Unwrapping(tokens).run()


class _Unwrapping:
    """One walk over the words."""

    def __init__(self, tokens: list[Word]) -> None:
        self.tokens = tokens
        self.partner = partners(tokens)
        self.out: list[Word] = []
        self.wrappers: dict[int, _Wrapper] = {}
        self.pending: list[Word] = []
        self.since: int | None = None
        self.single: dict[int, int] = {}
        self.remarks: dict[int, int] = {}

    def run(self) -> list[Word]:
        i = 0
        while i < len(self.tokens):
            token = self.tokens[i]
            if i in self.remarks:
                i = self.remarks[i]
                continue
            if i in self.single and token.type in ("NUMBER", "INITIAL", "WORD", "COMMAND"):
                i = self._arguments(i, token)
                continue
            step = _STEPS.get(token.type)
            i = step(self, i, token) if step else self._keep(i, token)
        if self.pending:
            raise refusal("accent-over-a-formula", self.pending[-1], accent=self.pending[-1].text)
        return self.out

    def _keep(self, i: int, token: Word) -> int:
        if self.pending and token.type not in ("LBRACE", "RBRACE"):
            raise refusal("accent-over-a-formula", self.pending[-1], accent=self.pending[-1].text)
        self.since = None
        self.out.append(token)
        return i + 1

    def _letter(self, i: int, token: Word, name: str) -> int:
        token.type, token.text = "WORD", VARIANTS.get(name, name)
        if self.since is not None:
            token.start, self.since = self.since, None
        self.out.append(token)
        while self.pending:
            accent = self.pending.pop()
            self.out.append(become(accent, "MARK", ACCENTS[accent.text.lstrip("\\")]))
        return i + 1

    def _word(self, i: int, token: Word) -> int:
        return self._letter(i, token, token.text)

    def _greek(self, i: int, token: Word) -> int:
        return self._letter(i, token, "Delta" if token.text == "∆" else LETTERS[token.text])

    def _styled(self, i: int, token: Word) -> int:
        plain = unicodedata.normalize("NFKC", token.text)
        if plain.isdigit():
            self.out.append(become(token, "NUMBER", plain))
            return i + 1
        if not (plain.isascii() and plain.isalpha()) and plain not in LETTERS:
            raise refusal("unknown-character", token, character=token.text)
        return self._letter(i, token, LETTERS.get(plain, plain))

    def _accented(self, i: int, token: Word) -> int:
        plain, *marks = list(unicodedata.normalize("NFD", token.text))
        if not plain.isascii() or not all(mark in MARKS for mark in marks):
            raise refusal("unknown-character", token, character=token.text)
        self._letter(i, token, plain)
        self.out += [become(token, "MARK", MARKS[mark]) for mark in marks]
        return i + 1

    def _mark(self, i: int, token: Word) -> int:
        self.out.append(become(token, "MARK", MARKS[token.text]))
        return i + 1

    def _command(self, i: int, token: Word) -> int:
        name = token.text[1:]
        plain = NAMES.get(name) or (name if name in GREEK or name in VARIANTS else None)
        if plain is None:
            best = nearest(name, [*GREEK, *VARIANTS, *ACCENTS, *known_commands()])
            known = "Greek letters, fonts, spacing and the operators of mathematics are known"
            hint = f"did you mean `\\{best}`?" if best else known
            raise refusal("unknown-command", token, command=token.text, nearest=hint)
        return self._letter(i, token, plain)

    def _font(self, i: int, token: Word) -> int:
        self.since = token.start if self.since is None else self.since
        if i + 1 < len(self.tokens) and self.tokens[i + 1].type == "LBRACE":
            self.wrappers[i + 1] = self.wrappers[self.partner[i + 1]] = _Wrapper(True, None, 0)
        return i + 1

    def _braced(self, i: int, token: Word) -> int:
        """A brace under or over a formula; what stands at it says nothing."""
        close = self.partner.get(i + 1)
        if close is None:
            raise refusal("brace-without-formula", token, brace=token.text)
        if close + 1 < len(self.tokens) and self.tokens[close + 1].type in ("UNDERSCORE", "CARET"):
            argument = close + 2
            while argument < len(self.tokens) and self.tokens[argument].type in ("UPRIGHT", "FONT"):
                argument += 1
            if argument == len(self.tokens):
                raise refusal("brace-without-formula", token, brace=token.text)
            self.remarks[close + 1] = self.partner.get(argument, argument) + 1
        return i + 1

    def _accent(self, i: int, token: Word) -> int:
        self.pending.append(token)
        self.since = token.start if self.since is None else self.since
        if i + 1 < len(self.tokens) and self.tokens[i + 1].type == "LBRACE":
            wrapper = _Wrapper(True, token, len(self.out))
            self.wrappers[i + 1] = self.wrappers[self.partner[i + 1]] = wrapper
        return i + 1

    def _brace(self, i: int, token: Word) -> int:
        wrapper = self.wrappers.get(i)
        if wrapper is None or not wrapper.dropped:
            return self._keep(i, token)
        if token.type == "RBRACE" and wrapper.accent is not None:
            self._check_accent(wrapper)
        if token.type == "RBRACE" and self.out:
            self.out[-1].end = token.end
        return i + 1

    def _check_accent(self, wrapper: _Wrapper) -> None:
        covered = self.out[wrapper.begin :]
        if not covered or covered[0].type != "WORD" or not _one_name(covered):
            assert wrapper.accent is not None
            raise refusal("accent-over-a-formula", wrapper.accent, accent=wrapper.accent.text)

    def _caret(self, i: int, token: Word) -> int:
        """An upright superscript is a label; it must be seen before its font is gone."""
        first = i + 1
        braced = first < len(self.tokens) and self.tokens[first].type == "LBRACE"
        font = first + 1 if braced else first
        if font + 1 < len(self.tokens) and self.tokens[font].type == "UPRIGHT":
            opening = font + 1
            if self.tokens[opening].type == "LBRACE":
                close = self.partner[opening]
                inside = self.tokens[opening + 1 : close]
                last = close + 1 if braced else close
                whole = not braced or (last < len(self.tokens) and self.partner[first] == last)
                if whole and inside and not (len(inside) == 1 and inside[0].text in ("T", "\\top")):
                    text = " ".join(part.text for part in inside)
                    self.out += [token, Word("LABEL_TEXT", text, inside[0].start, inside[-1].end)]
                    return last + 1
        return self._keep(i, token)

    def _script(self, i: int, token: Word) -> int:
        plain = unicodedata.normalize("NFKC", token.text)
        script = "UNDERSCORE" if token.type == "SUBSCRIPT" else "CARET"
        self.out += [become(token, script), become(token, "LBRACE", "{")]
        self.out += [_small(token, character) for character in plain]
        self.out.append(become(token, "RBRACE", "}"))
        return i + 1

    def _fraction(self, i: int, token: Word) -> int:
        self.out.append(token)
        if i + 1 < len(self.tokens) and self.tokens[i + 1].type == "LBRACE":
            self.single[self.partner[i + 1] + 1] = 1
        else:
            self.single[i + 1] = 2
        return i + 1

    def _arguments(self, i: int, token: Word) -> int:
        r"""``\frac12``, ``\frac1{K}``, ``\frac ab``: an argument without braces is one character."""
        wanted = self.single.pop(i)
        text, start = token.text, token.start
        letters = [text] if token.type == "COMMAND" else list(text[:wanted])
        for k, letter in enumerate(letters):
            part = token if token.type == "COMMAND" else Word(_kind(letter), letter, start + k, start + k + 1)
            self.out.append(become(part, "LBRACE", "{"))
            _STEPS.get(part.type, _Unwrapping._keep)(self, i, part)
            self.out.append(become(part, "RBRACE", "}"))
        taken = sum(map(len, letters))
        if len(letters) < wanted:
            self.single[i + 1] = wanted - len(letters)
        digits = len(text) if token.type == "NUMBER" else taken
        while digits < len(text) and text[digits].isdigit():
            digits += 1
        for begin, end in ((taken, digits), (digits, len(text))):
            if begin < end:
                self._keep(i, Word(_kind(text[begin]), text[begin:end], start + begin, start + end))
        return i + 1


def _kind(text: str) -> str:
    return "NUMBER" if text[0].isdigit() else "WORD"


def _small(token: Word, character: str) -> Word:
    """A character of a raised or lowered run."""
    kind = _SMALL.get(character) or ("NUMBER" if character.isdigit() else "WORD")
    return become(token, kind, LETTERS.get(character, character))


def _one_name(covered: list[Word]) -> bool:
    """Is it one letter or word, with nothing but decorations and subscripts behind it?"""
    partner = partners(covered)
    i = 1
    while i < len(covered):
        if covered[i].type == "UNDERSCORE":
            i = partner.get(i + 1, i + 1)
        elif covered[i].type not in ("MARK", "PRIME"):
            return False
        i += 1
    return True


_SMALL = {"+": "PLUS", "−": "MINUS", "-": "MINUS", "=": "DEFINE", "(": "LPAR", ")": "RPAR"}
_STEPS: dict[str, Callable[[_Unwrapping, int, Word], int]] = {
    "INITIAL": _Unwrapping._word,
    "WORD": _Unwrapping._word,
    "LETTER": _Unwrapping._greek,
    "STYLED": _Unwrapping._styled,
    "ACCENTED": _Unwrapping._accented,
    "MARK": _Unwrapping._mark,
    "COMMAND": _Unwrapping._command,
    "FONT": _Unwrapping._font,
    "UPRIGHT": _Unwrapping._font,
    "ACCENT": _Unwrapping._accent,
    "BRACED": _Unwrapping._braced,
    "LBRACE": _Unwrapping._brace,
    "RBRACE": _Unwrapping._brace,
    "CARET": _Unwrapping._caret,
    "SUBSCRIPT": _Unwrapping._script,
    "SUPERSCRIPT": _Unwrapping._script,
    "FRACTION": _Unwrapping._fraction,
}
