"""Abbreviations written out: names and functions that stand for formulas, where they are used."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from sympy import Basic

from symdgm.errors import GrammarError, NameResolutionError
from symdgm.expressions.abbreviations import write_out
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.scope import free_names, heads, replace

MAX_NODES = 20_000
"""The nodes of a formula that abbreviations are written out in."""
MAX_DEPTH = 150
"""How deep its nodes stand within each other."""


@dataclass(frozen=True)
class Function:
    """An abbreviation with arguments, ``L(x) = ...``."""

    parameters: tuple[Basic, ...]
    body: Basic


@dataclass
class Macros:
    """What names and functions stand for.

    A name means what is in scope where it is used: with ``where d = x - G(z)``, the z of ``E_q(z|x)[d^2]`` is
    the one that is drawn.

    Args:
        names: name → formula.
        functions: head → formula of parameters.
        factors: the heads of densities.
    """

    names: dict[Basic, Basic] = field(default_factory=dict)
    functions: dict[Basic, Function] = field(default_factory=dict)
    factors: frozenset[Basic] = frozenset()

    def resolve(self) -> Macros:
        """The same with abbreviations inside of abbreviations written out.

        Raises:
            NameResolutionError: they stand on each other in a circle.
            GrammarError: written out they are too long.
        """
        ordered, circle = self._ordered()
        if circle:
            listed = ", ".join(f"`{key}`" for key in circle)
            raise NameResolutionError(
                f"the abbreviation {listed} stands on itself"
                if len(circle) == 1
                else f"the abbreviations {listed} stand on each other in a circle",
                hint="write one of them out",
            )
        done = Macros(factors=self.factors)
        for key in ordered:
            if key in self.names:
                done.names[key] = done.write_out(self.names[key])
            else:
                function = self.functions[key]
                done.functions[key] = Function(function.parameters, done.write_out(function.body))
        return done

    def circle(self) -> tuple[Basic, ...]:
        """The abbreviations that stand on each other in a circle, or on such; mostly none.

        Example:
            >>> from symdgm.expressions.names import Name
            >>> a, b, c = map(Name, "abc")
            >>> list(map(str, Macros({a: b, b: a, c: Name("d")}).circle()))
            ['a', 'b']
        """
        return self._ordered()[1]

    def _ordered(self) -> tuple[tuple[Basic, ...], tuple[Basic, ...]]:
        """The abbreviations, each after those that it stands on, and those that have no such place."""
        bodies = {**self.names, **{head: f.body for head, f in self.functions.items()}}
        return in_order({key: _uses(value) for key, value in bodies.items()})

    def write_out(self, node: Basic) -> Basic:
        """A formula in which no abbreviation is left; these must be resolved.

        Raises:
            GrammarError: it would be too long, or a function has another number of arguments.
        """
        if self.names:
            node = _bounded(write_out(node, self.names, self.factors))
        return _bounded(self._functions_out(node)) if self.functions else node

    def _functions_out(self, node: Basic) -> Basic:
        if not node.args:
            return node
        arguments = tuple(self._functions_out(a) for a in node.args)
        changed = node if arguments == node.args else node.func(*arguments)
        if isinstance(changed, Apply | Density) and changed.args[0] in self.functions:
            return _applied(changed, self.functions[changed.args[0]])
        return changed


def in_order(uses: Mapping[Basic, Set[Basic]]) -> tuple[tuple[Basic, ...], tuple[Basic, ...]]:
    """Keys, each after those that it uses, and the keys that use each other in a circle, or use such.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> a, b, c = map(Name, "abc")
        >>> [list(map(str, part)) for part in in_order({a: {b}, b: set(), c: {c}})]
        [['b', 'a'], ['c']]
    """
    left, done = dict(uses), dict[Basic, None]()
    while ready := [key for key, used in left.items() if used.isdisjoint(left)]:
        done.update(dict.fromkeys(ready))
        left = {key: used for key, used in left.items() if key not in done}
    return tuple(done), tuple(left)


def arguments_of(node: Basic) -> tuple[Basic, ...]:
    """All arguments of an application, those behind a bar or a semicolon last."""
    if isinstance(node, Density):
        return (*node.values, *node.givens, *node.parameters)
    return tuple(node.args[1:])


def _applied(node: Basic, function: Function) -> Basic:
    actual = arguments_of(node)
    if len(actual) != len(function.parameters):
        raise GrammarError(
            f"`{node}` has {len(actual)} arguments, but `{node.args[0]}` was defined with "
            f"{len(function.parameters)}",
            hint="write as many as in its definition",
        )
    swaps = {p: a for p, a in zip(function.parameters, actual, strict=True) if p != a}
    return replace(function.body, swaps) if swaps else function.body


def _uses(node: Basic) -> set[Basic]:
    return {*free_names(node), *heads(node)}


def _bounded(node: Basic) -> Basic:
    nodes, depth = size(node)
    if nodes > MAX_NODES or depth > MAX_DEPTH:
        raise GrammarError(
            "with its abbreviations written out a formula is too long: more than "
            f"{MAX_NODES} parts, or more than {MAX_DEPTH} within each other",
            hint="define a network for what is repeated",
        )
    return node


def size(node: Basic) -> tuple[int, int]:
    """The number of nodes of a tree whose equal parts may be one object, and how deep it is.

    Example:
        >>> from symdgm.expressions.arithmetic import Power
        >>> from symdgm.expressions.names import Name
        >>> x = Name("x")
        >>> for _ in range(50):
        ...     x = Power(x, x)
        >>> size(x)
        (3377699720527871, 52)
    """
    known: dict[int, tuple[int, int]] = {}
    stack: list[tuple[Basic, bool]] = [(node, False)]
    while stack:
        part, ready = stack.pop()
        if id(part) in known:
            continue
        if ready or not part.args:
            inside = [known[id(a)] for a in part.args]
            known[id(part)] = 1 + sum(n for n, _ in inside), 1 + max((d for _, d in inside), default=0)
        else:
            stack += [(part, True), *((a, False) for a in part.args)]
    return known[id(node)]
