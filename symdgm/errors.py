"""Every refusal of symdgm: the author's text with a caret, what is wrong, and what to write instead."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

WINDOW = 100
"""Characters of a source line that an error shows at most, around the caret."""


class SymdgmError(ValueError):
    """The root of all errors that symdgm raises on purpose.

    Args:
        problem: one sentence on what is wrong, in the words of the field.
        hint: what to write instead, or the candidates; shown on a line of its own.
        source: the text that the author wrote, if the error is about a text.
        span: ``(start, end)`` character offsets into ``source``; the caret stands under ``start``.
        about: the variable whose value is wrong, by which an objective finds the span.

    Example:
        >>> error = SymdgmError("no factor is called r", hint="did you mean `q`?")
        >>> print(error.at("KL[q || r]", (8, 9)))
        no factor is called r
          KL[q || r]
                  ^
        did you mean `q`?
    """

    def __init__(
        self,
        problem: str,
        *,
        hint: str | None = None,
        source: str | None = None,
        span: tuple[int, int] | None = None,
        about: str | None = None,
    ) -> None:
        super().__init__(problem, hint, source, span)
        self.problem = problem
        self.hint = hint
        self.source = source
        self.span = span
        self.about = about

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problem, self.hint, self.source, self.span, self.about)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.source is not None:
            lines += underline(self.source, self.span)
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)

    def at(self, source: str, span: tuple[int, int] | None) -> SymdgmError:
        """The same error, pointing into a text; an error that already points keeps its own place."""
        if self.source is not None:
            return self
        return type(self)(self.problem, hint=self.hint, source=source, span=span, about=self.about)


def _rebuild(
    kind: type[SymdgmError],
    problem: str,
    hint: str | None,
    source: str | None,
    span: tuple[int, int] | None,
    about: str | None,
) -> SymdgmError:
    return kind(problem, hint=hint, source=source, span=span, about=about)


class GrammarError(SymdgmError):
    """The text is not a formula of the language, or can be read in two ways."""


class NameResolutionError(SymdgmError):
    """A name refers to nothing that is bound, or to more than one thing."""


class ShapeError(SymdgmError):
    """Shapes, batch sizes or dtypes do not fit together."""


class SupportError(SymdgmError):
    """A value lies where its distribution has no density."""


class ParameterError(SymdgmError):
    """A network or a constant does not give a family the parameters that it needs."""


class EstimatorError(SymdgmError):
    """No sound estimator is known for what was asked."""


class NotSupportedError(SymdgmError):
    """The formula is of the language, but this version cannot compute it yet."""


class OptionError(SymdgmError):
    """An unknown option, name or keyword argument."""


class DataError(SymdgmError):
    """Data is missing, has an unknown name, or has a form that cannot be read."""


class NonFiniteError(SymdgmError):
    """A NaN or an infinite value appeared while an objective was computed."""


class FileMismatchError(SymdgmError):
    """A saved file does not belong to this model."""


class SymdgmWarning(UserWarning):
    """What is computed as it is written, but is probably not what is meant."""


def underline(source: str, span: tuple[int, int] | None) -> list[str]:
    """The line of ``source`` that holds the span, cut to a window, and a caret line below it.

    Without a span, a text of one line is shown, and of several lines none, since it would be a wrong one.
    """
    if span is None:
        lines = source.strip().split("\n")
        return ["  " + _visible(lines[0][:WINDOW])] if len(lines) == 1 else []
    start = max(0, min(span[0], len(source)))
    begin = source.rfind("\n", 0, start) + 1
    end = source.find("\n", start)
    line = source[begin : end if end >= 0 else len(source)]
    column = start - begin
    cut = max(0, column - WINDOW // 2)
    before, after = _visible(line[cut:column]), _visible(line[column : cut + WINDOW])
    lead = "… " if cut else ""
    tail = " …" if cut + WINDOW < len(line) else ""
    return [f"  {lead}{before}{after}{tail}", "  " + " " * (len(lead) + _width(before)) + "^"]


def _visible(text: str) -> str:
    """Text with control, format and surrogate characters replaced, so that a terminal shows what is there."""
    return "".join("␣" if unicodedata.category(c)[0] == "C" else c for c in text)


def _width(text: str) -> int:
    """Terminal columns: combining marks take none, wide characters two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is closest to ``name``, or None.

    Example:
        >>> nearest("bacth_size", ["batch_size", "epochs"])
        'batch_size'
    """
    found = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def suggest(name: object, known: Iterable[str]) -> str:
    """A hint line: the nearest known name, then all of them."""
    names = sorted(set(known))
    best = nearest(name, names)
    listing = f"known: {', '.join(f'`{n}`' for n in names)}" if names else "nothing is bound"
    return f"did you mean `{best}`? ({listing})" if best else listing


def refuse_unknown(given: Iterable[object], known: Sequence[str], *, what: str = "option") -> None:
    """Raise `OptionError` for the first of ``given`` that is not in ``known``."""
    for name in given:
        if name not in known:
            raise OptionError(f"unknown {what} `{name}`", hint=suggest(name, known))
