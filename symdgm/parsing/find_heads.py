"""Sixth pass.

Which names are heads (expectations, divergences, entropies, indicators), and what each bracket is for.
"""

from __future__ import annotations

import re

from symdgm.parsing.heads import (
    ARGUMENT_AFTER,
    ARGUMENT_BEFORE,
    CANONICAL,
    DERIVATIVES,
    DISTRIBUTIONS,
    KINDS,
    LETTERS_ALONE,
    OPERANDS_AFTER,
    OPTIMIZE,
    RELATIONS,
)
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import CLOSER_OF, CLOSERS, GROUPS, OPENERS, Word


def find_heads(tokens: list[Word]) -> list[Word]:
    """Names told from heads, brackets told by what they are for."""
    return _Finding(tokens).run()


class _Finding:
    """One walk.

    ``decided`` are the words whose kind is certain, ``dropped`` which words go, ``moved`` which go
    elsewhere.
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

    def run(self) -> list[Word]:
        start, depth = True, 0
        for i, token in enumerate(self.tokens):
            kind = token.type
            if kind in OPENERS:
                depth += 1
            elif kind in CLOSERS:
                depth -= 1
            if i in self.decided or i in self.dropped:
                continue
            if kind in ("EXTREME", "OPTIMIZE"):
                start = self._optimize(i, start and depth == 0)
                continue
            step = _STEPS.get(kind)
            if step is not None:
                step(self, i, depth)
            if depth == 0 and kind != "SUB_CLOSE":
                start = kind in ("SEPARATOR", "DEFINE", "COLON")
        return self._written()

    def _written(self) -> list[Word]:
        """The words as decided."""
        out: list[Word] = []
        for i, token in enumerate(self.tokens):
            if i in self.dropped:
                continue
            out.append(token)
            if i in self.moved:
                out += [self.tokens[k] for k in range(*self.moved[i])]
        return out

    def _type(self, i: int) -> str:
        return self.tokens[i].type if 0 <= i < len(self.tokens) else ""

    def _decide(self, i: int, kind: str, text: str | None = None) -> None:
        """The word at ``i`` is of this kind, with this text."""
        token = self.tokens[i]
        token.type = kind
        token.text = token.text if text is None else text
        self.decided.add(i)

    def _bracket(self, i: int, opening: str = "OPEN") -> None:
        """The bracket that opens at ``i`` is for ``opening``."""
        self._decide(i, opening)
        self._decide(self.partner[i], CLOSER_OF[opening])

    def _behind_scripts(self, i: int) -> int:
        """The position behind the labels and subscripts of the name at ``i``."""
        i += 1
        while self._type(i) in ("SUB_OPEN", "LABEL_OPEN", "LABEL_TEXT"):
            i = self.partner.get(i, i) + 1
        return i

    def _name(self, i: int, depth: int) -> None:
        text = self.tokens[i].text
        if text == "E" and self._type(i + 1) == "SUB_OPEN":
            self._decide(i, "EXPECT")
            return
        if text == "E" and self._type(i + 1) in ("LSQB", "LSET"):
            raise refusal("expectation-without-law", self.tokens[i])
        if text in _SPECIAL and _SPECIAL[text](self, i):
            return
        behind = self._behind_scripts(i)
        if self._type(behind) == "LPAR":
            self._bracket(behind, "ARGS_OPEN")
        elif self._type(behind) in ("LBRACE", "LSET") and self._is_set(behind):
            self._family(behind)

    def _family(self, i: int) -> None:
        """``Uniform{1..T}``: the set is the argument."""
        self._bracket(i, "SET_OPEN")

    def _divergence(self, i: int) -> bool:
        """A divergence: known by its name and subscript, with a bracket that holds two distributions."""
        text = self.tokens[i].text
        behind, ordered = i + 1, False
        if self._type(behind) == "SUB_OPEN":
            close = self.partner[behind]
            subscript = "".join(
                token.text for token in self.tokens[behind + 1 : close] if token.type in ("NAME", "NUMBER")
            )
            subscript = "chi2" if self._squared_chi(behind + 1, close) else subscript
            known = f"{text}_{subscript}" in KINDS
            if not known and text not in ("D", "Renyi"):
                return False
            text = f"{text}_{subscript}" if known else text
            ordered = not known
            first, behind = behind, close + 1
        bracket = behind
        while self._type(bracket) == "SUP_OPEN":
            bracket = self.partner[bracket] + 1
        if text == "chi":
            text = "chi2"
        if self._type(bracket) not in GROUPS or not self._two_sided(text, bracket):
            return False
        if text in ("D", "Renyi") and not ordered:
            raise refusal("which-divergence", self.tokens[i], name=text)
        if text == "D" and self.tokens[first + 1].text == "f":
            raise refusal("which-divergence", self.tokens[i], name="D_f")
        self._decide(i, "DIVERGENCE", KINDS[text])
        self._bracket(bracket, "SIDES_OPEN")
        if not ordered:
            self.dropped.update(range(i + 1, behind))
        if bracket > behind:
            self.dropped.update(range(behind, bracket))
            self.moved[self.partner[bracket]] = (behind, bracket)
        return True

    def _squared_chi(self, start: int, stop: int) -> bool:
        return self.tokens[start].text == "chi" and stop > start + 1

    def _chi(self, i: int) -> bool:
        """``chi^2[q || p]``."""
        if (
            self._type(i + 1) != "SUP_OPEN"
            or self.tokens[i + 2].text != "2"
            or self._type(i + 4) not in GROUPS
        ):
            return False
        if "DOUBLE" not in self.inside[i + 4]:
            return False
        self._decide(i, "DIVERGENCE", "chi2")
        self.dropped.update(range(i + 1, i + 4))
        self._bracket(i + 4, "SIDES_OPEN")
        return True

    def _two_sided(self, text: str, bracket: int) -> bool:
        """Does the bracket hold two distributions? Where the name can only be a divergence, it has to."""
        inside = self.inside[bracket]
        if "DOUBLE" in inside:
            return True
        if text == "D":
            return False
        return text not in LETTERS_ALONE or self._type(bracket) == "LSQB" or "COMMA" in inside

    def _entropy(self, i: int) -> bool:
        bracket = i + 1
        if self._type(bracket) not in GROUPS:
            return False
        if self._type(bracket) == "LPAR" and not self._distribution(bracket):
            return False
        self._decide(i, "ENTROPY")
        self._bracket(bracket)
        return True

    def _distribution(self, bracket: int) -> bool:
        """Does the bracket start with what can only be a distribution: ``q``, ``p(x)``, ``r(x|z)``?"""
        name = self.tokens[bracket + 1].text
        if self._type(bracket + 1) != "NAME":
            return False
        if name in DISTRIBUTIONS:
            return True
        arguments = self._behind_scripts(bracket + 1)
        return self._type(arguments) == "LPAR" and "BAR" in self.inside[arguments]

    def _information(self, i: int) -> bool:
        bracket = i + 1
        if self._type(bracket) == "SUB_OPEN":
            bracket = self.partner[bracket] + 1
        if self._type(bracket) not in GROUPS or "SEMI" not in self.inside[bracket]:
            return False
        if bracket > i + 1:
            raise refusal("information-with-subscript", self.tokens[i])
        if "BAR" in self.inside[bracket]:
            raise refusal("conditional-information", self.tokens[i])
        self._decide(i, "INFORMATION")
        self._bracket(bracket)
        return True

    def _laplacian(self, i: int) -> bool:
        """``Δ_x f``; the plain word ``Delta`` is a name."""
        if self._type(i + 1) != "SUB_OPEN" or self.tokens[i].end - self.tokens[i].start == 5:
            return False
        if self._type(self.partner[i + 1] + 1) not in OPERANDS_AFTER:
            return False
        self._decide(i, "DERIVATIVE", "laplacian")
        return True

    def _number(self, i: int, depth: int) -> None:
        """``1[k != i]``, ``1_{k != i}``: an indicator."""
        behind = i + 1
        if self.tokens[i].text != "1" or self._type(behind) not in (
            "LPAR",
            "LSQB",
            "LBRACE",
            "SUB_OPEN",
            "LSET",
        ):
            return
        inner = behind + 1
        nested = (
            self._type(behind) == "SUB_OPEN"
            and self._type(inner) in GROUPS
            and self.partner[inner] == self.partner[behind] - 1
        )
        held = self.inside[inner if nested else behind]
        if not held & {"RELATION", "LESS", "GREATER", "DEFINE"}:
            return
        self._decide(i, "INDICATOR")
        self._bracket(behind)
        if nested:
            self.dropped.update((inner, self.partner[inner]))

    def _function(self, i: int, depth: int) -> None:
        text = self.tokens[i].text.lstrip("\\")
        text = CANONICAL.get(text, text)
        self._decide(i, "FUNCTION", text)
        behind = i + 1
        if self._type(behind) == "SUB_OPEN":
            self._function_with_subscript(i, text)
        elif self._type(behind) == "SUP_OPEN":
            raise refusal("power-of-a-function", self.tokens[i], function=text)
        elif self._type(behind) in GROUPS:
            root = self.partner[behind] + 1
            if text == "sqrt" and self._type(behind) == "LSQB" and self._type(root) == "LBRACE":
                self._decide(i, "ROOT")
                self._bracket(root)
            self._bracket(behind)

    def _function_with_subscript(self, i: int, text: str) -> None:
        """``log_sigma(x)`` is a network's name; ``log_2 x`` is refused."""
        if self._type(i + 2) == "NUMBER":
            raise refusal("logarithm-with-base", self.tokens[i], function=text)
        self._decide(i, "NAME")
        behind = self._behind_scripts(i)
        if self._type(behind) == "LPAR":
            self._bracket(behind, "ARGS_OPEN")

    def _optimize(self, i: int, start: bool) -> bool:
        text = "".join(re.findall(r"[A-Za-z]+", self.tokens[i].text))
        behind = i + 1
        if self._type(behind) == "SUB_OPEN":
            behind = self.partner[behind] + 1
        elif (
            self.tokens[i].type == "EXTREME"
            and self._type(behind) in GROUPS
            and "COMMA" in self.inside[behind]
        ):
            self._decide(i, "FUNCTION", text)
            self._bracket(behind)
            return False
        if not start:
            raise refusal("optimum-inside", self.tokens[i], word=text)
        self._decide(i, "OPTIMIZE", OPTIMIZE.get(text, text.replace("ise", "ize")))
        return True

    def _derivative(self, i: int, depth: int) -> None:
        text = self.tokens[i].text
        kind = DERIVATIVES.get(text, text)
        if self._type(i + 1) == "SUP_OPEN":
            raise refusal("second-derivative", self.tokens[i])
        if self._type(i + 1) != "SUB_OPEN":
            raise refusal("derivative-by-what", self.tokens[i], operator=kind)
        dot = self.partner[i + 1] + 1
        if self._type(dot) == "SUP_OPEN":
            raise refusal("second-derivative", self.tokens[i])
        if self._type(dot) == "TIMES" and self.tokens[dot].text != "*" and kind == "grad":
            kind = "div"
            self.dropped.add(dot)
        self._decide(i, "DERIVATIVE", kind)

    def _partial(self, i: int, depth: int) -> None:
        r"""``∂/∂x f``, ``\frac{∂}{∂x} f``, ``\frac{∂ f}{∂ x}``, ``∂f/∂x``, ``partial_x f``."""
        if self._type(i + 1) == "SUB_OPEN":
            self._decide(i, "DERIVATIVE", "partial")
            return
        raise refusal("derivative-by-what", self.tokens[i], operator="partial")

    def _big(self, i: int, depth: int) -> None:
        text = {"∑": "sum", "∏": "prod"}.get(self.tokens[i].text, self.tokens[i].text.lstrip("\\"))
        self._decide(i, "BIG", text)
        if self._type(i + 1) == "SUB_OPEN":
            return
        if self._type(i + 1) not in GROUPS:
            raise refusal("sum-over-what", self.tokens[i], operator=text)
        if text == "mean":
            self._decide(i, "NAME", "mean")
            if self._type(i + 1) == "LPAR":
                self._bracket(i + 1, "ARGS_OPEN")
        else:
            self._decide(i, "FUNCTION", text)
            self._bracket(i + 1)

    def _group(self, i: int, depth: int) -> None:
        if self._is_set(i):
            self._bracket(i, "SET_OPEN")
        else:
            self._bracket(i)

    def _is_set(self, i: int) -> bool:
        if self._type(i) not in ("LBRACE", "LSET"):
            return False
        if self.tokens[i - 1].text in ("in", "\\in", "∈") and i > 0:
            return True
        if self._type(self.partner[i] + 1) == "SUB_OPEN":
            return True
        return bool(self.inside[i] & {"COMMA", "RANGE", "ELLIPSIS"})

    def _colon(self, i: int, depth: int) -> None:
        if depth > 0:
            self._decide(i, "RANGE")

    def _dot(self, i: int, depth: int) -> None:
        """``q(·|x)``: an argument that is left open."""
        if self._type(i - 1) in ARGUMENT_BEFORE and self._type(i + 1) in ARGUMENT_AFTER:
            self._decide(i, "PLACEHOLDER")
        elif self.tokens[i].type == "DOT":
            raise refusal("unknown-character", self.tokens[i], character=".")

    def _relation(self, i: int, depth: int) -> None:
        self._decide(i, "RELATION", RELATIONS.get(self.tokens[i].text.lstrip("\\")))


_SPECIAL = {
    **{name.split("_")[0]: _Finding._divergence for name in KINDS},
    "H": _Finding._entropy,
    "I": _Finding._information,
    "chi": _Finding._chi,
    "Delta": _Finding._laplacian,
}
_STEPS = {
    "NAME": _Finding._name,
    "NUMBER": _Finding._number,
    "FUNCTION": _Finding._function,
    "DERIVATIVE": _Finding._derivative,
    "PARTIAL": _Finding._partial,
    "BIG": _Finding._big,
    "LPAR": _Finding._group,
    "LSQB": _Finding._group,
    "LBRACE": _Finding._group,
    "LSET": _Finding._group,
    "COLON": _Finding._colon,
    "TIMES": _Finding._dot,
    "DOT": _Finding._dot,
    "RELATION": _Finding._relation,
}
