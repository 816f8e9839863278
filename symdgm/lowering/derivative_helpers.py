"""What generated code defines for itself where it differentiates."""

from __future__ import annotations

DIFFERENTIABLE = """def differentiable(x):
    # the same values as a point of its own, by which one can differentiate
    x = x.clone()
    return x if x.requires_grad else x.requires_grad_()
"""
JACOBIAN = """def jacobian(value, at, count):
    # d value / d at for every index of the first axes of value, which stand before those of `at`
    flat = value.flatten(0, count - 1)
    each = torch.eye(len(flat), dtype=flat.dtype, device=flat.device)
    each = each.reshape(len(flat), len(flat), *[1] * (flat.dim() - 1)).expand(-1, *flat.shape)
    rows = torch.autograd.grad(flat, at, each, create_graph=True, is_grads_batched=True)[0]
    return rows.unflatten(0, value.shape[:count])
"""
DIAGONAL_SUM = """def diagonal_sum(matrix, rank):
    # the sum over equal indices of the last two groups of axes
    square = matrix.flatten(-rank).flatten(-rank - 1, -2)
    return square.diagonal(dim1=-2, dim2=-1).sum(-1)
"""
DERIVATIVE_HELPERS = {
    "differentiable": DIFFERENTIABLE,
    "jacobian": JACOBIAN,
    "diagonal_sum": DIAGONAL_SUM,
}
"""Functions by name."""
DECORATOR = "@torch.enable_grad()"
"""What stands above a function that differentiates, which it does wherever it is called."""
