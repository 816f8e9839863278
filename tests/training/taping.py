"""Recording on the CPU as CUDA graphs record: the same operations on the same memory, launched again."""

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from symdgm.training.capture import Recorder
from symdgm.training.guard import DeferredGuard
from symdgm.training.syncs import find_syncs

CPU = torch.device("cpu")


class Tape:
    """What `Graphs` is on a GPU: nothing that is recorded happens until it is launched."""

    device = CPU

    def __init__(self):
        self.recordings = 0

    def beside(self):
        return nullcontext()

    def watched(self, work):
        result, found = find_syncs(work)
        return result, f"a step waits for the device: {found[0]}" if found else ""

    def record(self, work, pool):
        self.recordings += 1
        noise, tape = torch.get_rng_state(), Operations()
        try:
            with tape:
                result = work()
        finally:
            tape.undo()
            torch.set_rng_state(noise)
        return result, tape.launch


class Operations(TorchDispatchMode):
    """Keeps every operation with its tensors, as they are; takes back what was written."""

    def __init__(self):
        super().__init__()
        self.kept, self.written, self.born = [], [], set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        kwargs = kwargs or {}
        named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        for argument in func._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for t in tree_leaves(named.get(argument.name)):
                    if isinstance(t, Tensor) and memory(t) not in self.born:
                        self.written.append((t, t.clone()))
        result = func(*args, **kwargs)
        given = {memory(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor) and memory(t) not in given]
        self.born.update(map(memory, made))
        self.kept.append((func, args, kwargs, result, given))
        return result

    @torch.no_grad()
    def undo(self):
        for tensor, before in reversed(self.written):
            tensor.copy_(before)

    @torch.no_grad()
    def launch(self):
        for func, args, kwargs, result, given in self.kept:
            for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and memory(old) not in given:
                    old.copy_(new)


def memory(tensor):
    return tensor.untyped_storage().data_ptr() or id(tensor)


def taped(stepper, tape=None):
    """A stepper that records on the CPU."""
    stepper._guard = DeferredGuard(stepper.trainable, stepper.players, CPU)
    stepper._recorder = Recorder(stepper.trainable, tape or Tape(), stepper._made, stepper._guard.flags)
    return stepper
