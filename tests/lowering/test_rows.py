"""What is the same along a leading axis is computed once, and every network sees what it always saw."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import symdgm as sd
from symdgm.lowering import networks
from symdgm.lowering.statements import environment

STATES, BATCH, WIDE = 3, 4, 5
HELPERS = environment()
rows, Rows = HELPERS["as_rows"], HELPERS["Rows"]


class Doubled(torch.autograd.Function):
    """A function of one's own, which never asks how its argument wants to be treated."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


class Scaled(torch.autograd.Function):
    """One that needs no gradient of what is the same."""

    @staticmethod
    def forward(ctx: object, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient.t() @ ctx.saved_tensors[0]


first, second, third = (nn.Linear(n, m).double() for n, m in ((WIDE, 6), (2, 6), (WIDE + 2, 6)))
norm, inner = nn.BatchNorm1d(6).double(), nn.Linear(6, 6).double()


def silent(h: Tensor) -> Tensor:
    """Looked at without gradients first."""
    with torch.no_grad():
        size = h.abs().mean()
    return h * size


def written(h: Tensor) -> Tensor:
    """Looked at, written into, and taken again."""
    h.mul_(3.0)
    h[:, 0] = 1.0
    return h + 1


NETWORKS = {
    "sum": lambda x, y: first(x) + second(y),
    "activations": lambda x, y: F.softplus(F.relu(first(x)) - second(y).tanh()) * 0.5,
    "beside": lambda x, y: third(torch.cat([x, y], -1)),
    "beside, looked at": lambda x, y: third(F.silu(torch.cat([x, y], 1))),
    "one only": lambda x, y: inner(F.gelu(first(x))),
    "deep": lambda x, y: inner(F.elu(inner(first(x)) / 2 + 1.0) + second(y)),
    "norm of a batch": lambda x, y: norm(first(x)) + norm(second(y)),
    "mean of a batch": lambda x, y: first(x) - first(x).mean(0) + second(y).flip(0),
    "shapes": lambda x, y: first(x.view(len(x), -1)).view(x.shape[0], 2, 3).flatten(1) + second(y),
    "columns": lambda x, y: first(x)[:, :3].repeat(1, 2) + second(y),
    "written": lambda x, y: written(first(x)) + second(y),
    "written in place": lambda x, y: F.relu(first(x), inplace=True) + second(y),
    "silent": lambda x, y: silent(first(x)) + second(y),
    "a function": lambda x, y: Doubled.apply(first(x)) + second(y),
    "a function of weights": lambda x, y: Scaled.apply(x.detach(), first.weight) + second(y),
    "a checkpoint": lambda x, y: checkpoint(lambda a: inner(first(a)), x, use_reentrant=False) + second(y),
    "a row": lambda x, y: first(x) + first.bias + inner.weight[:1] + second(y),
    "products": lambda x, y: first(x) @ inner.weight + second(y),
}


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(BATCH, WIDE, dtype=torch.float64, requires_grad=True)
    return x, torch.randn(STATES, 2, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_all_rows(name: str, training: bool) -> None:
    found = []
    for flatten in (rows, lambda value, count: value.flatten(0, count - 1)):
        x, y = inputs()
        norm.train(training)
        norm.reset_running_stats()
        lead = (STATES, BATCH)
        out = NETWORKS[name](
            flatten(x[None].expand(*lead, -1), 2), flatten(y[:, None].expand(*lead, -1), 2)
        ).unflatten(0, lead)
        assert type(out) is Tensor and out.shape == (*lead, 6)
        weights = [x, y, *first.parameters(), *second.parameters(), *third.parameters(), *inner.parameters()]
        gradients = torch.autograd.grad(out.sin().sum(), weights, allow_unused=True)
        found.append([out, norm.running_mean.clone(), *(g for g in gradients if g is not None)])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


def test_a_function_of_data_alone_is_tracked() -> None:
    x, _ = inputs()
    data = rows(x.detach()[None].expand(STATES, BATCH, -1), 2)
    first.zero_grad()
    (Scaled.apply(data, first.weight) + 0).sum().backward()
    torch.testing.assert_close(first.weight.grad, STATES * x.detach().sum(0).expand(6, -1))


@pytest.mark.parametrize("graded", [True, False])
def test_a_layer_runs_on_what_differs(graded: bool) -> None:
    x, y = (value.detach() for value in inputs())
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(graded):
        one = rows(x[None].expand(STATES, BATCH, -1), 2)
        NETWORKS["beside"](one, rows(y[:, None].expand(STATES, BATCH, -1), 2))
    assert isinstance(one, Rows) and counter.get_total_flops() == 2 * 6 * (BATCH * WIDE + STATES * 2)


def test_what_is_written_into_unseen_is_refused() -> None:
    class Writes(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            with torch._C.DisableTorchFunctionSubclass():
                return x.mul_(2)

    x, _ = inputs()
    with pytest.raises(RuntimeError, match="writes into rows of which many are one"):
        Writes.apply(rows(x.detach()[None].expand(STATES, BATCH, -1), 2))


class Posterior(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(WIDE + STATES, 4)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.body(torch.cat([x, y], -1)).chunk(2, -1)
        return loc, F.softplus(scale)


def objective(**options: object) -> sd.Objective:
    torch.manual_seed(0)
    return sd.Objective(
        "E_{q(y|x) q(z|x,y)}[log p(x|z)] - KL[q(y|x) || p(y)] - E_q(y|x)[KL[q(z|x,y) || p(z)]]",
        sd.OneHotCategorical("q(y|x)", nn.Linear(WIDE, STATES)),
        sd.Normal("q(z|x,y)", Posterior()),
        sd.Bernoulli("p(x|z)", nn.Linear(2, WIDE)),
        sd.OneHotCategorical("p(y)", probs=torch.full((STATES,), 1 / STATES)),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2),
        **options,
    )


@pytest.mark.parametrize("options", [{}, {"sharing": False}, {"samples": 2}, {"compile": "aot_eager"}])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_objective_is_the_same_either_way(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    x, found, codes = (torch.arange(20).view(4, WIDE) % 3 < 1).float(), [], []
    for least in (1, 10**9):
        monkeypatch.setattr(networks, "REPAYS", least)
        one = objective(**options)
        for _ in range(2):
            torch.manual_seed(1)
            value = one(x=x)
        found.append([value, *torch.autograd.grad(value, one.parameters())])
        codes.append("as_rows(" in one.code)
    assert codes == [True, False]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)
