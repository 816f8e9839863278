"""Aggregated posteriors q(z): their draws, their density by the minibatch, mutual information, β-TCVAE."""

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import LATENT, Counting, gradients, images, vae, z_score
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import DataError, NameResolutionError, NonFiniteError, NotSupportedError, ShapeError
from symdgm.rewriting.rule import Kind

DOUBLE = torch.float64
TCVAE = "E_q(z|x)[log p(x|z)] - I[x; z] - beta KL[q(z) || prod_j q(z_j)] - sum_j KL[q(z_j) || p(z_j)]"


def by_hand(encoder: nn.Module, x: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """A draw for each row; log q(z|x), log q(z) and the log q(z_j); weights are [batch, rows]."""
    loc, scale = encoder(x)
    z = loc + scale * torch.randn_like(loc)
    each = td.Normal(loc, scale).log_prob(z[:, None])  # [batch, rows, event]
    log_w = weights.log()
    joint = (each.sum(-1) + log_w).logsumexp(1)
    return z, td.Normal(loc, scale).log_prob(z).sum(-1), joint, (each + log_w[..., None]).logsumexp(1)


def mixture(size: int) -> Tensor:
    return torch.full((size, size), 1 / size, dtype=DOUBLE)


def stratified(size: int, rows: int) -> Tensor:
    weights = torch.full((size, size), (rows - 1) / (rows * (size - 1)), dtype=DOUBLE)
    return weights.fill_diagonal_(1 / rows)


@pytest.mark.parametrize("rows", [None, 100])
def test_the_total_correlation_objective_by_hand(rows: int | None) -> None:
    """β-TCVAE in one equation, values, terms and gradients; the encoder runs once."""
    encoder, decoder, laws = vae()
    counting = Counting(encoder)
    own = [sd.Normal("q(z|x)", counting), *laws[1:], sd.Data("data(x)", size=rows)]
    objective, x = sd.Objective(TCVAE, *own, beta=6.0), images()
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    weights = mixture(len(x)) if rows is None else stratified(len(x), rows)
    z, given, joint, parts = by_hand(encoder, x, weights)
    prior = td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    likelihood = td.Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
    expected = (likelihood - (given - joint) - 6 * (joint - parts.sum(-1)) - (parts.sum(-1) - prior)).mean()
    torch.testing.assert_close(value, expected)
    assert counting.calls == 1
    for ours, theirs in zip(
        gradients(value, encoder, decoder), gradients(expected, encoder, decoder), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    torch.manual_seed(0)
    terms = objective.terms(x=x)
    assert list(terms) == [
        "E_q(z|x)[log p(x|z)]", "I[x; z]", "KL[q(z) || prod_j q(z_j)]", "sum_j KL[q(z_j) || p(z_j)]"
    ]  # fmt: skip
    torch.testing.assert_close(terms["I[x; z]"], (given - joint).mean())


def test_with_beta_one_it_is_the_evidence_lower_bound() -> None:
    """The aggregated densities cancel: the same draws give the ELBO by Monte Carlo."""
    _, _, laws = vae()
    x = images()
    torch.manual_seed(0)
    value = sd.Objective(TCVAE, *laws, beta=1.0)(x=x)
    torch.manual_seed(0)
    expected = sd.Objective("E_q(z|x)[log p(x|z) + log p(z) - log q(z|x)]", *laws, analytic=False)(x=x)
    torch.testing.assert_close(value, expected)


def test_all_rows_at_once_are_exact() -> None:
    """A batch that is the whole data: the estimate is the mixture itself, and KL[q(z)||p(z)] unbiased."""
    encoder, _, laws = vae()
    x = images(6)
    objective = sd.Objective("KL[q(z) || p(z)]", *laws, sd.Data("data(x)", x=x))
    loc, scale = encoder(x)
    grid = td.MixtureSameFamily(
        td.Categorical(torch.ones(6, dtype=DOUBLE)), td.Independent(td.Normal(loc, scale), 1)
    )
    draws = grid.sample((40000,))
    exact = (grid.log_prob(draws) - td.Normal(0.0, 1.0).log_prob(draws).sum(-1)).detach()
    torch.manual_seed(0)
    values = torch.stack([objective(x=x) for _ in range(400)]).detach()
    difference = values.mean() - exact.mean()
    error = math.sqrt(values.var().item() / len(values) + exact.var().item() / len(exact))
    assert abs(difference.item()) < 4 * error


def test_the_stratified_density_is_unbiased() -> None:
    """q(z) over batches with one fixed row, against the mixture over all rows: z bound of 4.

    The plain mixture over the batch counts the own row too often, and is biased.
    """
    torch.manual_seed(0)
    data = 2 * torch.randn(30, 1, dtype=DOUBLE)
    q = sd.Normal("q(z|x)", loc=lambda x: x, scale=0.1)
    exact, found = [], {30: [], None: []}
    for rows, values in found.items():
        objective = sd.Objective("E_q(z|x)[exp(log q(z))]", q, sd.Data("data(x)", size=rows))
        torch.manual_seed(1)
        for _ in range(1500):
            others = 1 + torch.randperm(29)[:4]
            batch = torch.cat([data[:1], data[others]])
            values.append(objective.per_example(x=batch)[0])
    z = data[0] + 0.1 * torch.randn(20000, 1, dtype=DOUBLE)
    exact = td.Normal(data[:, 0], 0.1).log_prob(z).exp().mean(1)
    assert z_score(torch.stack(found[30]), exact.mean()) < 4
    assert z_score(torch.stack(found[None]), exact.mean()) > 4


def test_information_is_at_most_the_log_of_the_batch() -> None:
    """q(z|x) that tells all rows apart: I[x; z] of a batch of 8 is log 8."""
    x = 100 * torch.arange(8, dtype=DOUBLE)[:, None]
    q = sd.Normal("q(z|x)", loc=lambda x: x, scale=1.0)
    value = sd.Objective("I[x; z]", q, sd.Data("data(x)"))(x=x)
    assert value.item() == pytest.approx(math.log(8))
    torch.manual_seed(0)
    both = [sd.Objective(t, q, sd.Data("data(x)")) for t in ("I[z; x]", "E_data(x)[KL[q(z|x) || q(z)]]")]
    values = []
    for objective in both:
        torch.manual_seed(0)
        values.append(objective(x=x / 100))
    torch.testing.assert_close(*values)


def test_pairs_from_the_aggregated_posterior() -> None:
    """E_q(z) E_q(z')[f]: independent rows, so that no row meets itself; by hand and by a closed form."""
    encoder, _, laws = vae()
    x = images()
    objective = sd.Objective("E_{q(z)} E_{q(z')}[||z - z'||^2]", *laws, sd.Data("data(x)"))
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    loc, scale = encoder(x)
    a, b = (loc + scale * torch.randn_like(loc) for _ in range(2))
    squares = (a[:, None] - b[None]).square().sum(-1)
    torch.testing.assert_close(value, (squares.sum() - squares.diagonal().sum()) / 20)
    with pytest.raises(ShapeError, match="over the other examples of the batch"):
        objective(x=x[:1])


def test_an_expectation_that_also_reads_the_example() -> None:
    _, _, laws = vae()
    x = images()
    objective = sd.Objective("E_{q(z)}[log p(x|z)]", *laws)
    assert objective.per_example(x=x).shape == (5,)
    with pytest.raises(NotSupportedError, match="a third row"):
        sd.Objective("E_{q(z)} E_{q(z')}[<z, z'> log p(x|z)]", *laws)


def test_the_prior_scored_by_the_aggregated_posterior() -> None:
    """E_p(z)[log q(z)]: no row is the example's own; the mixture over the batch by hand."""
    encoder, _, laws = vae()
    x = images()
    torch.manual_seed(0)
    value = sd.Objective("E_p(z)[log q(z)]", *laws, sd.Data("data(x)", size=100))(x=x)
    torch.manual_seed(0)
    z = torch.randn(5, LATENT, dtype=DOUBLE)
    each = td.Normal(*encoder(x)).log_prob(z[:, None]).sum(-1)
    torch.testing.assert_close(value, (each.logsumexp(1) - math.log(5)).mean())


def test_a_divergence_inside_a_nonlinear_function_is_one_number() -> None:
    _, _, laws = vae()
    x = images()
    values = []
    for text in ("KL[q(z) || p(z)]", "max(KL[q(z) || p(z)], -100)"):
        torch.manual_seed(0)
        values.append(sd.Objective(text, *laws, sd.Data("data(x)")).per_example(x=x))
    torch.testing.assert_close(*values)
    assert values[1].unique().numel() == 1


def test_the_derivation_names_the_estimate() -> None:
    _, _, laws = vae()
    plain = sd.Objective("KL[q(z) || p(z)]", *laws, sd.Data("data(x)")).derivation
    (step,) = [s for s in plain if s.name == "minibatch mixture"]
    assert step.kind is Kind.BIASED
    known = sd.Objective("KL[q(z) || p(z)]", *laws, sd.Data("data(x)", size=50)).derivation
    assert [s.kind for s in known if s.name == "minibatch stratified sampling"] == [Kind.BIASED]
    assert "aggregated law" in [s.name for s in known]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("KL[q(z) || p(z)]", NameResolutionError, "nothing says that `x` is data"),
        ("I[x; w]", NameResolutionError, "one factor is wanted"),
        ("E_data(x)[log p(x)]", NameResolutionError, "nothing says that `z` is data"),
    ],
)
def test_what_is_refused(text: str, error: type[Exception], words: str) -> None:
    _, _, (q, p, prior) = vae()
    with pytest.raises(error, match=words):
        sd.Objective(text, q, p, *([prior] if "p(z)" in text else []))


def test_sizes_that_are_none() -> None:
    with pytest.raises(DataError, match="cannot have the size 1"):
        sd.Data("data(x)", size=1)
    with pytest.raises(DataError, match="it has 4 rows"):
        sd.Data("data(x)", x=torch.ones(4, 1), size=5)
    _, _, laws = vae()
    objective = sd.Objective("KL[q(z) || p(z)]", *laws, sd.Data("data(x)", size=50))
    with pytest.raises(NonFiniteError):
        objective(x=images(1))


def test_a_sum_over_states_of_the_aggregated_law() -> None:
    """``sum_y p(x|y) q(y)`` of the average of q(y|x), by hand; it ended in a KeyError."""
    torch.manual_seed(0)
    classify, means = nn.Linear(2, 3).double(), nn.Embedding(3, 2).double()
    laws = (
        sd.Categorical("q(y|x)", classify),
        sd.Normal("p(x|y)", lambda y: (means(y), torch.ones_like(means(y)))),
        sd.Data("data(x)"),
    )
    x = torch.randn(5, 2, dtype=DOUBLE)
    value = sd.Objective("sum_y p(x|y) q(y)", *laws)(x=x)
    densities = td.Normal(means.weight, 1.0).log_prob(x[:, None]).sum(-1).exp()
    expected = (densities * classify(x).softmax(-1).mean(0)).sum(-1).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(
        gradients(value, classify, means), gradients(expected, classify, means), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
