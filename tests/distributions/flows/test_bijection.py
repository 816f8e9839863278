"""One test that all flows pass: Jacobian, inverse, gradients, copies, dtypes."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor

from symdgm.distributions import flows as f
from tests.distributions.flows.cases import CASES, Case

EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

DISCRETE = {"dequantize-centred", "dequantize-unit"}
"""Their inverse is a step function: the levels, whatever the noise."""
ALONE = "autoregressive-one"
"""The one feature has none before it: of the network it hears the last bias and nothing else."""
VOLUME_KEEPING = {"additive", "additive-image", "autoregressive-additive"}


def jacobians(flow: f.Flow, x: Tensor, context: Tensor | None) -> Tensor:
    """The Jacobian of each example by autograd, ``[batch, D, D]``."""
    rows = []
    for i in range(len(x)):
        beside = None if context is None else context[i : i + 1]
        one = x[i : i + 1]
        found = torch.autograd.functional.jacobian(
            lambda value, beside=beside: flow(value, beside)[0].flatten(), one, vectorize=True
        )
        rows.append(found.reshape(one.numel(), one.numel()))
    return torch.stack(rows)


@EACH
def test_the_log_determinant_is_that_of_the_jacobian(case: Case) -> None:
    flow, x, context = case.flow(), case.values(), case.context()
    z, log_det = flow(x, context)
    assert log_det.shape == (len(x),)
    assert z.shape[0] == len(x)
    assert z.numel() == x.numel()
    expected = torch.linalg.slogdet(jacobians(flow, x, context)).logabsdet
    torch.testing.assert_close(log_det, expected, rtol=1e-8, atol=1e-9)


@EACH
def test_the_inverse_brings_back_values_and_volumes(case: Case) -> None:
    flow, x, context = case.flow(), case.values(64), case.context(64)
    if case.name in DISCRETE:
        x = (x.abs() * 3).floor().clamp(0, 7) / (7 if case.unit else 1)
    z, log_det = flow(x, context)
    again, minus = flow.inverse(z, context)
    assert again.shape == x.shape
    torch.testing.assert_close(again, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(minus, -log_det, rtol=1e-8, atol=1e-8)
    for there, back in ((flow.inv, z), (flow.inv.inv, x)):
        torch.testing.assert_close(there(back, context)[0], x if back is z else z, rtol=1e-9, atol=1e-9)


@EACH
def test_gradients_reach_values_context_and_every_parameter_both_ways(case: Case) -> None:
    flow = case.flow()
    context = case.context()
    start = case.values()
    ways = [(flow, start)] + (
        [] if case.name in DISCRETE else [(flow.inverse, flow(start, context)[0].detach())]
    )
    for way, value in ways:
        flow.zero_grad()
        value = value.clone().requires_grad_()
        beside = None if context is None else context.clone().requires_grad_()
        out, log_det = way(value, beside)
        weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).view_as(out)
        ((out * weights).sum() + log_det.sum()).backward()
        assert value.grad is not None
        assert bool(value.grad.isfinite().all())
        if beside is not None:
            assert beside.grad is not None
            assert float(beside.grad.abs().sum()) > 0
        for name, parameter in flow.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            assert float(parameter.grad.abs().sum()) > 0 or (
                case.name == ALONE and name != "network.leave.bias"
            ), name


@EACH
def test_gradients_of_both_ways_agree_with_finite_differences(case: Case) -> None:
    flow, x, context = case.flow(), case.values(2), case.context(2)
    z = flow(x, context)[0].detach()
    ways = [(flow, x)] if case.name in DISCRETE else [(flow, x), (flow.inverse, z)]
    for way, start in ways:

        def total(value: Tensor, way: f.Flow = way) -> Tensor:
            out, log_det = way(value, context)
            return out.square().sum() + log_det.sum()

        value = start.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(total(value), value)
        torch.manual_seed(3)
        direction = torch.randn_like(start)
        step = 1e-6
        difference = (total(start + step * direction) - total(start - step * direction)) / (2 * step)
        torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-5, atol=1e-6)


@EACH
def test_saved_copied_and_pickled_flows_are_equal(case: Case) -> None:
    flow, x, context = case.flow(), case.values(), case.context()
    expected = flow(x, context)
    file = io.BytesIO()
    torch.save(flow.state_dict(), file)
    file.seek(0)
    torch.manual_seed(99)
    fresh = case.make().double().eval()
    fresh.load_state_dict(torch.load(file))
    for same in (fresh, copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        torch.testing.assert_close(same(x, context), expected, rtol=0, atol=0)
        assert repr(same) == repr(flow)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes_are_kept(case: Case, dtype: torch.dtype) -> None:
    flow, x, context = case.flow(dtype), case.values(dtype=dtype), case.context(dtype=dtype)
    z, log_det = flow(x, context)
    again, minus = flow.inverse(z, context)
    assert {t.dtype for t in (z, log_det, again, minus)} == {dtype}
    if dtype == torch.float32 and case.name not in DISCRETE:
        torch.testing.assert_close(again, x, rtol=1e-3, atol=1e-3)


@EACH
def test_nothing_is_kept_between_calls(case: Case) -> None:
    flow, x, context = case.flow(), case.values(), case.context()
    expected = flow(x, context)
    before = {name: t.clone() for name, t in flow.state_dict().items()}
    flow(case.values(seed=5), context)
    torch.testing.assert_close(flow(x, context), expected, rtol=0, atol=0)
    torch.testing.assert_close(dict(flow.state_dict()), before, rtol=0, atol=0)


@EACH
def test_every_example_is_mapped_by_itself(case: Case) -> None:
    flow, x, context = case.flow(), case.values(), case.context()
    z, log_det = flow(x, context)
    one_z, one_log_det = flow(x[2:3], None if context is None else context[2:3])
    torch.testing.assert_close((one_z[0], one_log_det[0]), (z[2], log_det[2]))


@pytest.mark.parametrize("case", [c for c in CASES if c.name in VOLUME_KEEPING], ids=lambda case: case.name)
def test_additive_maps_keep_volumes(case: Case) -> None:
    assert bool((case.flow()(case.values())[1] == 0).all())


FRESH_IDENTITY = [c for c in CASES if c.name.startswith(("affine", "additive", "spline", "autoregressive"))]


@pytest.mark.parametrize("case", FRESH_IDENTITY, ids=lambda case: case.name)
def test_couplings_and_autoregression_begin_as_the_identity(case: Case) -> None:
    flow = case.make().double()
    x = case.values()
    z, log_det = flow(x, case.context())
    torch.testing.assert_close(z, x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_det, torch.zeros_like(log_det), rtol=0, atol=1e-10)
