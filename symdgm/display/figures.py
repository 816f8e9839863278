"""Pictures of a trained model: images beside each other, and the objective by term over the epochs.

Matplotlib is loaded when a picture is made, and its global state (``pyplot``, ``rcParams``) is never touched.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symdgm.errors import OptionError, SymdgmError

INK = "#1b1b2f"
"""Text, axes, and the objective itself."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The terms in their order: the palette of Okabe and Ito, which colour-blind readers can tell apart."""

DPI = 150
"""Dots an inch of a saved picture."""


class Epoch(Protocol):
    """What is drawn of an epoch."""

    @property
    def epoch(self) -> int:
        """Counted from 1."""

    @property
    def value(self) -> float:
        """The objective."""

    @property
    def terms(self) -> Mapping[str, float]:
        """Its terms by name."""

    @property
    def validation_value(self) -> float | None:
        """The objective on the validation data."""


@final
class Picture:
    """A figure that shows itself in a notebook without any preparation, and can be saved.

    Args:
        figure: a `matplotlib.figure.Figure`.
    """

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file in the format that its name ends with; a missing folder is made."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, dpi=DPI)

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return f"Picture({width:.1f} by {height:.1f} inches)"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture, and its width on the page: half of its dots, so that it is sharp on fine screens."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue(), {"width": round(self.figure.get_figwidth() * DPI / 2)}


def images(rows: Mapping[str, ArrayLike], shape: tuple[int, int], *, title: str = "") -> Picture:
    """Rows of images, each row under its name: data and their reconstructions, for instance.

    Args:
        rows: name → images ``[N, height·width]`` or ``[N, height, width]``, in [0, 1].
        shape: height and width.
        title: stands above.
    """
    count = max(len(np.asarray(row)) for row in rows.values())
    figure = empty_figure(0.62 * count + 1.3, 0.66 * len(rows) + (0.5 if title else 0.1))
    draw_rows(figure.add_subplot(), rows, shape, title)
    return Picture(figure)


def grid(images: ArrayLike, shape: tuple[int, int], *, columns: int = 8, title: str = "") -> Picture:
    """Images in a grid: samples, for instance.

    Args:
        images: ``[N, height·width]`` or ``[N, height, width]``, in [0, 1].
        shape: height and width.
        columns: images beside each other.
        title: stands above.
    """
    lines = math.ceil(len(np.asarray(images)) / columns)
    figure = empty_figure(0.62 * columns, 0.62 * lines + (0.45 if title else 0.05))
    draw_grid(figure.add_subplot(), images, shape, columns, title)
    return Picture(figure)


def curves(
    epochs: Sequence[Epoch],
    *,
    typeset: Callable[[str], str] | None = None,
    objective: str = "objective",
    unit: str = "nats per image",
) -> Picture:
    """The objective and its terms over the epochs.

    Args:
        epochs: the records of a run, such as ``history.epochs``.
        typeset: makes LaTeX of a term's name; without it names stand as they are.
        objective: the name of the objective itself.
        unit: stands at the vertical axis.
    """
    figure = empty_figure(6.4, 4.2 + 0.35 * len(epochs[-1].terms))
    axes = figure.add_subplot()
    draw_curves(axes, epochs, typeset, objective)
    axes.set_ylabel(unit, color=INK)
    # Below the lines: formulas are wide, and would stand before them.
    legend = axes.get_legend()
    legend.set_loc("upper left")
    legend.set_bbox_to_anchor((0.0, -0.14), axes.transAxes)
    return Picture(figure)


def overview(
    title: str,
    rows: Mapping[str, ArrayLike],
    samples: ArrayLike,
    shape: tuple[int, int],
    epochs: Sequence[Epoch],
    *,
    typeset: Callable[[str], str] | None = None,
    objective: str = "objective",
) -> Picture:
    """A run in one picture: what was reconstructed, what was drawn, and how the terms went.

    Args:
        title: stands above all.
        rows: as in `images`.
        samples: as in `grid`.
        shape: height and width of an image.
        epochs: as in `curves`.
        typeset: as in `curves`.
        objective: as in `curves`.
    """
    count = len(np.asarray(next(iter(rows.values()))))
    lines = math.ceil(len(np.asarray(samples)) / count)
    figure = empty_figure(13.0, 0.47 * (len(rows) + lines) + 1.3)
    figure.suptitle(title, color=INK, fontsize=14)
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1.0), wspace=0.03)
    top, bottom = left.subplots(2, 1, height_ratios=(len(rows), lines))
    draw_rows(top, rows, shape, "reconstructions of test images")
    draw_grid(bottom, samples, shape, count, "samples, the mean of $p(x|z)$ at $z \\sim p(z)$")
    draw_curves(right.subplots(), epochs, typeset, objective)
    return Picture(figure)


def draw_rows(axes: Any, rows: Mapping[str, ArrayLike], shape: tuple[int, int], title: str) -> None:
    """Rows of images onto axes, with their names at the left."""
    stacks = [_stack(row, shape) for row in rows.values()]
    count = max(map(len, stacks))
    mosaic = np.concatenate([_mosaic(stack, count) for stack in stacks])
    _show(axes, mosaic, title)
    step = len(mosaic) / len(rows)
    axes.set_yticks([(i + 0.5) * step - 0.5 for i in range(len(rows))], list(rows), fontsize=9.5, color=INK)
    axes.tick_params(axis="y", length=0)


def draw_grid(axes: Any, images: ArrayLike, shape: tuple[int, int], columns: int, title: str) -> None:
    """A grid of images onto axes."""
    _show(axes, _mosaic(_stack(images, shape), columns), title)
    axes.set_yticks([])


def draw_curves(
    axes: Any, epochs: Sequence[Epoch], typeset: Callable[[str], str] | None, objective: str
) -> None:
    """The objective, its validation and its terms onto axes; each line is named at its end."""
    x = [record.epoch for record in epochs]
    watched = [(r.epoch, r.validation_value) for r in epochs if r.validation_value is not None]
    name = f"{objective}, training" if watched else objective
    lines = [(name, INK, [record.value for record in epochs])]
    for i, name in enumerate(epochs[-1].terms):
        label = f"${typeset(name)}$" if typeset else name
        lines.append((label, COLOURS[i % len(COLOURS)], [record.terms[name] for record in epochs]))
    for label, colour, y in lines:
        axes.plot(x, y, color=colour, linewidth=2, label=f"{label}:  {_number(y[-1])}")
    if watched:
        label = f"{objective}, validation:  {_number(watched[-1][1])}"
        axes.plot(*zip(*watched, strict=True), color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label=label)
    _dress(axes, x)


def _dress(axes: Any, x: Sequence[int]) -> None:
    axes.set_title("the objective by term", color=INK, fontsize=11, loc="left")
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel("nats per image", color=INK)
    axes.set_xlim(x[0], max(x[-1], x[0] + 1))
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.grid(color="#e6e6ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        title="at the last epoch",
        alignment="left",
        frameon=True,
        framealpha=0.92,
        edgecolor="none",
        labelcolor="linecolor",
        fontsize=10.5,
    )


def check_path(path: str | os.PathLike[str]) -> None:
    """Refuse a file that no picture could be written to, before any work is done for it.

    Raises:
        OptionError: Matplotlib writes no files with this ending.
        SymdgmError: Matplotlib is not installed.
    """
    endings = sorted(empty_figure(1, 1).canvas.get_supported_filetypes())
    ending = Path(path).suffix.removeprefix(".")
    if ending not in endings:
        raise OptionError(f"`{path}` is no name of a picture", hint=f"it may end with .{', .'.join(endings)}")


def empty_figure(width: float, height: float) -> Any:
    """A white figure, in inches.

    Raises:
        SymdgmError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        hint = "pip install matplotlib"
        raise SymdgmError("pictures are drawn by Matplotlib, which is not installed", hint=hint) from error
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _show(axes: Any, mosaic: NDArray[np.float64], title: str) -> None:
    # Dark ink on paper; the gaps are NaN, which is drawn as nothing.
    axes.imshow(mosaic, cmap="Greys", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_title(title, color=INK, fontsize=11, loc="left")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def _stack(images: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(images, dtype=np.float64).reshape(-1, *shape)


def _mosaic(stack: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Images beside each other with a gap of a tenth of their size, and lines below each other."""
    height, width = stack.shape[1:]
    gap = max(1, height // 10)
    lines = math.ceil(len(stack) / columns)
    mosaic = np.full((lines * (height + gap), columns * (width + gap)), np.nan)
    for i, image in enumerate(stack):
        row, column = (i // columns) * (height + gap), (i % columns) * (width + gap)
        mosaic[row : row + height, column : column + width] = image
    return mosaic


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
