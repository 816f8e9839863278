"""Every family in a model block, and what of its parameters is refused."""

import pytest
import torch

import symdgm as sd
from symdgm.errors import ParameterError
from symdgm.families import FAMILIES
from tests.distributions.cases_continuous import CONTINUOUS
from tests.distributions.cases_discrete import DISCRETE

BATCH = 4
CASES = [*CONTINUOUS, *DISCRETE]


def test_the_cases_are_all_families_of_a_block():
    assert {c.family for c in CASES} | {sd.Delta} == set(FAMILIES.values())


# `cov_diag` is no name of the language, which reads `diag` as a function; a network alone returns it.
BY_NAME = [c for c in CASES if "cov_diag" not in c.shapes]


@pytest.mark.parametrize("case", BY_NAME, ids=lambda c: c.name)
def test_a_family_by_names(case):
    """``p(x|y) = Family(x; a = f_a(y), ...)`` is the distribution that is built in Python."""
    parameters = case.parameters((BATCH,), torch.float64)
    functions = {f"f{i}": (lambda y, t=t: t + 0 * y.sum()) for i, t in enumerate(parameters.values())}
    written = [f"{name} = f{i}(y)" for i, name in enumerate(parameters)]
    written += [f"{name} = {value:g}" for name, value in case.fixed.items()]
    text = f"p(x|y) = {case.family.family}(x; {', '.join(written)})\nmaximize log p(x|y)"
    y = torch.zeros(BATCH, 1, dtype=torch.float64)
    value = case.values(torch.float64, (BATCH,))
    p = case.new("p(x|y)", **{k: (lambda y, t=t: t + 0 * y.sum()) for k, t in parameters.items()})
    found = sd.Model(text, **functions).objective.per_example(x=value, y=y)
    torch.testing.assert_close(found, p.log_prob({"x": value, "y": y}), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ("Gamma(x; 2, 3)", torch.distributions.Gamma(2.0, 3.0)),
        ("Beta(x; 2, 3)", torch.distributions.Beta(2.0, 3.0)),
        ("StudentT(x; 5, 1, 2)", torch.distributions.StudentT(5.0, 1.0, 2.0)),
        ("U(x; -1, 2)", torch.distributions.Uniform(-1.0, 2.0)),
        ("Exp(x; 4)", torch.distributions.Exponential(4.0)),
        ("Laplace(x; 1, 2)", torch.distributions.Laplace(1.0, 2.0)),
        ("LogNormal(x; 1, 2)", torch.distributions.LogNormal(1.0, 2.0)),
        ("N(x; 1, 4)", torch.distributions.Normal(1.0, 2.0)),
        ("Normal(x; loc = 1, variance = 4)", torch.distributions.Normal(1.0, 2.0)),
    ],
)
def test_positional_parameters_stand_in_the_order_of_torch(written, reference):
    x = torch.tensor([[0.25, 0.5], [0.125, 0.75]])
    model = sd.Model(f"p(x) = {written}\nmaximize log p(x)", x=2)
    torch.testing.assert_close(model.objective.per_example(x=x), reference.log_prob(x).sum(1))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Binomial(x; 10, 0.5)", "Binomial takes `logits` or `probs`, and does not say which"),
        ("RelaxedBernoulli(x; 0.5, 1)", "write `logits=...` or `probs=...`"),
        ("DiscretizedLogistic(x; loc=0.5, scale=1, levels=f(x))", "`levels` is `f.x.`, not a number"),
        ("Gamma(x; 1, 2, 3)", "Gamma takes 2 parameters"),
    ],
)
def test_refused(written, words):
    with pytest.raises(ParameterError, match=words):
        sd.Model(
            f"p(x) = {written}\nmaximize log p(x)", x=2, **({"f": torch.relu} if "f(x)" in written else {})
        )


def test_a_factorisation_is_the_product_of_python():
    """``p(x,z) = p(x|z) p(z)`` in a block, and ``p * prior`` as one argument, give the same."""
    network = torch.nn.Linear(2, 3)
    equation = "maximize E_q(z|x)[log p(x,z) - log q(z|x)]"
    q = sd.Normal("q(z|x)", lambda x: (x[:, :2], 1.0))
    likelihood = sd.Bernoulli("p(x|z)", network)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    x = torch.ones(BATCH, 3)
    block = "p(x|z) = Bernoulli(x; logits = f(z))\np(z) = Normal(z; 0, 1)\np(x,z) = p(x|z) p(z)\n"
    values = []
    for model in (
        sd.Model(equation, q, likelihood * prior),
        sd.Model(equation, q, p=likelihood * prior),
        sd.Model(equation, q, likelihood, prior),
        sd.Model(block + equation, q, f=network, z=2),
    ):
        torch.manual_seed(0)
        values.append(model.objective(x=x))
    assert all(torch.equal(v, values[0]) for v in values)


def test_a_covariance_and_a_vector_of_variances_that_are_tensors() -> None:
    """A square matrix is a covariance, unless the event is of its shape."""
    cov = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    f, x, z = torch.nn.Linear(2, 2), torch.randn(4, 2), torch.randn(4, 2)
    full = torch.distributions.MultivariateNormal
    by_network = sd.Model("p(x|z) = N(x; f(z), S)\nmaximize log p(x|z)", f=f, S=cov)
    torch.testing.assert_close(by_network.objective.per_example(x=x, z=z), full(f(z), cov).log_prob(x))
    centred = sd.Model("p(x) = N(x; 0, S)\nmaximize log p(x)", S=cov)
    torch.testing.assert_close(centred.objective.per_example(x=x), full(torch.zeros(2), cov).log_prob(x))
    v = torch.tensor([2.0, 3.0])
    diagonal = sd.Model("p(x) = N(x; 0, v)\nmaximize log p(x)", v=v)
    expected = torch.distributions.Normal(0.0, v.sqrt()).log_prob(x).sum(1)
    torch.testing.assert_close(diagonal.objective.per_example(x=x), expected)
    square = torch.rand(2, 2) + 0.5
    images = sd.Model("p(x) = N(x; 0, v)\nmaximize log p(x)", v=square, x=(2, 2))
    x = torch.randn(3, 2, 2)
    expected = torch.distributions.Normal(0.0, square.sqrt()).log_prob(x).sum((1, 2))
    torch.testing.assert_close(images.objective.per_example(x=x), expected)
