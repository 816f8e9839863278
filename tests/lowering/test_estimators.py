"""Estimators of expectations: without bias where they say so, and with the variances that theory gives."""

import numpy as np
import pytest
import torch
from estimator_cases import BOUND, DOUBLE, Chain, Rows, Toy, assert_unbiased, estimates, numbers, z_scores
from lowering_cases import run_text
from torch import nn

import symdgm as sd
from symdgm import estimators as est
from symdgm.rewriting import Kind


class Control(nn.Module):
    """A small function of a value and more, one number per example."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(inputs, 1).double()

    def forward(self, *values):
        return self.layer(torch.cat(values, -1)).squeeze(-1)


UNBIASED = [
    (est.ScoreFunction("none"), 1),
    (est.ScoreFunction(0.3), 1),
    (est.ScoreFunction("running mean"), 1),
    (est.ScoreFunction(Control(1)), 1),
    ("score function", 3),
    (est.ScoreFunction("batch"), 3),
    (est.ScoreFunction("none"), 3),
    ("VIMCO", 3),
    ("DisARM", 1),
    ("DisARM", 4),
    ("REBAR", 1),
    (est.REBAR(temperature=1.0, eta=0.7), 2),
    (est.RELAX(Control(1)), 1),
]


@pytest.mark.parametrize(("estimator", "samples"), UNBIASED, ids=str)
def test_the_toy_is_unbiased(estimator, samples):
    """The exact gradient at theta = 0, t = 0.45 is 0.025."""
    toy = Toy()
    assert toy.exact == pytest.approx(0.025)
    table = toy.estimates(estimator, samples, seed=1)
    assert_unbiased(table, toy.exact)
    assert toy.objective(estimator, samples).derivation[0].kind is Kind.UNBIASED


def test_a_baseline_over_the_batch_is_unbiased():
    """In batches of two, where it matters most; examples of one batch are not independent estimates."""
    toy = Toy(2)
    objective = toy.objective(est.ScoreFunction("batch"))
    table = torch.stack([estimates(objective, toy.rows, seed=s).mean(0) for s in range(2000)])
    assert_unbiased(table, toy.exact)
    assert table.std() > 0.01


def test_the_variance_of_the_plain_score_function():
    assert Toy(200_000).estimates(est.ScoreFunction("none")).var() == pytest.approx(0.0159391, rel=2e-3)


def test_baselines_take_away_variance():
    """Two draws at theta = 0: the leave-one-out estimate is 0.05 or 0, each half of the time."""
    toy = Toy()
    plain = toy.estimates(est.ScoreFunction("none"), 2).var()
    assert plain == pytest.approx(0.0159391 / 2, rel=2e-2)
    assert toy.estimates("score function", 2).var() == pytest.approx(0.025**2, rel=2e-2)
    for better in (est.ScoreFunction(0.25), est.ScoreFunction("batch")):
        assert toy.estimates(better, 2).var() < 0.1 * plain, better
    objective = toy.objective(est.ScoreFunction("running mean"), 2)
    first, second = (estimates(objective, toy.rows, seed=s)[:, 0].var() for s in (0, 1))
    assert first == pytest.approx(float(plain)) and second < 0.1 * plain


def test_control_variates_take_away_variance():
    """A relaxation that follows the values helps; an antithetic pair beats two independent draws."""
    toy = Toy(theta=0.5, target=-0.5)
    plain = toy.estimates(est.ScoreFunction("none"), 2).var()
    assert toy.estimates(est.REBAR(temperature=2.0), 2).var() < 0.25 * plain
    assert toy.estimates("DisARM", 2).var() < 0.5 * toy.estimates("score function", 2).var()
    assert Toy(theta=0.0).estimates("DisARM", 2).var() < 1e-20, "the pair of a fair bit always differs"


CHAINS = [
    ({"a": "score function", "b": "score function"}, 1),
    ({"a": "score function", "b": "score function"}, 2),
    ({"a": "score function", "b": "score function"}, {"a": 3}),
    ({"a": "score function", "b": "score function"}, {"b": 3}),
    ({"a": "enumeration", "b": "score function"}, 2),
    ({"a": "score function", "b": "enumeration"}, 2),
    ({"a": est.ScoreFunction("none"), "b": est.ScoreFunction("running mean")}, 1),
    ({"a": est.ScoreFunction(Control(1)), "b": est.ScoreFunction(Control(3))}, 2),
    ({"a": "DisARM", "b": "DisARM"}, 1),
    ({"a": "DisARM", "b": "score function"}, 2),
    ({"a": "REBAR", "b": "REBAR"}, 1),
    ({"a": "REBAR", "b": "DisARM"}, 2),
    ({"a": "score function", "b": "REBAR"}, 2),
    ({"a": est.RELAX(Control(2)), "b": est.RELAX(Control(2), eta=0.5)}, 1),
]


@pytest.mark.parametrize(("chosen", "samples"), CHAINS, ids=str)
def test_a_chain_is_unbiased_by_all_parameters(chosen, samples):
    """Value, and gradients by the logits of a, by those of b given a, and by the parameters of the body."""
    chain = Chain(20_000)
    objective = chain.objective(estimators=chosen, samples=samples)
    assert_unbiased(estimates(objective, *chain.rows, seed=12), chain.expected())
    exact = sum(p * chain.f(a, b, numbers(1)) for a, b, p in chain.states()).item()
    with torch.no_grad():
        assert_unbiased(objective.per_example(x=numbers(chain.count))[:, None], exact)


def test_the_baseline_of_one_draw_below_several_comes_from_those():
    """With three draws of a and one of b for each, the score of b leaves out over the draws of a."""
    chain = Chain(2000)
    chosen = {"a": "score function", "b": "score function"}
    objective = chain.objective(estimators=chosen, samples={"a": 3})
    objective(x=numbers(5))
    assert objective.code.count("leave_one_out(") == 3, objective.code


def test_credit_is_local():
    """A term that does not depend on a variable leaves its gradient alone, in mean and in variance."""
    chain = Chain(4000)
    chosen = {"a": est.ScoreFunction("none"), "b": est.ScoreFunction("none")}

    def table(scale):
        text = "E_q(a|x) E_q(b|a,x)[c g(a) + h(b)]"
        objective = sd.Objective(
            text, *chain.laws, g=lambda a: a.sum(-1), h=lambda b: b.sum(-1), c=scale, estimators=chosen
        )
        return estimates(objective, chain.second, seed=3)

    torch.testing.assert_close(table(1.0), table(1000.0))


def test_a_sum_in_one_expectation_shares_one_draw():
    chain = Chain(6)
    text = "E_q(a|x)[f(a, a, x)] + E_q(a|x)[f(a, a, x)^2]"
    objective = chain.objective(text, estimators={"a": "score function"})
    objective(x=numbers(6))
    assert objective.code.count(".sample(") == 1


@pytest.mark.parametrize("estimator", ["score function", "DisARM", "REBAR"])
def test_a_product_of_estimates_is_unbiased(estimator):
    """Factors have independent draws."""
    chain = Chain(20_000)
    text = "E_q(a|x)[g(a)] * E_q(a|x)[h(a)]"
    g, h = (lambda a: a[:, 0] + 2 * a[:, 1]), (lambda a: (a.sum(-1) - 0.3).square())
    objective = sd.Objective(text, chain.laws[0], g=g, h=h, estimators={"a": estimator}, samples=2)
    exact = sd.Objective(text, chain.laws[0], g=g, h=h)
    table = estimates(objective, chain.first, seed=4)
    assert_unbiased(table, estimates(exact, chain.first)[0])


LAWS = [
    (sd.Bernoulli, "probs", "score function"),
    (sd.Bernoulli, "probs", "DisARM"),
    (sd.Bernoulli, "probs", "REBAR"),
    (sd.Categorical, "logits", "score function"),
    (sd.Categorical, "probs", "score function"),
    (sd.OneHotCategorical, "logits", "score function"),
    (sd.OneHotCategorical, "probs", "score function"),
]


@pytest.mark.parametrize(("family", "by", "estimator"), LAWS)
def test_families_and_parametrisations(family, by, estimator):
    """Three bits, or two variables of three classes."""
    torch.manual_seed(0)
    rows = Rows(torch.randn((3,) if family is sd.Bernoulli else (2, 3)), 20_000)
    to_probs = torch.sigmoid if family is sd.Bernoulli else lambda v: v.softmax(-1)
    q = family("q(y|x)", **{by: rows if by == "logits" else lambda x: to_probs(rows(x))})

    def f(y):
        y = y.double().flatten(1)
        return (y * torch.arange(1, y.shape[1] + 1)).sum(-1).sin()

    drawn = sd.Objective("E_q(y|x)[f(y)]", q, f=f, estimators={"y": estimator}, samples=2)
    exact = estimates(sd.Objective("E_q(y|x)[f(y)]", q, f=f), rows)[0]
    assert_unbiased(estimates(drawn, rows, seed=2), exact)


BIASED = ["Gumbel-softmax", est.GumbelSoftmax(0.5, hard=True), "straight-through"]


@pytest.mark.parametrize("estimator", BIASED, ids=str)
@pytest.mark.parametrize("family", [sd.Bernoulli, sd.OneHotCategorical])
def test_relaxed_draws_are_biased_and_say_so(estimator, family):
    rows = Rows([0.4, -0.6, 0.1], 20_000)
    f = lambda y: y.pow(4) @ torch.tensor([1.0, -2.0, 3.0], dtype=DOUBLE) + 5 * y[:, 0] * y[:, 1]  # noqa: E731
    q = family("q(y|x)", rows)
    objective = sd.Objective("E_q(y|x)[f(y)]", q, f=f, estimators={"y": estimator})
    table = estimates(objective, rows, seed=5)
    exact = estimates(sd.Objective("E_q(y|x)[f(y)]", q, f=f), rows)[0]
    assert z_scores(table, exact).abs().max() > 3 * BOUND
    assert (table.mean(0) - exact).abs().max() < 1.5, "far from the truth"
    step = objective.derivation[0]
    assert step.kind is Kind.BIASED and "biased" in step.why


def test_a_cold_relaxation_is_less_biased():
    toy = Toy(200_000, target=0.3)
    bias = [
        abs(float(toy.estimates(est.GumbelSoftmax(t), seed=6).mean()) - toy.exact) for t in (1.0, 0.5, 0.1)
    ]
    assert bias[0] > bias[1] > bias[2]


def test_hard_values_are_discrete():
    torch.manual_seed(0)
    seen = []

    def f(y):
        seen.append(y.detach())
        return y.sum(-1)

    q = sd.OneHotCategorical("q(y|x)", nn.Linear(2, 4).double())
    for hard in (est.GumbelSoftmax(0.5, hard=True), est.StraightThrough()):
        sd.Objective("E_q(y|x)[f(y)]", q, f=f, estimators={"y": hard})(x=torch.randn(9, 2).double())
    for y in seen:
        torch.testing.assert_close(y, torch.eye(4).double()[y.argmax(-1)])


def test_a_temperature_is_a_scalar_of_the_objective():
    toy = Toy(8)
    objective = toy.objective(est.GumbelSoftmax(lambda step: 1.0 / (1 + step)))
    assert objective.scalars["temperature_b"] == 1.0
    objective.scalars.advance(3)
    assert objective.scalars["temperature_b"] == 0.25
    objective(x=numbers(8))
    assert "temperature_b" in objective.code


@pytest.mark.parametrize(("estimator", "samples"), UNBIASED[:12], ids=str)
def test_the_code_runs_alone(estimator, samples):
    toy = Toy(7)
    objective = toy.objective(estimator, samples)
    objective(x=numbers(7))
    if "running_mean" not in objective.code:
        torch.manual_seed(1)
        value = objective(x=numbers(7))
        torch.manual_seed(1)
        assert torch.equal(run_text(objective.code, objective.inputs(x=numbers(7)))[0], value)
    assert "symdgm" not in objective.code


@pytest.mark.parametrize(("estimator", "samples"), UNBIASED, ids=str)
def test_without_gradients_and_for_one_example(estimator, samples):
    toy = Toy(1)
    objective = toy.objective(estimator, samples)
    with torch.no_grad():
        assert torch.isfinite(objective(x=numbers(1)))
    assert torch.isfinite(estimates(objective, toy.rows)).all()


def test_laws_without_a_finite_support_get_the_score_function():
    """A Poisson rate: the gradient of E[log(1 + k)] against a long sum."""
    rows = Rows([0.7], 40_000)
    q = sd.Poisson("q(k|x)", log_rate=rows)
    objective = sd.Objective("E_q(k|x)[f(k)]", q, f=lambda k: k.log1p().sum(-1))
    theta = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    k = torch.arange(60, dtype=DOUBLE)
    log_p = torch.distributions.Poisson(theta.exp()).log_prob(k)
    (exact,) = torch.autograd.grad((log_p.exp() * k.log1p()).sum(), theta)
    assert_unbiased(estimates(objective, rows, seed=7)[:, 0], exact)
    assert objective.derivation[0].name == "score function"


def test_a_mixture_is_scored():
    """An opaque law whose weights get no pathwise gradient: E[z^2] of a mixture of two normals."""
    weights = nn.Parameter(torch.tensor([0.2, -0.4], dtype=DOUBLE))
    parts = [sd.Normal("q(z)", loc=torch.tensor([m], dtype=DOUBLE), scale=0.5) for m in (-1.0, 2.0)]
    q = sd.Mixture("q(z)", parts, weights)
    objective = sd.Objective("E_q(z)[f(z)]", q, f=lambda z: z.square().sum(-1), samples=2)
    p = weights.softmax(0)
    (exact,) = torch.autograd.grad(p[0] * 1.25 + p[1] * 4.25, weights)
    torch.manual_seed(8)
    table = torch.stack([torch.autograd.grad(objective(n=300), weights)[0] for _ in range(60)])
    assert_unbiased(table, exact)


def test_a_reparameterised_law_may_be_scored_instead():
    rows = Rows([0.3], 40_000)
    q = sd.Normal("q(z|x)", loc=rows, scale=0.8)
    table = {}
    for estimator in ("score function", "pathwise"):
        objective = sd.Objective(
            "E_q(z|x)[f(z)]", q, f=lambda z: z.pow(3).sum(-1), estimators={"z": estimator}, samples=2
        )
        table[estimator] = estimates(objective, rows, seed=9)[:, 0]
        assert_unbiased(table[estimator], 3 * (0.3**2 + 0.8**2))
    assert table["pathwise"].var() < table["score function"].var()


def test_a_discrete_variable_below_a_pathwise_one():
    """E_q(z|x) E_q(b|z)[f(b)]: the score of b carries the gradient on to z."""
    rows = Rows([0.4], 40_000)
    laws = [sd.Normal("q(z|x)", loc=rows, scale=1.0), sd.Bernoulli("q(b|z)", lambda z: 2 * z)]
    f = lambda b: (b - 0.2).square().sum(-1)  # noqa: E731
    text = "E_q(z|x) E_q(b|z)[f(b)]"
    drawn = sd.Objective(text, *laws, f=f, estimators={"b": "score function"}, samples={"b": 2})
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(60))
    p = (2 * (0.4 + nodes)).sigmoid()
    exact = (weights / weights.sum() * 2 * p * (1 - p)).sum() * (0.8**2 - 0.2**2)
    assert_unbiased(estimates(drawn, rows, seed=10)[:, 0], exact)
