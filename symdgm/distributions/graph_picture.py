"""The drawing of a graphical model: layers from causes to effects, frames for plates."""

from __future__ import annotations

import io
import math
from typing import Any

import networkx as nx

from symdgm.distributions.model_graph import DETERMINISTIC, OBSERVED, ModelGraph
from symdgm.distributions.notation import LATEX
from symdgm.errors import SymdgmError

Point = tuple[float, float]
Places = dict[str, Point]

RADIUS = 0.3
"""The radius of a node, in inches; nodes stand an inch apart."""
SHADE = "#d0d0d0"
BULGE = 0.5
"""How far an edge that jumps a layer swings out around what lies between."""
MARGIN = 0.16
"""The distance between the frames of plates that lie in each other."""


def draw(graph: ModelGraph, form: str) -> bytes:
    """The picture of a model graph as a file of the given form, ``svg`` or ``png``.

    Raises:
        SymdgmError: Matplotlib is not installed.
    """
    places = place(graph)
    frames = [(label, frame(graph, members, places)) for label, members in graph.graph.get("plates", ())]
    corners = [(x + dx, y + dx) for x, y in places.values() for dx in (-RADIUS, RADIUS)]
    corners += [corner for _, (low, high) in frames for corner in (low, high)]
    (left, right), (bottom, top) = ((min(c) - 0.25, max(c) + 0.25) for c in zip(*corners, strict=True))
    figure = _figure(right - left, top - bottom)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    for label, corners_of in frames:
        _draw_frame(axes, label, *corners_of)
    for cause, effect in graph.edges:
        _draw_edge(axes, places, cause, effect)
    for name in graph.nodes:
        _draw_node(axes, places[name], name, graph.nodes[name]["kind"])
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {})
    return file.getvalue()


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure  # loaded when something is drawn: it takes half a second
    except ImportError as error:
        hint = "pip install matplotlib"
        raise SymdgmError("graphs are drawn by Matplotlib, which is not installed", hint=hint) from error
    return Figure(figsize=(width, height))


def place(graph: ModelGraph) -> Places:
    """Where each node stands: causes above effects, and the nodes of each set of plates side by side."""
    layers = list(nx.topological_generations(graph))
    layer_of = {name: depth for depth, names in enumerate(layers) for name in names}
    blocks: dict[tuple[int, ...], list[str]] = {}
    plates = [members for _, members in graph.graph.get("plates", ())]
    for name in graph.nodes:
        blocks.setdefault(tuple(i for i, members in enumerate(plates) if name in members), []).append(name)
    places: Places = {}
    left = 0.0
    for key in sorted(blocks):
        rows = [[name for name in blocks[key] if layer_of[name] == depth] for depth in range(len(layers))]
        width = max(map(len, rows))
        for depth, row in enumerate(rows):
            start = left + (width - len(row)) / 2
            places |= {
                name: (start + i, -float(depth)) for i, name in enumerate(_by_causes(graph, row, places))
            }
        left += width + 0.4
    return places


def _by_causes(graph: ModelGraph, row: list[str], places: Places) -> list[str]:
    """A row in the order of where the causes of its nodes stand, so that fewer edges cross."""

    def centre(name: str) -> float:
        above = [places[c][0] for c in graph.predecessors(name) if c in places]
        return sum(above) / len(above) if above else 0.0

    return sorted(row, key=centre)


def frame(graph: ModelGraph, members: tuple[str, ...], places: Places) -> tuple[Point, Point]:
    """The corners of a plate, around the plates that lie in it."""
    inner = sum(set(other) < set(members) for _, other in graph.graph["plates"])
    gap = RADIUS + MARGIN * (1 + inner)
    xs, ys = zip(*(places[name] for name in members), strict=True)
    return (min(xs) - gap, min(ys) - gap - MARGIN), (max(xs) + gap, max(ys) + gap)


def _draw_frame(axes: Any, label: str, low: Point, high: Point) -> None:
    from matplotlib.patches import FancyBboxPatch

    size = (high[0] - low[0], high[1] - low[1])
    box = FancyBboxPatch(
        low, *size, boxstyle="round,pad=0,rounding_size=0.1", fill=False, edgecolor="#808080"
    )
    axes.add_patch(box)
    axes.text(high[0] - 0.08, low[1] + 0.06, f"${LATEX.name(label)}$", ha="right", va="bottom", fontsize=10)


def _draw_edge(axes: Any, places: Places, cause: str, effect: str) -> None:
    """An arrow from rim to rim; one that jumps a layer bends, so as not to run through a node."""
    (x, y), (u, v) = places[cause], places[effect]
    length = math.hypot(u - x, v - y)
    bend = 2 * BULGE / length if abs(v - y) > 1 and x == u else 0.0
    points = 72 * RADIUS + 1
    style = {
        "arrowstyle": "-|>",
        "color": "black",
        "shrinkA": points,
        "shrinkB": points,
        "mutation_scale": 12,
    }
    if length:
        axes.annotate(
            "",
            (u, v),
            (x, y),
            arrowprops={**style, "connectionstyle": f"arc3,rad={bend}"},
            annotation_clip=False,
        )


def _draw_node(axes: Any, at: Point, name: str, kind: str) -> None:
    from matplotlib.patches import Circle, RegularPolygon

    fill = SHADE if kind == OBSERVED else "white"
    style: dict[str, Any] = {"facecolor": fill, "edgecolor": "black", "zorder": 3}
    if kind == DETERMINISTIC:
        axes.add_patch(RegularPolygon(at, 4, radius=RADIUS, **style))
    else:
        axes.add_patch(Circle(at, RADIUS, **style))
    axes.text(*at, f"${LATEX.name(name)}$", ha="center", va="center", fontsize=12, zorder=4)
