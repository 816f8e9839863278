"""Distributions that are no family: flows, mixtures, marginals and densities of one's own, in equations."""

import pytest
import torch
from lowering_cases import Counting, gradients, run_text, seeded, z_score
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions.flows import AffineCoupling, Autoregressive, Reverse
from symdgm.errors import EstimatorError, ShapeError

BATCH, DATA, LATENT = 6, 4, 2


class Encoder(nn.Module):
    def __init__(self, inputs: int = DATA) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 2 * LATENT)
        self.calls = 0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        loc, scale = self.layer(x).chunk(2, -1)
        return loc, scale.exp()


def images() -> Tensor:
    return torch.rand(BATCH, DATA, generator=seeded(1), dtype=torch.float64).round()


def setting(flow=AffineCoupling):
    torch.manual_seed(0)
    encoder = Encoder()
    base = sd.Normal("u(u|x)", encoder)
    q = sd.Transformed("q(z|x)", base=base, flow=flow(LATENT) >> Reverse(LATENT) >> flow(LATENT)).double()
    p = sd.Bernoulli("p(x|z)", nn.Linear(LATENT, DATA)).double()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    return encoder, q, p, prior


def moved(q):
    """Flows start as the identity: give them weights that matter."""
    generator = seeded(7)
    with torch.no_grad():
        for w in q.parameters():
            w.add_(0.3 * torch.randn(w.shape, generator=generator, dtype=w.dtype))


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("flow", [AffineCoupling, Autoregressive])
def test_the_bound_of_a_flow_posterior(samples, flow):
    """Value and gradients are those of PyTorch by hand with the same noise; the encoder runs once."""
    encoder, q, p, prior = setting(flow)
    moved(q)
    x = images()
    objective = sd.Objective("E_q(z|x)[log p(x,z) - log q(z|x)]", q, p * prior, samples=samples)
    objective(x=x)
    encoder.calls = 0
    torch.manual_seed(3)
    value = objective(x=x)
    assert encoder.calls == 1
    torch.manual_seed(3)
    loc, scale = encoder(x)
    u = loc + scale * torch.randn(samples, BATCH, LATENT, dtype=torch.float64)
    z, log_det = q.flow(u.flatten(0, 1))
    z = z.unflatten(0, (samples, BATCH))
    log_q = torch.distributions.Normal(loc, scale).log_prob(u).sum(-1) - log_det.unflatten(
        0, (samples, BATCH)
    )
    log_p = torch.distributions.Bernoulli(logits=p.network(z)).log_prob(x).sum(-1)
    expected = (log_p + torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1) - log_q).mean()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(gradients(value, q, p), gradients(expected, q, p), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def test_the_draw_and_its_log_density_share_one_pass():
    _, q, p, prior = setting()
    objective = sd.Objective("E_q(z|x)[log p(x|z)] - KL[q(z|x)||p(z)]", q, p, prior)
    x = images()
    torch.manual_seed(4)
    value = objective(x=x)
    assert objective.code.count("sample_and_log_prob") == 1 and "q_z_x.log_prob" not in objective.code
    torch.manual_seed(4)
    assert torch.equal(run_text(objective.code, objective.inputs(x=x))[0], value)
    assert "symdgm" not in objective.code
    assert "q(z|x) is computed by a Transformed as a whole" in repr(objective.derivation)


def test_a_draw_alone_needs_no_log_density():
    _, q, p, _ = setting()
    objective = sd.Objective("E_q(z|x)[log p(x|z)]", q, p)
    objective(x=images())
    assert 'q_z_x.sample({"x": x}, check=False)["z"]' in objective.code


def test_a_detached_draw_is_scored_again():
    _, q, _, _ = setting()
    moved(q)
    objective = sd.Objective("E_q(z|x)[log q(sg[z]|x)]", q)
    x = images()
    torch.manual_seed(5)
    value = objective(x=x)
    torch.manual_seed(5)
    expected = q.log_prob({"z": q.sample({"x": x})["z"].detach(), "x": x}).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(gradients(value, q), gradients(expected, q), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_model_with_a_flow_trains():
    _, q, p, prior = setting()
    model = sd.Model("maximize E_q(z|x)[log p(x|z)] - KL[q(z|x)||p(z)]", q.float(), p.float(), prior)
    x = images().float().repeat(8, 1)
    history = model.fit(x, epochs=20, lr=0.02, batch_size=48, seed=0, progress=False)
    assert history.last.value > history.epochs[0].value + 0.2
    assert model.sample(3)["x"].shape == (3, DATA)


def test_a_flow_as_the_likelihood_of_draws():
    """A density of data given several draws: sample axes are told, the data broadcast."""
    torch.manual_seed(0)
    q = sd.Normal("q(z|x)", Encoder()).double()
    base = sd.Normal("u(u|z)", Encoder(LATENT)).double()
    p = sd.Transformed("p(y|z)", base=base, flow=AffineCoupling(LATENT) >> Reverse(LATENT)).double()
    x, y = images(), torch.randn(BATCH, LATENT, dtype=torch.float64)
    objective = sd.Objective("E_q(z|x)[log p(y|z)]", q, p, samples=3)
    torch.manual_seed(6)
    value = objective(x=x, y=y)
    torch.manual_seed(6)
    loc, scale = q.network(x)
    z = loc + scale * torch.randn(3, BATCH, LATENT, dtype=torch.float64)
    expected = torch.stack([p.log_prob({"y": y, "z": row}) for row in z]).mean()
    torch.testing.assert_close(value, expected)


def mixture() -> sd.Mixture:
    parts = [
        sd.Normal(f"p{i}(z)", loc=nn.Parameter(torch.tensor([m, -m])), scale=1.0)
        for i, m in enumerate((-2.0, 2.0))
    ]
    return sd.Mixture("p(z)", parts, weights=torch.tensor([0.25, 0.75])).double()


@pytest.mark.parametrize("samples", [1, 3])
def test_a_mixture_prior(samples):
    _, q, p, _ = setting()
    prior = mixture()
    x = images()
    objective = sd.Objective("E_q(z|x)[log p(x|z) + log p(z) - log q(z|x)]", q, p, prior, samples=samples)
    torch.manual_seed(8)
    value = objective(x=x)
    torch.manual_seed(8)
    z, log_q = q.sample_and_log_prob({"x": x}, shape=(samples,))
    log_x = p.log_prob({"x": x, **z}, sample_axes={"z": 1})
    expected = (log_x + prior.log_prob(z, sample_axes={"z": 1}) - log_q).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(gradients(value, q, prior), gradients(expected, q, prior), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_draws_of_a_trained_mixture_of_counts_are_scored():
    rates = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    counts = sd.Mixture("p(z)", [sd.Poisson("p(z)", rate=rate) for rate in rates])
    trained = sd.Objective("E_p(z)[f(z)]", counts, f=lambda z: z.sum(-1))
    assert trained.derivation[1].name == "score function"
    fixed = mixture().requires_grad_(False)
    draws = sd.Objective("E_p(z)[sum(z^2)]", fixed).per_example(n=4000)
    assert z_score(draws, 10.0) < 4


def test_a_marginal_and_enumerated_states_given_to_an_object():
    """All states of y, without a batch of their own, go into a conditional flow."""
    torch.manual_seed(0)
    p_y = sd.OneHotCategorical("p(y)", logits=torch.randn(3, dtype=torch.float64))
    base = sd.Normal("u(u|y)", Encoder(3)).double()
    p = sd.Transformed("p(x|y)", base=base, flow=AffineCoupling(LATENT)).double()
    x = torch.randn(BATCH, LATENT, dtype=torch.float64)
    found = sd.Objective("E_p(y)[log p(x|y)]", p_y, p).per_example(x=x)
    expected = sum(
        w * p.log_prob({"x": x, "y": row.expand(BATCH, 3)})
        for w, row in zip(p_y.mean()["y"][0], torch.eye(3, dtype=torch.float64), strict=True)
    )
    torch.testing.assert_close(found, expected)
    z_of = nn.Linear(LATENT, LATENT).double()
    joint = sd.LinearNormal("r(x|z)", weight=z_of.weight.detach(), scale=0.5).double() * sd.Normal(
        "r(z)", loc=0.0, scale=1.0, event_shape=LATENT
    )
    marginal = joint.marginal("x")
    objective = sd.Objective("log r(x)", marginal)
    torch.testing.assert_close(objective.per_example(x=x), marginal.log_prob({"x": x}))


def test_an_object_over_two_variables():
    parts = [
        sd.Normal(f"a{i}(x|z)", lambda z, i=i: (z + i, 1.0))
        * sd.Normal(f"a{i}(z)", loc=float(i), scale=1.0, event_shape=2)
        for i in range(2)
    ]
    r = sd.Mixture("r(x,z)", parts)
    x, z = torch.randn(2, BATCH, 2)
    objective = sd.Objective("log r(x,z)", r)
    torch.testing.assert_close(objective.per_example(x=x, z=z), r.log_prob({"x": x, "z": z}))
    marginal = (
        sd.Normal("s(x|z)", lambda z: (z, 1.0))
        * sd.Normal("s(z|w)", lambda w: (w, 1.0))
        * sd.Normal("s(w)", loc=1.0, scale=1.0, event_shape=2)
    ).marginal("x", "z")
    draws = sd.Objective("E_{x, z ~ s(x,z)}[<x, z>]", marginal).per_example(n=5000)
    assert z_score(draws, 2 * (1.0 + 2.0)) < 4


def test_a_density_of_ones_own():
    energy = Counting(lambda x, y: -((x - y) ** 2).sum(1))
    p = sd.Custom("p(x|y)", lambda x, y: energy(x, y))
    x, y = torch.randn(2, BATCH, 3)
    objective = sd.Objective("log p(x|y)", p)
    torch.testing.assert_close(objective.per_example(x=x, y=y), -((x - y) ** 2).sum(1))
    assert energy.calls == 1
    with pytest.raises(EstimatorError, match="takes draws, but only its log-density is known"):
        sd.Objective("E_p(x|y)[sum(x)]", p)


def test_a_number_without_a_shape_is_refused():
    p = sd.Custom("p(x|y)", lambda x, y: -((x - y) ** 2).sum(1))
    with pytest.raises(ShapeError, match="`y` is the number 2, but nothing says its event shape"):
        sd.Objective("log p(x|y=2)", p)(x=torch.zeros(BATCH, 3))
    known = sd.Objective("log p(x|y=2) + log r(y)", p, sd.Normal("r(y)", loc=0.0, scale=1.0, event_shape=3))
    assert known(x=torch.zeros(BATCH, 3), y=torch.zeros(BATCH, 3)).isfinite()


def test_what_fails_inside_of_an_object_is_named():
    p = sd.Custom("p(x|y)", lambda x, y: (x @ y).sum(1))
    with pytest.raises(ShapeError, match=r"failed in `network\(x, y\)` of Custom p\(x\|y\)") as caught:
        sd.Objective("log p(x|y)", p)(x=torch.zeros(BATCH, 3), y=torch.zeros(BATCH, 3))
    assert "x [6, 3], y [6, 3]" in str(caught.value)


def test_renamed_flows_and_conditions_broadcast():
    _, q, _, prior = setting()
    moved(q)
    other = q.rename(x="y")
    y = images()
    objective = sd.Objective("KL[q(z|y)||p(z)]", other, prior)
    torch.manual_seed(1)
    value = objective(y=y)
    torch.manual_seed(1)
    torch.testing.assert_close(value, sd.Objective("KL[q(z|x)||p(z)]", q, prior)(x=y))


def test_two_draws_that_stand_on_different_axes():
    """Each of 2 draws of a meets each of 3 draws of b."""
    a = sd.Normal("q(a|x)", lambda x: (x, 1.0))
    b = sd.Normal("r(b|x)", lambda x: (-x, 1.0))
    p = sd.Custom("p(x|a,b)", lambda x, a, b: -((x - a * b) ** 2).sum(1))
    x = torch.randn(BATCH, 3, dtype=torch.float64)
    objective = sd.Objective("E_q(a|x) E_r(b|x)[log p(x|a,b)]", a, b, p, samples={"a": 2, "b": 3})
    torch.manual_seed(9)
    value = objective(x=x)
    torch.manual_seed(9)
    drawn_a = x + torch.randn(2, BATCH, 3, dtype=torch.float64)
    drawn_b = -x + torch.randn(3, BATCH, 3, dtype=torch.float64)
    expected = -((x - drawn_a[:, None] * drawn_b) ** 2).sum(-1).mean()
    torch.testing.assert_close(value, expected)
    assert '"b": b[:, None, :]' in objective.code
