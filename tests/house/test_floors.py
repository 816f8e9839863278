"""The rooms and floors of the package: who may import whom, and how long a module may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import PACKAGE, modules, python

FACE = (
    "objective", "chain", "model", "block", "statement", "formula", "families", "written_factors", "parts",
    "blocks", "derivation", "generation", "games", "inline_laws", "divergences", "estimators",
    "algebra", "expression", "equations", "bounding", "measuring", "verification", "equivalence",
    "numeric_witness", "options", "generated", "report", "better_estimators", "forecasting", "sampling",
    "unrolling", "jumping", "roles", "rollouts", "keys",
)  # fmt: skip
BELOW_THE_FACE = (
    "caches", "errors", "given", "names", "expressions", "distributions", "parsing", "display", "rewriting",
    "binding", "lowering", "runtime", "training",
)  # fmt: skip

BASE = ("caches", "errors", "given", "names")

ROOMS: dict[str, tuple[str, ...]] = {
    "caches": (),
    "errors": (),
    "given": ("errors",),
    "names": (),
    "expressions": ("caches", "errors", "names"),
    "distributions": ("caches", "errors", "names"),
    "parsing": ("caches", "errors", "names", "expressions"),
    "rewriting": ("caches", "errors", "names", "expressions"),
    # The pages of derivations print the steps that rewriting records.
    "display": ("errors", "names", "expressions", "rewriting"),
    "binding": (*BASE, "expressions", "distributions"),
    "lowering": (*BASE, "expressions", "distributions", "binding", "rewriting"),
    "runtime": ("caches", "errors", "names", "expressions.notation", "lowering"),
    "training": ("errors", "given", "names"),
    "data": ("errors", "given"),
    **dict.fromkeys(FACE, (*BELOW_THE_FACE, *FACE)),
    "zoo": (*BELOW_THE_FACE, *FACE),
    "demo": (*BELOW_THE_FACE, *FACE, "data", "zoo"),
    "cli": (*BELOW_THE_FACE, *FACE, "data", "zoo", "demo", "__init__"),
    "__init__": (*BELOW_THE_FACE, *FACE),
}
"""Room → what it may import of the package, besides itself."""

PACKAGES: dict[str, tuple[str, ...]] = {
    "caches": (),
    "errors": (),
    "given": (),
    "names": (),
    "expressions": ("sympy",),
    # Matplotlib is loaded when the graph of a distribution is drawn, and not before.
    "distributions": ("torch", "networkx", "numpy", "matplotlib"),
    "parsing": ("lark", "sympy"),
    "rewriting": ("sympy",),
    "display": ("sympy", "numpy", "matplotlib", "IPython", "networkx"),
    "binding": ("sympy", "torch", "networkx"),
    "lowering": ("sympy", "torch"),
    "runtime": ("torch",),
    "training": ("torch", "numpy", "tqdm", "safetensors"),
    "data": ("torch", "numpy", "sklearn", "gymnasium"),
    **dict.fromkeys(FACE, ("sympy", "torch")),
    "zoo": ("torch",),
    "demo": ("torch",),
    "cli": ("sympy",),
    "__init__": (),
}
"""Room → what it may import besides the standard library and the package."""

LONGEST = 350
"""Lines of a module; a longer one holds two notions."""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of all imports, those in functions too, but not those for the type checker."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "__import__"):
            yield from ((node.lineno, arg.value) for arg in node.args if is_text(arg))
        waiting.extend(ast.iter_child_nodes(node))


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def trespasses(room: str, source: str) -> list[str]:
    """What a module of a room imports that it may not."""
    found = []
    for line, name in imports(source):
        top, _, inner = name.partition(".")
        if top == "symdgm":
            target = inner or "__init__"
            allowed = any(f"{target}.".startswith(f"{other}.") for other in (room, *ROOMS[room]))
        else:
            allowed = top in sys.stdlib_module_names or top in PACKAGES[room]
        if not allowed:
            found.append(f"line {line} imports {name}")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_stands_below_it(path):
    assert trespasses(room_of(path), path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("parsing", "def f():\n    import torch", "line 2 imports torch"),
        ("expressions", "from symdgm.binding import bind", "line 1 imports symdgm.binding.bind"),
        ("runtime", "from symdgm.expressions.node import N", "line 1 imports symdgm.expressions.node.N"),
        ("training", "from importlib import import_module\nimport_module('sympy')", "line 2 imports sympy"),
        ("binding", "import symdgm", "line 1 imports symdgm"),
        ("rewriting", "import symdgm.expressionsx", "line 1 imports symdgm.expressionsx"),
    ],
)  # fmt: skip
def test_a_trespass_is_found(room, source, found):
    assert trespasses(room, source) == [found]


def test_imports_for_the_type_checker_alone_are_free():
    assert trespasses("errors", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch") == []


def test_every_room_stands_in_the_table():
    assert {room_of(path) for path in modules()} == set(ROOMS) == set(PACKAGES)


def test_the_rooms_have_no_circle():
    """Rooms below the face can be ordered so that each imports only earlier ones."""
    rooms = {r: {o.split(".")[0] for o in others} for r, others in ROOMS.items() if r not in FACE}
    rooms = {r: others - set(FACE) for r, others in rooms.items()}
    while rooms:
        free = [r for r, others in rooms.items() if not others & set(rooms)]
        assert free, f"a circle among {sorted(rooms)}"
        for room in free:
            del rooms[room]


def test_no_module_is_long():
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text("utf-8").splitlines()) for p in modules()}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_every_folder_of_the_package_is_shipped():
    import tomllib

    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {".".join(p.parent.relative_to(PACKAGE.parent).parts) for p in PACKAGE.rglob("__init__.py")}
    assert folders | {"symdgm.grammar"} == set(settings["packages"])


LOOKING = """
import sys, symdgm
from symdgm.cli import main
from sympy import latex
expression = symdgm.parse("E_q(z|x)[log p(x|z)] - beta KL[q||p]")
latex(expression), repr(expression), symdgm.signature(expression)
assert main(["show", "KL[q||p]"]) == 0
for name in ("torch", "matplotlib", "networkx", "numpy", "tqdm"):
    print(name, name in sys.modules, file=sys.stderr)
"""


def test_reading_and_looking_load_no_torch():
    done = python("-c", LOOKING)
    assert done.returncode == 0, done.stderr
    assert "torch False" in done.stderr
    assert "matplotlib False" in done.stderr
