"""Tensors that stand in formulas by their name: ``||x - mu||^2``, ``Normal(z; m, exp(s))``, ``a x + b``."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

import symdgm as sd


def encoder(x):
    return x[:, :3], torch.full((len(x), 3), 0.5)


Q = sd.Normal("q(z|x)", encoder)
X = torch.linspace(-1, 2, 12).view(3, 4)


def parameter(*values):
    return nn.Parameter(torch.tensor(values))


@pytest.mark.parametrize("shape", [(3,), (1,), ()])
def test_a_tensor_is_broadcast_over_the_batch_and_the_draws(shape):
    mu = torch.arange(3.0) if shape == (3,) else torch.full(shape, 2.0)
    text = "E_q(z|x)[exp(-||z - mu||^2)]"
    torch.manual_seed(0)
    found = sd.Objective(text, Q, mu=mu, samples=5)(x=X)
    torch.manual_seed(0)
    z = X[:, :3] + 0.5 * torch.randn(5, 3, 3)
    torch.testing.assert_close(found, (-((z - mu) ** 2).sum(-1)).exp().mean())


def test_known_moments_value_and_gradient():
    mu = parameter(0.0, 1.0, 2.0)
    objective = sd.Objective("E_q(z|x)[||z - mu_0||^2]", Q, mu_0=mu)
    assert next(step.name for step in objective.derivation) == "known moments"
    assert "mu_0" in str(objective.report(x=X))
    value = objective(x=X)
    expected = ((X[:, :3] - mu) ** 2 + 0.25).sum(-1).mean()
    torch.testing.assert_close(value, expected)
    for found, by_hand in zip(*(torch.autograd.grad(v, mu) for v in (value, expected)), strict=True):
        torch.testing.assert_close(found, by_hand)


def test_a_prior_by_formulas_of_what_is_trained():
    m, s = parameter(0.5, -0.5, 1.0), parameter(0.0, 0.5, -0.5)
    model = sd.Model(
        "p(z) = Normal(z; m, exp(s)); q(z|x) = Normal(z; enc(x)); minimize KL[q(z|x) || p(z)] + 0.1 ||m||^2",
        enc=encoder, m=m, s=s,
    )  # fmt: skip
    loss = model.loss(x=X)
    expected = kl_divergence(Normal(*encoder(X)), Normal(m, s.exp())).sum(-1).mean() + 0.1 * (m**2).sum()
    torch.testing.assert_close(loss, expected)
    for found, by_hand in zip(*(torch.autograd.grad(v, [m, s]) for v in (loss, expected)), strict=True):
        torch.testing.assert_close(found, by_hand)
    assert {id(p) for p in model.parameters()} == {id(m), id(s)}
    before = loss.item()
    model.fit(X, epochs=20, lr=0.05, seed=0, progress=False)
    assert model.loss(x=X).item() < 0.9 * before


@pytest.mark.parametrize("rows", [3, 5])
def test_what_no_given_variable_changes_is_one_for_all_examples(rows):
    """With as many examples as components, an event would be read as a batch."""
    a, b, s = parameter(0.5, 1.0, 2.0), parameter(0.0, 1.0, 0.0), parameter(0.0, 1.0, -1.0)
    model = sd.Model("p(y|x) = Normal(y; a x + b, exp(s)); maximize log p(y|x)", a=a, b=b, s=s)
    torch.manual_seed(0)
    x, y = torch.randn(rows, 3), torch.randn(rows, 3)
    torch.testing.assert_close(model.loss(x=x, y=y), -Normal(a * x + b, s.exp()).log_prob(y).sum(-1).mean())
    assert model.sample(x=x)["y"].shape == (rows, 3)


def test_along_a_sequence():
    a, s = parameter(0.5, 1.0, 2.0), parameter(0.0, 1.0, -1.0)
    text = "p(x_t|x_{t-1}) = Normal(x_t; a x_{t-1}, exp(log_s)); x_0 = 0; maximize log p(x_{1:T})"
    model = sd.Model(text, a=a, log_s=s)
    assert len(list(model.parameters())) == 2
    torch.manual_seed(0)
    x = torch.randn(3, 6, 3)
    before = torch.cat([torch.zeros(3, 1, 3), x[:, :-1]], 1)
    expected = -Normal(a * before, s.exp()).log_prob(x).sum((-1, -2)).mean()
    torch.testing.assert_close(model.loss(x=x), expected)


def test_weights_are_saved_and_loaded(tmp_path):
    built = [
        sd.Model("minimize E_data(x)[||x - mu||^2]", mu=nn.Parameter(torch.full((4,), v))) for v in (1.0, 2.0)
    ]
    built[0].save(tmp_path / "weights.safetensors")
    built[1].load(tmp_path / "weights.safetensors")
    torch.testing.assert_close(*(model.loss(x=X) for model in built))


def test_a_player_moves_a_tensor():
    model = sd.Model(
        "min_G max_w E_data(x)[<w, x>] - E_p(z)[<w, G(z)>]",
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2),
        w=parameter(1.0, 0.0, 0.0, 0.0), G=nn.Linear(2, 4),
    )  # fmt: skip
    w = next(p for p in model.parameters() if p.shape == (4,) and p[0] == 1)
    model.fit(X, epochs=1, seed=0, progress=False)
    assert w[0] != 1


REFUSED = [
    ("E_q(z|x)[||z||^2] - beta ||x||^2", {"beta": torch.ones(2)}, sd.SymdgmError, "event-shaped"),
    ("E_q[||z - x||^2]", {"x": torch.ones(3)}, sd.SymdgmError, "`x` must be one number; it has shape"),
    ("E_q(z|x)[||z - mu||^2]", {"mu": torch.ones(2)}, sd.SymdgmError, "size of tensor"),
]


@pytest.mark.parametrize(("text", "names", "kind", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_has_no_meaning_is_refused(text, names, kind, words):
    with pytest.raises(kind, match=words):
        sd.Objective(text, Q, **names)(x=X)
