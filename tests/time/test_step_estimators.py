"""Estimators along paths: draws without a gradient, laws without a gradient, and what is refused."""

from itertools import product

import pytest
import torch
from time_models import Counted, Gaussian
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import EstimatorError, NotSupportedError

WHOLE = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
STEPS, BOUND = 3, 4.0
"""Steps of a sequence, and the largest z-score of an estimate."""


class Bits:
    """A chain of single bits with an inference network; all paths can be enumerated."""

    def __init__(self):
        torch.manual_seed(0)
        self.infer, self.move, self.emit = (m.double() for m in (Counted(3, 1), Counted(1, 1), Counted(1, 2)))
        self.factors = [
            sd.Bernoulli("q(z_t|z_{t-1},x_t)", logits=self.infer),
            sd.Bernoulli("p(z_t|z_{t-1})", logits=self.move),
            sd.Bernoulli("p(x_t|z_t)", logits=self.emit),
        ]
        self.parameters = [p for m in (self.infer, self.move, self.emit) for p in m.parameters()]
        self.x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)

    def path(self, bits):
        """log q and log p(x, z) of one path."""
        z, log_q, log_p = torch.zeros(1, dtype=torch.float64), 0.0, 0.0
        for t, bit in enumerate(bits):
            now = torch.full((1,), float(bit), dtype=torch.float64)
            log_q = log_q + Bernoulli(logits=self.infer(z, self.x[t])).log_prob(now).sum()
            log_p = log_p + Bernoulli(logits=self.move(z)).log_prob(now).sum()
            log_p = log_p + Bernoulli(logits=self.emit(now)).log_prob(self.x[t]).sum()
            z = now
        return log_q, log_p

    def paths(self):
        return [self.path(bits) for bits in product((0, 1), repeat=STEPS)]


def estimates(objective, x, parameters, rows=400, repeats=60):
    """Values and gradients of independent evaluations, ``[repeats, 1 + weights]``."""
    torch.manual_seed(1)
    found = []
    for _ in range(repeats):
        value = objective(x=x.expand(rows, *x.shape))
        gradients = torch.autograd.grad(value, parameters)
        found.append(torch.cat([value.detach().reshape(1), *(g.reshape(-1) for g in gradients)]))
    return torch.stack(found)


def assert_unbiased(found, exact, parameters):
    gradients = torch.autograd.grad(exact, parameters)
    wanted = torch.cat([exact.detach().reshape(1), *(g.reshape(-1) for g in gradients)])
    error = found.std(0) / len(found) ** 0.5
    sure = error <= 1e-12
    score = ((found.mean(0) - wanted) / error)[~sure]
    assert score.abs().max() < BOUND, score
    torch.testing.assert_close(found.mean(0)[sure], wanted[sure], rtol=1e-9, atol=1e-9)
    assert (found.std(0) > 1e-9).any() and gradients[0].abs().max() > 1e-3


def test_discrete_steps_have_scores():
    model = Bits()
    objective = sd.Objective(WHOLE, *model.factors, z_0=0.0, z=1)
    assert [s.name for s in objective.derivation.steps].count("score function") == 2
    exact = sum(log_q.exp() * (log_p - log_q) for log_q, log_p in model.paths())
    assert_unbiased(estimates(objective, model.x, model.parameters), exact, model.parameters)


def test_the_log_of_a_mean_over_discrete_paths():
    model, bound = Bits(), "log E_q(z_{1:T}|x_{1:T})[p(x_{1:T}, z_{1:T})/q(z_{1:T}|x_{1:T})]"
    objective = sd.Objective(bound, *model.factors, z_0=0.0, z=1, samples=2)
    exact, paths = 0.0, model.paths()
    for (q_1, p_1), (q_2, p_2) in product(paths, paths):
        both = torch.logaddexp(p_1 - q_1, p_2 - q_2) - torch.tensor(2.0).log()
        exact = exact + (q_1 + q_2).exp() * both
    assert_unbiased(estimates(objective, model.x, model.parameters), exact, model.parameters)


def test_discrete_steps_between_others_whose_draws_carry_gradients():
    """q(b_t|z_{t-1}) is discrete and q(z_t|b_t) normal: the score of b has the gradient of z too."""
    torch.manual_seed(0)
    choose, move = Counted(1, 1).double(), Gaussian(1, 1).double()
    factors = [
        sd.Bernoulli("q(b_t|z_{t-1})", logits=choose),
        sd.Normal("q(z_t|b_t)", move),
        sd.Normal("p(x_t|z_t,b_t)", lambda z, b: (z + b, torch.ones_like(z))),
    ]
    objective = sd.Objective(
        "E_q(b_{1:T}, z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t,b_t)]", *factors, z_0=0.0, b=1, z=1
    )
    parameters = [*choose.parameters(), *move.parameters()]
    x = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    # The normals by quadrature: 40 nodes are exact to rounding for these smooth integrands.
    nodes, weights = (torch.tensor(a) for a in _hermite(40))

    def after(z, t):
        """The expected sum from step t on, ``[values of z]``."""
        if t == len(x):
            return torch.zeros_like(z)
        total = 0.0
        for bit in (0.0, 1.0):
            b = torch.full_like(z[:, None], bit)
            chosen = Bernoulli(logits=choose(z[:, None])).log_prob(b)[:, 0].exp()
            mean, scale = move(b)
            now = mean + scale * nodes
            inside = Normal(now + bit, 1.0).log_prob(x[t]) + after(now.reshape(-1), t + 1).reshape(now.shape)
            total = total + chosen * (inside * weights).sum(-1)
        return total

    exact = after(torch.zeros(1, dtype=torch.float64), 0)[0]
    assert_unbiased(estimates(objective, x, parameters), exact, parameters)


def _hermite(count):
    from numpy.polynomial.hermite_e import hermegauss

    nodes, weights = hermegauss(count)
    return nodes, weights / weights.sum()


def test_a_stopped_law_of_a_step_gets_no_gradient():
    """KL balancing of Dreamer's world models: each side is pulled by a weight of its own."""
    torch.manual_seed(0)
    infer, move = Gaussian(2 + 1, 2).double(), Gaussian(2, 2).double()
    q, p = "q(z_t|z_{t-1},x_t)", "p(z_t|z_{t-1})"
    text = f"sum_{{t=1}}^T (4/5 KL[sg[{q}]||{p}] + 1/5 KL[{q}||sg[{p}]])"
    objective = sd.Objective(text, sd.Normal(q, infer), sd.Normal(p, move), z_0=0.0, z=2)
    x = torch.randn(1, 4, 1, dtype=torch.float64)
    torch.manual_seed(2)
    found = objective(x=x)
    torch.manual_seed(2)
    z, wanted = torch.zeros(1, 2, dtype=torch.float64), 0.0
    for t in range(4):
        q, p = Normal(*infer(z, x[:, t])), Normal(*move(z))
        stopped = [Normal(d.loc.detach(), d.scale.detach()) for d in (q, p)]
        wanted = wanted + 0.8 * kl_divergence(stopped[0], p).sum() + 0.2 * kl_divergence(q, stopped[1]).sum()
        z = q.loc + q.scale * torch.randn_like(q.loc)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    parameters = [*infer.parameters(), *move.parameters()]
    for a, b in zip(*(torch.autograd.grad(v, parameters) for v in (found, wanted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["z", "z_t", "z_{1:T}"])
@pytest.mark.parametrize(
    ("estimator", "family", "words"),
    [
        ("pathwise", sd.Bernoulli, "the draws of `q\\(z_t\\|x_t\\)` carry no gradient by their parameters"),
        ("REBAR", sd.Bernoulli, "its steps are drawn one after the other"),
        ("score function", sd.Normal, "the draws of its steps carry gradients"),
        ("sticking the landing", sd.Normal, "the draws of its steps carry gradients"),
    ],
)
def test_other_estimators_are_refused(estimator, family, words, name):
    network = (lambda x: (x, torch.ones_like(x))) if family is sd.Normal else nn.Linear(2, 2)
    emission = sd.Normal("p(x_t|z_t)", lambda z: (z, torch.ones_like(z)))
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t)]"
    with pytest.raises(EstimatorError, match=words):
        sd.Objective(text, family("q(z_t|x_t)", network), emission, estimators={name: estimator})


@pytest.mark.parametrize("name", ["z", "z_t", "z_{1:T}"])
def test_the_number_of_paths_by_the_name_of_a_sequence(name):
    emission = sd.Normal("p(x_t|z_t)", lambda z: (z, torch.ones_like(z)))
    q = sd.Normal("q(z_t|x_t)", lambda x: (x, torch.ones_like(x)))
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t)]"
    objective = sd.Objective(text, q, emission, samples={name: 7})
    assert "the mean of 7 draws from q(z_{1:T}|x_{1:T})" in repr(objective.derivation)


@pytest.mark.parametrize("sort", ["states", "draws"])
def test_a_path_inside_of_several_values_of_another_variable(sort):
    torch.manual_seed(0)
    choose, infer = nn.Linear(1, 2).double(), Gaussian(2 + 1 + 2, 2).double()
    kinds = {"states": sd.OneHotCategorical("q(c|x_1)", logits=choose), "draws": None}
    law = kinds[sort] or sd.Normal("q(c|x_1)", loc=choose, scale=1.0)
    factors = [
        law,
        sd.Normal("q(z_t|z_{t-1},x_t,c)", infer),
        sd.Normal("p(x_t|z_t)", lambda z: (z[:, :1], torch.ones_like(z[:, :1]))),
    ]
    text = "E_q(c|x_1) E_q(z_{1:T}|x_{1:T},c)[sum_{t=1}^T log p(x_t|z_t)]"
    objective = sd.Objective(text, *factors, z_0=0.0, z=2, samples={"c": 3})
    x = torch.randn(4, 5, 1, dtype=torch.float64)
    torch.manual_seed(3)
    found = objective.per_example(x=x)
    torch.manual_seed(3)
    if sort == "states":
        c = torch.eye(2, dtype=torch.float64)[:, None].expand(2, 4, 2)
        weight = choose(x[:, 0]).softmax(-1).T
    else:
        loc = choose(x[:, 0])
        c, weight = loc + torch.randn(3, 4, 2, dtype=torch.float64), torch.full((3, 4), 1 / 3)
    z, total = torch.zeros(len(c), 4, 2, dtype=torch.float64), 0.0
    for t in range(5):
        mean, scale = infer(z, x[:, t].expand(len(c), 4, 1), c)
        z = mean + scale * torch.randn_like(mean)
        total = total + Normal(z[..., :1], 1.0).log_prob(x[:, t]).sum(-1)
    torch.testing.assert_close(found, (weight * total).sum(0), rtol=1e-6, atol=1e-8)


def test_a_first_step_of_its_own_inside_of_several_values_is_refused():
    factors = [
        sd.OneHotCategorical("q(c|x_1)", logits=nn.Linear(1, 2)),
        sd.Normal("q(z_t|z_{t-1},c)", lambda z, c: (z + c, torch.ones_like(z))),
        sd.Normal("q(z_1)", loc=0.0, scale=1.0, event_shape=2),
        sd.Normal("p(x_t|z_t)", lambda z: (z[:, :1], torch.ones_like(z[:, :1]))),
    ]
    objective = sd.Objective("E_q(c|x_1) E_q(z_{1:T}|c)[sum_{t=1}^T log p(x_t|z_t)]", *factors)
    with pytest.raises(NotSupportedError, match="has a first step of its own, and stands inside of several"):
        objective(x=torch.randn(4, 5, 1))


def test_paths_are_independent_in_what_is_not_carried_too():
    factors = [
        sd.Normal("q(y_t|x_t)", lambda x: (x, torch.ones_like(x))),
        sd.Normal("q(z_t|z_{t-1},y_t)", lambda z, y: (z + y, torch.ones_like(z))),
        sd.Normal("p(x_t|z_t,y_t)", lambda z, y: (z + y, torch.ones_like(z))),
    ]
    text = "E_q(y_{1:T}, z_{1:T}|x_{1:T})[sum_{t=1}^T sum(y_t)]"
    objective = sd.Objective(text, *factors, z_0=0.0, z=1, samples=4000)
    torch.manual_seed(0)
    found = objective(x=torch.zeros(1, 4, 1))
    assert abs(found) < BOUND * (4 / 4000) ** 0.5


def test_conditions_on_a_step():
    factors = [sd.Normal("p(x_t|z_t)", lambda z: (z, torch.ones_like(z)))]
    x, z = torch.randn(2, 3, 5, 1)
    steps = Normal(z, 1.0).log_prob(x).sum(-1)
    for condition, first in {"t=1}^T": 0, "t=2}^T": 1, "t > 1}": 1, "t >= 3}": 2, "t}": 0}.items():
        found = sd.Objective(f"sum_{{{condition} log p(x_t|z_t)", *factors)(x=x, z=z)
        torch.testing.assert_close(found, steps[:, first:].sum(1).mean())
    for condition in ("t != 2}", "t < 3}", "t=1}^{T+1}", "t=0}^T"):
        with pytest.raises(NotSupportedError, match=r"the range of .* cannot be computed yet"):
            sd.Objective(f"sum_{{{condition} log p(x_t|z_t)", *factors)


def test_sums_from_different_steps_are_no_divergence():
    torch.manual_seed(0)
    factors = [
        sd.Normal("q(z_t|x_t)", lambda x: (x, torch.ones_like(x))),
        sd.Normal("p(z_t|x_t)", lambda x: (x - 1, torch.ones_like(x))),
    ]
    q, x = "E_q(z_{1:T}|x_{1:T})", torch.zeros(1, 3, 1)
    text = f"{q}[sum_{{t=1}}^T log q(z_t|x_t)] - {q}[sum_{{t=2}}^T log p(z_t|x_t)]"
    objective = sd.Objective(text, *factors, samples=20_000)
    log = -0.5 * torch.log(2 * torch.tensor(torch.pi))
    assert objective(x=x).item() == pytest.approx((3 * (log - 0.5) - 2 * (log - 1)).item(), abs=0.08)


def finite_step():
    torch.manual_seed(0)
    infer, emit = nn.Linear(2, 3).double(), nn.Linear(3, 2).double()
    q = sd.OneHotCategorical("q(y_t|x_t)", logits=infer)
    return infer, emit, [q, sd.Bernoulli("p(x_t|y_t)", logits=emit)]


def test_a_finite_step_on_which_no_other_depends_is_summed_over():
    infer, emit, factors = finite_step()
    prior = sd.OneHotCategorical("p(y_t)", probs=torch.ones(3, dtype=torch.float64) / 3)
    text = "sum_{t=1}^T (E_q(y_t|x_t)[log p(x_t|y_t)] - KL[q(y_t|x_t)||p(y_t)])"
    objective = sd.Objective(text, *factors, prior)
    assert [s.name for s in objective.derivation.steps].count("enumeration") == 1
    assert "paths" not in repr(objective.derivation)
    x = torch.bernoulli(torch.full((3, 4, 2), 0.5, dtype=torch.float64))
    lengths = torch.tensor([4, 1, 3])
    probs = infer(x).softmax(-1)
    logs = Bernoulli(logits=emit(torch.eye(3, dtype=torch.float64))).log_prob(x[:, :, None]).sum(-1)
    steps = (probs * logs).sum(-1) - (probs * (probs * 3).log()).sum(-1)
    wanted = (steps * (torch.arange(4) < lengths[:, None])).sum(1).mean()
    found = objective(x=x, T=lengths)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    parameters = [*infer.parameters(), *emit.parameters()]
    for a, b in zip(*(torch.autograd.grad(v, parameters) for v in (found, wanted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("estimator", ["score function", "Gumbel-softmax"])
def test_another_estimator_of_a_finite_step_may_be_asked_for(estimator):
    infer, emit, factors = finite_step()
    text = "sum_{t=1}^T E_q(y_t|x_t)[log p(x_t|y_t)]"
    exact = sd.Objective(text, *factors)
    objective = sd.Objective(text, *factors, estimators={"y": estimator})
    x = torch.bernoulli(torch.full((3, 2), 0.5, dtype=torch.float64))
    if estimator == "score function":
        parameters = [*infer.parameters(), *emit.parameters()]
        assert_unbiased(estimates(objective, x, parameters), exact(x=x[None]), parameters)
    else:
        assert objective(x=x[None]).isfinite() and "biased" in repr(objective.derivation)


def test_a_finite_step_that_the_next_depends_on_is_drawn_along_its_path():
    network = nn.Linear(2, 2)
    factors = [
        sd.OneHotCategorical("q(y_t|x_t)", logits=network),
        sd.Normal("p(x_t|y_t,y_{t-1})", lambda y, before: (y + before, torch.ones_like(y))),
    ]
    text = "sum_{t=1}^T E_q(y_t|x_t)[log p(x_t|y_t,y_{t-1})]"
    objective = sd.Objective(text, *factors, y_0=0.0)
    assert "score function" in repr(objective.derivation) and objective(x=torch.zeros(2, 3, 2)).isfinite()
