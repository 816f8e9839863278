"""Couplings that follow each other take values apart once, and compute what each would alone."""

import math

import pytest
import torch
from torch import nn

from symdgm.distributions.flows import (
    AdditiveCoupling,
    AffineCoupling,
    Coupling,
    Flow,
    Flows,
    Reverse,
    SplineCoupling,
)
from symdgm.errors import ShapeError


def stirred(flow):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return flow.double()


def vectors():
    a, b = (lambda **k: AffineCoupling(5, **k)), (lambda **k: SplineCoupling(5, **k))
    return Flows([a(), a(flip=True), b(), Reverse(5), a(), AdditiveCoupling(5, flip=True)]), (5,)


def images():
    board = AffineCoupling((4, 2, 2), mask="checkerboard", hidden=(3,))
    steps = [AffineCoupling((4, 2, 2), flip=flip, hidden=(3,)) for flip in (False, True, False)]
    return Flows([*steps, board, steps[0]]), (4, 2, 2)


def masks():
    apart = torch.tensor([True, False, True, False])
    first = torch.tensor([True, False, False, False])
    return Flows([AffineCoupling(4, mask=m, flip=f) for m in (first, apart, first) for f in (True, False)]), (
        4,
    )


def one_by_one(steps, value, context=None, *, back=False):
    total = value.new_zeros(len(value))
    for step in reversed(steps) if back else steps:
        value, log_det = step.inverse(value, context) if back else step(value, context)
        total = total + log_det
    return value, total


def slopes(result, parameters):
    value, log_det = result
    return torch.autograd.grad(value.square().sum() + log_det.sum(), parameters, allow_unused=True)


@pytest.mark.parametrize("make", [vectors, images, masks])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_they_compute_what_each_would_alone(make, back, rows):
    torch.manual_seed(0)
    flow, event = make()
    stirred(flow)
    x = torch.rand(rows, *event, dtype=torch.float64, requires_grad=True)
    parameters = [x, *flow.parameters()]
    together = flow.inverse(x) if back else flow(x)
    alone = one_by_one(list(flow), x, back=back)
    # The layout of a single row chooses another product, whose last digit may be another.
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    pairs = zip(slopes(together, parameters), slopes(alone, parameters), strict=True)
    assert all(a is b or torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in pairs)


def test_they_are_given_the_context():
    steps = [AffineCoupling(4, flip=f, context_features=2) for f in (False, True)]
    flow = stirred(Flows(steps))
    x, context = torch.randn(3, 4).double(), torch.randn(3, 2).double()
    torch.testing.assert_close(flow(x, context), one_by_one(steps, x, context), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(flow(x, context)[0], flow(x, context + 1)[0])


def test_a_hook_on_one_of_them_is_called_with_whole_values():
    flow, _ = vectors()
    seen = []
    handle = flow[1].register_forward_hook(lambda module, given, result: seen.append(given[0].shape))
    x = torch.randn(3, 5)
    hooked = flow(x)[0]
    assert seen == [(3, 5)]
    handle.remove()
    torch.testing.assert_close(hooked, flow(x)[0])
    assert len(seen) == 1


class Doubled(Coupling):
    """A coupling with a way of its own."""

    def __init__(self):
        super().__init__(4, AffineCoupling(4).element)

    def forward(self, x, context=None):
        z, log_det = super().forward(x, context)
        return 2 * z, log_det


def test_ways_of_ones_own_are_gone():
    flow = Flows([AffineCoupling(4), Doubled()])
    x = torch.randn(3, 4)
    assert torch.equal(flow(x)[0], 2 * x)
    flow[0].forward = lambda value, context=None: (value + 1, value.new_zeros(len(value)))
    assert torch.equal(flow(x)[0], 2 * (x + 1))


@pytest.mark.parametrize("shape", [(3, 1), (3, 5), (3, 4, 1), (3,)])
def test_values_of_another_event_are_refused(shape):
    flow = Flows([AffineCoupling(4), AffineCoupling(4, flip=True)])
    for way in (flow, flow.inverse):
        with pytest.raises(ShapeError, match="over the event"):
            way(torch.zeros(shape))


def test_another_event_in_the_middle_is_refused():
    class Wider(Flow):
        def forward(self, x, context=None):
            return torch.cat([x, x[:, :1]], 1), x.new_zeros(len(x))

        inverse = forward

    with pytest.raises(ShapeError, match="over the event"):
        Flows([AffineCoupling(4), Wider(), AffineCoupling(4)])(torch.zeros(3, 4))


def test_no_flow_at_all_changes_nothing():
    x = torch.randn(3, 4)
    z, log_det = Flows([])(x)
    assert torch.equal(z, x) and torch.equal(log_det, torch.zeros(3))


def test_a_log_determinant_that_is_one_number_counts_for_each_row():
    class Halved(Flow):
        def forward(self, x, context=None):
            return x / 2, torch.tensor(-4 * math.log(2.0))

        def inverse(self, z, context=None):
            return 2 * z, torch.tensor(4 * math.log(2.0))

    for way, sign in ((Flows([Halved()]), -4), (Flows([Halved()]).inverse, 4)):
        assert torch.equal(way(torch.zeros(3, 4))[1], torch.full((3,), sign * math.log(2.0)))


def test_one_network_call_for_each():
    calls = []

    class Counted(nn.Linear):
        def forward(self, x):
            calls.append(x.shape)
            return super().forward(x)

    steps = [AffineCoupling(4, flip=f, network=Counted(2, 4), packed=True) for f in (False, True)]
    Flows(steps)(torch.randn(3, 4))
    assert calls == [(3, 2), (3, 2)]
