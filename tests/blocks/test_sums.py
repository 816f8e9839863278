"""Densities that are sums over an index, against torch's own mixtures and sums by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError, ParameterError, SymdgmError

WEIGHTS = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)


def mixture(loc: Tensor, scale: Tensor) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(WEIGHTS), Independent(Normal(loc, scale), 1))


@pytest.mark.parametrize("scales", [(3,), (3, 2)])
@pytest.mark.parametrize(
    "right",
    [
        "sum_{k=1}^K pi_k N(x; mu_k, s_k^2)",
        "sum_{k=1}^3 pi_k Normal(x; mu_k, s_k)",
        "sum_k N(x; mu_k, s_k^2) pi_k",
        r"\sum_{k=1}^K \pi_k \mathcal{N}(x; \mu_k, s_k^2)",
    ],
)
def test_a_mixture_by_tables(right: str, scales: tuple[int, ...]) -> None:
    """Value and gradient are those of torch; it is drawn from, and has moments."""
    torch.manual_seed(0)
    mu = nn.Parameter(torch.randn(3, 2, dtype=torch.float64))
    s = nn.Parameter(torch.rand(scales, dtype=torch.float64) + 0.5)
    names = {"pi": WEIGHTS, "mu": mu, "s": s, **({"K": 3} if "K" in right else {})}
    model = sd.Model(f"p(x) = {right}\nmaximize log p(x)", **names)
    x = torch.randn(6, 2, dtype=torch.float64)
    value = model.objective(x=x)
    value.backward()
    mu2, s2 = (v.detach().clone().requires_grad_() for v in (mu, s))
    reference = mixture(mu2, s2 if s2.dim() > 1 else s2[:, None].expand(3, 2))
    expected = reference.log_prob(x).mean()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(mu.grad, mu2.grad)
    torch.testing.assert_close(s.grad, s2.grad)
    assert {id(p) for p in model.parameters()} == {id(mu), id(s)}
    drawn = model.sample(20000, seed=1)["x"]
    bound = 5 * reference.stddev / 20000**0.5
    assert ((drawn.mean(0) - reference.mean).abs() < bound).all()


def test_one_row_of_every_family() -> None:
    mu, cov = torch.randn(3, 2), torch.eye(2).expand(3, 2, 2) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    model = sd.Model(
        "p(x) = mean_{k=1}^3 MultivariateNormal(x; loc = mu_k, covariance_matrix = S_k)\nmaximize log p(x)",
        mu=mu,
        S=cov,
    )
    x = torch.randn(5, 2)
    each = torch.stack([MultivariateNormal(mu[k], cov[k]).log_prob(x) for k in range(3)])
    torch.testing.assert_close(model.objective.per_example(x=x), each.logsumexp(0) - torch.tensor(3.0).log())
    logits = torch.randn(3, 4)
    bits = sd.Model("p(x) = 1/3 sum_{k=1}^3 Bernoulli(x; logits = l_k)\nmaximize log p(x)", l=logits)
    x = torch.ones(5, 4)
    each = torch.distributions.Bernoulli(logits=logits).log_prob(x[:1]).sum(1)
    torch.testing.assert_close(
        bits.objective.per_example(x=x), (each.logsumexp(0) - torch.tensor(3.0).log()).expand(5)
    )


@pytest.mark.parametrize(
    "right",
    ["1/K sum_{k=1}^K q(z|u_k)", "mean_{k=1}^K q(z|u_k)", "1/5 sum_{k=1}^5 q(z|x=u_k)", "mean_k q(z|u_k)"],
)
def test_a_prior_of_pseudo_inputs(right: str) -> None:
    """The posterior at learned inputs; the encoder runs once on all of them."""
    torch.manual_seed(0)
    line, calls = nn.Linear(3, 4), []

    def encoder(x: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(len(x))
        return line(x)[:, :2], line(x)[:, 2:].exp()

    u = nn.Parameter(torch.randn(5, 3))
    model = sd.Model(
        f"""
        q(z|x) = Normal(z; enc(x))
        p(z) = {right}
        p(x|z) = Normal(x; dec(z), 1)
        maximize E_q(z|x)[log p(x|z) + log p(z) - log q(z|x)]
        """,
        enc=encoder, dec=(dec := nn.Linear(2, 3)), u=u, analytic=False,
    )  # fmt: skip
    x = torch.randn(4, 3)
    torch.manual_seed(2)
    calls.clear()
    value = model.objective(x=x)
    assert sorted(calls) == [4, 5]
    value.backward()
    found = u.grad.clone()
    u.grad = None
    torch.manual_seed(2)
    loc, scale = encoder(x)
    z = loc + scale * torch.randn_like(loc)
    each = torch.stack([Normal(*(v[0] for v in encoder(row[None]))).log_prob(z).sum(1) for row in u])
    prior = each.logsumexp(0) - torch.tensor(5.0).log()
    expected = (Normal(dec(z), 1.0).log_prob(x).sum(1) + prior - Normal(loc, scale).log_prob(z).sum(1)).mean()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found, u.grad, rtol=1e-4, atol=1e-5)
    assert model.sample(3)["x"].shape == (3, 3)


def test_weights_by_a_declared_law() -> None:
    """A trained law of the index, which may be a gate that depends on a condition."""
    a, mu = nn.Parameter(torch.randn(3)), torch.randn(3, 2)
    model = sd.Model(
        "p(k) = Categorical(k; logits = a)\nr(x) = sum_k p(k) N(x; mu_k, 1)\nmaximize log r(x)", a=a, mu=mu
    )
    x = torch.randn(5, 2)
    each = Normal(mu, 1.0).log_prob(x[:, None]).sum(2)
    torch.testing.assert_close(model.objective.per_example(x=x), (each + a.log_softmax(0)).logsumexp(1))
    model.loss(x=x).backward()
    assert a.grad is not None and a.grad.abs().sum() > 0
    gate = nn.Linear(2, 3)
    model = sd.Model(
        "p(k|y) = Categorical(k; logits = g(y))\np(x|y) = sum_k p(k|y) N(x; mu_k, 1)\nmaximize log p(x|y)",
        g=gate, mu=mu,
    )  # fmt: skip
    y = torch.randn(5, 2)
    expected = (each + gate(y).log_softmax(1)).logsumexp(1)
    torch.testing.assert_close(model.objective.per_example(x=x, y=y), expected)


def test_the_marginal_of_declared_factors_is_the_one_that_follows_by_itself() -> None:
    block = """
        p(k) = Categorical(k; probs = w)
        p(x|k) = Normal(x; e(k), 1)
        {}
        maximize log p(x)
    """
    table = nn.Embedding(3, 2)
    names = {"w": torch.tensor([0.2, 0.3, 0.5]), "e": table}
    x = torch.randn(4, 2)
    values = [
        sd.Model(block.format(line), **names).objective(x=x)
        for line in ("", "p(x) = sum_k p(x|k) p(k)", "p(x) = sum_{k=1}^3 p(k) p(x|k)")
    ]
    each = Normal(table.weight, 1.0).log_prob(x[:, None]).sum(2) + names["w"].log()
    for value in values:
        torch.testing.assert_close(value, each.logsumexp(1).mean())
    other = sd.Model(block.format("r(x) = sum_k p(x|k) p(k)").replace("log p(x)", "log r(x)"), **names)
    torch.testing.assert_close(other.objective(x=x), values[0])


REFUSED = [
    ("2 sum_{k=1}^K pi_k N(x; mu_k, 1)", {}, NotSupportedError, "which is no weight of a mixture"),
    ("1/4 sum_{k=1}^3 N(x; mu_k, 1)", {}, NotSupportedError, "which is no weight of a mixture"),
    ("sum_{k=1}^4 pi_k N(x; mu_k, 1)", {}, ParameterError, "the index runs to 4, but there are 3"),
    ("sum_{k=2}^3 pi_k N(x; mu_k, 1)", {}, NotSupportedError, "which this version cannot sum"),
    (
        "sum_{k != 1} pi_k N(x; mu_k, 1)",
        {},
        NotSupportedError,
        "which this version cannot sum",
    ),
    ("sum_{k=1}^3 N(x; mu_k, 1)", {}, NotSupportedError, "the weight of"),
    ("mean_{k=1}^3 N(x; mu_k, v_k)", {"v": torch.ones(2)}, ParameterError, "different lengths"),
    ("1/K sum_{k=1}^K N(x; 0, 1)", {}, NameResolutionError, "nothing says how many components"),
    ("1/3 sum_{k=1}^3 q(x|u_k)", {}, NameResolutionError, "`u` is not bound to a table"),
    ("1/3 sum_{k=1}^3 q(x|mu_k)", {}, NameResolutionError, "is no factor that is bound"),
    ("mean_{k=1}^3 q(x|y)", {}, NotSupportedError, "does not depend on the index `k` by a table"),
    ("prod_{k=1}^3 q(x|mu_k)", {}, NotSupportedError, "a product over an index"),
    (
        "sum_{k=1}^3 t_k N(x; mu_k, 1)",
        {"t": nn.Parameter(WEIGHTS)},
        ParameterError,
        "`t` is trained",
    ),
]


@pytest.mark.parametrize(("right", "more", "error", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(right: str, more: dict[str, object], error: type[Exception], words: str) -> None:
    names = {"mu": torch.randn(3, 2), "pi": WEIGHTS, **more}
    used = {k: v for k, v in names.items() if f"{k}_k" in right}
    with pytest.raises(error) as caught:
        laws = "q(x|y) = Normal(x; y, 1)\n" if "|y)" in right else ""
        sd.Model(f"{laws}p(x) = {right}\nmaximize log p(x)", **used)
    assert isinstance(caught.value, SymdgmError)
    assert words in str(caught.value)
    assert caught.value.hint
    assert caught.value.span is not None


def test_weights_of_another_family_are_refused() -> None:
    text = "p(k) = Poisson(k; 2)\nr(x) = sum_k p(k) N(x; mu_k, 1)\nmaximize log r(x)"
    with pytest.raises(NotSupportedError, match="are no Categorical distribution of the index"):
        sd.Model(text, mu=torch.randn(3, 2))


@pytest.mark.parametrize(
    ("right", "names", "words"),
    [
        ("sum_{k=1}^0 w_k N(x; 0, 1)", {"w": torch.ones(0)}, "the table `w` has no rows"),
        ("sum_{k=1}^{-1} w_k N(x; 0, 1)", {"w": torch.ones(1)}, "cannot sum a density over"),
        ("sum_{k=1}^K w_k N(x; 0, 1)", {"w": torch.ones(2) / 2, "K": 2.5}, "the index runs from 1 to 2.5"),
        ("1/K sum_{k=1}^K N(x; m_k, 1)", {"m": torch.ones(2), "K": -2.0}, "the index runs from 1 to -2"),
        ("sum_{k=1}^2 w_k N(x; m_k, 1)", {"w": torch.ones(2) / 2, "m": 5}, "`m` is bound to int"),
        ("sum_{k=1}^2 w_k N(x; m_k, 1)", {"w": 0.5, "m": torch.ones(2)}, "`w` is bound to float"),
    ],
)  # fmt: skip
def test_tables_and_ends_that_do_not_fit(right: str, names: dict[str, object], words: str) -> None:
    with pytest.raises(SymdgmError) as caught:
        sd.Model(f"p(x) = {right}\nmaximize log p(x)", **names)
    assert words in str(caught.value)


COVARIANCES = torch.tensor([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0]], [[1.0, -0.3], [-0.3, 0.5]]])


@pytest.mark.parametrize(
    ("component", "mean", "covariance"),
    [
        ("N(x; m_k, S_k)", torch.tensor([[0.0, 1.0], [2.0, -1.0], [-1.0, 0.5]]), COVARIANCES),
        ("N(x; m_k, S)", torch.tensor([[0.0, 1.0], [2.0, -1.0], [-1.0, 0.5]]), COVARIANCES[0]),
        ("N(x; m, S_k)", torch.tensor([0.5, 1.0]), COVARIANCES),
        ("N(x; 0, S_k)", torch.zeros(2), COVARIANCES),
    ],
)  # fmt: skip
def test_components_of_full_covariance(component: str, mean: Tensor, covariance: Tensor) -> None:
    """``N(x; mu_k, Sigma_k)`` with matrices is what papers mean by it."""
    weights = WEIGHTS.float()
    names = {"w": weights, "S": covariance, **({"m": mean} if "m" in component else {})}
    model = sd.Model(f"p(x) = sum_{{k=1}}^3 w_k {component}\nmaximize log p(x)", **names)
    x = torch.randn(5, 2)
    each = MultivariateNormal(mean, covariance).log_prob(x[:, None])
    torch.testing.assert_close(model.objective.per_example(x=x), (each + weights.log()).logsumexp(1))
    assert model.sample(3)["x"].shape == (3, 2)


def test_a_declared_event_spreads_tables_of_numbers() -> None:
    m = torch.tensor([-1.0, 1.0, 2.0])
    model = sd.Model(
        "p(x) = sum_{k=1}^3 w_k N(x; m_k, 1)\nmaximize log p(x)", w=WEIGHTS.float(), m=m, x=(2, 2)
    )
    x = torch.randn(5, 2, 2)
    each = Normal(m, 1.0).log_prob(x[..., None]).sum((1, 2)) + WEIGHTS.float().log()
    torch.testing.assert_close(model.objective.per_example(x=x), each.logsumexp(1))
    (factor,) = model.objective.bound.environment.factors
    responsibilities = factor.distribution.responsibilities({"x": x})
    torch.testing.assert_close(responsibilities, each.softmax(1))
