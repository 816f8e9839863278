"""Piano rolls: which keys sound at which step."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symdgm.display.figures import INK, Picture, empty_figure

NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
BLACK = frozenset({1, 3, 6, 8, 10})
"""The black keys of an octave."""

VOICES = ("#D55E00", "#E69F00", "#009E73", "#0072B2")
"""Of the notes of a step, from the highest to the lowest; what is below the fourth is grey."""

MARGIN = 2
"""Keys above the highest note and below the lowest."""


def rolls(
    rows: Mapping[str, ArrayLike],
    *,
    given: Mapping[str, int] | None = None,
    lowest: int = 21,
    bar: int = 4,
    title: str = "",
) -> Picture:
    """Piano rolls below each other, each under its name.

    A key that sounds on is one bar; colours tell the voices, the notes of a step from high to low.

    Args:
        rows: name → ``[steps, keys]``, a key sounds where it is above one half.
        given: name → how many first steps were given, on a darker ground.
        lowest: the MIDI number of the first key; 60 is the middle C, C4.
        bar: steps between two vertical lines.
        title: stands above.

    Example:
        >>> import numpy as np
        >>> picture = rolls({"a scale": np.eye(88)[39:52]}, given={"a scale": 4})
    """
    found = {name: np.asarray(row) > 0.5 for name, row in rows.items()}
    keys = np.flatnonzero(np.any([roll.any(0) for roll in found.values()], 0))
    low, high = (int(keys[0]), int(keys[-1])) if len(keys) else (0, 0)
    span = (low + lowest - MARGIN, high + lowest + MARGIN)
    steps = max(map(len, found.values()))
    height = 0.052 * (span[1] - span[0] + 1) + 0.42
    figure = empty_figure(11.0, height * len(rows) + (0.75 if title else 0.35))
    if title:
        figure.suptitle(title, color=INK, fontsize=13, x=0.01, ha="left")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, roll) in zip(panels, found.items(), strict=True):
        draw_roll(axes, roll, span, (given or {}).get(name, 0), lowest)
        axes.set_title(name, color=INK, fontsize=10.5, loc="left")
        axes.set_xlim(0, steps)
        axes.set_xticks(range(0, steps + 1, 4 * bar))
        axes.set_xticks(range(0, steps + 1, bar), minor=True)
        axes.grid(axis="x", which="minor", color="#d5d7e0", linewidth=0.6)
    panels[-1].set_xlabel("step", color=INK, fontsize=9.5)
    return Picture(figure)


def draw_roll(axes: Any, roll: NDArray[np.bool_], span: tuple[int, int], given: int, lowest: int) -> None:
    """One roll onto axes: the keys of the piano behind, the notes before them."""
    from matplotlib.patches import FancyBboxPatch

    for key in range(span[0], span[1] + 1):
        if key % 12 in BLACK:
            axes.axhspan(key - 0.5, key + 0.5, color="#f1f2f6", linewidth=0, zorder=0)
    if given:
        axes.axvspan(0, given, color="#0072B2", alpha=0.09, linewidth=0, zorder=0.5)
    style: dict[str, Any] = {
        "boxstyle": "round,pad=0,rounding_size=0.22",
        "mutation_aspect": 1.0,
        "linewidth": 0,
    }
    for key, start, end, colour in notes(roll):
        place = (start + 0.06, key + lowest - 0.42)
        axes.add_patch(FancyBboxPatch(place, end - start - 0.12, 0.84, facecolor=colour, zorder=3, **style))
    named = [key for key in range(span[0], span[1] + 1) if key % 12 in (0, 7)]
    axes.set_yticks(named, [name_of(key) for key in named])
    axes.set_ylim(span[0] - 0.5, span[1] + 0.5)
    axes.tick_params(length=0, which="both", labelsize=8.5, labelcolor=INK)
    axes.spines[:].set_color("#b9bccd")
    axes.set_axisbelow(True)


def notes(roll: NDArray[np.bool_]) -> list[tuple[int, int, int, str]]:
    """Key, first step, step behind the last, and colour; a note ends where its voice changes.

    Example:
        >>> import numpy as np
        >>> [note[:3] for note in notes(np.array([[1, 0], [1, 1], [1, 0]], dtype=bool))]
        [(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 1, 2)]
    """
    rank = np.where(roll, np.cumsum(roll[:, ::-1], 1)[:, ::-1], 0)
    found = []
    for key in np.flatnonzero(roll.any(0)):
        voice = np.concatenate([[0], rank[:, key], [0]])
        changes = np.flatnonzero(np.diff(voice))
        for start, end in pairwise(changes):
            if voice[start + 1]:
                found.append((int(key), int(start), int(end), colour_of(int(voice[start + 1]))))
    return found


def colour_of(voice: int) -> str:
    """The colour of a voice, counted from 1 at the top."""
    return VOICES[voice - 1] if voice <= len(VOICES) else "#8a8d9c"


def name_of(key: int) -> str:
    """The name of a key by its MIDI number.

    Example:
        >>> name_of(60), name_of(69), name_of(21)
        ('C4', 'A4', 'A0')
    """
    return f"{NAMES[key % 12]}{key // 12 - 1}"
