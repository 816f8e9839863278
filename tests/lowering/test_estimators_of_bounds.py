"""Estimators of logarithms of means, and of what stands inside log q: VIMCO, DReG, sticking the landing."""

import itertools
import math

import pytest
import torch
from estimator_cases import BOUND, DOUBLE, Rows, assert_unbiased, estimates, numbers
from torch import nn

import symdgm as sd
from symdgm import estimators as est
from symdgm.errors import EstimatorError
from symdgm.rewriting import Kind

DATA = 0.4


class Weights:
    """``w(z)`` per example, positive: `log E_q[w]` is a bound's target."""

    text = "log E_q(z|x)[exp(f(z, x)) / q(z|x)]"

    def __init__(self, count):
        self.q_rows, self.f_rows = Rows([0.2, -0.5], count), Rows([0.7, -0.4, 1.0], count)
        self.q = sd.Bernoulli("q(z|x)", self.q_rows)

    @property
    def rows(self):
        return self.q_rows, self.f_rows

    def f(self, z, x):
        w = self.f_rows(x)
        return (w[:, :2] * z).sum(-1) + w[:, 2] * z[:, 0] * z[:, 1]

    def objective(self, estimator, samples):
        return sd.Objective(self.text, self.q, f=self.f, estimators={"z": estimator}, samples=samples)

    def exact(self, draws):
        """The gradient of E[log mean_k w_k] over all states of the draws."""
        one = numbers(1)
        states = [torch.tensor(s, dtype=DOUBLE)[None] for s in itertools.product([0.0, 1.0], repeat=2)]
        law = torch.distributions.Bernoulli(logits=self.q_rows(one))
        log_q = torch.stack([law.log_prob(z).sum(-1) for z in states])[:, 0]
        log_w = torch.stack([self.f(z, one) for z in states])[:, 0] - log_q
        total = torch.zeros((), dtype=DOUBLE)
        for ks in itertools.product(range(4), repeat=draws):
            index = torch.tensor(ks)
            total = total + log_q[index].sum().exp() * (log_w[index].logsumexp(0) - math.log(draws))
        found = torch.autograd.grad(total, [r.rows for r in self.rows])
        return total.item(), torch.cat([g[0].flatten() for g in found])


@pytest.mark.parametrize(
    ("estimator", "samples"),
    [
        ("VIMCO", 2),
        ("VIMCO", 3),
        ("score function", 1),
        ("score function", 3),
        (est.ScoreFunction("none"), 2),
        (est.ScoreFunction("batch"), 3),
        (est.ScoreFunction("running mean"), 2),
    ],
    ids=str,
)
def test_the_gradient_of_a_bound_is_unbiased(estimator, samples):
    weights = Weights(40_000)
    objective = weights.objective(estimator, samples)
    value, exact = weights.exact(samples)
    assert_unbiased(estimates(objective, *weights.rows, seed=1), exact)
    with torch.no_grad():
        assert_unbiased(objective.per_example(x=numbers(40_000))[:, None], value)
    assert exact[:2].abs().min() > 0.01, "a bound whose gradient by q vanishes tests nothing"


SEVERAL = "E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K exp(f(z_k, x)) / q(z_k|x))]"


@pytest.mark.parametrize("estimator", [None, "VIMCO", est.ScoreFunction("batch")], ids=str)
def test_a_bound_that_is_written_out(estimator):
    """z_{1:K} under the expectation; the default is VIMCO's baseline."""
    weights, chosen = Weights(40_000), {} if estimator is None else {"estimators": {"z": estimator}}
    objective = sd.Objective(SEVERAL, weights.q, f=weights.f, K=3, **chosen)
    table = estimates(objective, *weights.rows, seed=1)
    assert_unbiased(table, weights.exact(3)[1])
    if not isinstance(estimator, est.ScoreFunction):
        same = estimates(weights.objective("VIMCO", 3), *weights.rows, seed=1)
        torch.testing.assert_close(table, same)


def test_a_sum_that_is_no_mean_has_the_same_baseline():
    weights = Weights(50)
    text = SEVERAL.replace("1/K sum", "mean")
    chosen = {"estimators": {"z": "VIMCO"}}
    tables = [
        estimates(sd.Objective(t, weights.q, f=weights.f, K=3, **chosen), *weights.rows)
        for t in (SEVERAL, text)
    ]
    torch.testing.assert_close(*tables)


def test_vimco_is_the_score_function_of_a_bound():
    """By default, too: q is not pathwise, and too wide to be summed over."""
    weights = Weights(20_000)
    variances = {
        name: estimates(weights.objective(e, 5), weights.q_rows, seed=2).var(0).sum()
        for name, e in [
            ("VIMCO", "VIMCO"),
            ("none", est.ScoreFunction("none")),
            ("batch", est.ScoreFunction("batch")),
        ]
    }
    assert variances["VIMCO"] < 0.5 * variances["batch"] < variances["none"]
    step = weights.objective("score function", 5).derivation
    assert any("geometric mean of the others" in c.note for s in step.steps for c in s.changes)


def test_the_log_of_two_expectations_is_one_bound():
    """log E_q(a) E_q(b|a)[w]: both scores are weighed by the whole bound, also with several draws of each."""
    count, samples = 40_000, {"a": 2, "b": 2}
    first, second, body = Rows([0.3], count), Rows([0.5, -1.0], count), Rows([1.0, -0.7], count)
    law = lambda a, x: second(x)[:, :1] + second(x)[:, 1:] * a  # noqa: E731
    f = lambda a, b, x: body(x)[:, 0] * a[:, 0] + body(x)[:, 1] * a[:, 0] * b[:, 0]  # noqa: E731
    laws = [sd.Bernoulli("q(a|x)", first), sd.Bernoulli("q(b|a,x)", law)]
    text = "log E_q(a|x) E_q(b|a,x)[exp(f(a, b, x)) / (q(a|x) q(b|a,x))]"
    chosen = {"a": "score function", "b": "score function"}
    objective = sd.Objective(text, *laws, f=f, estimators=chosen, samples=samples)
    one, total, bit = numbers(1), torch.zeros((), dtype=DOUBLE), torch.tensor([[0.0], [1.0]], dtype=DOUBLE)
    q_a = torch.distributions.Bernoulli(logits=first(one))
    for a in itertools.product((0, 1), repeat=2):
        for b in itertools.product((0, 1), repeat=4):
            log_p, log_w = torch.zeros(1, dtype=DOUBLE), []
            for i in range(2):
                a_i = bit[a[i]][None]
                q_b, log_a = torch.distributions.Bernoulli(logits=law(a_i, one)), q_a.log_prob(a_i).sum(-1)
                log_p = log_p + log_a
                for j in range(2):
                    b_ij = bit[b[2 * i + j]][None]
                    log_b = q_b.log_prob(b_ij).sum(-1)
                    log_p = log_p + log_b
                    log_w.append(f(a_i, b_ij, one) - log_a - log_b)
            total = total + (log_p.exp() * (torch.stack(log_w).logsumexp(0) - math.log(4))).sum()
    rows = (first, second, body)
    exact = torch.cat([g[0] for g in torch.autograd.grad(total, [r.rows for r in rows])])
    assert_unbiased(estimates(objective, *rows, seed=3), exact)


class Gaussian:
    """q(z|x) = Normal(m, s), p(z) = N(0, 1), p(x|z) = N(z, 1) at one datum; parameters per example."""

    def __init__(self, count, loc=0.6, log_scale=-0.2):
        self.loc, self.log_scale = Rows([loc], count), Rows([log_scale], count)
        self.data = Rows([DATA], count)
        self.data.rows.requires_grad_(False)
        self.q = sd.Normal("q(z|x)", lambda x: (self.loc(x), self.log_scale(x).exp()))
        self.count = count

    @property
    def rows(self):
        return self.loc, self.log_scale

    def f(self, z, x):
        """log p(x, z)."""
        return -0.5 * (z.square() + (self.data(x) - z).square()).sum(-1) - math.log(2 * math.pi)

    def objective(self, text, estimator, samples=1, **names):
        return sd.Objective(text, self.q, f=self.f, estimators={"z": estimator}, samples=samples, **names)


BOUND_OF = "log E_q(z|x)[exp(f(z, x)) / q(z|x)]"
RENYI = "log E_q(z|x)[(exp(f(z, x)) / q(z|x))^c]"


@pytest.mark.parametrize("text", [BOUND_OF, RENYI])
@pytest.mark.parametrize("samples", [2, 5])
def test_the_doubly_reparameterised_gradient_is_that_of_the_bound(text, samples):
    """Against the plain pathwise gradient of the same bound, with draws of its own."""
    gaussian = Gaussian(150_000)
    names = {"c": 0.4} if text is RENYI else {}
    plain = estimates(gaussian.objective(text, "pathwise", samples, **names), *gaussian.rows, seed=4)
    double = estimates(
        gaussian.objective(text, "doubly reparameterised", samples, **names), *gaussian.rows, seed=5
    )
    error = (plain.var(0) + double.var(0)).sqrt() / gaussian.count**0.5
    assert ((plain.mean(0) - double.mean(0)) / error).abs().max() < BOUND
    assert (double.mean(0) / error).abs().min() > BOUND, "a gradient that vanishes tests nothing"


def test_the_signal_of_dreg_grows_with_the_draws():
    """Rainforth et al. (2018): the pathwise one of q falls as K^(-1/2); DReG's grows as K^(1/2)."""
    gaussian = Gaussian(20_000)

    def signal(estimator, samples):
        table = estimates(gaussian.objective(BOUND_OF, estimator, samples), gaussian.loc, seed=6)
        return float(table.mean().abs() / table.std())

    assert signal("doubly reparameterised", 64) > 2 * signal("doubly reparameterised", 4)
    assert signal("pathwise", 64) < 0.7 * signal("pathwise", 4)


def test_dreg_of_a_bound_that_is_written_out():
    gaussian = Gaussian(50)
    written = sd.Objective(SEVERAL, gaussian.q, f=gaussian.f, K=4, estimators={"z": "doubly reparameterised"})
    short = gaussian.objective(BOUND_OF, "doubly reparameterised", 4)
    torch.testing.assert_close(estimates(written, *gaussian.rows), estimates(short, *gaussian.rows))


ELBO = "E_q(z|x)[f(z, x) - log q(z|x)]"


def test_sticking_the_landing_is_unbiased():
    gaussian = Gaussian(40_000)
    m, s = (
        torch.tensor(0.6, dtype=DOUBLE, requires_grad=True),
        torch.tensor(-0.2, dtype=DOUBLE, requires_grad=True),
    )
    elbo = -0.5 * (2 * m.square() + 2 * (2 * s).exp() - 2 * DATA * m + DATA**2) + s
    exact = torch.stack(torch.autograd.grad(elbo, [m, s]))
    for samples in (1, 3):
        objective = gaussian.objective(ELBO, "sticking the landing", samples)
        assert_unbiased(estimates(objective, *gaussian.rows, seed=7), exact)


def test_sticking_the_landing_has_no_variance_at_the_posterior():
    """The posterior is N(x / 2, 1/2)."""
    gaussian = Gaussian(1000, loc=DATA / 2, log_scale=0.5 * math.log(0.5))
    stuck = estimates(gaussian.objective(ELBO, "sticking the landing"), *gaussian.rows)
    assert stuck.abs().max() < 1e-12
    assert estimates(gaussian.objective(ELBO, "pathwise"), *gaussian.rows).var(0).min() > 0.1


def test_sticking_the_landing_switches_off_closed_forms():
    """KL[q || p] is drawn, with the parameters stopped inside log q alone."""
    torch.manual_seed(0)
    encoder = nn.Linear(3, 4).double()
    laws = [
        sd.Normal("q(z|x)", lambda x: (encoder(x)[:, :2], encoder(x)[:, 2:].exp())),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2),
        sd.Bernoulli("p(x|z)", nn.Linear(2, 3).double()),
    ]
    text, x = "E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]", torch.rand(6, 3, dtype=DOUBLE).round()
    objective = sd.Objective(text, *laws, estimators={"z": "sticking the landing"})
    torch.manual_seed(1)
    value = objective(x=x)
    assert "detach()" in objective.code and "closed form" not in {s.name for s in objective.derivation.steps}
    torch.manual_seed(1)
    loc, scale = encoder(x)[:, :2], encoder(x)[:, 2:].exp()
    z = loc + scale * torch.randn(6, 2, dtype=DOUBLE)
    log_q = torch.distributions.Normal(loc.detach(), scale.detach()).log_prob(z).sum(-1)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    likelihood = torch.distributions.Bernoulli(logits=laws[2].network(z)).log_prob(x).sum(-1)
    expected = (likelihood + log_p - log_q).mean()
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(v, list(encoder.parameters())) for v in (value, expected))
    torch.testing.assert_close(ours, theirs)


def test_the_kinds():
    gaussian = Gaussian(4)
    for text, estimator, samples, kind in [
        (ELBO, "sticking the landing", 1, Kind.UNBIASED),
        (BOUND_OF, "doubly reparameterised", 3, Kind.LOWER_BOUND),
        (BOUND_OF, "pathwise", 3, Kind.LOWER_BOUND),
    ]:
        steps = gaussian.objective(text, estimator, samples).derivation.steps
        assert kind in {s.kind for s in steps if s.name.startswith(estimator)}, (text, estimator)


@pytest.mark.parametrize(
    ("text", "estimator", "samples", "words"),
    [
        (BOUND_OF, "sticking the landing", 3, "several draws is not zero in expectation"),
        (
            "log E_q(z|x)[exp(f(z, x)) * exp(-q(z|x))]",
            "doubly reparameterised",
            3,
            "in another way than as a factor",
        ),
        (BOUND_OF, "VIMCO", 1, "its baselines need several draws"),
    ],
)
def test_what_is_not_sound_is_refused(text, estimator, samples, words):
    with pytest.raises(EstimatorError, match=words):
        Gaussian(4).objective(text, estimator, samples)


def test_a_law_below_another_draw_is_not_doubly_reparameterised():
    q = [sd.Normal("q(a|x)", lambda x: (x, 1.0)), sd.Normal("q(b|a)", lambda a: (a, 1.0))]
    text = "log E_q(a|x) E_q(b|a)[exp(f(b)) / (q(a|x) q(b|a))]"
    chosen = dict.fromkeys("ab", "doubly reparameterised")
    with pytest.raises(EstimatorError, match="depend on another variable that is drawn"):
        sd.Objective(text, *q, f=lambda b: b.sum(-1), estimators=chosen, samples={"a": 3})


def test_one_weight_for_each_draw():
    q = [sd.Normal("q(a|x)", lambda x: (x, 1.0)), sd.Normal("q(b|x)", lambda x: (x, 1.0))]
    text = "log E_q(a|x) E_q(b|x)[exp(f(a, b)) / (q(a|x) q(b|x))]"
    chosen = dict.fromkeys("ab", "doubly reparameterised")
    objective = sd.Objective(text, *q, f=lambda a, b: (a + b).sum(-1), estimators=chosen, samples=3)
    with pytest.raises(EstimatorError, match="have one weight each"):
        objective(x=numbers(4))
