"""The face of an equation."""

import pytest
import torch
from face_models import LATENT, PIXELS, images, networks
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import OptionError, SymdgmError

ELBO = "E_q(z|x)[log p(x|z)] - beta KL[q||p]"


def elbo(text: str = ELBO, **names: object) -> sd.Objective:
    enc, dec = networks()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    if "beta" in str(text):
        names = {"beta": 0.5, **names}
    return sd.Objective(text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior, **names)


def seeded(function: object, *args: object, **kwargs: object) -> object:
    torch.manual_seed(2)
    return function(*args, **kwargs)  # type: ignore[operator]


def test_value_terms_and_examples_agree() -> None:
    objective = elbo()
    value = seeded(objective, x=images())
    terms = seeded(objective.terms, x=images())
    examples = seeded(objective.per_example, x=images())
    assert isinstance(value, Tensor) and isinstance(terms, dict) and isinstance(examples, Tensor)
    likelihood, kl = terms.values()
    assert torch.allclose(value, likelihood - 0.5 * kl)
    assert examples.shape == (len(images()),)
    assert torch.allclose(examples.mean(), value)
    assert seeded(objective, {"x": images()}) == value


def test_what_it_looks_like() -> None:
    objective = elbo("L(x) = maximize " + ELBO)
    assert repr(objective) == "L(x) = maximize 𝔼_q(z|x)[log p(x|z)] − β KL[q ‖ p]"
    assert objective._repr_latex_() == f"$\\displaystyle {objective.latex()}$"
    assert objective.direction == "maximize" and str(objective.label) == "L(x)"
    assert objective.signature == elbo(r"L(x) = \max " + ELBO.replace("KL", "D_KL")).signature
    assert objective.data == ("x",)


def test_code_needs_an_evaluation() -> None:
    objective = elbo()
    with pytest.raises(SymdgmError, match=r"no evaluation has shown yet\n.*objective\(x=batch\)"):
        _ = objective.code
    objective(x=images())
    assert "def objective(x, *" in objective.code
    assert objective.events == {"z": (LATENT,), "x": (PIXELS,)}


def test_draws_lower_the_variance() -> None:
    objective, many = elbo(), elbo(samples={"z": 32})
    values = [torch.stack([o(x=images()[:1]).detach() for _ in range(64)]).var() for o in (objective, many)]
    assert (
        values[1] < values[0] / 8
    )  # 1/32 on average; a ratio of two chi-squares of 63 degrees is below 2.3 at z = 3


def test_monte_carlo_in_place_of_closed_forms() -> None:
    x = images()
    closed, sampled = elbo("KL[q||p]"), elbo("KL[q||p]", analytic=False, samples=4000)
    difference = (closed(x=x) - sampled(x=x)).abs()
    assert 0 < difference < 0.05


def test_scalars_change_the_value_at_once() -> None:
    objective = elbo()
    values = []
    for beta in (0.0, 1.0, 2.0):
        objective.scalars["beta"] = beta
        values.append(seeded(objective, x=images()))
    first, second, third = values
    assert isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(third, Tensor)
    assert torch.allclose(second - first, third - second)
    assert torch.allclose(seeded(elbo(beta=torch.tensor(2.0)), x=images()), third)  # type: ignore[arg-type]


def test_expressions_in_place_of_texts() -> None:
    assert torch.equal(
        seeded(elbo(sd.parse(ELBO)), x=images()),  # type: ignore[arg-type]
        seeded(elbo(), x=images()),  # type: ignore[arg-type]
    )


def test_parameters_are_listed_once() -> None:
    shared = nn.Linear(PIXELS, PIXELS)
    weight = nn.Parameter(torch.tensor(1.0))
    objective = sd.Objective(
        "log p(x|y=f(x)) + a ||f(x)||^2 + a",
        sd.Normal("p(x|y)", loc=shared, scale=weight),
        f=shared,
        a=weight,
    )
    assert len(objective.parameters()) == 3


def test_data_names_that_are_no_identifiers() -> None:
    objective = sd.Objective("||x' - x_{1}||^2", sd.Data("data(x', x_1)"))
    assert objective({"x'": torch.ones(2, 3), "x_1": torch.zeros(2, 3)}) == 3


def test_a_body_with_an_event_is_refused() -> None:
    with pytest.raises(SymdgmError, match="event-shaped"):
        elbo("E_q(z|x)[x]")(x=images())
    with pytest.raises(OptionError, match="Linear is no distribution"):
        sd.Objective(ELBO, nn.Linear(1, 1))  # type: ignore[arg-type]
