"""Shapes: whole events are counted, and axes never mix."""

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import BATCH, DATA, LATENT, Encoder, gradients, images, vae, z_score
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

import symdgm as sd
from symdgm.errors import NotSupportedError


def standard(event=None, name="p(z)"):
    return sd.Normal(name, loc=0.0, scale=1.0, event_shape=event)


def test_constants_on_both_sides():
    p = sd.Normal("p(z)", loc=1.0, scale=1.0, event_shape=64)
    assert sd.Objective("KL[q(z)||p(z)]", standard(64, "q(z)"), p)().item() == 32.0


def test_constants_against_a_network():
    encoder = Encoder().double()
    x = images()
    value = sd.Objective("KL[p(z)||q(z|x)]", sd.Normal("q(z|x)", encoder), standard())(x=x)
    zero = torch.zeros(BATCH, LATENT).double()
    expected = td.kl_divergence(td.Normal(zero, 1.0), td.Normal(*encoder(x))).sum(-1).mean()
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("scale", ["number", "tensor", "parameter", "0-d network"])
@pytest.mark.parametrize("text", ["H[q(z|x)]", "KL[q||p]", "E_q(z|x)[log q(z|x) - log p(z)]"])
@pytest.mark.parametrize("analytic", [True, False])
def test_one_scale_for_a_whole_event(scale, text, analytic):
    loc, raw = nn.Linear(DATA, LATENT).double(), nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    x = images()
    made = {
        "number": 0.7,
        "tensor": torch.tensor(0.7, dtype=torch.float64),
        "parameter": raw,
        "0-d network": lambda x: raw,
    }[scale]
    spread = raw
    q = sd.Normal("q(z|x)", loc=loc, scale=made)
    objective = sd.Objective(text, q, standard(), analytic=analytic)
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    mean = loc(x)
    law, prior = td.Normal(mean, spread.expand_as(mean)), td.Normal(torch.zeros_like(mean), 1.0)
    z = mean + spread * torch.randn_like(mean)
    if text.startswith("H"):
        expected = law.entropy() if analytic else -law.log_prob(z)
    else:
        expected = td.kl_divergence(law, prior) if analytic else law.log_prob(z) - prior.log_prob(z)
    expected = expected.sum(-1).mean()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    if scale not in ("number", "tensor"):
        ours, theirs = (torch.autograd.grad(v, raw, retain_graph=True)[0] for v in (value, expected))
        torch.testing.assert_close(ours, theirs)


def test_parameters_without_a_network_are_trained():
    loc, scale = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.tensor(2.0))
    q = sd.Normal("q(z)", loc=loc, scale=scale)
    kl = sd.Objective("KL[q||p]", q, sd.Normal("p(z)", loc=1.0, scale=1.0))
    before = kl().item()
    optimizer = torch.optim.SGD(kl.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        kl().backward()
        optimizer.step()
    assert kl().item() < 0.01 < before
    q.double()
    assert kl().dtype == torch.float64


@pytest.mark.parametrize("text", ["KL[q||p]", "E_q(z|x)[||z||^2 + log q(z|x)]"])
@pytest.mark.parametrize("analytic", [True, False])
def test_parameters_come_in_any_order(text, analytic):
    scale = nn.Sequential(nn.Linear(DATA, LATENT), nn.Softplus()).double()
    x, values = images(), []
    for q in (
        sd.Normal("q(z|x)", loc=0.5, scale=scale),
        sd.Normal("q(z|x)", lambda x: {"scale": scale(x), "loc": torch.full_like(scale(x), 0.5)}),
        sd.Normal("q(z|x)", lambda x: (torch.full_like(scale(x), 0.5), scale(x))),
    ):
        objective = sd.Objective(text, q, standard(), analytic=analytic)
        torch.manual_seed(0)
        values.append(objective(x=x))
    torch.testing.assert_close(values[0], values[2])
    torch.testing.assert_close(values[1], values[2])


def test_a_prior_with_givens():
    encoder, prior = Encoder().double(), Encoder(2, LATENT).double()
    x, y = images(), torch.randn(BATCH, 2, dtype=torch.float64)
    q, p = sd.Normal("q(z|x)", encoder), sd.Normal("p(z|y)", prior)
    value = sd.Objective("KL[q(z|x)||p(z|y)]", q, p)(x=x, y=y)
    expected = td.kl_divergence(td.Normal(*encoder(x)), td.Normal(*prior(y))).sum(-1).mean()
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("samples", [1, 4])
def test_images_and_convolutions(samples):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 7, stride=7)
            self.head = nn.Linear(32, 8)

        def forward(self, x):
            loc, scale = self.head(self.conv(x).flatten(1)).chunk(2, -1)
            return loc, scale.exp()

    torch.manual_seed(0)
    encoder, decoder = Net(), nn.Sequential(nn.Linear(4, 784), nn.Unflatten(1, (1, 28, 28)))
    x = torch.rand(3, 1, 28, 28).round()
    laws = [sd.Normal("q(z|x)", encoder), sd.Bernoulli("p(x|z)", decoder), standard()]
    elbo = sd.Objective("E_q(z|x)[log p(x|z)] - KL[q||p]", *laws, samples=samples)
    torch.manual_seed(1)
    value = elbo(x=x)
    torch.manual_seed(1)
    loc, scale = encoder(x)
    noise = torch.randn_like(loc)[None] if samples == 1 else torch.randn(samples, *loc.shape)
    each = [-bce(decoder(loc + scale * e), x, reduction="none").flatten(1).sum(1) for e in noise]
    kl = td.kl_divergence(td.Normal(loc, scale), td.Normal(torch.zeros(4), 1.0)).sum(-1)
    torch.testing.assert_close(value, (sum(each) / samples - kl).mean())


def two_latents():
    torch.manual_seed(0)
    qa, qz, pa = Encoder().double(), Encoder(LATENT, 2).double(), Encoder(2, LATENT).double()
    px = nn.Linear(LATENT + 2, DATA).double()
    laws = [
        sd.Normal("q(a|x)", qa),
        sd.Normal("q(z|a)", qz),
        sd.Normal("p(a|z)", pa),
        standard(),
        sd.Bernoulli("p(x|a,z)", lambda a, z: px(torch.cat([a, z], -1))),
    ]
    return laws, qa, qz, pa, px


def test_nested_draws_never_mix_their_axes():
    laws, qa, qz, pa, px = two_latents()
    x, counts = images(), {"a": 2, "z": 3}
    text = "E_q(a|x) E_q(z|a)[log p(x|a,z) + log p(a|z) - ||a||^2 ||z||^2]"
    objective = sd.Objective(text, *laws, samples=counts, analytic=False)
    torch.manual_seed(3)
    value = objective(x=x)
    torch.manual_seed(3)
    loc_a, scale_a = qa(x)
    a = loc_a + scale_a * torch.randn(2, *loc_a.shape, dtype=torch.float64)
    noise = torch.randn(3, 2, BATCH, 2, dtype=torch.float64)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(2):
        loc_z, scale_z = qz(a[i])
        for j in range(3):
            z = loc_z + scale_z * noise[j, i]
            term = -bce(px(torch.cat([a[i], z], -1)), x, reduction="none").sum(-1)
            term = term + td.Normal(*pa(z)).log_prob(a[i]).sum(-1)
            total = total + (term - a[i].square().sum(-1) * z.square().sum(-1)).mean() / 6
    torch.testing.assert_close(value, total, rtol=1e-10, atol=0)
    for ours, theirs in zip(gradients(value, qa, qz, pa, px), gradients(total, qa, qz, pa, px), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_independent_draws_broadcast_against_each_other():
    torch.manual_seed(0)
    first, second = nn.Linear(DATA, 2).double(), nn.Linear(DATA, 2).double()
    laws = [
        sd.Normal("q(a|x)", loc=first, scale=0.5),
        sd.Normal("r(b|x)", loc=second, scale=0.5),
        sd.Bernoulli("s(x|b)", nn.Linear(2, DATA).double()),
        sd.Normal("u(a|b)", lambda b: (b, torch.ones_like(b))),
    ]
    x, text = images(), "E_q(a|x) E_r(b|x)[log u(a|b)]"
    counts = {"a": 3, "b": 3}  # equal counts would hide a mixture of axes
    objective = sd.Objective(text, *laws, samples=counts, analytic=False)
    torch.manual_seed(1)
    value = objective(x=x)
    torch.manual_seed(1)
    # b is drawn first: the density of a is given b, and draws stand in the order in which they are needed
    draws = [f(x) + 0.5 * torch.randn(3, BATCH, 2, dtype=torch.float64) for f in (second, first)]
    pairs = [td.Normal(b, 1.0).log_prob(a).sum(-1) for b in draws[0] for a in draws[1]]
    torch.testing.assert_close(value, (sum(pairs) / 9).mean(), rtol=1e-10, atol=0)


def test_discrete_value_below_draws_of_another_variable():
    """The density of a finite variable whose logits have an axis that its value lacks."""
    torch.manual_seed(0)
    laws = [
        sd.Normal("q(a|x)", loc=nn.Linear(DATA, 2).double(), scale=0.5),
        sd.Bernoulli("r(b|x)", nn.Linear(DATA, 2).double()),
        sd.Bernoulli("s(b|a)", lambda a: 2 * a),
    ]
    x, text = images(), "E_q(a|x) E_r(b|x)[log s(b|a)]"
    torch.manual_seed(1)
    value = sd.Objective(text, *laws, samples={"a": 4})(x=x)  # four draws, four states
    torch.manual_seed(1)
    loc = laws[0].parameters_at({"x": x})["loc"]
    a = loc + 0.5 * torch.randn(4, BATCH, 2, dtype=torch.float64)
    probs = laws[1].parameters_at({"x": x})["logits"].sigmoid()
    cross = td.Bernoulli(logits=2 * a)
    one, zero = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    expected = (probs * cross.log_prob(one) + (1 - probs) * cross.log_prob(zero)).sum(-1)
    torch.testing.assert_close(value, expected.mean(), rtol=1e-10, atol=0)


def test_expectation_over_a_prior_takes_n_draws():
    objective = sd.Objective("E_p(z)[||z||^2]", standard(4), analytic=False)
    torch.manual_seed(0)
    rows = objective.per_example(n=5000)
    assert rows.shape == (5000,)
    assert z_score(rows, 4.0) < 4  # |z| < 4 at a fixed seed


def test_deterministic_factor():
    g = nn.Linear(LATENT, DATA).double()
    encoder, _, laws = vae()
    x = images()
    objective = sd.Objective("E_q(z|x) E_g(y|z)[||x - y||^2]", laws[0], sd.Deterministic("g(y|z)", g))
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    loc, scale = encoder(x)
    y = g(loc + scale * torch.randn_like(loc))
    torch.testing.assert_close(value, (x - y).square().sum(-1).mean())
    with pytest.raises(NotSupportedError, match="has no density: it is deterministic"):
        sd.Objective("E_q(z|x)[log g(y|z)]", laws[0], sd.Deterministic("g(y|z)", g))


def test_a_number_of_draws_goes_with_every_copy_of_a_variable():
    _, _, laws = vae()
    twice = sd.Objective("E_{z' ~ q(z|x)}[||z'||^2]", laws[0], samples={"z": 3}, analytic=False)
    twice(x=images())
    assert "3 draws" in twice.code


def test_values_that_are_numbers():
    value = sd.Objective("log p(z=0)", standard(4))()
    assert value.item() == pytest.approx(-2 * math.log(2 * math.pi), rel=1e-6)
