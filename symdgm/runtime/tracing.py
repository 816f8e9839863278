"""A generated function in a form that a compiler can look into.

The number of draws is the size of a tensor without entries, since every other number would be a constant.
`torch.compile` stops at `torch.autograd.grad`, which asks how a value came to be; `torch.func.grad` is given
the function instead. So what stands between a point and a gradient by it becomes a function of the point:
the same statements in the same order, so that noise is drawn as before, and with the same results, which are
differentiable again. The logarithm of a size to base 2 is one of those functions that keep it dynamic; that
to base e would make it a constant.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Sequence
from typing import final

from symdgm.lowering import FUNCTION

POINT = "differentiable"
"""What makes a point by which generated code differentiates."""
GRADIENT = "torch.autograd.grad"
DERIVATIVES = (GRADIENT, "jacobian")
"""What differentiates."""
SIZE = r"\.shape\b|\bn\b"
"""Where a size is read."""
RETURN, DETACHED = "return (value, terms)", "terms = {name: term.detach() for name, term in terms.items()}"
"""The end of an objective, before which its terms are detached: what is differentiated is their sum."""
UNTRACED = "if not torch.compiler.is_compiling():\n    return None"
"""What a function does to which no graph fits."""


def traceable(text: str, name: str = FUNCTION) -> str:
    """The source of a function with its gradients by `torch.func.grad`, and ``n`` as ``n.shape[0]``.

    Untraced it returns None; its terms are detached. Gradients stay as they are where one of them has no such
    form, as where there is a Jacobian.

    Args:
        text: a generated source.
        name: of the function.
    """
    tree = ast.parse(f"import torch\n{text}")
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    if _derivatives(function.body):
        _differentiate(function)
    arguments = [*function.args.args, *function.args.kwonlyargs]
    size = "n = n.shape[0]" if any(argument.arg == "n" for argument in arguments) else ""
    function.body[1:1] = ast.parse(f"{UNTRACED}\n{size}").body
    if ast.unparse(function.body[-1]) == RETURN:
        function.body[-1:-1] = ast.parse(DETACHED).body
    return ast.unparse(ast.fix_missing_locations(_Sizes().visit(tree)))


def _differentiate(function: ast.FunctionDef) -> None:
    """Brings the gradients of a function into the form, if all have it."""
    body: list[ast.stmt] = []
    left = copy.deepcopy(function.body)
    while left:
        statement, *left = left
        body = _with(body, statement, _read(left))
    if not _derivatives(body):
        function.body = [_Plain().visit(statement) for statement in body]
        function.decorator_list.clear()


def _with(before: list[ast.stmt], statement: ast.stmt, later: set[str]) -> list[ast.stmt]:
    """The statements so far and one more; if that takes a gradient, by a function of its point.

    Args:
        before: the statements so far.
        statement: the next.
        later: the names that those after it read.
    """
    calls = _derivatives([statement])
    start = _begin(before, calls[0]) if len(calls) == 1 else None
    if start is None:
        return [*before, statement]
    value, point = map(ast.unparse, calls[0].args[:2])
    replaced = _Replaced(calls[0]).visit(statement)
    inside = before[start:]
    given = "".join(f"{name}, " for name in sorted(_assigned(inside) & (later | _read([replaced]))))
    function, call = ast.parse(
        f"def _along({point}):\n    return {value}, ({given})\n"
        f"_slope, ({given}) = torch.func.grad(_along, has_aux=True)({point})"
    ).body
    assert isinstance(function, ast.FunctionDef)
    function.body = [*inside, *function.body]
    return [*before[:start], function, call, replaced]


def _begin(before: Sequence[ast.stmt], call: ast.Call) -> int | None:
    """Where the statements begin that depend on the point of a gradient; None for what is no such gradient.

    A point that was made within the function of another has been left behind there.
    """
    point = ast.unparse(call.args[1])
    made = [i for i, s in enumerate(before) if ast.unparse(s).startswith(f"{point} = {POINT}(")]
    if ast.unparse(call.func) != GRADIENT or not made:
        return None
    return next((i for i in range(made[0] + 1, len(before)) if point in _read(before[i : i + 1])), None)


def _derivatives(statements: Sequence[ast.stmt]) -> list[ast.Call]:
    """The calls that differentiate."""
    nodes = (n for s in statements for n in ast.walk(s))
    return [n for n in nodes if isinstance(n, ast.Call) and ast.unparse(n.func) in DERIVATIVES]


def _read(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that statements read."""
    nodes = (n for s in statements for n in ast.walk(s))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _assigned(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that statements assign, but for those within functions, and what a gradient is called."""
    nodes = (n for s in statements if not isinstance(s, ast.FunctionDef) for n in ast.walk(s))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} - {"_slope"}


@final
class _Replaced(ast.NodeTransformer):
    """Puts the gradient that is already there for ``torch.autograd.grad(...)[0]``."""

    def __init__(self, call: ast.Call) -> None:
        self.call = call

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """The gradient."""
        if node.value is self.call:
            return ast.Name("_slope", ast.Load())
        self.generic_visit(node)
        return node


@final
class _Plain(ast.NodeTransformer):
    """Takes the value itself for a point: a function has points of its own."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """The value."""
        self.generic_visit(node)
        return node.args[0] if isinstance(node.func, ast.Name) and node.func.id == POINT else node


@final
class _Sizes(ast.NodeTransformer):
    """Takes the logarithm of a size to base 2 first."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """The logarithm."""
        self.generic_visit(node)
        value = ast.unparse(node.args[0]) if ast.unparse(node.func) == "math.log" else ""
        if not re.search(SIZE, value):
            return node
        return ast.parse(f"math.log2({value}) * math.log(2)", mode="eval").body
