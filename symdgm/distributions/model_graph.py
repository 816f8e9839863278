"""The graphical model of a distribution: a directed graph over variables, which draws itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, final

import networkx as nx

from symdgm.distributions.conditioned import Conditioned
from symdgm.distributions.data import Data
from symdgm.distributions.deterministic import Deterministic
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.renamed import Renamed
from symdgm.distributions.spelling import spell
from symdgm.errors import NameResolutionError, OptionError, suggest

LATENT, OBSERVED, DETERMINISTIC = "latent", "observed", "deterministic"
"""What a variable is in a picture: white, shaded, or a diamond."""


if TYPE_CHECKING:
    Directed = nx.DiGraph[str]
else:  # at run time the class takes no type arguments
    Directed = nx.DiGraph


@final
class ModelGraph(Directed):
    """A `networkx.DiGraph` from conditions to variables; every node has a ``kind`` and its ``factor``.

    The kind is ``latent``, ``observed`` (conditions and data) or ``deterministic``. In a notebook it draws
    itself.

    Example:
        >>> from symdgm.distributions import Normal
        >>> g = (Normal("p(x|z)", lambda z: (z, 1.0)) * Normal("p(z)", loc=0.0, scale=1.0)).graph
        >>> list(g.edges), g.nodes["x"]
        ([('z', 'x')], {'kind': 'latent', 'factor': 'p(x|z)'})
        >>> g.observe("x").plate("N", "x", "z").svg()[:5]
        '<?xml'
    """

    def observe(self, *variables: str) -> ModelGraph:
        """A copy in which variables are observed, and so shaded.

        Raises:
            NameResolutionError: a variable is unknown.
        """
        seen: ModelGraph = self.copy()
        for variable in self._known(variables):
            seen.nodes[variable]["kind"] = OBSERVED
        return seen

    def plate(self, label: str, *variables: str) -> ModelGraph:
        """A copy with a frame around variables that are repeated, such as ``plate("N", "x", "z")``.

        Raises:
            NameResolutionError: a variable is unknown, or there is none.
        """
        framed: ModelGraph = self.copy()
        if not variables:
            raise NameResolutionError(f"the plate {label} holds no variable", hint=suggest("", self.nodes))
        framed.graph["plates"] = [*self.graph.get("plates", ()), (label, self._known(variables))]
        return framed

    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        from symdgm.distributions.graph_picture import draw

        return draw(self, "svg").decode()

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        from symdgm.distributions.graph_picture import draw

        return draw(self, "png")

    def save(self, path: str | Path) -> None:
        """Write the picture to a file that ends in ``.svg`` or ``.png``.

        Raises:
            OptionError: the file ends in something else.
        """
        path = Path(path)
        if path.suffix not in {".svg", ".png"}:
            raise OptionError(
                f"a graph cannot be drawn to `{path.name}`", hint="let the name end in `.svg` or `.png`"
            )
        path.write_bytes(self.svg().encode() if path.suffix == ".svg" else self.png())

    def _repr_svg_(self) -> str | None:
        """The picture in a notebook; without Matplotlib, a graph is shown as its text."""
        return self.svg() if find_spec("matplotlib") else None

    def _known(self, variables: Iterable[str]) -> tuple[str, ...]:
        names = tuple(map(spell, variables))
        for name in names:
            if name not in self.nodes:
                raise NameResolutionError(
                    f"the graph has no variable `{name}`", hint=suggest(name, self.nodes)
                )
        return names


def graph_of(p: Distribution) -> ModelGraph:
    """The graph of a distribution: what a marginal integrates out is in it, and what is given is observed."""
    graph = ModelGraph()
    seen = {*p.given, *(p.fixed if isinstance(p, Conditioned) else ())}
    for factor in p.factors:
        for variable in factor.given:
            if variable not in graph:
                graph.add_node(variable, kind=OBSERVED, factor=None)
        for variable in factor.variables:
            graph.add_node(
                variable, kind=OBSERVED if variable in seen else kind_of(factor), factor=str(factor)
            )
            graph.add_edges_from((condition, variable) for condition in factor.given)
    return graph


def kind_of(factor: Distribution) -> str:
    """Whether the variables of a factor are latent, observed or deterministic."""
    inner = factor.base if isinstance(factor, Renamed) else factor
    if isinstance(inner, Data):
        return OBSERVED
    return DETERMINISTIC if isinstance(inner, Deterministic) else LATENT


def variable_order(conditions: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """The names with their conditions first, otherwise as written; None if they go in a circle.

    Example:
        >>> variable_order({"x": ["z"], "z": []}), variable_order({"x": ["z"], "z": ["x"]})
        (('z', 'x'), None)
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(conditions)
    graph.add_edges_from((c, name) for name, cs in conditions.items() for c in cs if c in conditions)
    place = {name: i for i, name in enumerate(conditions)}
    try:
        return tuple(nx.lexicographical_topological_sort(graph, key=place.__getitem__))
    except nx.NetworkXUnfeasible:
        return None
