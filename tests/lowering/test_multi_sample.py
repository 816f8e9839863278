"""Several draws under an index: importance-weighted bounds, Rényi bounds, reweighted wake-sleep."""

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import LATENT, Counting, gradients, images, vae, z_score
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions.flows import Planar
from symdgm.errors import EstimatorError, NameResolutionError, OptionError, ShapeError
from symdgm.rewriting.rule import Kind

DOUBLE = torch.float64
IWAE = "E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x,z_k)/q(z_k|x))]"
SPELLINGS = [
    IWAE,
    "E_{z_{1:K} ~ q(z|x)}[log mean_{k=1}^K p(x,z_k)/q(z_k|x)]",
    "E_{z_{1:K} ~ q(z|x)}[log(1/K sum_k p(x|z_k) p(z_k)/q(z_k|x))]",
    r"\mathbb{E}_{\{z_k\}_{k=1}^K \sim q(z|x)}"
    r"\left[\log \frac{1}{K} \sum_{k=1}^K \frac{p(x,z_k)}{q(z_k|x)}\right]",
    "E_{z_1, ..., z_K ~ q(z|x)}[log(1/K sum_{i=1}^K p(x,z_i)/q(z_i|x))]",
    "E_{prod_{k=1}^K q(z_k|x)}[log(1/K sum_{k=1}^K p(x,z^{(k)})/q(z^{(k)}|x))]",
    "E_{z_{1:4} ~ q(z|x)}[log(1/4 sum_{k=1}^4 p(x,z_k)/q(z_k|x))]",
    "-E_{z_{1:K} ~ q(z|x)}[log(K / sum_{k=1}^K p(x,z_k)/q(z_k|x))]",
]


def weights(encoder: nn.Module, decoder: nn.Module, x: Tensor, count: int, seed: int) -> tuple[Tensor, ...]:
    """log p(x|z), log p(z) and log q(z|x) by hand, each [count, batch], with the noise of the objective."""
    loc, scale = encoder(x)
    torch.manual_seed(seed)
    z = loc + scale * torch.randn(count, len(x), LATENT, dtype=DOUBLE)
    likelihood = td.Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
    prior = td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    return likelihood, prior, td.Normal(loc, scale).log_prob(z).sum(-1)


@pytest.mark.parametrize("text", SPELLINGS)
def test_the_importance_weighted_bound_by_hand(text: str) -> None:
    encoder, decoder, laws = vae()
    names = {} if "1:4" in text else {"K": 4}
    objective, x = sd.Objective(text, *laws, **names), images()
    torch.manual_seed(3)
    value = objective(x=x)
    likelihood, prior, posterior = weights(encoder, decoder, x, 4, 3)
    expected = ((likelihood + prior - posterior).logsumexp(0) - math.log(4)).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(
        gradients(value, encoder, decoder), gradients(expected, encoder, decoder), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
        assert ours.abs().sum() > 0


def test_each_network_runs_once_on_all_draws() -> None:
    _, _, laws = vae()
    encoder = Counting(vae()[0])
    sizes: list[int] = []

    def decoder(z: Tensor) -> Tensor:
        sizes.append(len(z))
        return z @ torch.ones(LATENT, 6, dtype=DOUBLE)

    own = [sd.Normal("q(z|x)", encoder), sd.Bernoulli("p(x|z)", decoder), laws[2]]
    text = IWAE + " + E_{z_{1:K} ~ q(z|x)}[sum_{j=1}^K log p(x|z_j)]"
    objective = sd.Objective(text, *own, K=7)
    objective(x=images())
    objective(x=images())
    assert encoder.calls == 2 and sizes == [35, 35]


def test_another_number_of_draws_compiles_nothing() -> None:
    encoder, decoder, laws = vae()
    objective, x = sd.Objective(IWAE, *laws, K=2), images()
    objective(x=x)
    objective.scalars["K"] = 9
    torch.manual_seed(5)
    value = objective(x=x)
    likelihood, prior, posterior = weights(encoder, decoder, x, 9, 5)
    torch.testing.assert_close(value, ((likelihood + prior - posterior).logsumexp(0) - math.log(9)).mean())
    assert len(objective.runner.programs) == 1


def test_one_draw_is_the_evidence_lower_bound() -> None:
    _, _, laws = vae()
    x = images()
    values = []
    for text in (IWAE, "E_q(z|x)[log(p(x,z)/q(z|x))]"):
        torch.manual_seed(1)
        values.append(sd.Objective(text, *laws, analytic=False, **({"K": 1} if "K" in text else {}))(x=x))
    torch.testing.assert_close(*values)


def linear_gaussian(noise: float = 0.5) -> list[sd.Normal]:
    """p(z) = N(0, 1), p(x|z) = N(z, noise^2), and a q that is not the posterior."""
    return [
        sd.Normal("q(z|x)", loc=lambda x: 0.3 * x, scale=0.9),
        sd.Normal("p(x|z)", loc=lambda z: z, scale=noise),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1),
    ]


def test_the_bounds_grow_with_the_number_of_draws() -> None:
    """ELBO < IWAE-5 < IWAE-50 < log p(x), each step more than 4 standard errors."""
    torch.manual_seed(0)
    x = torch.full((20000, 1), 1.3, dtype=DOUBLE)
    exact = td.Normal(0.0, math.sqrt(1.25)).log_prob(torch.tensor(1.3)).item()
    means, errors = [], []
    for count in (1, 5, 50):
        bound = sd.Objective(IWAE, *linear_gaussian(), K=count).per_example(x=x)
        means.append(bound.mean().item())
        errors.append(bound.std().item() / len(x) ** 0.5)
    loc, scale = 0.39, 0.9
    cross = -0.5 * ((1.3 - loc) ** 2 + scale**2) / 0.25 - math.log(0.5) - 0.5 * math.log(2 * math.pi)
    kl = 0.5 * (loc**2 + scale**2 - 1) - math.log(scale)
    assert abs(means[0] - (cross - kl)) < 4 * errors[0]
    steps = [*means, exact]
    for k, error in enumerate(errors):
        assert steps[k] + 4 * error < steps[k + 1]


@pytest.mark.parametrize("alpha", [0.5, -1.0, 1.2])
def test_renyi_bounds_by_hand_and_by_quadrature(alpha: float) -> None:
    """exp((1 - alpha) L) is an unbiased estimate of E_q[w^(1 - alpha)]: z bound of 4."""
    text = "1/(1-alpha) log(1/K sum_{k=1}^K (p(x,z_k)/q(z_k|x))^(1-alpha))"
    laws = [sd.Normal("q(z|x)", loc=lambda x: 0.5 * x, scale=0.8), *linear_gaussian()[1:]]
    objective = sd.Objective(f"E_{{z_{{1:K}} ~ q(z|x)}}[{text}]", *laws, alpha=alpha, K=10)
    torch.manual_seed(2)
    x = torch.full((4000, 1), 1.3, dtype=DOUBLE)
    logs = objective.per_example(x=x)
    z = torch.linspace(-12, 12, 20001, dtype=DOUBLE)
    q = td.Normal(torch.tensor(0.65, dtype=DOUBLE), 0.8)
    log_w = td.Normal(0.0, 1.0).log_prob(z) + td.Normal(z, 0.5).log_prob(x[0]) - q.log_prob(z)
    exact = torch.trapezoid((q.log_prob(z) + (1 - alpha) * log_w).exp(), z)
    assert z_score(((1 - alpha) * logs).exp(), exact) < 4
    torch.manual_seed(2)
    draws = 0.5 * x + 0.8 * torch.randn(10, 4000, 1, dtype=DOUBLE)
    parts = td.Normal(0.0, 1.0).log_prob(draws) + td.Normal(draws, 0.5).log_prob(x)
    w = (parts - td.Normal(0.5 * x, 0.8).log_prob(draws)).sum(-1)
    torch.testing.assert_close(logs, (((1 - alpha) * w).logsumexp(0) - math.log(10)) / (1 - alpha))


def test_the_upper_bound_is_estimated_from_below() -> None:
    """CUBO: the log of a mean of squared weights; the estimate of the logarithm is a lower bound (Jensen)."""
    objective = sd.Objective("1/n log E_q(z|x)[(p(x,z)/q(z|x))^n]", *linear_gaussian(), n=2.0, samples=20)
    steps = [s for s in objective.derivation if "Monte Carlo" in s.name]
    assert [s.kind for s in steps] == [Kind.LOWER_BOUND]
    torch.manual_seed(2)
    x = torch.full((6, 1), 1.3, dtype=DOUBLE)
    value = objective.per_example(x=x)
    torch.manual_seed(2)
    z = 0.3 * x + 0.9 * torch.randn(20, 6, 1, dtype=DOUBLE)
    log_w = td.Normal(0.0, 1.0).log_prob(z) + td.Normal(z, 0.5).log_prob(x)
    log_w = (log_w - td.Normal(0.3 * x, 0.9).log_prob(z)).sum(-1)
    torch.testing.assert_close(value, ((2 * log_w).logsumexp(0) - math.log(20)) / 2)


RWS = """E_{z_{1:K} ~ sg[q(z|x)]}[sum_{k=1}^K sg[w_k / sum_{j=1}^K w_j] (log p(x, z_k) + log q(z_k|x))]"""


@pytest.mark.parametrize("shift", [0.0, -400.0])
def test_reweighted_wake_sleep_by_hand(shift: float) -> None:
    """The wake phases of p and q; the weights stay finite where all densities underflow."""
    encoder, decoder, _ = vae()
    text = f"""
        q(z|x) = Normal(z; enc(x))
        p(x|z) = Normal(x; dec(z), 1)
        p(z) = Normal(z; c, 1)
        where w_k = p(x, z_k) / q(z_k|x)
        maximize {RWS}
    """
    c = 40.0 if shift else 0.0
    model, x = sd.Model(text, enc=encoder, dec=decoder, z=LATENT, K=6, c=c), images()
    torch.manual_seed(4)
    value = -model.loss(x=x)
    loc, scale = encoder(x)
    torch.manual_seed(4)
    z = (loc + scale * torch.randn(6, len(x), LATENT, dtype=DOUBLE)).detach()
    p = td.Normal(decoder(z), 1.0).log_prob(x).sum(-1) + td.Normal(c, 1.0).log_prob(z).sum(-1)
    q = td.Normal(loc, scale).log_prob(z).sum(-1)
    assert not shift or (p - q).max() < -1000
    expected = ((p - q).detach().softmax(0) * (p + q)).sum(0).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(
        gradients(value, encoder, decoder), gradients(expected, encoder, decoder), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
        assert ours.isfinite().all() and ours.abs().sum() > 0


PAIRS = {
    "sum_{k=1}^K sum_{j != k} <z_k, z_j>": lambda g: g.sum((1, 2)) - g.diagonal(0, 1, 2).sum(-1),
    "sum_{k=1}^K sum_{j=1}^K <z_k, z_j>": lambda g: g.sum((1, 2)),
    "sum_{k=1}^K sum_{j < k} <z_k, z_j>": lambda g: g.tril(-1).sum((1, 2)),
    "mean_{k=1}^K mean_{j != k} 1[j > 2] <z_k, z_j>": lambda g: (
        (g[..., 2:].sum((1, 2)) - g.diagonal(0, 1, 2)[:, 2:].sum(-1)) / 20
    ),
}


@pytest.mark.parametrize("text", PAIRS)
def test_pairs_of_draws_have_two_axes(text: str) -> None:
    encoder, _, laws = vae()
    x = images()
    torch.manual_seed(6)
    value = sd.Objective(f"E_{{z_{{1:K}} ~ q(z|x)}}[{text}]", *laws, K=5).per_example(x=x)
    torch.manual_seed(6)
    loc, scale = encoder(x)
    z = loc + scale * torch.randn(5, len(x), LATENT, dtype=DOUBLE)
    torch.testing.assert_close(value, PAIRS[text](torch.einsum("jbd,kbd->bjk", z, z)))


def test_single_draws_are_picked() -> None:
    encoder, _, laws = vae()
    x = images()
    objective = sd.Objective("E_{z_{1:K} ~ q(z|x)}[<z_1, z_K> + <z_2, z_2>]", *laws, K=3)
    torch.manual_seed(6)
    value = objective.per_example(x=x)
    torch.manual_seed(6)
    loc, scale = encoder(x)
    z = loc + scale * torch.randn(3, len(x), LATENT, dtype=DOUBLE)
    torch.testing.assert_close(value, ((z[0] * z[2]) + z[1] ** 2).sum(-1))


def test_an_average_over_several_bounds() -> None:
    """`samples` draws the K draws several times, and averages the bounds."""
    encoder, decoder, laws = vae()
    x = images()
    objective = sd.Objective(IWAE, *laws, K=4, samples=3)
    torch.manual_seed(8)
    value = objective(x=x)
    torch.manual_seed(8)
    loc, scale = encoder(x)
    z = loc + scale * torch.randn(3, 4, len(x), LATENT, dtype=DOUBLE)
    logs = td.Bernoulli(logits=decoder(z)).log_prob(x).sum(-1) + td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    logs = logs - td.Normal(loc, scale).log_prob(z).sum(-1)
    torch.testing.assert_close(value, (logs.logsumexp(1) - math.log(4)).mean())


def test_draws_of_a_flow() -> None:
    """An object draws K times; with the base alone, and no draws besides, the bound is that of the base."""
    encoder, decoder, laws = vae()
    flow = sd.Transformed("q(z|x)", base=sd.Normal("b(z|x)", encoder), flow=Planar(LATENT).double())
    objective, x = sd.Objective(IWAE, flow, *laws[1:], K=4), images()
    torch.manual_seed(3)
    value = objective(x=x)
    torch.manual_seed(3)
    drawn, log_q = flow.sample_and_log_prob({"x": x}, shape=(4,))
    z = drawn["z"]
    log_p = td.Bernoulli(logits=decoder(z)).log_prob(x).sum(-1) + td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(value, ((log_p - log_q).logsumexp(0) - math.log(4)).mean())


def test_the_number_of_draws_may_follow_a_schedule() -> None:
    _, _, laws = vae()
    model = sd.Model(f"maximize {IWAE}", *laws, K=lambda step: 1 + step)
    model.fit(images(20), epochs=2, batch_size=10, progress=False)
    assert model.scalars["K"] == 4


def test_the_derivation_says_how_many_draws() -> None:
    text = repr(sd.Objective(IWAE, *vae()[2], K=4).derivation)
    assert "estimated by K draws from q(z|x) for each example" in text
    text = repr(sd.Objective(IWAE, *vae()[2], K=4, samples=3).derivation)
    assert "estimated by K draws from q(z|x) for each example, the mean of 3 such" in text


def test_discrete_draws_have_an_unbiased_gradient() -> None:
    """E[log((f(b_1) + f(b_2))/2)] of two Bernoulli draws, by enumeration: z bound of 4."""
    logit = nn.Parameter(torch.tensor([0.3], dtype=DOUBLE))
    q = sd.Bernoulli("q(b)", logits=logit)
    objective = sd.Objective("E_{b_{1:2} ~ q(b)}[log(1/2 sum_{k=1}^2 exp(sum(b_k)))]", q)
    torch.manual_seed(0)
    value = objective.per_example(n=4000)
    p = logit.sigmoid()
    mixed = math.log((1 + math.e) / 2)
    exact = (p**2 * 1.0 + 2 * p * (1 - p) * mixed).sum()
    assert z_score(value.detach(), exact.item()) < 4
    found = torch.stack([torch.autograd.grad(objective(n=400), logit)[0] for _ in range(60)])
    wanted = torch.autograd.grad(exact, logit)[0]
    assert z_score(found[:, 0], wanted.item()) < 4


def test_two_draws_by_name_are_independent() -> None:
    encoder, _, laws = vae()
    x = images()
    objective = sd.Objective("E_{z, z' ~ q(z|x)}[||z - z'||^2]", *laws)
    torch.testing.assert_close(objective.per_example(x=x), 2 * encoder(x)[1].square().sum(-1))


@pytest.mark.parametrize(
    ("text", "names", "error", "words"),
    [
        (IWAE, {}, NameResolutionError, "nothing says how many draws"),
        (IWAE, {"K": 2.5}, OptionError, "an index runs to `K`, which is 2.5"),
        (IWAE, {"K": 0}, OptionError, "an index runs to `K`, which is 0"),
        ("E_{z_{0:K} ~ q(z|x)}[log p(z_1)]", {"K": 2}, sd.SymdgmError, "does not begin with 1"),
        ("E_{z_{1:K} ~ q(z|x)}[log p(z_3)]", {"K": 2}, ShapeError, "none of the K draws"),
        ("E_{z_{1:K} ~ q(z|x)}[log p(z_i)]", {"K": 2}, NameResolutionError, "is none of the draws"),
        ("E_{z_{1:K} ~ q(z|x)}[1/K sum_{k=1}^K log p(z_k) - log q(z_k|x)]", {"K": 2}, NameResolutionError,
         r"write `1/K sum_\{k=1\}\^K \(log p\(z_k\) - log q\(z_k\|x\)\)`"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, names: dict[str, float], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sd.Objective(text, *vae()[2], **names)(x=images())


def test_estimators_of_single_draws_are_refused_for_several() -> None:
    with pytest.raises(EstimatorError, match="pathwise"):
        q = sd.Bernoulli("q(b)", logits=torch.zeros(1))
        sd.Objective("E_{b_{1:2} ~ q(b)}[sum_k sum(b_k)]", q, estimators={"b": "pathwise"})
