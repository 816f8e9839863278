"""A generated function through `torch.compile`, or as it is where that cannot be."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

from symdgm.errors import OptionError, SymdgmWarning, suggest
from symdgm.lowering import FUNCTION
from symdgm.runtime.programs import defined
from symdgm.runtime.tracing import traceable

Result = TypeVar("Result")


@final
class Compiled(Generic[Result]):
    """A function that is compiled as one graph when it is called first.

    The batch's size is dynamic from the beginning, so that a smaller last batch compiles nothing, and so is
    the number of steps of sequences; scalars are tensors, whose values are no part of the graph; noise is
    drawn as plain PyTorch draws it, so that a seed gives the same numbers. What cannot be compiled runs as it
    is, and a warning says why, once. Of an objective the value is differentiable, the terms are not: every
    result that is costs a training step time, though none but the value is differentiated.

    A call looks for a graph that fits, and only where there is none a graph is made: for that alone axes are
    marked as dynamic. A hook or a parametrisation that a network gets later needs another graph.

    Args:
        text: the source of a generated function.
        backend: of `torch.compile`, such as ``"inductor"``.
        axes: an argument → those of its axes that have another length for other data.
        plain: what runs where it cannot be compiled, with the same results; else the function of the source.
        name: of the function in the source.
    """

    def __init__(
        self,
        text: str,
        backend: str,
        axes: Mapping[str, tuple[int, ...]],
        plain: Callable[..., Result] | None = None,
        name: str = FUNCTION,
    ) -> None:
        self.plain = plain or defined(text, name=name)
        self.why = ""
        self._traced = defined(traceable(text, name), name=name)
        self._backend = backend
        self._axes = {**axes, "n": (0,)}
        self._find: Callable[..., Result | None] = _no_graph
        self._make: Callable[..., Result | None] | None = None

    def __call__(self, **arguments: Any) -> Result:
        """The function's result."""
        if self.why or _looked_into():
            return self.plain(**arguments)
        given = {**arguments, "n": _sized(arguments["n"])} if "n" in arguments else arguments
        found = self._find(**given)
        return self._made(given, arguments) if found is None else found

    @property
    def state(self) -> str:
        """Whether it is compiled, in words."""
        if self.why:
            return f"not compiled, plain PyTorch runs: {self.why}"
        return f"compiled by {self._backend}" if self._make is not None else "compiled at the next evaluation"

    def _made(self, given: dict[str, Any], arguments: dict[str, Any]) -> Result:
        """The result of a new graph; of plain PyTorch, where there can be none."""
        # Its import takes a second, which only those pay who compile.
        from torch._dynamo import config, run
        from torch._dynamo.exc import TorchDynamoException
        from torch._dynamo.utils import counters
        from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

        self._make, known = self._make or self._compiler(), counters["stats"]["unique_graphs"]
        try:
            # By itself torch takes networks for such as get no hooks any more.
            with config.patch(skip_nnmodule_hook_guards=False):
                result = self._make(**self._marked(given))
            # Where none was made, one that fits was there: to look alone gives up at one that was made while
            # parameters had no gradients yet. Then every call goes the longer way.
            self._find = run(self._traced) if counters["stats"]["unique_graphs"] > known else _no_graph
            # There is still none where torch was told to compile nothing.
            return self.plain(**arguments) if result is None else result
        except (TorchDynamoException, GuardOnDataDependentSymNode) as error:
            # What is wrong with the evaluation itself is said by plain PyTorch, in its own words.
            result = self.plain(**arguments)
            self.why = _reason(error)
        without_effect(self.why, self.plain.__doc__)
        return result

    def _compiler(self) -> Callable[..., Result | None]:
        """Makes the graphs."""
        from torch._dynamo.exc import InvalidBackend

        options: Any = {"fallback_random": True} if self._backend == "inductor" else None
        try:
            return torch.compile(self._traced, fullgraph=True, backend=self._backend, options=options)
        except InvalidBackend as error:
            known = sorted({"inductor", *torch.compiler.list_backends()})
            raise OptionError(
                f"`compile` names the backend `{self._backend}`, which torch does not have",
                hint=suggest(self._backend, known),
            ) from error

    def _marked(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments with their axes of another length as axes that may change."""
        from torch._dynamo import maybe_mark_dynamic

        marked = {**given}
        for name in marked.keys() & self._axes.keys():
            # A view: a mark on the tensor of somebody else would compile other functions of it anew.
            marked[name] = view = marked[name].view_as(marked[name])
            for axis in self._axes[name]:
                maybe_mark_dynamic(view, axis)
        return marked


def without_effect(why: str, formula: str | None = None) -> None:
    """Warn that nothing is compiled."""
    words = textwrap.shorten(" ".join((formula or "").split()), 80, placeholder=" ...")
    of = f" for `{words}`" if words else ""
    message = f"`compile` has no effect here, and plain PyTorch runs instead{of}: {why}"
    warnings.warn(message, SymdgmWarning, stacklevel=3)


def _looked_into() -> bool:
    """Whether somebody sees every operation, of which a graph shows none, such as a counter."""
    return (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch.is_anomaly_enabled()
    )


def _no_graph(**arguments: Any) -> None:
    """Where looking alone finds none."""


def _sized(n: int) -> Tensor:
    """A number of draws as the size of a tensor: of numbers the compiler makes constants."""
    return torch.empty(n, 0)


def _reason(error: Exception) -> str:
    """What a failure of the compiler says in its first lines."""
    text = str(error)
    if "compiler" in text.lower() and ("InvalidCxxCompiler" in text or "No working C++" in text):
        return "there is no working C++ compiler"
    if "torch.autograd.grad" in text or "requires_grad_" in text:
        return "it takes a derivative of more than one number, a Jacobian or a Laplacian, which has no graph"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}"
