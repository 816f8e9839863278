"""Functions of generated code for rows of which many are alike, such as one example under every state."""

from __future__ import annotations

ROWS = """def as_rows(value, count):
    # the first axes as one; what is the same along some of them is computed once, as far as that can be seen
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return value.flatten(0, count - 1)
    alike = [stride == 0 and size > 1 for stride, size in zip(value.stride()[:count], value.shape)]
    if not any(alike) or value.dim() == count:
        return value.flatten(0, count - 1)
    return Rows.of(value.shape[:count], [value[tuple(slice(1 if one else None) for one in alike)]])


class Rows(torch.Tensor):
    # rows that exist only once somebody looks at them: layers that treat every row by itself need not.
    # `parts`, side by side along the last axis, broadcast over the axes `lead`, which are one to others

    @staticmethod
    def of(lead, parts):
        # parts that have all of the axes are what they are
        if len(parts) == 1 and parts[0].shape[: len(lead)] == lead:
            return parts[0].flatten(0, len(lead) - 1)
        graded = torch.is_grad_enabled()
        tracked = graded and any(part.requires_grad for part in parts)
        return Tracked.apply(lead, *parts) if tracked else Rows.made(lead, parts, graded)

    @staticmethod
    def made(lead, parts, graded):
        first, last = parts[0], sum(part.shape[-1] for part in parts)
        shape = (math.prod(lead), *first.shape[len(lead) : -1], last)
        new = torch.Tensor._make_wrapper_subclass(Rows, shape, dtype=first.dtype, device=first.device)
        new.lead, new.parts, new.graded, new.seen = lead, parts, graded, None
        return new

    def apart(self):
        # whether it may be taken by its parts; within an autograd function of one's own it may not
        return self.seen is None and self.graded == torch.is_grad_enabled()

    def whole(self):
        # one tensor from now on, which may be written to, and is tracked whoever looks at it first
        if self.seen is None:
            with torch.enable_grad():
                self.seen = self.joined()
        return self.seen

    def joined(self):
        parts = [part.expand(*self.lead, *part.shape[len(self.lead) :]) for part in self.parts]
        joined = torch.cat(parts, -1) if len(parts) > 1 else parts[0]
        return joined.flatten(0, len(self.lead) - 1)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in ASKED:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        found = by_parts(func, args, kwargs)
        return func(*each(Rows.whole, args), **each(Rows.whole, kwargs)) if found is None else found

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        # what does not ask `__torch_function__`, such as an autograd function of one's own
        if func._schema.is_mutable:
            raise RuntimeError(f"{func} writes into rows of which many are one; write into a copy")
        return func(*each(Rows.joined, args), **each(Rows.joined, kwargs or {}))


class Tracked(torch.autograd.Function):
    # rows as a tensor of autograd, for those who take them as they are

    @staticmethod
    def forward(ctx, lead, *parts):
        ctx.lead, ctx.shapes = lead, [part.shape for part in parts]
        return Rows.made(lead, list(parts), True)

    @staticmethod
    def backward(ctx, gradient):
        pieces = gradient.unflatten(0, ctx.lead).split([shape[-1] for shape in ctx.shapes], -1)
        return None, *(piece.sum_to_size(shape) for piece, shape in zip(pieces, ctx.shapes))


def each(change, values):
    # arguments of a function with all rows
    if isinstance(values, Rows):
        return change(values)
    if isinstance(values, dict):
        return {key: each(change, value) for key, value in values.items()}
    return type(values)(each(change, v) for v in values) if type(values) in (list, tuple) else values


def by_parts(func, args, kwargs):
    # a function of each row by itself, computed on what differs; None for others
    if func is torch.nn.functional.linear:
        return linear_by_parts(*args, **kwargs)
    if func in (torch.cat, torch.concat):
        return cat_by_parts(*args, **kwargs)
    unary = func in UNARY and not kwargs.get("inplace")
    if not unary and (func not in BINARY or len(args) != 2 or kwargs):
        return None
    lead = next((v.lead for v in args if isinstance(v, Rows)), None)
    values = None if lead is None else [broadcast(value, lead, args) for value in args]
    if values is None or any(value is None for value in values):
        return None
    return Rows.of(lead, [func(*values, **kwargs)])


def broadcast(value, lead, beside):
    # a value with the axes of the rows before its own; None where they cannot be told
    if isinstance(value, Rows):
        same = value.lead == lead and len(value.parts) == 1 and value.apart()
        dims = {v.dim() for v in beside if isinstance(v, Rows)}
        return value.parts[0] if same and len(dims) == 1 else None
    if not isinstance(value, torch.Tensor):
        return value
    dims = next(v.dim() for v in beside if isinstance(v, Rows))
    if value.dim() < dims:
        return value
    return value.unflatten(0, lead) if value.dim() == dims and len(value) == math.prod(lead) else None


def linear_by_parts(input, weight, bias=None):
    # W [x, y] + b = W_x x + (W_y y + b)
    if not isinstance(input, Rows) or not input.apart() or isinstance(weight, Rows):
        return None
    slices = weight.split([part.shape[-1] for part in input.parts], -1)
    pairs = list(zip(input.parts, slices))
    total = torch.nn.functional.linear(*pairs[0], bias)
    for part, piece in pairs[1:]:
        total = total + torch.nn.functional.linear(part, piece)
    return Rows.of(input.lead, [total])


def cat_by_parts(tensors, dim=0):
    # vectors side by side
    lead = next((t.lead for t in tensors if isinstance(t, Rows)), None)
    if lead is None or dim not in (1, -1):
        return None
    parts = []
    for one in tensors:
        if one.dim() != 2 or one.dtype != tensors[0].dtype:
            return None
        if isinstance(one, Rows) and not (one.lead == lead and one.apart()):
            return None
        parts += one.parts if isinstance(one, Rows) else [one.unflatten(0, lead)]
    return Rows.of(lead, parts)


def functions(owners, names):
    return {getattr(owner, name) for owner in owners for name in names if hasattr(owner, name)}


ACTIVATIONS = "relu silu gelu elu selu celu leaky_relu softplus tanh sigmoid logsigmoid mish hardtanh exp neg"
UNARY = functions([torch, torch.Tensor, torch.nn.functional], ACTIVATIONS.split())
BINARY = functions([torch, torch.Tensor], "add sub mul div __add__ __radd__ __sub__ __mul__ __rmul__".split())
BINARY |= functions([torch.Tensor], ["__truediv__"])
ASKED = [getattr(torch.Tensor, name) for name in ("shape", "dtype", "device", "ndim", "requires_grad")]
ASKED = {attribute.__get__ for attribute in ASKED}
ASKED |= functions([torch.Tensor], "dim size __len__ is_floating_point".split())
"""
ROW_HELPERS = {"as_rows": ROWS}
"""Source by name."""

REPAYS = 2**15
"""Numbers in what is repeated, from which computing it once saves more than it costs."""
