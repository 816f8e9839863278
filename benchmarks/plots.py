"""Results as a picture."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.measuring import Outcome
from benchmarks.results import Results

COLOURS = {
    "expert": "#7f7f7f",
    "explicit": "#7f7f7f",
    "symdgm": "#d62728",
    "Pyro": "#1f77b4",
    "Pixyz": "#2ca02c",
}
OTHERS = "#bbbbbb"


def draw(results: Results, path: Path) -> None:
    """Bars of the ratios of each workload, with quartiles, on a logarithmic axis."""
    from matplotlib.figure import Figure

    columns = 3
    rows = math.ceil(len(results.outcomes) / columns)
    figure = Figure(figsize=(6.5 * columns, 4 * rows), layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, outcome) in zip(all_axes, results.outcomes.items(), strict=False):
        _bars(axes, name, outcome)
    for axes in all_axes[len(results.outcomes) :]:
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _bars(axes: object, name: str, outcome: Outcome) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    assert isinstance(axes, Axes)
    variants = list(outcome.rows)[::-1]
    ratios = [outcome.rows[v].ratio for v in variants]
    axes.barh(variants, ratios, color=[_colour(v) for v in variants])
    for i, variant in enumerate(variants):
        row = outcome.rows[variant]
        axes.plot([row.ratio_low, row.ratio_high], [i, i], color="black", linewidth=1)
    axes.axvline(1, color="black", linewidth=0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(name)
    axes.set_xlabel("time of a step, relative to the first")


def _colour(variant: str) -> str:
    return next((colour for start, colour in COLOURS.items() if variant.startswith(start)), OTHERS)
