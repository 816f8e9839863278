"""Draws the README's picture, an equation becoming a run, from a real run: nothing in it is made up.

python docs/equation_to_run.py
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from symdgm.data import binarize, digits
from symdgm.display.figures import INK, draw_grid
from symdgm.expressions.notation import latex
from symdgm.rewriting import Kind
from symdgm.zoo import vae
from symdgm.zoo.vae import EQUATION

PICTURE = Path(__file__).with_suffix(".png")

PAPER = "white"
ACCENT = "#0072B2"
CARDS = {
    "1  what you write": (0.010, 0.530, 0.395),
    "2  what it means": (0.445, 0.530, 0.545),
    "3  what runs": (0.445, 0.020, 0.545),
    "4  what it learns": (0.010, 0.020, 0.395),
}
"""Heading → left, bottom and width of its card."""

HEIGHT = 0.45
"""Of a card."""

ARROWS = (
    ((0.407, 0.755), (0.443, 0.755)),
    ((0.717, 0.528), (0.717, 0.472)),
    ((0.443, 0.245), (0.407, 0.245)),
)
"""From card to card."""

CALL = """

vae = sd.Model(text, enc=encoder, dec=decoder,
               beta=1, z=16)
vae.fit(images, epochs=150)
vae.sample(60, mean=True)["x"]"""
"""The Python around the equation."""


def main() -> None:
    """Trains, and draws the four cards in the order of reading."""
    torch.manual_seed(0)
    model = vae(64)
    images = binarize(digits().train.images)
    model.fit(images, epochs=150, seed=0, progress=False)
    model.terms(x=images[:128])
    figure = Figure(figsize=(11.0, 5.6), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for heading, place in CARDS.items():
        card(axes, heading, *place)
    text(axes, "1  what you write", dedent(EQUATION).strip() + CALL, size=8.6)
    meaning(axes, model)
    text(axes, "3  what runs", code(model), size=7.9)
    left, bottom, width = CARDS["4  what it learns"]
    samples = figure.add_axes((left + 0.012, bottom + 0.005, width - 0.02, HEIGHT - 0.085))
    draw_grid(samples, model.sample(60, mean=True, seed=0)["x"], (8, 8), 10, "")
    for start, end in ARROWS:
        style = {"arrowstyle": "-|>", "mutation_scale": 18, "color": ACCENT, "linewidth": 2}
        axes.add_patch(FancyArrowPatch(start, end, **style))
    figure.savefig(PICTURE, dpi=150)


def card(axes: Any, heading: str, left: float, bottom: float, width: float) -> None:
    """A card with its heading."""
    style = "round,pad=0,rounding_size=0.012"
    box = FancyBboxPatch((left, bottom), width, HEIGHT, boxstyle=style, facecolor=PAPER, edgecolor="#b9bccd")
    axes.add_patch(box)
    axes.text(left + 0.015, bottom + HEIGHT - 0.055, heading, fontsize=12.5, fontweight="bold", color=ACCENT)


def text(axes: Any, heading: str, lines: str, size: float) -> None:
    """Lines of type onto a card."""
    left, bottom, _ = CARDS[heading]
    place = left + 0.015, bottom + HEIGHT - 0.095
    axes.text(*place, lines, fontsize=size, family="monospace", va="top", color=INK, linespacing=1.6)


def meaning(axes: Any, model: Any) -> None:
    """The objective and the steps of its derivation, typeset."""
    left, bottom, _ = CARDS["2  what it means"]
    x, y = left + 0.015, bottom + HEIGHT - 0.125
    axes.text(
        x,
        y,
        f"$\\mathrm{{maximize}}\\;\\; {latex(model.objective.bound.expression)}$",
        fontsize=14,
        color=INK,
    )
    for step in model.derivation.steps:
        y -= 0.068
        axes.text(x, y, f"{step.name} ({step.kind.value})", fontsize=10, color=ACCENT)
        if step.kind is Kind.EQUALITY:
            y -= 0.07
            (change,) = step.changes
            formula = f"{latex(change.before)} = {latex(change.after)}"
            axes.text(x + 0.015, y, f"${formula}$", fontsize=12, color=INK)


def code(model: Any) -> str:
    """The code that runs, from its first line to where the terms are gathered."""
    lines = model.code.split("# the terms")[0].rstrip().splitlines()
    return dedent("\n".join(line for line in lines if line.startswith("    ") and '"""' not in line))


if __name__ == "__main__":
    main()
