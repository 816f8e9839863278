"""What a run is made of, and what can be open while one is looked for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symdgm.names import DECORATIONS, GREEK
from symdgm.parsing.words import Word

STARTS_OPERAND = frozenset(
    {
        "NAME", "NUMBER", "FUNCTION", "ROOT", "FRACTION", "EXPECT", "BIG", "DERIVATIVE", "INTEGRAL",
        "DIVERGENCE", "ENTROPY",
        "INFORMATION", "INDICATOR", "OPEN", "NORM_OPEN", "ABS_OPEN", "ANGLE_OPEN",
    }
)  # fmt: skip
SIGNS = frozenset({"PLUS", "MINUS"})
OPERATORS = frozenset({"PLUS", "MINUS", "TIMES", "SLASH"})
BREAKS = frozenset(
    {
        "COMMA",
        "GIVEN",
        "SEMI",
        "SEPARATES",
        "SEPARATOR",
        "RELATION",
        "DEFINE",
        "TILDE",
        "PROPTO",
        "OVER",
        "RANGE",
        "COLON",
    }
)
TAKES_RUN = frozenset({"FUNCTION", "EXPECT", "DERIVATIVE"})
TWO_GROUPS = frozenset({"FRACTION", "ROOT"})
DIFFERENTIAL = re.compile(rf"d([A-Za-z]|{'|'.join(GREEK)})(_({'|'.join(DECORATIONS)}))*'*")


@dataclass(slots=True)
class Frame:
    """What is open: a ``bracket``, or the ``run``, ``product`` or ``integral`` that a head has begun.

    ``head`` of a bracket is the head whose script, or first group, it is; ``index`` of a product is its
    index, of a bracket its kind; ``begun`` is how many words there were.
    """

    kind: str
    head: Word | None = None
    index: str = ""
    begun: int = 0
