"""Divergences of samples in equations: values with the same noise, bias by z-score, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.divergences import MMD, Energy, Sinkhorn, SlicedWasserstein
from symdgm.errors import EstimatorError, NotSupportedError, ShapeError
from symdgm.lowering.statements import environment

HELPERS = environment()
F64 = torch.float64


class Encoder(nn.Module):
    """A linear network that gives the parameters of a normal."""

    def __init__(self, inputs: int = 4, latent: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * latent, dtype=F64)

    def forward(self, x):
        loc, log_scale = self.linear(x).chunk(2, -1)
        return {"loc": loc, "scale": log_scale.exp()}


def prior(latent: int = 2, variable: str = "z") -> sd.Normal:
    loc = nn.Parameter(torch.full((latent,), 0.3, dtype=F64))
    return sd.Normal(f"p({variable})", loc=loc, scale=torch.ones(latent, dtype=F64))


def rows(n: int = 9, d: int = 4) -> torch.Tensor:
    return torch.randn(n, d, dtype=F64, generator=torch.Generator().manual_seed(5))


def seeded(objective, seed: int = 0, **data) -> torch.Tensor:
    torch.manual_seed(seed)
    return objective(**data)


def by_hand(encoder, p, x):
    """One draw for each row of q(z), and as many of p(z), with the noise in the order of the code."""
    torch.manual_seed(0)
    law = encoder(x)
    z = law["loc"] + law["scale"] * torch.randn_like(law["loc"])
    return z, p.constants["loc"] + torch.randn(len(x), 2, dtype=F64)


def unbiased(x, y, *widths):
    return HELPERS["unbiased_mmd"](x, y, HELPERS["gaussian_kernel"], widths)


@pytest.mark.parametrize(
    ("option", "compare"),
    [
        (MMD(bandwidth=(0.5, 2)), lambda a, b: unbiased(a, b, 0.5, 2)),
        (MMD("imq", 1.5, "biased"), lambda a, b: HELPERS["biased_mmd"](a, b, HELPERS["imq_kernel"], [1.5])),
        (MMD(lambda a, b: a @ b.mT), lambda a, b: HELPERS["unbiased_mmd"](a, b, lambda c, d: c @ d.mT)),
    ],
)  # fmt: skip
def test_mmd_of_the_aggregated_posterior(option, compare):
    torch.manual_seed(1)
    encoder, p, x = Encoder(), prior(), rows()
    o = sd.Objective("MMD[q(z) || p(z)]", sd.Normal("q(z|x)", encoder), p, divergences={"MMD": option})
    value = seeded(o, x=x)
    expected = compare(*by_hand(encoder, p, x))
    torch.testing.assert_close(value, expected)
    parameters = o.parameters()
    assert {id(t) for t in parameters} >= {id(t) for t in encoder.parameters()}
    found = torch.autograd.grad(value, parameters)
    wanted = torch.autograd.grad(expected, parameters)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
        assert a.abs().max() > 1e-6  # it reaches both sides


SMOOTH = {"MMD": MMD(bandwidth=1.0), "Sinkhorn": Sinkhorn(blur=0.5, scaling=0.999)}


@pytest.mark.parametrize("divergence", ["MMD", "Energy", "SW", "W", "Sinkhorn"])
def test_gradients_against_finite_differences_on_both_sides(divergence):
    if divergence == "Sinkhorn":
        pytest.importorskip("geomloss")
    torch.manual_seed(1)
    encoder, p, x = Encoder(), prior(), rows()
    fixed = {k: v for k, v in SMOOTH.items() if k == divergence}
    o = sd.Objective(f"{divergence}[q(z) || p(z)]", sd.Normal("q(z|x)", encoder), p, divergences=fixed)
    seeded(o, x=x).backward()
    tolerance = 2e-3 if divergence == "Sinkhorn" else 1e-6  # its potentials are not differentiated
    for parameter, index in (
        (encoder.linear.weight, (0, 1)),
        (encoder.linear.bias, (3,)),
        (p.constants["loc"], (1,)),
    ):
        with torch.no_grad():
            ends = []
            for step in (1e-5, -2e-5):
                parameter[index] += step
                ends.append(seeded(o, x=x).item())
            parameter[index] += 1e-5
        assert parameter.grad[index].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=tolerance)


def shifted(samples: int, batch: int, divergence: str, option) -> tuple[sd.Objective, torch.Tensor]:
    """A number for each example, whose law has the example as its mean."""
    q = sd.Normal("q(z|x)", lambda x: {"loc": x, "scale": 0.7 * torch.ones_like(x)})
    p = sd.Normal("p(z)", loc=torch.zeros(2, dtype=F64), scale=1.0)
    equation = f"{divergence}[q(z|x) || p(z)]"
    o = sd.Objective(equation, q, p, samples={"z": samples}, divergences={divergence: option})
    return o, torch.tensor([0.5, -0.3], dtype=F64).expand(batch, 2).clone().requires_grad_()


def gaussian_mmd(mean: torch.Tensor, s: float, h: float) -> torch.Tensor:
    """The squared MMD of N(mean, s^2 I) and N(0, I) under the Gaussian kernel of width h."""
    d, square = len(mean), mean.square().sum()

    def overlap(variance, distance):
        return (h**2 / (h**2 + variance)) ** (d / 2) * torch.exp(-distance / (2 * (h**2 + variance)))

    return overlap(2 * s**2, 0 * square) + overlap(2.0, 0 * square) - 2 * overlap(s**2 + 1, square)


@pytest.mark.parametrize("samples", [2, 5])
def test_the_u_statistic_is_unbiased_in_value_and_gradient(samples):
    o, x = shifted(samples, 20_000, "MMD", MMD(bandwidth=1.2))
    torch.manual_seed(3)
    values = o.per_example(x=x)
    (gradients,) = torch.autograd.grad(values.sum(), x)
    mean = x[0].detach().requires_grad_()
    exact = gaussian_mmd(mean, 0.7, 1.2)
    (slope,) = torch.autograd.grad(exact, mean)
    assert abs(z_score(values.detach(), exact.item())) < 4
    for i in range(2):
        assert abs(z_score(gradients[:, i], slope[i].item())) < 4


def test_the_v_statistic_is_biased_upwards():
    o, x = shifted(5, 5_000, "MMD", MMD(bandwidth=1.2, statistic="biased"))
    torch.manual_seed(3)
    values = o.per_example(x=x).detach()
    assert z_score(values, gaussian_mmd(x[0].detach(), 0.7, 1.2).item()) > 20
    assert values.min() >= 0


def test_the_energy_distance_is_unbiased():
    q = sd.Normal("q(z|x)", lambda x: {"loc": x, "scale": 0.7 * torch.ones_like(x)})
    p = sd.Normal("p(z)", loc=0.0, scale=1.0)
    o = sd.Objective("Energy[q(z|x) || p(z)]", q, p, samples=4)
    torch.manual_seed(0)
    values = o.per_example(x=torch.full((20_000, 1), 0.5, dtype=F64)).detach()

    def folded(mean, variance):  # E|N(mean, variance)|
        scale = math.sqrt(variance)
        tail = mean * math.erf(mean / (scale * math.sqrt(2)))
        return scale * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * variance)) + tail

    exact = 2 * folded(0.5, 1.49) - folded(0, 0.98) - folded(0, 2.0)
    assert abs(z_score(values, exact)) < 4


@pytest.mark.parametrize("kernel", ["gaussian", "imq", "laplace"])
def test_equal_laws_have_mean_zero_by_the_median_rule(kernel):
    q = sd.Normal("q(z|x)", lambda x: {"loc": 0 * x, "scale": torch.ones_like(x)})
    p = sd.Normal("p(z)", loc=0.0, scale=1.0)
    o = sd.Objective("MMD[q(z|x) || p(z)]", q, p, samples=6, divergences={"MMD": MMD(kernel)})
    torch.manual_seed(2)
    values = o.per_example(x=torch.zeros(10_000, 3, dtype=F64)).detach()
    assert abs(z_score(values, 0.0)) < 4
    assert (values < 0).any()


def test_equal_laws_of_four_dimensions_are_near_zero():
    q, p = sd.Normal("q(z)", loc=0.0, scale=1.0), sd.Normal("p(z)", loc=0.0, scale=1.0)
    o = sd.Objective("MMD[q(z) || p(z)]", q, p, z=4)
    torch.manual_seed(0)
    assert all(abs(o(n=100).item()) < 0.02 for _ in range(20))  # Pixyz: 62


def test_names_of_variables_may_be_words():
    encoder = Encoder()
    q, p = sd.Normal("q(latent|image)", encoder), prior(variable="latent")
    o = sd.Objective("MMD[q(latent) || p(latent)]", q, p)
    same = sd.Objective("MMD[q(z) || p(z)]", sd.Normal("q(z|x)", encoder), sd.Normal("p(z)", **p.constants))
    assert o.data == ("image",)
    torch.testing.assert_close(seeded(o, image=rows()), seeded(same, x=rows()))


def test_draws_are_shared_with_other_terms_and_independent_of_the_other_law():
    q = sd.Normal("q(z|x)", Encoder())
    o = sd.Objective("E_q(z|x)[||z||^2] + MMD[q(z) || q(z)]", q)
    seeded(o, x=rows())
    assert o.code.count("randn") == 2


def test_a_generator_is_trained_by_draws_alone():
    torch.manual_seed(0)
    network = nn.Linear(2, 4, dtype=F64)
    g = sd.Deterministic("p(x|z)", network)
    o = sd.Objective("MMD[data(x) || p(x)]", g, prior(), divergences={"MMD": MMD(bandwidth=2.0)})
    x = rows()
    value = seeded(o, x=x)
    torch.manual_seed(0)
    drawn = network(0.3 + torch.randn(len(x), 2, dtype=F64))
    torch.testing.assert_close(value, HELPERS["unbiased_mmd"](x, drawn, HELPERS["gaussian_kernel"], [2.0]))
    value.backward()
    assert network.weight.grad.abs().max() > 1e-4


def test_several_draws_of_a_law_that_reads_no_rows():
    torch.manual_seed(0)
    network = nn.Linear(2, 4, dtype=F64)
    parts = [sd.Deterministic("p(x|z)", network), prior()]
    o = sd.Objective(
        "MMD[data(x) || p(x)]", *parts, samples={"x": 3}, divergences={"MMD": MMD(bandwidth=2.0)}
    )
    x = rows()
    value = seeded(o, x=x)
    torch.manual_seed(0)
    drawn = network(0.3 + torch.randn(3, len(x), 2, dtype=F64)).flatten(0, 1)
    torch.testing.assert_close(value, HELPERS["unbiased_mmd"](x, drawn, HELPERS["gaussian_kernel"], [2.0]))


@pytest.mark.parametrize("divergence", ["SW", "Energy", "MMD"])
def test_several_draws_make_an_estimate_steadier(divergence):
    parts = [sd.Deterministic("p(x|z)", nn.Linear(2, 4, dtype=F64)), prior()]
    few, many = (sd.Objective(f"{divergence}[data(x) || p(x)]", *parts, samples=s) for s in (1, 30))
    torch.manual_seed(0)
    spreads = [torch.stack([o(x=rows()).detach() for _ in range(60)]).std() for o in (few, many)]
    assert spreads[1] < 0.6 * spreads[0]


def test_joints_are_compared_variable_by_variable():
    torch.manual_seed(0)
    decoder = nn.Linear(2, 4, dtype=F64)
    p = sd.Normal("p(x|z)", lambda z: {"loc": decoder(z), "scale": torch.ones_like(decoder(z))})
    encoder = Encoder()
    parts = [p, prior(), sd.Normal("q(z|x)", encoder)]
    width = {"MMD": MMD(bandwidth=2.0)}
    texts = ["MMD[q(x, z) || p(x, z)]", "MMD[data(x) q(z|x) || p(x, z)]", "MMD[q(z|x) data(x) || p(z, x)]"]
    first, *others = (sd.Objective(text, *parts, divergences=width) for text in texts)
    x = rows()
    torch.manual_seed(0)
    law = encoder(x)
    z = law["loc"] + law["scale"] * torch.randn_like(law["loc"])
    latent = parts[1].constants["loc"] + torch.randn(len(x), 2, dtype=F64)
    drawn = decoder(latent) + torch.randn(len(x), 4, dtype=F64)
    points = torch.cat([x, z], -1), torch.cat([drawn, latent], -1)
    expected = HELPERS["unbiased_mmd"](*points, HELPERS["gaussian_kernel"], [2.0])
    torch.testing.assert_close(seeded(first, x=x), expected)
    for other in others:
        torch.testing.assert_close(seeded(other, x=x), expected)


def test_flows_and_images_are_points_too():
    from symdgm.distributions.flows import Planar

    flow = sd.Transformed("q(z)", base=sd.Normal("b(z)", loc=0.0, scale=1.0, event_shape=3), flow=Planar(3))
    o = sd.Objective("Energy[q(z) || p(z)]", flow, sd.Normal("p(z)", loc=0.0, scale=1.0))
    torch.manual_seed(0)
    o(n=12).backward()
    assert any(t.grad is not None and t.grad.abs().max() > 0 for t in flow.parameters())
    image = sd.Normal("p(x)", loc=0.0, scale=1.0)
    pictures = sd.Objective("SW[data(x) || p(x)]", image, x=(2, 3, 3))
    assert pictures(x=torch.randn(8, 2, 3, 3)).shape == ()


def test_several_draws_of_a_flow_for_each_example():
    from symdgm.distributions.flows import Planar

    flow = sd.Transformed("q(z)", base=sd.Normal("b(z)", loc=0.0, scale=1.0, event_shape=3), flow=Planar(3))
    p = sd.Normal("p(z|x)", lambda x: {"loc": x, "scale": torch.ones_like(x)})
    o = sd.Objective("MMD[q(z) || p(z|x)]", flow, p, samples=7)
    torch.manual_seed(0)
    assert o.per_example(x=torch.zeros(5, 3)).unique().shape == (5,)


def test_a_latent_between_two_networks_has_one_draw_for_each_point():
    q = [sd.Normal("q(w|x)", Encoder()), sd.Normal("q(z|w)", Encoder(2))]
    o = sd.Objective("MMD[q(z|x) || p(z)]", *q, prior(), samples={"z": 8})
    torch.manual_seed(0)
    values = o.per_example(x=rows())
    assert values.shape == (9,) and values.unique().shape == (9,)
    assert "torch.randn(8, x.shape[0]" in o.code or "torch.randn(8, *" in o.code


def test_the_square_of_the_sliced_distance_is_a_loss():
    o = sd.Objective(
        "SW[q(z) || p(z)]^2",
        sd.Normal("q(z|x)", Encoder()),
        prior(),
        divergences={"SW": SlicedWasserstein(slices=16, order=2)},
    )
    value = seeded(o, x=rows())
    value.backward()
    root = sd.Objective(
        "SW[q(z) || p(z)]", *[f.distribution for f in o.bound.environment.factors],
        divergences={"SW": SlicedWasserstein(slices=16, order=2)},
    )  # fmt: skip
    torch.testing.assert_close(value, seeded(root, x=rows()) ** 2)


def test_a_stopped_law_gives_no_gradient():
    encoder, p = Encoder(), prior()
    q = sd.Normal("q(z|x)", encoder)
    stopped = sd.Objective("MMD[sg[q(z)] || p(z)]", q, p)
    plain = sd.Objective("MMD[q(z) || p(z)]", q, p)
    value = seeded(stopped, x=rows())
    torch.testing.assert_close(value, seeded(plain, x=rows()))
    value.backward()
    assert encoder.linear.weight.grad is None and p.constants["loc"].grad.abs().max() > 0


def test_the_pairwise_upper_bound_of_pixyz_is_an_expectation():
    """E_{p x q}[||x - x'||]: an upper bound on W_1, since any coupling is."""
    mean = nn.Parameter(torch.tensor([2.0, 1.0], dtype=F64))
    p, q = sd.Normal("p(x)", loc=0.0, scale=1.0), sd.Normal("q(x)", loc=mean, scale=1.0)
    upper = sd.Objective("E_p(x) E_q(x')[||x - x'||]", p, q, x=2)
    torch.manual_seed(0)
    value = upper(n=4000)
    value.backward()
    sliced = sd.Objective("W[p(x) || q(x)]", p, q, x=2)
    assert value > math.sqrt(5) > sliced(n=4000)
    assert (mean.grad > 0.1).all()


def test_discrete_draws_are_refused_with_what_relaxes_them():
    q = sd.Bernoulli("q(z|x)", nn.Linear(4, 2))
    with pytest.raises(
        EstimatorError, match=r"the draws of `q.z.x.`, a Bernoulli, carry no gradient"
    ) as error:
        sd.Objective("MMD[q(z) || p(z)]", q, sd.Bernoulli("p(z)", probs=0.5), z=2)
    assert 'estimators={"z": "Gumbel-softmax"}' in error.value.hint
    fixed = sd.Objective("MMD[sg[q(z)] || p(z)]", q, sd.Bernoulli("p(z)", probs=0.5), z=2)
    assert fixed(x=torch.zeros(5, 4)).isfinite()
    relaxed = sd.RelaxedBernoulli("q(z|x)", nn.Linear(4, 2), temperature=0.5)
    o = sd.Objective("MMD[q(z) || p(z)]", relaxed, sd.Bernoulli("p(z)", probs=0.5), z=2)
    o(x=torch.zeros(5, 4)).backward()


@pytest.mark.parametrize("estimator", ["Gumbel-softmax", "straight-through"])
def test_discrete_draws_are_relaxed_by_their_estimator(estimator):
    q = sd.Bernoulli("q(z|x)", network := nn.Linear(4, 2))
    options = {"z": 2, "estimators": {"z": estimator}}
    p = sd.Bernoulli("p(z)", probs=0.5)
    o = sd.Objective("MMD[q(z) || p(z)]", q, p, **options)
    torch.manual_seed(0)
    o(x=torch.randn(16, 4)).backward()
    assert network.weight.grad.abs().max() > 0
    assert f"draws of q(z|x) by {estimator}" in repr(o.derivation)
    by_example = sd.Objective("SW[q(z|x) || p(z)]", q, p, samples=6, **options)
    assert by_example.per_example(x=torch.randn(5, 4)).unique().shape == (5,)


def test_a_law_by_example_wants_several_draws():
    q = sd.Normal("q(z|x)", Encoder())
    with pytest.raises(NotSupportedError, match="is another law for each `x`, of which one draw") as error:
        sd.Objective("MMD[q || p]", q, prior())
    assert "MMD[q(z) || p(z)]" in error.value.hint and 'samples={"z": 64}' in error.value.hint
    with pytest.raises(NotSupportedError, match="of which the batch holds one draw a row"):
        sd.Objective("MMD[q(z|x) || q(z)]", q, samples=8)


def test_the_square_of_the_mmd_can_be_read_in_two_ways():
    with pytest.raises(NotSupportedError, match="is the squared MMD already"):
        sd.Objective("MMD^2[q(z) || p(z)]", sd.Normal("q(z|x)", Encoder()), prior())


def test_one_point_is_no_sample():
    o = sd.Objective("Energy[q(z) || p(z)]", sd.Normal("q(z|x)", Encoder()), prior())
    with pytest.raises(EstimatorError, match="is estimated from pairs of points, but there is one"):
        o(x=rows(1))


def test_classes_have_no_distances():
    generator = sd.Deterministic("p(y|z)", nn.Linear(2, 3, dtype=F64))
    o = sd.Objective("MMD[data(y) || p(y)]", generator, prior())
    with pytest.raises(ShapeError, match=r"`y` has the dtype torch.int64, but distances are measured"):
        o(y=torch.zeros(5, 3, dtype=torch.long))


def test_points_must_have_one_length():
    generator = sd.Deterministic("p(x|z)", nn.Linear(2, 3, dtype=F64))
    o = sd.Objective("MMD[data(x) || p(x)]", generator, prior())
    with pytest.raises(ShapeError, match="compares points of 2 numbers with points of 3"):
        o(x=rows(5, 2))


def test_code_needs_no_symdgm_and_repeats_the_value():
    torch.manual_seed(1)
    o = sd.Objective("Energy[q(z) || p(z)]", sd.Normal("q(z|x)", Encoder()), prior())
    value = seeded(o, x=rows())
    assert "import symdgm" not in o.code
    assert o.code.count("def ") == 4  # the objective, the statistic, the kernel, the distances
    scope: dict[str, object] = {}
    exec(o.code, scope)
    torch.manual_seed(0)
    torch.testing.assert_close(scope["objective"](**o.inputs(x=rows()))[0], value)


def test_the_energy_option_is_read():
    q, p = sd.Normal("q(z|x)", Encoder()), prior()
    biased = sd.Objective("Energy[q(z) || p(z)]", q, p, divergences={"Energy": Energy("biased")})
    plain = sd.Objective("Energy[q(z) || p(z)]", q, p)
    assert seeded(biased, x=rows()) > seeded(plain, x=rows())


def z_score(values: torch.Tensor, exact: float) -> float:
    """How many standard errors the mean is from a number."""
    return ((values.mean() - exact) / (values.std() / math.sqrt(len(values)))).item()
