"""Work on a CUDA device as a graph: recorded on a stream of its own, and undone where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, final

import torch

from symdgm.training.syncs import find_syncs

Value = TypeVar("Value")


@final
class Graphs:
    """Records what is launched on one device, and launches it again.

    Args:
        device: of CUDA.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pools: dict[str, Any] = {}
        self._spare = torch.zeros(1, device=device)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Inside, work is launched on the stream on which it will be recorded."""
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            current.wait_stream(self._stream)

    @staticmethod
    def watched(work: Callable[[], Value]) -> tuple[Value, str]:
        """What the work returns, and why it cannot be recorded, or nothing."""
        noise = torch.get_rng_state()
        result, found = find_syncs(work)
        if found:
            return result, f"a step waits for the device: {found[0]}"
        if not torch.equal(noise, torch.get_rng_state()):
            return result, "a step draws noise on the CPU, which a replay would not draw again"
        return result, ""

    def record(self, work: Callable[[], Value], pool: str) -> tuple[Value, Callable[[], None]]:
        """What the work returns, tensors that are filled by each launch; and how it is launched.

        Args:
            work: launches something on the device, and never waits for it.
            pool: the name of the memory that it shares with other graphs, of which one runs at a time.
        """
        if pool not in self._pools:
            self._pools[pool] = torch.cuda.graph_pool_handle()
        handle = self._pools[pool]
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()
        # `torch.cuda.graph` would hide why a recording failed, and leave its stream in place.
        with torch.cuda.stream(self._stream):
            graph = torch.cuda.CUDAGraph()
            # Other threads, such as those that load data, go on meanwhile.
            graph.capture_begin(pool=handle, capture_error_mode="thread_local")
            try:
                result = work()
                graph.capture_end()
            except BaseException:
                self._undo(graph, handle)
                raise
        return result, graph.replay

    def _undo(self, graph: torch.cuda.CUDAGraph, handle: Any) -> None:
        """Ends a recording that failed: PyTorch goes on taking memory for it, and counting noise."""
        try:
            graph.capture_end()
        except RuntimeError:
            index = self._spare.device.index
            with suppress(RuntimeError, AttributeError):
                torch._C._cuda_endAllocateToPool(index, handle)
                torch._C._cuda_releasePool(index, handle)
        # The generator counts for a graph until one has ended well; until then it draws nothing else.
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with suppress(RuntimeError), torch.cuda.stream(stream):
            other = torch.cuda.CUDAGraph()
            other.capture_begin(capture_error_mode="relaxed")
            self._spare.zero_()
            other.capture_end()
