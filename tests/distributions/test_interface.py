"""One interface: every kind of distribution answers every question, or refuses it and says what to do."""
# ruff: noqa: E501 -- a row of the table of kinds is one line

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.distributions.flows import AffineCoupling
from symdgm.errors import NotSupportedError, OptionError, SymdgmError

BATCH, DRAWS = 4, 3
EVENTS = {"x": 2, "z": 2, "w": 2, "y": 3, "k": 1}


class Encoder(nn.Module):
    def __init__(self, inputs: int = 2) -> None:
        super().__init__()
        self.net = nn.Linear(inputs, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw = self.net(x).chunk(2, -1)
        return loc, raw.exp()


def q() -> sd.Normal:
    return sd.Normal("q(z|x)", Encoder())


def prior() -> sd.Normal:
    return sd.Normal("p(z)", loc=torch.tensor([0.5, -1.0]), scale=nn.Parameter(torch.tensor([1.0, 0.5])))


def linear() -> sd.LinearNormal:
    return sd.LinearNormal("p(x|z)", nn.Parameter(torch.tensor([[1.0, 0.5], [0.0, 2.0]])), scale=0.7)


def component(centre: float) -> sd.Normal:
    return sd.Normal("p(x)", loc=torch.full((2,), centre), scale=nn.Parameter(torch.ones(2)))


def generator() -> sd.Deterministic:
    return sd.Deterministic("g(x|z)", nn.Linear(2, 2))


KINDS: dict[str, Callable[[], sd.Distribution]] = {
    "single": prior,
    "discrete": lambda: sd.Bernoulli("p(y)", logits=nn.Parameter(torch.zeros(3))),
    "conditional": q,
    "joint": lambda: linear() * prior(),
    "conditional joint": lambda: sd.Normal("q(w|z)", Encoder()) * q(),
    "marginal": lambda: (linear() * prior()).marginal("x"),
    "marginal of finite": lambda: (sd.Normal("p(x|k)", Encoder(1)) * sd.Bernoulli("p(k)", probs=0.3, event_shape=1)).marginal("x"),
    "posterior": lambda: (linear() * prior()).posterior("z"),
    "renamed": lambda: q().rename(z="w"),
    "swapped": lambda: q().rename(z="x", x="z"),
    "renamed joint": lambda: (linear() * prior()).rename(z="w"),
    "renamed generator": lambda: generator().rename(x="y", z="x").rename(y="z"),
    "at data": lambda: q().condition(x=torch.randn(BATCH, 2, generator=torch.Generator().manual_seed(0))),
    "mixture": lambda: sd.Mixture("p(x)", [component(-1.0), component(2.0)]),
    "mixture of experts": lambda: sd.Mixture("q(z|x)", [q(), q()]),
    "product of experts": lambda: sd.ProductOfExperts("q(z|x)", [q()], prior=prior()),
    "flow": lambda: sd.Transformed("p(x)", prior(), AffineCoupling(2)),
    "conditional flow": lambda: sd.Transformed("q(w|x)", q(), AffineCoupling(2)),
    "implicit": generator,
    "generator marginal": lambda: (generator() * prior()).marginal("x"),
    "empirical": lambda: sd.Data("p_data(x)", {"x": torch.randn(10, 2, generator=torch.Generator().manual_seed(0))}),
    "point": lambda: sd.Delta("p(x)", loc=nn.Parameter(torch.ones(2))),
}  # fmt: skip
NO_DENSITY = ("implicit", "renamed generator", "generator marginal", "empirical")
NO_MOMENTS = ("flow", "conditional flow", "generator marginal", "conditional joint")
NO_ENTROPY = (
    *NO_MOMENTS,
    *NO_DENSITY,
    "mixture",
    "mixture of experts",
    "marginal of finite",
)


def made(kind: str, dtype: torch.dtype = torch.float32) -> sd.Distribution:
    torch.manual_seed(0)
    return KINDS[kind]().to(dtype)


def conditions(p: sd.Distribution, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(1)
    return {name: torch.randn(BATCH, EVENTS[name], generator=noise, dtype=dtype) for name in p.given}


def drawn(p: sd.Distribution, shape: int | tuple[int, ...] = DRAWS, seed: int = 0) -> dict[str, Tensor]:
    dtype = next((t.dtype for t in p.parameters()), torch.float32)
    dtype = next((t.dtype for t in p.buffers() if t.is_floating_point()), dtype)
    n = None if p.given or isinstance(p, sd.Conditioned) else BATCH
    noise = torch.Generator().manual_seed(seed)
    return p.sample(conditions(p, dtype), n=n, shape=shape, generator=noise)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_samples_times_batch_times_event_and_repeatable(kind: str) -> None:
    p = made(kind)
    values = drawn(p)
    assert set(values) == set(p.variables)
    shapes = {name: tuple(t.shape) for name, t in values.items()}
    assert shapes == {name: (DRAWS, BATCH, EVENTS[name]) for name in p.variables}
    again, other = drawn(p), drawn(p, seed=1)
    assert all(torch.equal(values[name], again[name]) for name in values)
    if kind not in ("implicit", "renamed generator", "point"):
        assert any(not torch.equal(values[name], other[name]) for name in values)
    more = {name: tuple(t.shape[:3]) for name, t in drawn(p, shape=(2, 5)).items()}
    assert more == dict.fromkeys(p.variables, (2, 5, BATCH))


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_has_samples_and_batch_and_is_that_of_prob(kind: str) -> None:
    p = made(kind)
    values = {**drawn(p), **conditions(p)}
    if kind in NO_DENSITY:
        for ask in (p.log_prob, p.prob):
            with pytest.raises(NotSupportedError, match=r"\n"):
                ask(values)
        return
    log = p.log_prob(values)
    assert log.shape == (DRAWS, BATCH)
    assert bool(log.isfinite().all())
    torch.testing.assert_close(p.prob(values), log.exp())
    one = {name: t[1] if name in p.variables else t for name, t in values.items()}
    torch.testing.assert_close(p.log_prob(one), log[1])


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_draws(kind: str) -> None:
    """Within six standard errors of 20,000 draws at a fixed seed."""
    p = made(kind)
    given = conditions(p)
    if kind in NO_MOMENTS:
        for ask in (p.mean, p.variance):
            with pytest.raises(NotSupportedError, match=r"\n"):
                ask(given)
        return
    mean, variance, values = p.mean(given), p.variance(given), drawn(p, shape=20_000)
    assert set(mean) == set(variance) == set(p.variables)
    for name in p.variables:
        assert mean[name].shape[1:] == variance[name].shape[1:] == (EVENTS[name],)
        error = values[name].std(0) / 20_000**0.5
        assert bool(((values[name].mean(0) - mean[name]).abs() <= 6 * error + 1e-6).all())
        spread = values[name].var(0)
        assert bool(((spread - variance[name]).abs() <= 0.1 * variance[name] + 1e-6).all())


@pytest.mark.parametrize("kind", KINDS)
def test_the_entropy_is_that_of_draws(kind: str) -> None:
    p = made(kind)
    given = conditions(p)
    if kind in NO_ENTROPY:
        with pytest.raises(NotSupportedError, match=r"\n"):
            p.entropy(given)
        return
    surprise = -p.log_prob({**drawn(p, shape=20_000), **given})
    error = surprise.std(0) / 20_000**0.5
    assert bool(((surprise.mean(0) - p.entropy(given)).abs() <= 6 * error + 1e-5).all())


FAMILIES = (
    "single",
    "discrete",
    "conditional",
    "renamed",
    "swapped",
    "at data",
    "product of experts",
    "point",
)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_those_of_families(kind: str) -> None:
    p = made(kind)
    if kind in FAMILIES:
        found = p.parameters_at(conditions(p))
        assert found
        assert all(t.shape[-1] == EVENTS[p.variables[0]] for t in found.values())
        return
    with pytest.raises(NotSupportedError, match=r"has no parameters of its own\nask one of its `factors`"):
        p.parameters_at(conditions(p))


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_can_be_fixed(kind: str) -> None:
    p = made(kind)
    given = conditions(p)
    if not given:
        with pytest.raises(SymdgmError, match=r"no value is given to"):
            p.condition({})
        return
    fixed = p.condition(given)
    assert not fixed.given
    found = fixed.sample(shape=DRAWS, generator=torch.Generator().manual_seed(0))
    expected = drawn(p)
    assert all(torch.equal(found[name], expected[name]) for name in p.variables)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_changed_and_one_variable_is_kept(kind: str) -> None:
    p = made(kind)
    name = p.variables[0]
    other = p.rename({name: "v"})
    assert torch.equal(drawn(p)[name], drawn(other)["v"])
    assert drawn(p.marginal(name))[name].shape == (DRAWS, BATCH, EVENTS[name])
    for text in (p.text, p.latex, repr(p), str(p)):
        assert p.name[0] in text


@pytest.mark.parametrize("kind", KINDS)
def test_it_moves_to_another_dtype_and_device(kind: str) -> None:
    p = made(kind, torch.float64)
    values = drawn(p)
    assert all(t.dtype == torch.float64 for t in values.values())
    if kind not in NO_DENSITY:
        assert p.log_prob({**values, **conditions(p, torch.float64)}).dtype == torch.float64
    moved = copy.deepcopy(p).to("meta")
    assert all(t.is_meta for t in [*moved.parameters(), *moved.buffers()])


@pytest.mark.parametrize("kind", KINDS)
def test_its_state_is_saved_and_loaded(kind: str) -> None:
    p = made(kind)
    torch.manual_seed(7)
    other = KINDS[kind]()
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(p.state_dict())
    ours, theirs = drawn(p), drawn(other)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


UNKNOWN = {"batch_size": 5, "seed": 0, "reparam": True, "sample_mean": True}


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_arguments_are_refused(kind: str) -> None:
    """Pixyz ignored them all."""
    p = made(kind)
    values = {**drawn(p), **conditions(p)}
    for name, value in UNKNOWN.items():
        with pytest.raises(OptionError, match=f"`{name}`"):
            p.sample(conditions(p), **{name: value})  # type: ignore[arg-type]
    for ask in (p.log_prob, p.prob):
        with pytest.raises(SymdgmError, match=r"sum_features|has no"):
            ask(values, sum_features=True)  # type: ignore[call-arg]
    for moment in (p.entropy, p.mean, p.variance):
        with pytest.raises(TypeError, match="sum_features"):
            moment(conditions(p), sum_features=True)  # type: ignore[call-arg]
    with pytest.raises(SymdgmError, match="`unknown`"):
        p.sample({**conditions(p), "unknown": torch.zeros(BATCH, 1)})
