"""Graphs of distributions, and their pictures."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
import itertools
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib import image as matplotlib_image
from torch import nn

import symdgm.distributions as sd
from symdgm.distributions.graph_picture import RADIUS, frame, place
from symdgm.distributions.model_graph import variable_order
from symdgm.errors import NameResolutionError, OptionError, SymdgmError


def normal(head: str) -> sd.Normal:
    return sd.Normal(head, loc=0.0, scale=1.0) if "|" not in head else sd.Normal(head, lambda *v: (v[0], 1.0))


P = (
    normal("p(x|h,u)")
    * sd.Deterministic("p(h|z)", nn.Linear(2, 2))
    * normal("p(z)")
    * sd.Data("data(y)", y=torch.zeros(3))
)


def test_nodes_edges_and_kinds() -> None:
    g = P.graph
    assert isinstance(g, nx.DiGraph)
    assert set(g.edges) == {("h", "x"), ("u", "x"), ("z", "h")}
    kinds = {name: g.nodes[name]["kind"] for name in g}
    assert kinds == {"x": "latent", "h": "deterministic", "u": "observed", "z": "latent", "y": "observed"}
    assert g.nodes["x"]["factor"] == "p(x|h,u)"
    assert g.nodes["u"]["factor"] is None
    assert nx.ancestors(g, "x") == {"h", "u", "z"}


def test_graphs_of_what_is_made_of_others() -> None:
    assert set(P.marginal("x").graph.edges) == {("h", "x"), ("u", "x"), ("z", "h")}
    assert "y" not in P.marginal("x").graph
    q = sd.LinearNormal("p(x|z)", torch.eye(1)) * normal("p(z)")
    assert set(q.posterior("z").graph.edges) == {("z", "x")}
    assert q.posterior("z").graph.nodes["x"]["kind"] == "observed"
    assert q.condition(x=torch.zeros(1, 1)).graph.nodes["x"]["kind"] == "observed"
    mixture = sd.Mixture("p(x)", [normal("p(x)")])
    assert set(mixture.graph.edges) == {("k", "x")}
    assert list(normal("q(z|x)").graph.edges) == [("x", "z")]
    assert (
        sd.Deterministic("g(x|z)", nn.Linear(1, 1)).rename(x="w").graph.nodes["w"]["kind"] == "deterministic"
    )


def test_observing_and_framing_give_copies() -> None:
    g = P.graph
    seen = g.observe("x").plate("N", "x", "h", "z")
    assert seen.nodes["x"]["kind"] == "observed"
    assert g.nodes["x"]["kind"] == "latent"
    assert seen.graph["plates"] == [("N", ("x", "h", "z"))]
    assert "plates" not in g.graph
    assert nx.utils.graphs_equal(copy.deepcopy(seen), seen)
    assert nx.utils.graphs_equal(pickle.loads(pickle.dumps(seen)), seen)


def test_causes_stand_above_their_effects_and_no_nodes_overlap() -> None:
    g = P.graph.plate("N", "x", "h", "z").plate("T", "h", "x")
    places = place(g)
    assert all(places[cause][1] > places[effect][1] for cause, effect in g.edges)
    for one, other in itertools.combinations(places.values(), 2):
        assert abs(one[0] - other[0]) >= 2 * RADIUS or abs(one[1] - other[1]) >= 2 * RADIUS
    for _, members in g.graph["plates"]:
        (left, bottom), (right, top) = frame(g, members, places)
        inside = {n for n, (x, y) in places.items() if left <= x <= right and bottom <= y <= top}
        assert inside == set(members)
    outer, inner = (frame(g, members, places) for _, members in g.graph["plates"])
    assert outer[0][1] < inner[0][1] and outer[1][1] > inner[1][1] - 1e-9


def pixels(file: Path) -> np.ndarray:
    return np.asarray(matplotlib_image.imread(file))[..., :3]


def test_pictures(tmp_path: Path) -> None:
    g = P.graph.observe("x").plate("N", "x", "h", "z")
    svg = g.svg()
    assert svg.startswith("<?xml")
    assert svg.rstrip().endswith("</svg>")
    assert len(g._repr_svg_()) == len(svg)  # the same but for identifiers, which are drawn anew
    g.save(tmp_path / "graph.svg")
    g.save(str(tmp_path / "graph.png"))
    assert (tmp_path / "graph.svg").read_text().startswith("<?xml")
    assert (tmp_path / "graph.png").read_bytes()[:4] == b"\x89PNG"
    assert g.png()[:4] == b"\x89PNG"
    plain = tmp_path / "plain.png"
    P.graph.save(plain)

    def shaded(image: np.ndarray) -> int:
        return int((np.abs(image - 0xD0 / 255).max(-1) < 0.01).sum())

    assert (
        shaded(pixels(tmp_path / "graph.png")) > 1.3 * shaded(pixels(plain)) > 0
    )  # three shaded nodes, not two


def test_without_matplotlib_a_graph_is_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        SymdgmError, match=r"graphs are drawn by Matplotlib, which is not installed\npip install"
    ):
        P.graph.svg()
    monkeypatch.setattr("symdgm.distributions.model_graph.find_spec", lambda name: None)
    assert P.graph._repr_svg_() is None


def test_matplotlib_is_loaded_when_something_is_drawn() -> None:
    code = "import sys, symdgm.distributions as sd; sd.Normal('p(z)', loc=0.0, scale=1.0).graph; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_names_are_drawn_as_mathematics() -> None:
    p = normal("p(x_hat_{t}|z_{t-1},theta)") * normal("p(z_{t-1})")
    assert len(re.findall(r"<g id=\"text_", p.graph.svg())) == 3


def test_order_of_variables() -> None:
    assert variable_order({"a": [], "b": ["c"], "c": ["a"], "d": ["unknown"]}) == ("a", "c", "b", "d")
    assert variable_order({"a": ["b"], "b": ["a"]}) is None


REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (
        NameResolutionError,
        lambda: P.graph.observe("w"),
        r"the graph has no variable `w`\nknown: `h`, `u`, `x`, `y`, `z`",
    ),
    (NameResolutionError, lambda: P.graph.plate("N"), r"the plate N holds no variable"),
    (NameResolutionError, lambda: P.graph.plate("N", "w"), r"the graph has no variable `w`"),
    (
        OptionError,
        lambda: P.graph.save("graph.pdf"),
        r"a graph cannot be drawn to `graph.pdf`\n.*`.svg` or `.png`",
    ),
]


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
