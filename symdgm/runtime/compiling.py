"""A generated function through `torch.compile`, or as it is where that cannot be."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from symdgm.errors import OptionError, SymdgmWarning, suggest

Result = TypeVar("Result")


@final
class Compiled(Generic[Result]):
    """A function that is compiled as one graph when it is called first.

    The batch's size is dynamic from the beginning, so that a smaller last batch compiles nothing, and so is
    the number of steps of sequences; scalars are tensors, whose values are no part of the graph; noise is
    drawn as plain PyTorch draws it, so that a seed gives the same numbers. What cannot be compiled runs as it
    is, and a warning says why, once.

    Args:
        function: a generated function, in the form of `traceable` where its axes have ``n``.
        backend: of `torch.compile`, such as ``"inductor"``.
        axes: an argument → those of its axes that have another length for other data.
        plain: what runs where it cannot be compiled, with the same results; else the function.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        backend: str,
        axes: Mapping[str, tuple[int, ...]],
        plain: Callable[..., Result] | None = None,
    ) -> None:
        self.plain = plain or function
        self._function = function
        self.why = ""
        self._backend = backend
        self._axes = axes
        self._fast: Callable[..., Result] | None = None
        self._mark: Callable[[Tensor, int], None] = _unmarked
        self._failures: tuple[type[Exception], ...] = ()

    def __call__(self, **arguments: Any) -> Result:
        """The function's result."""
        # A mode that looks at every operation, such as a counter, sees none in a graph.
        if self.why or is_in_torch_dispatch_mode():
            return self.plain(**arguments)
        if self._fast is None:
            self._prepare()
        return self._tried(arguments)

    @property
    def state(self) -> str:
        """Whether it is compiled, in words."""
        if self.why:
            return f"not compiled, plain PyTorch runs: {self.why}"
        return f"compiled by {self._backend}" if self._fast is not None else "compiled at the next evaluation"

    def _prepare(self) -> None:
        # Its import takes a second, which only those pay who compile.
        from torch._dynamo import maybe_mark_dynamic
        from torch._dynamo.exc import InvalidBackend, TorchDynamoException
        from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

        self._mark, self._failures = maybe_mark_dynamic, (TorchDynamoException, GuardOnDataDependentSymNode)
        options: Any = {"fallback_random": True} if self._backend == "inductor" else None
        try:
            self._fast = torch.compile(self._function, fullgraph=True, backend=self._backend, options=options)
        except InvalidBackend as error:
            known = sorted({"inductor", *torch.compiler.list_backends()})
            raise OptionError(
                f"`compile` names the backend `{self._backend}`, which torch does not have",
                hint=suggest(self._backend, known),
            ) from error

    def _tried(self, arguments: dict[str, Any]) -> Result:
        assert self._fast is not None
        try:
            return self._fast(**self._marked(arguments))
        except self._failures as error:
            # What is wrong with the evaluation itself is said by plain PyTorch, in its own words.
            result = self.plain(**arguments)
            self.why = _reason(error)
        self._fast = None
        without_effect(self.why, self._function.__doc__)
        return result

    def _marked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with their axes of another length as axes that may change."""
        marked = {**arguments}
        for name in arguments.keys() & self._axes.keys():
            given = arguments[name]
            # A view: a mark on the tensor of somebody else would compile other functions of it anew. Of
            # numbers the compiler makes constants, of sizes it need not.
            marked[name] = view = given.view_as(given) if isinstance(given, Tensor) else torch.empty(given, 0)
            for axis in self._axes[name]:
                self._mark(view, axis)
        return marked


def without_effect(why: str, formula: str | None = None) -> None:
    """Warn that nothing is compiled."""
    words = textwrap.shorten(" ".join((formula or "").split()), 80, placeholder=" ...")
    of = f" for `{words}`" if words else ""
    message = f"`compile` has no effect here, and plain PyTorch runs instead{of}: {why}"
    warnings.warn(message, SymdgmWarning, stacklevel=3)


def _unmarked(tensor: Tensor, axis: int) -> None:
    """Before anything is compiled."""


def _reason(error: Exception) -> str:
    """What a failure of the compiler says in its first lines."""
    text = str(error)
    if "compiler" in text.lower() and ("InvalidCxxCompiler" in text or "No working C++" in text):
        return "there is no working C++ compiler"
    if "torch.autograd.grad" in text:
        return "it takes a derivative of more than one number, a Jacobian or a Laplacian, which has no graph"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}"
