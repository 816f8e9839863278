"""Every family in an equation: log-densities, draws, entropies, and the code that is written."""

import ast

import pytest
import torch
from lowering_cases import run_text, z_score

import symdgm as sd
from symdgm.distributions import Family
from symdgm.errors import ShapeError
from symdgm.lowering.torch_laws import TORCH
from tests.distributions.cases import BATCH, Case, Table
from tests.distributions.cases_continuous import CONTINUOUS
from tests.distributions.cases_discrete import DISCRETE

CASES = [*CONTINUOUS, *DISCRETE]
PATHWISE = [c for c in CASES if c.family.pathwise]
X = torch.zeros(BATCH, 1, dtype=torch.float64)


def named(cases: list[Case]):
    return pytest.mark.parametrize("case", cases, ids=lambda c: c.name)


def law(case: Case, declaration: str, seed: int = 0) -> Family:
    return case.new(declaration, Table(case.parameters((BATCH,), torch.float64, seed)))


NOT_PATHWISE = [c for c in DISCRETE if not law(c, "q(x|y)").finite]


def assert_same_gradients(found, expected, module):
    ours, theirs = (
        torch.autograd.grad(v, list(module.parameters()), retain_graph=True, materialize_grads=True)
        for v in (found, expected)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@named(CASES)
def test_log_density(case):
    p = law(case, "p(x|y)")
    value = case.values(torch.float64)
    objective = sd.Objective("log p(x|y)", p)
    expected = p.log_prob({"x": value, "y": X})
    torch.testing.assert_close(objective.per_example(x=value, y=X), expected, rtol=1e-7, atol=1e-7)
    assert_same_gradients(objective(x=value, y=X), expected.mean(), p)


@named(CASES)
def test_code_is_plain_torch_and_repeats_the_value(case):
    p = law(case, "p(x|y)")
    data = {"x": case.values(torch.float64), "y": X}
    objective = sd.Objective("log p(x|y)", p)
    value = objective(**data)
    assert torch.equal(run_text(objective.code, objective.inputs(**data))[0], value)
    roots = {
        a.name for n in ast.walk(ast.parse(objective.code)) if isinstance(n, ast.Import) for a in n.names
    }
    assert roots <= {"torch", "math"} and "symdgm" not in objective.code


@named(PATHWISE)
@pytest.mark.parametrize("count", [1, 3])
def test_a_draw_has_the_law_of_the_distribution(case, count):
    """The mean of a bounded function of draws, against that of twenty times as many: |z| < 4.5."""
    many = 3000
    row = case.parameters((1,), torch.float64)
    q = case.new("q(x|y)", Table({k: t.expand(many, *t.shape[1:]) for k, t in row.items()}))
    y = torch.zeros(many, 1, dtype=torch.float64)
    torch.manual_seed(3)
    objective = sd.Objective("E_q(x|y)[sum(tanh(x))]", q, samples=count)
    ours = objective.per_example(y=y).detach()
    with torch.no_grad():
        theirs = q.sample({"y": y}, shape=(20,))["x"].tanh().flatten(2).sum(2)
    error = (theirs.var() / many / count + theirs.var() / theirs.numel()).sqrt()
    assert (ours.mean() - theirs.mean()).abs() < 4.5 * error
    assert 0.7 < ours.var() * count / theirs.var() < 1.4
    gradients = torch.autograd.grad(objective(y=y), list(q.parameters()), materialize_grads=True)
    assert all(bool(g.isfinite().all()) for g in gradients)
    assert any(bool((g != 0).any()) for g in gradients)


@named(PATHWISE)
def test_divergence_and_entropy_without_a_closed_form(case):
    """Monte Carlo of the definition, against hand-written PyTorch with the same noise."""
    q, p = law(case, "q(x|y)"), law(case, "p(x|y)", seed=1)
    objective = sd.Objective("KL[q(x|y)||p(x|y)] + 2 H[q(x|y)]", q, p, analytic=False)
    torch.manual_seed(5)
    value = objective(y=X)
    torch.manual_seed(5)
    by_torch = case.family.family in TORCH and TORCH[case.family.family].draws
    x = case.torch(dict(q.network.raw)).rsample() if by_torch else q.sample({"y": X})["x"]
    log_q, log_p = (d.log_prob({"x": x, "y": X}, check=False) for d in (q, p))
    expected = (log_q - log_p - 2 * log_q).mean()
    torch.testing.assert_close(value, expected, rtol=1e-7, atol=1e-7)
    if bool(value.isfinite()):  # of two points, one is impossible under the other
        assert_same_gradients(value, expected, q)


@named(NOT_PATHWISE)
def test_draws_without_a_gradient_are_scored(case):
    """Against hand-written PyTorch with the same noise."""
    q = law(case, "q(x|y)")
    score = {"x": sd.estimators.ScoreFunction(baseline="none")}
    objective = sd.Objective("E_q(x|y)[f(x)]", q, f=lambda x: x.flatten(1).sum(1).square(), estimators=score)
    torch.manual_seed(5)
    value = objective(y=X)
    torch.manual_seed(5)
    x = q.sample({"y": X})["x"]
    body = x.flatten(1).sum(1).square()
    expected = body + body * (log_q := q.log_prob({"x": x, "y": X}, check=False)) - body * log_q.detach()
    torch.testing.assert_close(value, expected.mean())
    assert_same_gradients(value, expected.mean(), q)


def test_draws_need_no_gradient_where_nothing_is_trained():
    p = sd.Poisson("p(k)", rate=3.0, event_shape=2)
    objective = sd.Objective("E_p(k)[sum(k)]", p, samples=5, analytic=False)
    torch.manual_seed(0)
    assert "Monte Carlo" in repr(objective.derivation)
    draws = objective.per_example(n=2000)
    assert z_score(draws, 6.0) < 4


@pytest.mark.parametrize("parameters", [{"loc": -0.5, "variance": 4.0}, {"loc": -0.5, "log_scale": 0.25}])
def test_numbers_in_place_of_a_scale(parameters):
    q = sd.Normal("q(z)", **parameters, event_shape=2)
    p = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    reference = torch.distributions.Normal(-0.5, q.variance()["z"][0, 0].sqrt())
    expected = 2 * torch.distributions.kl_divergence(reference, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(sd.Objective("KL[q||p]", q, p)(), expected)
    torch.testing.assert_close(sd.Objective("H[q]", q)(), 2 * reference.entropy())


@pytest.mark.parametrize("name", ["variance", "log_scale"])
def test_a_scale_is_converted_once(name):
    """Also where a network says only when it runs which parameter it returns."""
    q = sd.Normal("q(z|y)", lambda y: {"loc": y, name: y.square() + 1})
    p = sd.Normal("p(z)", loc=0.0, scale=1.0)
    objective = sd.Objective("E_q(z|y)[sum(tanh(z))] - KL[q||p]", q, p)
    y = torch.randn(BATCH, 3, dtype=torch.float64)
    scale = (y.square() + 1).sqrt() if name == "variance" else (y.square() + 1).exp()
    torch.manual_seed(1)
    value = objective(y=y)
    torch.manual_seed(1)
    law_q, law_p = torch.distributions.Normal(y, scale), torch.distributions.Normal(0 * y, 0 * y + 1)
    z = y + scale * torch.randn_like(y)
    kl = torch.distributions.kl_divergence(law_q, law_p)
    torch.testing.assert_close(value, (z.tanh() - kl).sum(1).mean())
    assert objective.code.count("q_z_scale = ") == 1


def test_numbers_only_are_written_as_tensors_of_the_data():
    p = sd.Gamma("p(x)", concentration=0.1, rate=0.3, event_shape=3)
    x = torch.rand(BATCH, 3, dtype=torch.float64) + 0.1
    expected = p.double().log_prob({"x": x})
    torch.testing.assert_close(sd.Objective("log p(x)", p).per_example(x=x), expected, rtol=1e-12, atol=0)


def test_constant_tensors_and_a_draw_for_each_example():
    p = sd.Gamma("p(x)", concentration=torch.tensor([1.0, 50.0]), rate=1.0)
    draws = sd.Objective("E_p(x)[sum(x)]", p, analytic=False).per_example(n=3000)
    assert draws.unique().numel() > 2900 and z_score(draws, 51.0) < 4


EXTREME = [
    (sd.ContinuousBernoulli, {"logits": [-200.0, 200.0, 1e-4]}, [0.0, 1.0, 0.5]),
    (sd.VonMises, {"loc": [0.0, 0.0], "concentration": [1e-8, 1e6]}, [1.0, 1e-3]),
    (sd.Geometric, {"logits": [-200.0, 200.0]}, [1.0, 0.0]),
    (sd.Poisson, {"log_rate": [-200.0, 3.0]}, [0.0, 0.0]),
    (sd.Binomial, {"total_count": [10.0, 10.0], "probs": [0.0, 1.0]}, [0.0, 10.0]),
    (sd.Uniform, {"low": [0.0, 0.0], "high": [1.0, 1.0]}, [0.0, 1.0]),
    (sd.Exponential, {"scale": [1.0, 1e30]}, [0.0, 1.0]),
    (sd.Laplace, {"loc": [0.0, 0.0], "log_scale": [-20.0, 20.0]}, [0.0, 1.0]),
]


@pytest.mark.parametrize(("family", "parameters", "x"), EXTREME, ids=lambda v: getattr(v, "__name__", ""))
def test_extremes_in_single_precision_are_those_of_the_distribution(family, parameters, x):
    """Where torch's own formulas are NaN, or leave an end of the support out."""
    p = family("p(x|y)", Table({k: torch.tensor([v]) for k, v in parameters.items()}))
    data = {"x": torch.tensor([x]), "y": torch.zeros(1, 1)}
    value = sd.Objective("log p(x|y)", p)(**data)
    expected = p.log_prob(data).mean()
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    assert bool(value.isfinite())
    for found in torch.autograd.grad(value, list(p.parameters()), materialize_grads=True):
        assert bool(found.isfinite().all())


def test_a_matrix_without_its_axes_is_refused():
    p = sd.MultivariateNormal("p(x|y)", lambda y: (y, y))
    with pytest.raises(ShapeError, match=r"covariance_matrix of .* has shape \[5, 2\]"):
        sd.Objective("log p(x|y)", p, validate=False)(x=torch.zeros(5, 2), y=torch.zeros(5, 2))
