"""Unnormalised densities as formulas, in a block and as `sd.Custom`."""

import copy
import math

import pytest
import torch
from scipy import stats
from torch import nn

import symdgm as sd
from symdgm.errors import (
    EstimatorError,
    GrammarError,
    NameResolutionError,
    NotSupportedError,
    OptionError,
    ParameterError,
    ShapeError,
    SymdgmError,
)


def test_an_energy_by_value_and_gradient() -> None:
    torch.manual_seed(0)
    energy, twin = nn.Linear(3, 1).double(), None
    twin = copy.deepcopy(energy)
    model = sd.Model("p(x) propto exp(-U(x))\nmaximize log p(x)", U=energy)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    model.loss(x=x).backward()
    expected = twin(y := x.detach().clone().requires_grad_()).mean()
    expected.backward()
    assert torch.allclose(energy.weight.grad, twin.weight.grad)
    assert torch.allclose(x.grad, y.grad)
    assert "known up to a constant" in repr(model)
    assert "unnormalised density (equality up to a constant)" in repr(model.derivation)
    assert [p.shape for p in model.parameters()] == [p.shape for p in energy.parameters()]
    with pytest.raises(NotSupportedError, match="draw from a proposal q that has draws"):
        model.sample(3)


def test_the_energy_of_a_condition_over_sample_axes() -> None:
    energy = nn.Bilinear(3, 2, 1)
    p = sd.Custom("p(x|y) propto exp(-E(x, y))", E=energy)
    x, y = torch.randn(4, 5, 3), torch.randn(5, 2)
    found = p.log_prob({"x": x, "y": y}, sample_axes={"x": 1})
    torch.testing.assert_close(found, torch.stack([-energy(row, y).squeeze(1) for row in x]))
    assert repr(p) == "Custom p(x|y) propto exp(-E(x, y)), known up to a constant"
    assert not p.normalised
    block = sd.Model("p(x|y) propto exp(-E(x, y))\nmaximize log p(x|y)", E=energy)
    torch.testing.assert_close(block.objective.per_example(x=x[0], y=y), found[0])


REFERENCES = [
    ("exp(-x^2/2)", {}, stats.norm()),
    ("exp(-||x - 1/2||^2/(2 s^2))", {"s": 0.7}, stats.norm(0.5, 0.7)),
    ("exp(-abs(x)/s)", {"s": 0.7}, stats.laplace(0, 0.7)),
    ("(1 + x^2/nu)^(-(nu + 1)/2)", {"nu": 3.0}, stats.t(3)),
    ("1/(1 + x^2)", {}, stats.cauchy()),
    ("x^(a - 1) exp(-b x) 1[x > 0]", {"a": 2.5, "b": 1.5}, stats.gamma(2.5, scale=1 / 1.5)),
    ("x^2 exp(-x) 1[x > 0]", {}, stats.gamma(3)),
    ("exp(-x) 1[x >= 0]", {}, stats.expon()),
    ("x^(a - 1) (1 - x)^(b - 1) 1[x > 0] 1[x < 1]", {"a": 2.5, "b": 1.5}, stats.beta(2.5, 1.5)),
    ("1[x > -1] 1[x < 1/2]", {}, stats.uniform(-1, 1.5)),
    ("exp(-x^2/2) 1[x > 0]", {}, stats.halfnorm()),
    ("exp(-x^2/2) 1[x > -1] 1[x < 1/2]", {}, stats.truncnorm(-1, 0.5)),
    ("x^2 exp(-x^2/2)", {}, None),
]


@pytest.mark.parametrize(("formula", "numbers", "reference"), REFERENCES, ids=[r[0] for r in REFERENCES])
def test_a_normalised_density_is_that_of_scipy(formula, numbers, reference) -> None:
    """Over an event of elements it is their product; outside of its region it is zero."""
    p = sd.Custom(f"p(x) propto {formula}", **numbers)
    assert p.normalised
    x = torch.linspace(-2, 2, 40, dtype=torch.float64).add(0.013).reshape(20, 2)
    if reference is None:
        expected = stats.norm.logpdf(x) + torch.log(x**2).numpy()
    else:
        expected = reference.logpdf(x.numpy())
    torch.testing.assert_close(p.log_prob({"x": x}), torch.as_tensor(expected).sum(1), rtol=1e-6, atol=1e-7)
    single = p.log_prob({"x": x[:, 0]})
    torch.testing.assert_close(single, torch.as_tensor(expected)[:, 0], rtol=1e-6, atol=1e-7)


def test_gradients_of_parameters_pass_through_the_integral() -> None:
    a, b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (2.5, 1.5))
    model = sd.Model("p(x) propto x^(a - 1) exp(-b x) 1[x > 0]\nmaximize log p(x)", a=a, b=b)
    x = torch.tensor([[0.3], [2.0], [5.0]], dtype=torch.float64)
    model.objective(x=x).backward()
    c, d = (v.detach().clone().requires_grad_() for v in (a, b))
    torch.distributions.Gamma(c, d).log_prob(x).mean().backward()
    torch.testing.assert_close(a.grad, c.grad)
    torch.testing.assert_close(b.grad, d.grad)
    assert "normalised: log Z = " in repr(model.derivation)
    assert "where" in repr(model)


def test_networks_of_the_condition_in_a_normalised_density() -> None:
    mu, s = nn.Linear(2, 3), nn.Linear(2, 3)
    model = sd.Model("p(x|y) propto exp(-(x - mu(y))^2/(2 exp(s(y))^2))\nmaximize log p(x|y)", mu=mu, s=s)
    x, y = torch.randn(4, 3), torch.randn(4, 2)
    expected = torch.distributions.Normal(mu(y), s(y).exp()).log_prob(x).sum(1)
    torch.testing.assert_close(model.objective.per_example(x=x, y=y), expected)
    narrow = sd.Custom("p(x|y) propto exp(-(x - y)^2)")
    with pytest.raises(ShapeError, match=r"has the shape \[4, 3\], but it is one of each element"):
        narrow.log_prob({"x": x[:, :1], "y": x})


def test_gradients_at_and_outside_of_a_region_are_finite() -> None:
    p = sd.Custom("p(x) propto sqrt(x) exp(-b x) 1[x > 0]", b=2.0)
    x = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    value = p.log_prob({"x": x})
    assert value.tolist()[1:] == [-math.inf, -math.inf]
    value[0].backward()
    assert x.grad.isfinite().all()


def test_terms_of_different_events_are_each_summed_over_their_own() -> None:
    p = sd.Custom("p(x, y) propto x^2 exp(-sum(x^2) - ||y||^2 - f(y)) (1 + ||x||^2)", f=lambda y: y[:, :1])
    x, y = torch.rand(4, 2) + 0.1, torch.rand(4, 3)
    squares = (x**2).sum(1)
    expected = (2 * x.log()).sum(1) - squares - (y**2).sum(1) - y[:, 0] + torch.log1p(squares)
    torch.testing.assert_close(p.log_prob({"x": x, "y": y}), expected)
    constant = sd.Custom("p(x) propto 2")
    torch.testing.assert_close(constant.log_prob({"x": x}), torch.full((4,), math.log(2)))


def test_a_variable_before_a_bracket_is_a_factor() -> None:
    p = sd.Custom("p(x) propto x(1 - x) 1[x > 0] 1[x < 1]")
    x = torch.tensor([[0.25], [0.5]], dtype=torch.float64)
    torch.testing.assert_close(p.log_prob({"x": x}), torch.as_tensor(stats.beta(2, 2).logpdf(x))[:, 0])


def test_a_scheduled_scalar_reaches_the_density() -> None:
    model = sd.Model("p(x) propto exp(-beta x^2)\nmaximize log p(x)", beta=lambda step: 1.0 + step)
    x = torch.ones(2, 1)
    first = model.objective(x=x)
    model.schedule(3)
    assert first == pytest.approx(-1 - math.log(math.pi) / 2)
    assert model.objective(x=x) == pytest.approx(-4 - math.log(math.pi / 4) / 2)


def test_factors_of_python_and_of_the_block_within_a_density() -> None:
    q = sd.Laplace("q(z|x)", lambda x: {"loc": x, "scale": torch.ones_like(x)})
    p = sd.Custom("r(z|x) propto q(z|x)^2 exp(-z)", q)
    x, z = torch.randn(4, 2), torch.randn(4, 2)
    expected = 2 * q.log_prob({"z": z, "x": x}) - z.sum(1)
    torch.testing.assert_close(p.log_prob({"z": z, "x": x}), expected)
    dec = nn.Linear(2, 2)
    block = sd.Model(
        "r(z|x) propto p(x|z) exp(-||z||^2)\np(x|z) = Laplace(x; dec(z), 1)\nmaximize log r(z|x)", dec=dec
    )
    expected = torch.distributions.Laplace(dec(z), 1.0).log_prob(x).sum(1) - (z**2).sum(1)
    torch.testing.assert_close(block.objective.per_example(x=x, z=z), expected)
    assert {id(v) for v in dec.parameters()} == {id(v) for v in block.parameters()}


def test_it_is_saved_copied_and_moved(tmp_path) -> None:
    texts = "p(x) propto exp(-U(x))\nmaximize log p(x)"
    models = [sd.Model(texts, U=nn.Linear(2, 1)) for _ in range(2)]
    x = torch.randn(3, 2)
    models[0].save(tmp_path / "a.safetensors")
    assert models[0].loss(x=x) != models[1].loss(x=x)
    models[1].load(tmp_path / "a.safetensors")
    assert models[0].loss(x=x) == models[1].loss(x=x)
    p = sd.Custom("p(x) propto exp(-U(x))", U=nn.Linear(2, 1))
    double = copy.deepcopy(p).double()
    assert double.log_prob({"x": x.double()}).dtype == torch.float64
    assert p.log_prob({"x": x}).dtype == torch.float32


@pytest.mark.parametrize(
    "text",
    [
        "p(x) propto exp(-U(x))", "p(x) ∝ e^{-U(x)}", r"p(x) \propto \exp\left(-U(x)\right)",
        "p_theta(x|y) propto x^2 exp(-U(x, y)) 1[x > 0]",
    ],
)  # fmt: skip
def test_what_is_printed_is_read_back(text: str) -> None:
    node = sd.parse(text)
    assert sd.parse(str(node)) == node
    from sympy import latex

    assert sd.parse(latex(node)) == node
    shown = repr(sd.Custom(text, U=lambda *v: v[0].sum(1)))
    assert sd.parse(shown.split(" ", 1)[1].split(", known")[0].split(", normalised")[0]) == node


@pytest.mark.parametrize(
    ("text", "names", "error", "words"),
    [
        ("p(x) propto exp(-U(x))", {}, NameResolutionError, "write `U=...` to bind a network"),
        ("p(x) propto 0", {}, NameResolutionError, "the density `p(x)` is zero everywhere"),
        ("p(x) propto -exp(-x^2)", {}, NameResolutionError, "the density `p(x)` is negative everywhere"),
        ("p(x) propto -2 x^2/3 abs(x)", {}, NameResolutionError, "is negative everywhere"),
        ("p(x) propto exp(-y)", {}, NameResolutionError, "`y` is not bound"),
        ("p(x) propto exp(-f(y))", {"f": torch.relu}, NameResolutionError, "density depends on `y`"),
        ("p(x) propto exp(-x) 1[x in S]", {}, NotSupportedError, "does not compare a variable"),
        ("p(x|y) propto exp(-x y) 1[y > 0]", {}, NameResolutionError, "`y` stands behind the bar"),
        ("p(x) propto exp(-x^2) 1[x > 1] 1[x < 0]", {}, NameResolutionError, "no `x` lies in the region"),
        ("p(x) propto exp(-x^2); p(y) propto 1", {}, GrammarError, "is not one statement"),
        ("p(f(x)) propto exp(-x)", {}, NameResolutionError, "does not name the variables of a density"),
        ("p(x) propto exp(-x^2)", {"b": 1.0}, OptionError, "`b` is no option"),
        ("p(x) propto exp(-x^2)", {"normalised": True}, OptionError, "is worked out, not told"),
        ("p(x)", {"U": nn.Linear(1, 1)}, ParameterError, "has no formula, and not just one function"),
        ("p(x) propto sum_{k=1}^K exp(-x)", {}, SymdgmError, "sum, product or mean|K|index"),
        ("p(x) propto min_G exp(-x)", {}, SymdgmError, ""),
        ("p(x) propto propto exp(-x)", {}, GrammarError, ""),
        ("x propto exp(-x)", {}, SymdgmError, "does not name the variables"),
    ],
)  # fmt: skip
def test_refused(text, names, error, words) -> None:
    with pytest.raises(error) as caught:
        sd.Custom(text, **names)
    assert any(w in str(caught.value) for w in words.split("|")), caught.value


@pytest.mark.parametrize(
    ("text", "improper"),
    [
        ("p(x) propto 1", True), ("p(x|y) propto exp(-y^2)", True), ("p(x) propto 1[x > 0]", True),
        ("p(x) propto exp(x)", True), ("p(x) propto exp(-x^3)", True), ("p(x) propto exp(x^2 - x)", True),
        ("p(x) propto 1/x 1[x > 1]", True), ("p(x) propto (1 + x^2)^(-1/2)", True), ("p(x) propto x^2", True),
        ("p(x) propto exp(-x) 1[x < 0]", True), ("p(x) propto exp(||x||_1)", True),
        ("p(x) propto exp(abs(x) - x^2)", False), ("p(x) propto exp(-x^4 + x)", False),
        ("p(x) propto exp(b x)", False), ("p(x) propto exp(x) cosh(x)^(-2)", False),
        ("p(x) propto exp(-U(x))", False),
        ("p(x) propto x^2 1[x > 0] 1[x < 1]", False),
        ("p(x) propto exp(-x^4 - b^2)", False), ("p(x, y) propto exp(x^2)", False),
    ],
)  # fmt: skip
def test_a_density_that_is_known_to_be_improper(text: str, improper: bool) -> None:
    """A flat prior is used as it is, and says that it is no distribution."""
    names = {"b": 1.0} if "b" in text.replace("abs", "") else {"U": lambda x: x.sum(1)} if "U" in text else {}
    p = sd.Custom(text, **names)
    assert p.improper == improper
    assert ("improper: its integral is infinite" in repr(p)) == improper
    assert not (p.improper and p.normalised)


def test_a_flat_prior_in_a_model_says_so() -> None:
    model = sd.Model("p(x) propto 1[x > 0]\nmaximize log p(x)")
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    assert model.objective.per_example(x=x).tolist() == [0.0, -math.inf]
    step = next(s for s in model.derivation if s.name == "unnormalised density")
    assert step.kind.value == "equality up to a constant"
    assert "gradients by its parameters lack" in step.why
    assert "p(x) is improper: its integral is infinite" in repr(model.derivation)


def test_the_formula_is_printed_and_the_class_is_that_of_users() -> None:
    p = sd.Custom("p(x|y) propto exp(-E(x, y))/2", E=lambda x, y: (x * y).sum(1))
    assert p.text == "p(x|y) propto exp(-E(x, y))/2"
    assert sd.parse(p.latex) == sd.parse(p.text)
    assert p.latex == r"p(x \mid y) \propto \frac{\exp(-E(x, y))}{2}"
    assert sd.Custom("p(x)", lambda x: -x.sum(1)).text == "p(x)"
    model = sd.Model("p(x) propto exp(-U(x))\nmaximize log p(x)", U=nn.Linear(2, 1))
    (factor,) = model.objective.bound.environment.factors
    assert isinstance(factor.distribution, sd.Custom)
    assert factor.distribution.latex == r"p(x) \propto \exp(-U(x))"


def test_no_draws_no_expectation() -> None:
    with pytest.raises(
        EstimatorError, match=r"takes draws, but only its log-density is known\n.*\n.*\^"
    ) as caught:
        sd.Model("p(x) propto exp(-U(x))\nmaximize E_p(x)[||x||^2]", U=nn.Linear(2, 1))
    assert "E_q(x)[log q(x) - log p(x)]" in str(caught.value)


def test_what_stands_beside_a_formula() -> None:
    with pytest.raises(ParameterError, match=r"Linear stands beside a formula, which names its networks"):
        sd.Custom("p(x) propto exp(-U(x))", nn.Linear(1, 1))
    with pytest.raises(NameResolutionError, match=r"is no density"):
        sd.Model("x propto exp(-x)\nmaximize log p(x)")
    with pytest.raises(SymdgmError, match=r"pass the block to `sd.Model`"):
        sd.Objective("p(x) propto exp(-x)")
