"""Transforms of torch, and modules that make them, as flows."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.distributions import flows as f
from symdgm.distributions.transformed import Transformed
from symdgm.errors import NotSupportedError, ParameterError
from tests.distributions.flows.cases import MadeTransform

TRANSFORMS: list[tuple[td.Transform, tuple[int, ...]]] = [
    (td.ExpTransform(), (3,)),
    (td.SigmoidTransform(), (2, 3)),
    (td.TanhTransform(), ()),
    (td.AffineTransform(1.0, torch.tensor([2.0, -3.0])), (2,)),
    (td.StickBreakingTransform(), (3,)),
    (td.ComposeTransform([td.AffineTransform(0.5, 2), td.SoftplusTransform(), td.ExpTransform().inv]), (2,)),
    (td.ReshapeTransform((4,), (2, 2)), (4,)),
]  # fmt: skip


@pytest.mark.parametrize(("transform", "event"), TRANSFORMS, ids=lambda v: type(v).__name__)
def test_the_density_is_that_of_torch(transform: td.Transform, event: tuple[int, ...]) -> None:
    base = sd.Normal("p(u)", loc=0.2, scale=0.7, event_shape=event)
    reference = td.TransformedDistribution(td.Normal(0.2, 0.7).expand(event), [transform])
    torch.manual_seed(0)
    x = reference.sample((5,))
    p = Transformed("p(x)", base=base, flow=transform)
    expected = reference.log_prob(x)
    torch.testing.assert_close(
        p.log_prob({"x": x}), expected.flatten(1).sum(1) if expected.ndim > 1 else expected
    )
    assert p.sample(n=5)["x"].shape == x.shape


def test_trained_numbers_inside_a_transform_are_seen_copied_and_saved() -> None:
    inner = td.AffineTransform(nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2)))
    flow = f.TransformFlow(td.ComposeTransform([inner, td.ExpTransform()]))
    assert len(list(flow.parameters())) == 2
    x = torch.randn(4, 2)
    optimizer = torch.optim.SGD(flow.parameters(), lr=0.1)
    before = flow(x)[0].detach()
    flow(x)[0].sum().backward()
    optimizer.step()
    assert not torch.equal(flow(x)[0], before)
    for same in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        torch.testing.assert_close(same(x), flow(x))
        next(iter(same.parameters())).data += 1
        assert not torch.equal(same(x)[0], flow(x)[0])
    loaded = f.TransformFlow(
        td.ComposeTransform(
            [td.AffineTransform(nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))), td.ExpTransform()]
        )
    )
    loaded.load_state_dict(flow.state_dict())
    torch.testing.assert_close(loaded(x), flow(x))


def test_the_weights_of_a_module_that_makes_a_transform_are_those_of_the_flow() -> None:
    flow = f.TransformFlow(MadeTransform(), context_features=3)
    assert [name for name, _ in flow.named_parameters()] == [
        "transform.linear.weight",
        "transform.linear.bias",
    ]
    assert repr(flow) == "TransformFlow(MadeTransform)"


class OneWay(td.Transform):
    """Increasing, but nobody wrote its inverse."""

    domain = td.constraints.real
    codomain = td.constraints.real
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        return x + x.tanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (2 - x.tanh().square()).log()


def test_a_transform_without_an_inverse_is_drawn_from_with_its_density() -> None:
    base = sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)
    p = Transformed("p(x)", base=base, flow=OneWay())
    with pytest.raises(NotSupportedError, match=r"OneWay has no inverse formula\n.*sample_and_log_prob"):
        p.log_prob({"x": torch.zeros(1, 2)})
    x, log_p = p.sample_and_log_prob(n=4)
    u = x["x"]
    for _ in range(50):
        u = u - (u + u.tanh() - x["x"]) / (2 - u.tanh().square())
    expected = base.log_prob({"u": u}) - (2 - u.tanh().square()).log().sum(1)
    torch.testing.assert_close(log_p, expected, rtol=1e-4, atol=1e-4)
    turned = Transformed("p(x)", base=base, flow=f.TransformFlow(OneWay()).inv)
    assert turned.log_prob({"x": torch.zeros(1, 2)}).shape == (1,)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"AbsTransform is no bijection"):
        f.TransformFlow(td.AbsTransform())
    with pytest.raises(ParameterError, match=r"is a str, not a network"):
        f.TransformFlow("exp")
    with pytest.raises(ParameterError, match=r"ExpTransform is fixed, so it takes no context"):
        f.TransformFlow(td.ExpTransform(), context_features=2)
    with pytest.raises(ParameterError, match=r"network returned a float, not a transform\n.*zuko"):
        f.TransformFlow(lambda: 1.0)(torch.zeros(1, 1))
    with pytest.raises(ParameterError, match=r"AbsTransform is no bijection"):
        f.TransformFlow(lambda: td.AbsTransform())(torch.zeros(1, 1))


def test_flows_of_zuko() -> None:
    zuko = pytest.importorskip("zuko")
    torch.manual_seed(0)
    theirs = zuko.flows.NSF(3, context=2, transforms=2, hidden_features=(16, 16))
    base = sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=3)
    flow = f.TransformFlow(theirs.transform, context_features=2)
    ours = Transformed("p(x|y)", base=base, flow=flow.inv)
    x, y = torch.randn(6, 3), torch.randn(6, 2)
    torch.testing.assert_close(ours.log_prob({"x": x, "y": y}), theirs(y).log_prob(x), rtol=1e-4, atol=1e-4)
    assert set(ours.parameters()) == set(theirs.parameters())
    drawn, log_p = ours.sample_and_log_prob({"y": y}, shape=4)
    torch.testing.assert_close(log_p, theirs(y).log_prob(drawn["x"]), rtol=1e-3, atol=1e-3)
