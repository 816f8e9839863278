"""The examples of the batch under an index: contrastive bounds, sums over the data, global latents."""

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import DATA, Counting, gradients, images, vae, z_score
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError, ShapeError
from symdgm.rewriting.rule import Kind

DOUBLE = torch.float64


class Critic(nn.Module):
    """f(x, y), one number for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(DATA, DATA)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.layer(x) * y).sum(-1)


def pairs() -> tuple[Critic, Tensor, Tensor, list[sd.Data]]:
    torch.manual_seed(0)
    x, y = torch.randn(2, 7, DATA, dtype=DOUBLE)
    return Critic().double(), x, y, [sd.Data("data(x, y)")]


@pytest.mark.parametrize(
    "text",
    [
        "log(exp(f(x,y)) / (1/B sum_{j=1}^B exp(f(x,y_j))))",
        "f(x,y) - log mean_{j=1}^B exp(f(x,y_j))",
        r"\log \frac{\exp(f(x,y))}{\frac{1}{N} \sum_{j=1}^N \exp(f(x,y_j))}",
        "f(x^{(i)},y^{(i)}) - log(1/M sum_{m=1}^M exp(f(x^{(i)},y^{(m)})))",
    ],
)
def test_contrastive_bounds_by_hand(text: str) -> None:
    critic, x, y, data = pairs()
    objective = sd.Objective(text, *data, f=critic)
    value = objective(x=x, y=y)
    scores = critic(x[:, None], y[None])
    expected = (scores.diagonal() - scores.logsumexp(1)).mean() + math.log(len(x))
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(gradients(value, critic), gradients(expected, critic), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert {Kind.BIASED, Kind.LOWER_BOUND} & {s.kind for s in objective.derivation}
    assert objective(x=x[:3], y=y[:3]) <= math.log(3)


def test_other_examples_only() -> None:
    critic, x, y, data = pairs()
    text = "sum_{i=1}^B f(x_i, y_i) - sum_{i=1}^B log(1/(B - 1) sum_{j != i} exp(f(x_i, y_j)))"
    value = sd.Objective(text, *data, f=critic)(x=x, y=y)
    scores = critic(x[:, None], y[None])
    others = scores.masked_fill(torch.eye(7, dtype=torch.bool), -math.inf).logsumexp(1) - math.log(6)
    torch.testing.assert_close(value, (scores.diagonal() - others).sum())
    with pytest.raises(ShapeError, match="over the other examples of the batch, but there is one"):
        sd.Objective("sum_{i=1}^B mean_{j != i} f(x_i, y_j)", *data, f=critic)(x=x[:1], y=y[:1])


@pytest.mark.parametrize(
    ("text", "names", "factor"),
    [
        ("1/N sum_{n=1}^N log p(x_n)", {}, 1.0),
        ("1/N sum_{n=1}^N log p(x_n)", {"N": 1000}, 1.0),
        ("sum_{n=1}^N log p(x_n)", {"N": 1000}, 1000.0),
        ("N/B sum_{i=1}^B log p(x_i)", {"N": 1000}, 1000.0),
        ("sum_{i=1}^B log p(x_i)", {}, 5.0),
        ("1/M sum_{m=1}^M log p(x^{(m)})", {}, 1.0),
        ("log prod_{n=1}^B p(x_n)", {}, 5.0),
    ],
)
def test_sums_over_the_data(text: str, names: dict[str, float], factor: float) -> None:
    loc = nn.Parameter(torch.zeros(DATA, dtype=DOUBLE))
    x = images()
    value = sd.Objective(text, sd.Normal("p(x)", loc=loc, scale=1.0), **names)(x=x)
    expected = factor * td.Normal(loc, 1.0).log_prob(x).sum(-1).mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, loc), torch.autograd.grad(expected, loc))


def test_local_latents_inside_of_the_plate() -> None:
    """One draw for each row, as without the plate, and each network once."""
    encoder, decoder, laws = vae()
    counting = Counting(encoder)
    text = "1/N sum_{n=1}^N (E_{q(z_n|x_n)}[log p(x_n|z_n)] - KL[q(z_n|x_n) || p(z_n)])"
    objective = sd.Objective(text, sd.Normal("q(z|x)", counting), *laws[1:])
    x = images()
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    expected = sd.Objective("E_q(z|x)[log p(x|z)] - KL[q || p]", *laws)(x=x)
    torch.testing.assert_close(value, expected)
    assert counting.calls == 1
    for ours, theirs in zip(
        gradients(value, encoder, decoder), gradients(expected, encoder, decoder), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_global_latent_is_drawn_once() -> None:
    """Bayesian regression: one draw of the weights for all rows (LANGUAGE.md 8.26), unbiased over batches."""
    torch.manual_seed(0)
    loc = nn.Parameter(torch.zeros(DATA, dtype=DOUBLE))
    laws = [
        sd.Normal("q(w)", loc=loc, scale=0.3),
        sd.Normal("p(w)", loc=0.0, scale=1.0, event_shape=DATA),
        sd.Normal("p(y|x,w)", lambda x, w: ((x * w).sum(-1), torch.ones(len(x), dtype=DOUBLE))),
    ]
    text = "E_{q(w)}[sum_{n=1}^N log p(y_n|x_n, w)] - KL[q(w) || p(w)]"
    objective = sd.Objective(text, *laws, N=1000)
    x, y = torch.randn(40, DATA, dtype=DOUBLE), torch.randn(40, dtype=DOUBLE)
    torch.manual_seed(1)
    value = objective(x=x, y=y)
    torch.manual_seed(1)
    w = loc + 0.3 * torch.randn(DATA, dtype=DOUBLE)
    kl = td.kl_divergence(td.Normal(loc, 0.3), td.Normal(0.0, 1.0)).sum()
    expected = 1000 * td.Normal(x @ w, 1.0).log_prob(y).mean() - kl
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, loc), torch.autograd.grad(expected, loc))
    draws = torch.stack([objective(x=x, y=y) for _ in range(400)]).detach()
    exact = -0.5 * (y**2 + 0.09 * x.square().sum(1)).mean() - 0.5 * math.log(2 * math.pi)
    assert z_score(draws, float(1000 * exact - kl.detach())) < 4


def test_rows_meet_draws() -> None:
    """sum_k over draws beside an index over rows: log 1/(K B) sum_k sum_j p(x_j|z_k)."""
    encoder, decoder, laws = vae()
    x = images()
    text = "E_{z_{1:K} ~ q(z|x)}[log(1/(K B) sum_{k=1}^K sum_{j=1}^B p(x_j|z_k))]"
    torch.manual_seed(0)
    value = sd.Objective(text, *laws, K=3)(x=x)
    torch.manual_seed(0)
    loc, scale = encoder(x)
    z = loc + scale * torch.randn(3, *loc.shape, dtype=DOUBLE)
    logs = td.Bernoulli(logits=decoder(z)[:, None]).log_prob(x[:, None]).sum(-1)
    torch.testing.assert_close(value, (logs.logsumexp((0, 1)) - math.log(15)).mean())


@pytest.mark.parametrize(
    ("text", "names", "error", "words"),
    [
        ("sum_{n=1}^N x_n a_n", {"a": [1.0, 2.0], "N": 2}, NameResolutionError, "also the index of a entry"),
        ("log prod_{n=1}^N p(x_n)", {"N": 100}, NotSupportedError, "cannot be estimated from a batch"),
        ("1/B log p(x)", {}, NameResolutionError, "`B` is not bound"),
    ],
)
def test_what_is_refused(text: str, names: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sd.Objective(text, sd.Normal("p(x)", loc=0.0, scale=1.0, event_shape=DATA), **names)
