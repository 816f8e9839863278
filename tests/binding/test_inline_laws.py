"""Laws written in place: their numbers, shapes and gradients, and abbreviations under their binders."""

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions.integers import Integers
from symdgm.errors import NotSupportedError, ParameterError, ShapeError, SupportError

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DATA = sd.Data("data(x)")


def identity(value: Tensor) -> Tensor:
    return value


def test_noise_takes_the_shape_that_it_is_combined_with() -> None:
    """The simple diffusion loss, against itself by hand."""
    f = nn.Linear(3, 3).double()
    text = "E_{data(x), t ~ U(0, 1), eps ~ N(0, I)}[||eps - f(sqrt(t) x + sqrt(1 - t) eps)||^2]"
    objective = sd.Objective(text, DATA, f=f)
    torch.manual_seed(1)
    value = objective(x=X)
    torch.manual_seed(1)
    t = torch.distributions.Uniform(torch.zeros(6).double(), torch.ones(6).double()).rsample()[:, None]
    eps = torch.randn(6, 3, dtype=torch.float64)
    expected = (eps - f(t.sqrt() * X + (1 - t).sqrt() * eps)).pow(2).sum(-1).mean()
    assert torch.allclose(value, expected)
    owned = list(f.parameters())
    for a, b in zip(torch.autograd.grad(value, owned), torch.autograd.grad(expected, owned), strict=True):
        assert torch.allclose(a, b)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_a_number_is_drawn_for_each_example() -> None:
    seen: list[torch.Size] = []

    def f(eps: Tensor) -> Tensor:
        seen.append(eps.shape)
        return eps

    value = sd.Objective("E_{eps ~ N(2, 9)}[f(eps)]", f=f).per_example(n=100_000)
    assert seen == [torch.Size([100_000])]
    assert abs(float(value.mean()) - 2) / (3 / 100_000**0.5) < 4
    assert float(value.std()) == pytest.approx(3, rel=0.02)


def test_a_declared_shape_counts() -> None:
    objective = sd.Objective("E_{eps ~ N(0, I)}[||f(eps)||^2]", f=identity, eps=4)
    value = objective.per_example(n=50_000)
    assert abs(float(value.mean()) - 4) / (8**0.5 / 50_000**0.5) < 4
    with pytest.raises(ShapeError, match=r"the event shape of Normal N\(eps\) is not known"):
        sd.Objective("E_{eps ~ N(0, I)}[||f(eps)||^2]", f=identity)(n=2)


def test_whole_numbers_are_drawn_evenly() -> None:
    seen: list[Tensor] = []

    def f(t: Tensor) -> Tensor:
        seen.append(t)
        return t.double()

    for text in ("E_{t ~ Uniform{1..T}}[f(t)]", r"E_{t \sim U\{1, \ldots, T\}}[f(t)]"):
        seen.clear()
        sd.Objective(text, f=f, T=4)(n=40_000)
        assert seen[0].dtype == torch.long
        counts = torch.bincount(seen[0], minlength=5)
        assert counts[0] == 0 and len(counts) == 5
        assert float(((counts[1:] - 10_000) ** 2 / 10_000).sum()) < 22  # chi-square of 3, p = 1e-4
    with pytest.raises(ParameterError, match="`T` is no whole number"):
        sd.Objective("E_{t ~ Uniform{1..T}}[f(t)]", f=f, T=1.5)


def test_parameters_may_be_formulas_and_carry_gradients() -> None:
    mu, s = nn.Linear(3, 3).double(), nn.Parameter(torch.tensor(0.5).double())
    objective = sd.Objective("E_{z ~ N(mu(x), s^2)}[||z||^2]", DATA, mu=mu, s=s, samples=100, analytic=False)
    torch.manual_seed(0)
    value = objective(x=X)
    torch.manual_seed(0)
    z = mu(X) + s * torch.randn(100, 6, 3, dtype=torch.float64)
    expected = z.pow(2).sum(-1).mean()
    owned = [*mu.parameters(), s]
    assert torch.allclose(value, expected)
    for a, b in zip(torch.autograd.grad(value, owned), torch.autograd.grad(expected, owned), strict=True):
        assert torch.allclose(a, b)
    assert set(objective.parameters()) == set(owned)


def test_two_laws_of_one_family_are_two() -> None:
    objective = sd.Objective("E_{a ~ N(1, 1), b ~ N(5, 4)}[(a - b)^2] + E_{a ~ N(3, 1)}[a]")
    value = objective.per_example(n=100_000)
    assert float(value.mean()) == pytest.approx(16 + 5 + 3, abs=0.25)
    assert "N(b; 5, 4)" in repr(objective.derivation)


def test_an_abbreviation_means_what_is_drawn_where_it_is_used() -> None:
    model = sd.Model(
        "minimize E_{x ~ data(x), eps ~ N(0, I)}[||f(y)||^2]\nwhere y = x + eps",
        DATA,
        f=nn.Linear(3, 3).double(),
    )
    assert model.variables == ("x",)
    torch.manual_seed(0)
    value = model.loss(x=X)
    torch.manual_seed(0)
    y = X + torch.randn(6, 3, dtype=torch.float64)
    assert torch.allclose(value, model.networks.f(y).pow(2).sum(-1).mean())


def test_refusals() -> None:
    with pytest.raises(NotSupportedError, match="written in place over 2 variables"):
        sd.Objective("E_{a, b ~ N(0, 1)}[a b]")
    with pytest.raises(NotSupportedError, match="written in place with a bar"):
        sd.Objective("E_{a ~ N(a|x)}[a]", DATA)


def test_integers() -> None:
    p = Integers("p(t)", low=2.0, high=5.0, event_shape=())
    draws = p.sample(n=10_000)["t"]
    assert set(draws.unique().tolist()) == {2, 3, 4, 5}
    assert p.entropy()[0] == torch.tensor(4.0).log() and p.mean()["t"] == 3.5 and p.variance()["t"] == 1.25
    with pytest.raises(SupportError, match="has fractions"):
        p.log_prob({"t": torch.tensor([2.5])})
    with pytest.raises(SupportError, match="count from the lowest number on"):
        p.log_prob({"t": torch.tensor([6])})
