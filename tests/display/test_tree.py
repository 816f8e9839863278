from __future__ import annotations

from sympy import Integer, Tuple

from symdgm.display.tree import PARTS, tree
from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Plus
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.names import Name

q, x, z = Name("q"), Name("x"), Name("z")


def test_every_node_has_a_line_below_its_parent() -> None:
    law = Density(q, Tuple(z), Tuple(x), Tuple())
    node = Expect(call("log", Apply(Name("f"), z)), Binder(Tuple(), law))
    assert tree(node).splitlines() == [
        "Expect  𝔼_q(z|x)[log f(z)]",
        "├── Call  log f(z)",
        "│   ├── text  log",
        "│   └── Apply  f(z)",
        "│       ├── Name  f",
        "│       └── Name  z",
        "└── Binder  q(z|x)",
        "    ├── list",
        "    └── Density  q(z|x)",
        "        ├── Name  q",
        "        ├── list  z",
        "        │   └── Name  z",
        "        ├── list  x",
        "        │   └── Name  x",
        "        └── list",
    ]


def test_numbers_and_names_are_leaves() -> None:
    assert tree(Integer(3) * x).splitlines() == ["Times  3 x", "├── number  3", "└── Name  x"]


def test_long_notation_is_cut() -> None:
    line = tree(Plus(*[Name(f"name{n}") for n in range(20)])).splitlines()[0]
    assert line.endswith("…")
    assert len(line) < 75


def test_a_large_node_is_shown_by_its_class() -> None:
    lines = tree(Plus(*[Name(f"a{n}") for n in range(PARTS)])).splitlines()
    assert lines[0] == "Plus"
    assert len(lines) == PARTS + 1


def test_depth_costs_no_frames() -> None:
    node = x
    for _ in range(300):
        node = call("log", node + 1)
    assert len(tree(node).splitlines()) == 300 * 4 + 1
