"""Names: which are free for parameters, which variables an expectation binds, and how data are spelled."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import DataError, NameResolutionError, OptionError


class Encoder(nn.Module):
    """Location and scale of two latent numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.layer(x).chunk(2, -1)
        return loc, F.softplus(scale)


def parts() -> tuple[sd.Normal, sd.Bernoulli, sd.Normal]:
    torch.manual_seed(0)
    encoder, decoder = Encoder(), nn.Linear(2, 4)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    return sd.Normal("q(z|x)", encoder), sd.Bernoulli("p(x|z)", decoder), prior


def images(rows: int = 5) -> Tensor:
    return torch.rand(rows, 4, generator=torch.Generator().manual_seed(1)).round()


def test_no_parameter_takes_the_name_of_data() -> None:
    q, _, prior = parts()
    objective = sd.Objective("KL[q||p] + g(mu_q)", q, prior, g=lambda t: t.sum(-1))
    zero = objective({"x": images(), "mu_q": torch.zeros(5, 2)})
    one = objective({"x": images(), "mu_q": torch.ones(5, 2)})
    torch.testing.assert_close(one - zero, torch.tensor(2.0))


def test_no_parameter_takes_the_name_of_a_bound_variable() -> None:
    q, _, prior = parts()
    draw = sd.Objective("E_{mu_q ~ q(z|x)}[f(mu_q) KL[q(z|x)||p(z)]]", q, prior, f=lambda t: t.sum(-1))
    plain = sd.Objective("E_{w ~ q(z|x)}[f(w) KL[q(z|x)||p(z)]]", q, prior, f=lambda t: t.sum(-1))
    values = []
    for objective in (draw, plain):
        torch.manual_seed(2)
        values.append(objective.per_example(x=images()))
    torch.testing.assert_close(values[0], values[1])


def test_an_expectation_binds_the_variable_that_its_law_is_written_over() -> None:
    q, p, _ = parts()
    values = []
    for text in ("E_q(z'|x)[log p(x|z')]", "E_q(z|x)[log p(x|z)]"):
        torch.manual_seed(3)
        values.append(sd.Objective(text, q, p)(x=images()))
    torch.testing.assert_close(values[0], values[1])


def test_an_inner_expectation_leaves_the_outer_variable_alone() -> None:
    q, _, prior = parts()
    draws = {"z": 4000, "z'": 2}
    inner = sd.Objective("E_p(z)[E_q(z'|x)[f(z)]]", q, prior, f=lambda t: t.sum(-1), samples=draws)
    torch.manual_seed(4)
    value = inner(x=images())
    # Under the prior f has mean 0 and variance 2; under q its mean is 0.275. Bound: 4.5 sigma = 0.10.
    assert abs(value) < 4.5 * (2 / 4000) ** 0.5
    assert abs(q.mean({"x": images()})["z"].sum(-1).mean()) > 0.25


def test_a_whole_tensor_is_a_scalar_of_negative_powers() -> None:
    p = sd.Normal("p(x)", loc=0.0, scale=1.0)
    objective = sd.Objective("beta^{-1} log p(x)", p, beta=torch.tensor(2))
    plain = sd.Objective("log p(x)", p)
    x = torch.ones(3)
    torch.testing.assert_close(objective(x=x), plain(x=x) / 2)


@pytest.mark.parametrize("value", [torch.tensor(True), torch.tensor(1j)])
def test_truth_values_and_complex_tensors_are_no_scalars(value: Tensor) -> None:
    with pytest.raises(OptionError, match="the scalar `beta` cannot be a tensor of torch"):
        sd.Objective("beta log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0), beta=value)


@pytest.mark.parametrize("name", ["x_a_b", "x_1_2", "q_z_loc"])
def test_a_variable_with_two_subscripts(name: str) -> None:
    q, _, prior = parts()
    network = q.sources[0].call
    other = sd.Normal(f"q(z|{name})", network)
    objective = sd.Objective(f"KL[q(z|{name})||p(z)]", other, prior)
    expected = sd.Objective("KL[q(z|x)||p(z)]", q, prior)(x=images())
    torch.testing.assert_close(objective(**{name: images()}), expected)
    torch.testing.assert_close(objective({objective.data[0]: images()}), expected)


def test_data_given_under_two_spellings() -> None:
    q, _, prior = parts()
    objective = sd.Objective("KL[q(z|x_1_2)||p(z)]", sd.Normal("q(z|x_1_2)", q.sources[0].call), prior)
    with pytest.raises(DataError, match="two spellings of one variable"):
        objective({"x_1_2": images(), "x_{1,2}": images()})


def test_one_name_bound_under_two_spellings() -> None:
    with pytest.raises(OptionError, match="two spellings of one name, which is bound twice"):
        sd.Objective("phi log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0), phi=1.0, varphi=2.0)


def test_sampling_and_values_of_variables_with_two_subscripts() -> None:
    _, _, prior = parts()
    likelihood = sd.Normal("p(x_1_2|z)", nn.Linear(2, 4), scale=1.0)
    model = sd.Model("maximize E_p(z)[log p(x_1_2|z)]", likelihood, prior)
    model.loss({"x_1_2": images()})
    assert model.sample(3)["x_{1,2}"].shape == (3, 4)


def test_a_function_of_a_variable_with_two_subscripts() -> None:
    _, _, prior = parts()
    double = sd.Deterministic("g(y_1_2|z)", lambda z: 2 * z)
    objective = sd.Objective(
        "E_p(z)[E_g(y_1_2|z)[f(y_1_2) - f(z) - f(z)]]", double, prior, f=lambda t: t.sum(-1)
    )
    assert abs(objective(n=5)) < 1e-5


@pytest.mark.parametrize(
    ("text", "law", "formula"),
    [
        ("KL[q(z|x)||p(2 z)]", "p(2 z)", "2 z"),
        ("H[q(z^2|x)]", "q(z^2|x)", "z^2"),
        ("E_{q(z + z|x)}[||z||^2]", "q(z + z|x)", "z + z"),
        ("KL[q(z=2 z|x)||p(z)]", "q(z=2 z|x)", "2 z"),
        ("KL[q(z x)||p(z)]", "q(z x)", "z x"),
    ],
)
def test_a_law_is_over_variables(text: str, law: str, formula: str) -> None:
    """The formula was left out without a word."""
    q, _, prior = parts()
    words = re.escape(f"`{law}` stands where a distribution is wanted, but `{formula}` is a formula")
    with pytest.raises(NameResolutionError, match=words) as caught:
        sd.Objective(text, q, prior)
    assert "^" in str(caught.value) and "write `" in caught.value.hint


def test_the_caret_of_a_name_with_an_index_that_is_not_bound() -> None:
    with pytest.raises(NameResolutionError, match=r"`D` is not bound\n.*\n  {14}\^") as caught:
        sd.Objective("sum_j (x_j - D_j)", sd.Data("data(x)"))
    assert caught.value.source is not None


def test_a_joint_in_what_a_network_reads() -> None:
    q, p, prior = parts()
    whole = sd.Objective("E_q(z|x)[f(log p(x,z)) + f(p(x,z))]", q, p, prior, f=lambda v: 2 * v)
    split = sd.Objective(
        "E_q(z|x)[f(log p(x|z) + log p(z)) + f(p(x|z) p(z))]", q, p, prior, f=lambda v: 2 * v
    )
    found = []
    for objective in (whole, split):
        torch.manual_seed(4)
        found.append(objective.per_example(x=images()))
    torch.testing.assert_close(*found)
