"""Each flow against its formula written out by hand, and what was wrong with such flows elsewhere."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdgm.distributions import flows as f


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Fixed(nn.Module):
    """Coefficients that are the same everywhere."""

    def __init__(self, *values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(value.expand_as(x) for value in self.values)


# Coupling


def test_affine_coupling_is_its_formula() -> None:
    net = nn.Linear(3, 6).double()
    coupling = f.AffineCoupling(3, network=net, bound=2.0)
    x = torch.randn(5, 3, dtype=torch.float64)
    z, log_det = coupling(x)
    kept = x * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    raw, shift = net(kept).chunk(2, 1)
    s = 2 * torch.tanh(raw / 2)
    torch.testing.assert_close(z[:, 0], x[:, 0], rtol=0, atol=0)
    torch.testing.assert_close(z[:, 1:], (x * s.exp() + shift)[:, 1:])
    torch.testing.assert_close(log_det, s[:, 1:].sum(1))


def test_a_network_may_return_a_tuple_or_one_tensor_with_all_scales_first() -> None:
    net = nn.Conv2d(2, 4, 1)
    x = torch.randn(3, 2, 4, 4)
    one = f.AffineCoupling((2, 4, 4), network=net)
    two = f.AffineCoupling((2, 4, 4), network=lambda v: net(v).chunk(2, 1))
    torch.testing.assert_close(one(x), two(x))


def test_channel_and_checkerboard_masks() -> None:
    def mask(event: int | tuple[int, ...], **options: object) -> list[object]:
        coupling = f.AdditiveCoupling(event, network=nn.Identity(), **options)
        return coupling.mask.int().tolist()

    assert mask(6) == [1, 1, 1, 0, 0, 0]
    assert mask(6, flip=True) == [0, 0, 0, 1, 1, 1]
    assert mask(4, mask="checkerboard") == [1, 0, 1, 0]
    assert mask((1, 3, 4), mask="checkerboard") == [[[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]]
    assert mask((2, 1, 2)) == [[[1, 1]], [[0, 0]]]


def test_the_mask_is_a_buffer_and_moves_with_the_flow() -> None:
    coupling = f.AffineCoupling((1, 2, 2), mask="checkerboard").to("meta")
    assert coupling.mask.device.type == "meta"
    assert all(parameter.device.type == "meta" for parameter in coupling.parameters())


SCATTERED = torch.tensor([True, False, False, True, False])
FIRST, LAST = torch.tensor([True] * 2 + [False] * 3), torch.tensor([False] * 3 + [True] * 2)


@pytest.mark.parametrize("mask", [FIRST, LAST, SCATTERED], ids=["first", "last", "scattered"])
@pytest.mark.parametrize("image", [False, True])
def test_a_packed_network_is_one_that_reads_and_writes_zeros_beside(mask: Tensor, image: bool) -> None:
    inner: nn.Module = nn.Conv2d(2, 6, 1) if image else nn.Linear(2, 6)
    event = (5, 2, 3) if image else 5
    mask = mask.view(5, 1, 1).expand(5, 2, 3).clone() if image else mask
    rows = mask.flatten(1)[:, 0] if image else mask

    def whole(x: Tensor) -> Tensor:
        assert not bool(x[:, ~rows].any()), "what changes is hidden"
        out = torch.full((2, *x.shape), 7.0, dtype=x.dtype)
        out[:, :, ~rows] = inner(x[:, rows]).unflatten(1, (2, 3)).transpose(0, 1)
        return out.transpose(0, 1).flatten(1, 2)

    x = torch.randn(4, *([5, 2, 3] if image else [5]))
    packed = f.AffineCoupling(event, mask=mask, network=inner, packed=True)
    other = f.AffineCoupling(event, mask=mask, network=whole)
    for one, two in ((packed(x), other(x)), (packed.inverse(x), other.inverse(x))):
        torch.testing.assert_close(one, two)
    torch.testing.assert_close(packed.inverse(packed(x)[0])[0], x)
    pair = f.AffineCoupling(event, mask=mask, network=lambda v: inner(v).chunk(2, 1), packed=True)
    torch.testing.assert_close(pair(x), packed(x))


def test_the_default_networks_read_what_passes_and_write_what_changes() -> None:
    first = next(f.AffineCoupling(5, hidden=(8,)).parameters())
    image = f.AffineCoupling((6, 4, 4), flip=True, hidden=(8,))
    board = f.AffineCoupling((6, 4, 4), mask="checkerboard", hidden=(8,))
    assert first.shape == (8, 2) and (image.packed, board.packed) == (True, False)
    assert [next(c.parameters()).shape[1] for c in (image, board)] == [3, 6]


def test_a_mask_that_is_loaded_is_obeyed() -> None:
    net = nn.Linear(2, 2)
    one, two = (f.AdditiveCoupling(2, network=net, flip=flip) for flip in (False, True))
    x = torch.randn(3, 2)
    assert not torch.equal(one(x)[0], two(x)[0])
    one.load_state_dict(two.state_dict())
    assert torch.equal(one(x)[0], two(x)[0]) and torch.equal(copy.deepcopy(one)(x)[0], two(x)[0])


# Splines and autoregression


def test_a_spline_passes_its_knots_and_meets_the_identity_smoothly() -> None:
    spline = f.Spline(bins=4, bound=3.0)
    coefficients = torch.randn(spline.count, dtype=torch.float64)
    shares = 1e-3 + (1 - 4e-3) * coefficients[:4].softmax(-1)
    rises = 1e-3 + (1 - 4e-3) * coefficients[4:8].softmax(-1)
    knots, heights = (6 * t.cumsum(0)[:-1] - 3 for t in (shares, rises))
    slopes = 1e-3 + F.softplus(coefficients[8:] + math.log(math.expm1(1 - 1e-3)))
    z, log_slope = spline.apply(knots, coefficients.expand(3, -1))
    torch.testing.assert_close(z, heights)
    torch.testing.assert_close(log_slope.exp(), slopes)
    ends = torch.tensor([-3 + 1e-9, 3 - 1e-9, -3.0, 3.0, -8.0, 100.0], dtype=torch.float64)
    z, log_slope = spline.apply(ends, coefficients.expand(6, -1))
    torch.testing.assert_close(z, ends, rtol=0, atol=1e-8)
    torch.testing.assert_close(log_slope, torch.zeros_like(ends), rtol=0, atol=1e-6)


def test_a_spline_increases_everywhere_and_has_the_slope_it_states() -> None:
    spline = f.Spline(bins=6, bound=2.0)
    coefficients = 4 * torch.randn(spline.count, dtype=torch.float64)
    x = torch.linspace(-3, 3, 2001, dtype=torch.float64).requires_grad_()
    z, log_slope = spline.apply(x, coefficients.expand(2001, -1))
    assert bool((z.diff() > 0).all())
    (slope,) = torch.autograd.grad(z.sum(), x)
    torch.testing.assert_close(log_slope, slope.log(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [1.0, 10.0, 100.0])
def test_splines_of_extreme_coefficients_stay_finite_in_float32(size: float) -> None:
    spline = f.Spline(bins=8, bound=5.0)
    coefficients = (size * torch.randn(500, spline.count)).requires_grad_()
    x = (5 * torch.randn(500)).requires_grad_()
    z, log_slope = spline.apply(x, coefficients)
    again, minus = spline.invert(z, coefficients)
    (log_slope.sum() + minus.sum() + again.sum()).backward()
    for tensor in (z, log_slope, again, minus, x.grad, coefficients.grad):
        assert tensor is not None
        assert bool(tensor.isfinite().all())


def test_autoregression_is_the_loop_over_features() -> None:
    flow = f.Autoregressive(4, hidden=(16,)).double()
    for parameter in flow.parameters():
        parameter.data.normal_()
    x = torch.randn(5, 4, dtype=torch.float64)
    z, log_det = flow(x)
    total = torch.zeros(5, dtype=torch.float64)
    for i in range(4):
        seen = torch.where(torch.arange(4) < i, x, 1e6)  # what is not before it does not matter
        raw, shift = flow.network(seen)[:, i].unbind(-1)
        s = 3 * torch.tanh(raw / 3)
        torch.testing.assert_close(z[:, i], x[:, i] * s.exp() + shift)
        total = total + s
    torch.testing.assert_close(log_det, total)


@pytest.mark.parametrize(
    ("features", "hidden", "context"), [(1, (4,), 0), (3, (7, 5), 0), (3, (2, 9), 2), (5, (3,), 1)]
)
def test_made_sees_only_what_is_before_and_all_of_the_context(
    features: int, hidden: tuple[int, ...], context: int
) -> None:
    made = f.MADE(features, 2, hidden, context).double()
    for parameter in made.parameters():
        parameter.data.normal_()
    x = torch.randn(1, features, dtype=torch.float64)
    beside = torch.randn(1, context, dtype=torch.float64)
    by_x, by_context = torch.autograd.functional.jacobian(
        lambda v, c: made(v, c)[0].abs().sum(-1), (x, beside)
    )
    assert bool((by_x[:, 0].triu() == 0).all())
    if len(hidden) == 1 and hidden[0] >= features:
        assert bool((by_x[:, 0].tril(-1).abs() > 0)[features - 1, : features - 1].all())
    assert bool((by_context != 0).all())


# Planar and radial


@pytest.mark.parametrize("length", [0.05, 0.5, 3.0])
def test_the_planar_constraint_holds_for_every_length_of_w(length: float) -> None:
    """Elsewhere it divided by the norm rather than its square: w u = -2.997 at a norm of 0.5."""
    flow = f.Planar(2).double()
    w = torch.tensor([length, 0.0], dtype=torch.float64)
    u = torch.tensor([-7.0 / length, 1.0], dtype=torch.float64)
    flow.coefficients.constant.data = torch.cat([u, w, torch.zeros(1, dtype=torch.float64)])
    found, _, _, _ = flow._directions(None)
    torch.testing.assert_close((found @ w)[0], F.softplus(u @ w) - 1)
    assert float((found @ w).detach()) > -1
    x = torch.linspace(-200, 200, 4001, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.0])
    z, log_det = flow(x)
    assert bool((z[:, 0].diff() > 0).all())
    torch.testing.assert_close(flow.inverse(z)[0], x.double(), rtol=1e-8, atol=1e-8)
    assert bool(log_det.isfinite().all())


def test_a_planar_flow_that_needs_no_constraint_is_its_formula() -> None:
    flow = f.Planar(2).double()
    u, w, b = (
        torch.tensor([0.7, -0.2]).double(),
        torch.tensor([1.5, 0.5]).double(),
        torch.tensor([0.3]).double(),
    )
    along = F.softplus(u @ w) - 1
    flow.coefficients.constant.data = torch.cat([u, w, b])
    x = torch.randn(6, 2, dtype=torch.float64)
    u_hat = u + (along - u @ w) * w / (w @ w)
    h = torch.tanh(x @ w + b)
    z, log_det = flow(x)
    torch.testing.assert_close(z, x + h[:, None] * u_hat)
    torch.testing.assert_close(log_det, (1 + (1 - h**2) * (u_hat @ w)).abs().log())


def test_second_derivatives_of_the_planar_inverse_are_right() -> None:
    flow = f.Planar(2).double()
    z = torch.randn(2, dtype=torch.float64)

    def density(value: Tensor) -> Tensor:
        x, log_det = flow.inverse(value[None])
        return x.square().sum() + log_det.sum()

    def gradient(value: Tensor) -> Tensor:
        value = value.detach().requires_grad_()
        return torch.autograd.grad(density(value), value)[0]

    hessian = torch.autograd.functional.hessian(density, z)
    step = 1e-5 * torch.eye(2, dtype=torch.float64)
    differences = torch.stack([(gradient(z + s) - gradient(z - s)) / 2e-5 for s in step])
    torch.testing.assert_close(hessian, differences, rtol=1e-5, atol=1e-6)


def test_a_radial_flow_is_its_formula_and_smooth_at_its_centre() -> None:
    flow = f.Radial(3).double()
    flow.coefficients.constant.data = torch.tensor([1.0, 2.0, 3.0, 0.4, -2.0], dtype=torch.float64)
    centre = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    alpha = F.softplus(torch.tensor(0.4, dtype=torch.float64))
    beta = -alpha + F.softplus(torch.tensor(-2.0, dtype=torch.float64))
    x = torch.randn(5, 3, dtype=torch.float64)
    away = x - centre
    z, _ = flow(x)
    torch.testing.assert_close(z, x + beta / (alpha + away.norm(dim=1, keepdim=True)) * away)
    at_centre = centre.clone()[None].requires_grad_()
    z, log_det = flow(at_centre)
    (z.sum() + log_det.sum()).backward()
    assert at_centre.grad is not None
    assert bool(at_centre.grad.isfinite().all())
    torch.testing.assert_close(flow.inverse(z)[0], at_centre, rtol=0, atol=1e-9)


# Normalisation


def test_actnorm_normalises_the_first_batch_once() -> None:
    flow = f.ActNorm(2)
    x = 5 + 3 * torch.randn(50, 2, 4, 4)
    z, log_det = flow(x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.std((0, 2, 3), correction=0), torch.ones(2), rtol=1e-4, atol=1e-4)
    expected = -16 * x.std((0, 2, 3), correction=0).log().sum()
    torch.testing.assert_close(log_det, expected.expand(50), rtol=1e-4, atol=1e-4)
    shift = flow.shift.clone()
    flow(x - 100)
    assert torch.equal(flow.shift, shift)


def test_actnorm_is_not_set_anew_after_loading_copying_or_sampling() -> None:
    """Elsewhere the flag was no part of the saved state."""
    trained = f.Flows([f.ActNorm(2), f.Reverse(2)])
    trained(3 + torch.randn(100, 2))
    loaded = f.Flows([f.ActNorm(2), f.Reverse(2)])
    loaded.load_state_dict(trained.state_dict())
    other = 50 + torch.randn(100, 2)
    expected = trained(other)
    for flow in (loaded, copy.deepcopy(trained)):
        assert flow.training
        torch.testing.assert_close(flow(other), expected, rtol=0, atol=0)
    fresh = f.ActNorm(2)
    fresh.inverse(other)
    fresh.eval()
    fresh(other)
    assert not bool(fresh.initialised)
    fresh.train()
    assert float(fresh(other)[0].detach().mean().abs()) < 1e-4
    fresh.load_state_dict(f.ActNorm(2).state_dict())
    assert float(fresh(other - 7)[0].detach().mean().abs()) < 1e-4


def test_actnorm_after_its_first_batch_is_trained() -> None:
    flow = f.ActNorm(2)
    z, log_det = flow(torch.randn(20, 2))
    (z.square().sum() - log_det.sum()).backward()
    assert flow.shift.grad is not None
    assert flow.log_scale.grad is not None


def test_batchnorm_follows_torch_in_value_and_running_statistics() -> None:
    """Elsewhere the running statistics were those of the last batch alone."""
    ours, theirs = f.BatchNorm(3, momentum=0.2), nn.BatchNorm2d(3, momentum=0.2)
    for _ in range(5):
        x = 2 + 3 * torch.randn(6, 3, 4, 4)
        z, log_det = ours(x)
        torch.testing.assert_close(z, theirs(x))
        variance = x.var((0, 2, 3), correction=0)
        torch.testing.assert_close(log_det, (-8 * (variance + 1e-5).log().sum()).expand(6))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_variance, theirs.running_var)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x)[0], theirs(x))


def test_running_statistics_converge_to_those_of_the_data() -> None:
    flow = f.BatchNorm(1, momentum=0.05)
    for _ in range(400):
        flow(7 + 2 * torch.randn(64, 1))
    # One batch mean has a standard error of 2 / 8; the running mean averages about 39 of them: 4 sigma.
    assert abs(float(flow.running_mean) - 7) < 4 * 0.25 / math.sqrt(39)
    assert abs(float(flow.running_variance) - 4) < 4 * 4 * math.sqrt(2 / 64 / 39)


# Channels and shapes


def test_squeeze_takes_squares_to_channels_as_printed() -> None:
    x = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    z, _ = f.Squeeze()(x)
    assert z[0].tolist() == [
        [[1, 3], [9, 11]],
        [[2, 4], [10, 12]],
        [[5, 7], [13, 15]],
        [[6, 8], [14, 16]],
    ]  # fmt: skip
    assert torch.equal(f.Unsqueeze()(z)[0], x)
    assert f.Squeeze(4)(x)[0].shape == (1, 16, 1, 1)


def test_orders_of_channels() -> None:
    x = torch.arange(4.0)[None]
    assert f.Permute([3, 1, 0, 2])(x)[0].tolist() == [[3, 1, 0, 2]]
    assert f.Reverse(4)(x)[0].tolist() == [[3, 2, 1, 0]]
    drawn = [f.Shuffle(4, generator=torch.Generator().manual_seed(s))(x)[0] for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_1x1_convolutions_are_convolutions_and_agree() -> None:
    x = torch.randn(2, 3, 4, 5)
    plain = f.Conv1x1(3, generator=torch.Generator().manual_seed(7))
    z, log_det = plain(x)
    torch.testing.assert_close(z, F.conv2d(x, plain.weight[:, :, None, None]))
    lu = f.Conv1x1LU(3, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(lu(x), (z, log_det), rtol=1e-4, atol=1e-4)
    assert {name for name, _ in lu.named_buffers()} == {"signs", "order"}


def test_split_leaves_the_other_channels() -> None:
    x = torch.randn(3, 4, 2, 2)
    flow = f.Split(f.ActNorm(3), channels=4, on=3)
    z, log_det = flow(x)
    assert torch.equal(z[:, 3:], x[:, 3:])
    expected = flow.inner(x[:, :3])
    torch.testing.assert_close((z[:, :3], log_det), expected)


# Preprocessing


def test_dequantised_levels_come_back_exactly_and_fill_their_share() -> None:
    for flow, step in ((f.Dequantize(256), 1), (f.Dequantize(256, unit=True), 255)):
        levels = torch.arange(256.0).repeat(200)[:, None] / step
        z, log_det = flow(levels)
        assert torch.equal(flow.inverse(z)[0], levels)
        torch.testing.assert_close(log_det, torch.full_like(log_det, math.log(step / 256)))
        share = z * 256 - levels * step
        assert float(share.min()) >= 0
        assert float(share.max()) <= 1
        # Uniform noise: mean 1/2 within 4 standard errors.
        assert abs(float(share.mean()) - 0.5) < 4 * math.sqrt(1 / 12 / len(levels))
        assert not torch.equal(flow.eval()(levels)[0], z)


def test_preprocessing_has_an_exact_inverse_and_all_constants() -> None:
    """Elsewhere the inverse of [0, .5, 1] was [.026, .500, .974], and log(255/256) was missing."""
    flow = f.Dequantize(256, unit=True) >> f.Logit(margin=0.025)
    x = torch.tensor([[0.0, 127.0, 128.0, 255.0]], dtype=torch.float64) / 255
    z, log_det = flow(x)
    torch.testing.assert_close(flow.inverse(z)[0], x, rtol=0, atol=0)
    torch.testing.assert_close(flow[1].inverse(flow[1](x)[0])[0], x)
    p = z.sigmoid()
    by_hand = (math.log(255 / 256) + math.log(0.95) - (p * (1 - p)).log()).sum(1)
    torch.testing.assert_close(log_det, by_hand)


def test_a_uniform_density_over_levels_has_their_bits() -> None:
    flow = f.Dequantize(levels=8)
    _, log_det = flow(torch.randint(8, (5, 10)).float())
    torch.testing.assert_close(-log_det / 10 / math.log(2), torch.full((5,), 3.0))


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_the_logit_is_stable_in_float32(margin: float) -> None:
    z = torch.tensor([[-80.0, 0.0, 80.0]]).requires_grad_()
    x, log_det = f.Logit(margin).inverse(z)
    (x.sum() + log_det.sum()).backward()
    assert bool(log_det.isfinite().all())
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


# Composition


def test_composition_is_indexable_flat_and_adds_up() -> None:
    a, b, c = f.Conv1x1(2), f.Reverse(2), f.ActNorm(2)
    flow = a >> b >> c
    assert isinstance(flow, f.Flows)
    assert (len(flow), flow[0], flow[-1], list(flow)) == (3, a, c, [a, b, c])
    assert list(flow[1:]) == [b, c]
    assert list(a >> (b >> c)) == [a, b, c]
    flow.eval()
    x = torch.randn(4, 2)
    y, first = a(x)
    z, second = c(b(y)[0])
    torch.testing.assert_close(flow(x), (z, first + second))
    torch.testing.assert_close(f.Flows([])(x), (x, torch.zeros(4)))


def test_a_flow_may_stand_twice_with_one_set_of_weights() -> None:
    a = f.Conv1x1(2)
    flow = a >> f.Reverse(2) >> a
    assert len(list(flow.parameters())) == 1
    x = torch.randn(3, 2)
    torch.testing.assert_close(flow.inverse(flow(x)[0])[0], x, rtol=1e-4, atol=1e-4)


def test_ranks_and_contexts_of_compositions() -> None:
    flow = f.Squeeze() >> f.Flatten((4, 2, 2)) >> f.ActNorm(16)
    assert (flow.rank_in, flow.rank_out, flow.inv.rank_in, flow.inv.rank_out) == (3, 1, 1, 3)
    conditional = f.Reverse(2) >> f.AffineCoupling(2, context_features=3)
    assert (conditional.context_features, conditional.inv.context_features) == (3, 3)
    assert f.Split(conditional, channels=4).context_features == 3


def test_the_context_of_an_image_may_be_a_vector_or_an_image() -> None:
    flow = f.AffineCoupling((2, 2, 2), hidden=(4,), context_features=1)
    for parameter in flow.parameters():
        parameter.data.normal_()
    x, context = torch.randn(3, 2, 2, 2), torch.randn(3, 1)
    spread = context[:, :, None, None].expand(3, 1, 2, 2)
    torch.testing.assert_close(flow(x, context), flow(x, spread))
    assert not torch.equal(flow(x, context)[0], flow(x, context + 1)[0])
