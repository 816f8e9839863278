"""One long test that every family passes."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import scipy.integrate
import scipy.stats as st
import torch
from abilities import needs_gamma_without_data
from torch import Tensor

import symdgm.distributions as sd
from symdgm.errors import NotSupportedError
from tests.distributions.cases import BATCH, CLASSES, Case, Table
from tests.distributions.cases_continuous import CONTINUOUS
from tests.distributions.cases_discrete import DISCRETE

CASES = CONTINUOUS + DISCRETE
every_family = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
X = {"x": torch.zeros(BATCH, 2)}
Z_BOUND = 5.0
"""Statistical tests fix their seed; a right sampler exceeds this bound with probability below 1e-4."""


def conditional(case: Case, dtype: torch.dtype = torch.float64) -> tuple[sd.Family, dict[str, Tensor]]:
    parameters = case.parameters((BATCH,), dtype)
    return case.new("q(v|x)", Table(parameters)), parameters


def constant(case: Case, dtype: torch.dtype = torch.float64) -> tuple[sd.Family, dict[str, Tensor]]:
    parameters = case.parameters((), dtype)
    return case.new("p(v)", **parameters), parameters


def summed(density: Tensor) -> Tensor:
    return density.sum(-1)


@every_family
@every_dtype
def test_log_prob_is_that_of_scipy_and_of_torch(case: Case, dtype: torch.dtype) -> None:
    q, parameters = conditional(case, dtype)
    value = case.values(dtype)
    found = q.log_prob({"v": value, **X})
    assert found.shape == (BATCH,)
    assert found.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else case.tolerance
    by_scipy = summed(case.log_density(value, parameters))
    torch.testing.assert_close(found.detach().double(), by_scipy.double(), rtol=tolerance, atol=tolerance)
    if case.reference is not None:
        by_torch = summed(case.torch(parameters).log_prob(value))
        torch.testing.assert_close(found, by_torch, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(q.prob({"v": value, **X}), found.exp())


@every_family
def test_gradients_reach_every_parameter_and_are_those_of_torch(case: Case) -> None:
    q, parameters = conditional(case)
    value = case.values(torch.float64)
    q.log_prob({"v": value, **X}).sum().backward()
    found = {name: weight.grad for name, weight in q.network.raw.items()}
    assert all(grad is not None and grad.abs().sum() > 0 for grad in found.values())
    if case.reference is None:
        return
    leaves = {name: t.clone().requires_grad_() for name, t in parameters.items()}
    case.torch(leaves, validate_args=False).log_prob(value).sum().backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        torch.testing.assert_close(
            _tangent(case, name, found[name]), _tangent(case, name, leaf.grad), rtol=1e-6, atol=1e-6
        )


def _tangent(case: Case, name: str, grad: Tensor) -> Tensor:
    """What is comparable: torch normalises probabilities, and keeps one half of a symmetric matrix."""
    if name == "probs" and case.family.parameter_ranks[name] == 1:
        return grad - grad.mean(-1, keepdim=True)
    return grad + grad.mT if name.endswith("_matrix") else grad.tril() if name == "scale_tril" else grad


@every_family
def test_gradients_are_finite_differences(case: Case) -> None:
    q, _ = conditional(case)
    parameters = {name: t[:1] for name, t in case.parameters((BATCH,), torch.float64).items()}
    value = case.values(torch.float64)[:1]
    names = list(parameters)

    def density(*tensors: Tensor) -> Tensor:
        even = [0.5 * (t + t.mT) if n.endswith("_matrix") else t for n, t in zip(names, tensors, strict=True)]
        return q.log_density(value, dict(zip(names, even, strict=True)) | case.numbers())

    assert torch.autograd.gradcheck(density, [parameters[n].clone().requires_grad_() for n in names])


@every_family
@every_dtype
def test_axes_of_samples_batch_and_event_are_never_mixed(case: Case, dtype: torch.dtype) -> None:
    q, _ = conditional(case, dtype)
    p, _ = constant(case, dtype)
    z = q.sample(X, shape=(2, 7))["v"]
    assert z.shape == (2, 7, BATCH, *case.event)
    assert q.log_prob({"v": z, **X}).shape == (2, 7, BATCH)
    assert p.sample()["v"].shape == (1, *case.event)
    assert p.sample(n=6, shape=3)["v"].shape == (3, 6, *case.event)
    assert p.log_prob({"v": p.sample(n=6, shape=3)["v"]}).shape == (3, 6)
    if "entropy" not in case.refused:
        assert q.entropy(X).shape == (BATCH,)
        assert p.entropy().shape == (1,)
    assert z.dtype == (torch.long if case.family is sd.Categorical else dtype)
    each = torch.stack([q.log_prob({"v": row, **X}) for row in z.flatten(0, 1)])
    close = {} if dtype is torch.float64 else {"rtol": 1e-5, "atol": 1e-4}
    torch.testing.assert_close(q.log_prob({"v": z, **X}).flatten(0, 1), each, **close)


@every_family
def test_sample_axes_of_the_conditions_are_flattened_for_one_call(case: Case) -> None:
    parameters = case.parameters((2, BATCH), torch.float64)
    calls = []

    def network(x: Tensor) -> dict[str, Tensor]:
        calls.append(x.shape)
        return {name: t.flatten(0, 1) for name, t in parameters.items()}

    q = case.new("q(v|x)", network)
    value = case.values(torch.float64)
    found = q.log_prob({"v": value, "x": torch.zeros(2, BATCH, 3)}, sample_axes={"x": 1})
    assert calls == [(2 * BATCH, 3)]
    each = [
        case.new("q(v|x)", Table({n: t[k] for n, t in parameters.items()})).log_prob({"v": value, **X})
        for k in range(2)
    ]
    torch.testing.assert_close(found, torch.stack(each).detach())
    drawn = q.sample({"x": torch.zeros(2, BATCH, 3)}, sample_axes={"x": 1}, shape=4)["v"]
    assert drawn.shape == (4, 2, BATCH, *case.event)


@every_family
def test_moments_of_samples(case: Case) -> None:
    p, parameters = constant(case)
    n = 20_000
    draws = p.sample(n=n, generator=torch.Generator().manual_seed(7))["v"]
    if case.family is sd.Categorical:
        draws = torch.nn.functional.one_hot(draws, CLASSES).double()
        mean = case.torch(parameters).probs
        variance = mean * (1 - mean)
    elif case.refused[-1:] == ("variance",) or case.family is sd.VonMises:
        pytest.skip("has no moments, or circular ones, which are tested apart")
    else:
        mean, variance = p.mean()["v"][0], p.variance()["v"][0]
        if case.moments is None:
            reference = case.torch(parameters)
            expected = reference.mean, reference.variance
        else:
            expected = case.moments(**parameters, **case.numbers())
        torch.testing.assert_close((mean, variance), expected)
    z = (draws.mean(0) - mean) / (variance / n).sqrt()
    assert z.abs().max() < Z_BOUND
    fourth = ((draws - mean) ** 4).mean(0)
    spread = ((draws - mean).square().mean(0) - variance) / ((fourth - variance.square()) / n).sqrt()
    assert spread.abs().max() < Z_BOUND


@every_family
def test_entropy_is_that_of_torch_and_minus_the_mean_log_prob(case: Case) -> None:
    q, parameters = conditional(case)
    if "entropy" in case.refused:
        pytest.skip("has no entropy in closed form")
    given = parameters | case.numbers()
    expected = case.torch(parameters).entropy() if case.entropy is None else case.entropy(**given)
    torch.testing.assert_close(q.entropy(X), summed(expected), rtol=1e-6, atol=1e-8)
    n = 20_000
    draws = q.sample(X, shape=n, generator=torch.Generator().manual_seed(3))["v"]
    surprise = -q.log_prob({"v": draws, **X})
    z = (surprise.mean(0) - q.entropy(X)) / (surprise.std(0) / math.sqrt(n) + 1e-12)
    assert z.abs().max() < Z_BOUND


@every_family
def test_a_generator_repeats_draws_and_leaves_the_global_stream(case: Case) -> None:
    q, _ = conditional(case)
    state = torch.get_rng_state()
    first, second = (q.sample(X, generator=torch.Generator().manual_seed(5))["v"] for _ in range(2))
    third = q.sample(X, generator=torch.Generator().manual_seed(6), shape=20)["v"]
    assert torch.equal(first, second)
    assert not torch.equal(first.expand_as(third), third)
    assert torch.equal(state, torch.get_rng_state())


@every_family
def test_pathwise_gradient_where_continuous_and_none_where_discrete(case: Case) -> None:
    q, parameters = conditional(case)
    drawn = q.sample(X)["v"]
    assert drawn.requires_grad is case.family.pathwise
    assert case.family.pathwise is not case.family.discrete
    if drawn.requires_grad:
        grads = torch.autograd.grad(drawn.sum(), [q.network.raw[name] for name in parameters])
        assert all(grad.abs().sum() > 0 for grad in grads)


@every_family
@pytest.mark.parametrize("form", [conditional, constant], ids=["network", "constants"])
def test_copies_pickles_and_states_give_the_same_density(case: Case, form: object) -> None:
    q, _ = form(case)  # type: ignore[operator]
    values = {"v": case.values(torch.float64)} | (X if q.given else {})
    other = case.parameters((BATCH,) if q.given else (), torch.float64, seed=9)
    changed = case.new("q(v|x)", Table(other)) if q.given else case.new("p(v)", **other)
    assert not torch.equal(changed.log_prob(values), q.log_prob(values))
    changed.load_state_dict(q.state_dict())
    for same in (copy.deepcopy(q), pickle.loads(pickle.dumps(q)), changed):
        assert torch.equal(same.log_prob(values), q.log_prob(values))
        assert str(same) == str(q)


@every_family
def test_text_and_repr(case: Case) -> None:
    q, _ = conditional(case)
    p, parameters = constant(case)
    assert str(q) == "q(v|x)"
    assert repr(q).startswith(f"{case.family.family} q(v|x) with ")
    assert "Table" in repr(q)
    written = [f"{name}={value:g}" for name, value in p.constants.items() if isinstance(value, float)]
    written += [f"{name}=tensor {list(t.shape)}" for name, t in parameters.items()]
    assert repr(p) == f"{case.family.family} p(v) with {', '.join(written)}, event_shape={list(case.event)}"


@every_family
def test_event_shape_follows_from_tensors_and_not_from_networks(case: Case) -> None:
    assert constant(case)[0].event_shape == torch.Size(case.event)
    assert conditional(case)[0].event_shape is None


@every_family
def test_moving_a_distribution_moves_its_draws(case: Case) -> None:
    p, _ = constant(case, torch.float32)
    drawn = p.double().sample()["v"]
    assert drawn.dtype == (torch.long if case.family is sd.Categorical else torch.float64)
    meta = p.to("meta")
    assert all(t.device.type == "meta" for t in meta.constants.values() if isinstance(t, Tensor))


@every_family
def test_formulas_stay_on_the_device_of_the_parameters(case: Case) -> None:
    """On torch's device without data, a tensor that is made elsewhere raises."""
    needs_gamma_without_data(case.family.__name__)
    p, parameters = constant(case)
    meta = {name: t.to("meta") for name, t in (parameters | case.numbers()).items()}
    value = case.values(torch.float64, (2,)).to("meta")
    assert p.log_density(value, meta).device.type == "meta"
    if case.family not in (sd.VonMises, sd.VonMisesFisher, sd.Binomial, sd.Multinomial):
        assert p.draw(meta, value.shape).device.type == "meta"  # rejection, and torch's binomial, need data
    if not {"entropy", "mean"} & set(case.refused) and case.family not in (sd.Binomial, sd.Multinomial):
        found = p.entropy_at(meta), p.mean_at(meta), p.variance_at(meta)
        assert {t.device.type for t in found} == {"meta"}


@every_family
def test_densities_without_checks_read_nothing_back(case: Case) -> None:
    """Under vmap, reading a value back raises."""
    p, _ = constant(case)
    value = case.values(torch.float64, (3, BATCH))
    batched = torch.vmap(lambda v: p.log_prob({"v": v}, check=False))(value)
    torch.testing.assert_close(batched, p.log_prob({"v": value}))


@every_family
def test_density_without_checks_is_the_same(case: Case) -> None:
    q, _ = conditional(case)
    values = {"v": case.values(torch.float64), **X}
    assert torch.equal(q.log_prob(values, check=False), q.log_prob(values))


def test_normal_entropy_and_density_by_quadrature() -> None:
    p = sd.Normal("p(z)", loc=0.3, scale=0.7, event_shape=()).double()

    def density(z: float) -> float:
        return float(p.prob({"z": torch.tensor([z], dtype=torch.float64)}))

    assert scipy.integrate.quad(density, -10, 10)[0] == pytest.approx(1, abs=1e-9)
    surprise = scipy.integrate.quad(lambda z: -density(z) * math.log(max(density(z), 1e-300)), -8, 8)[0]
    assert float(p.entropy()) == pytest.approx(surprise, abs=1e-9)
    assert float(p.entropy()) == pytest.approx(float(st.norm(0.3, 0.7).entropy()), abs=1e-12)


def test_discrete_probabilities_sum_to_one_and_entropies_are_enumerations() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    index = sd.Categorical("p(y)", logits=logits)
    hot = sd.OneHotCategorical("p(y)", logits=logits)
    one = sd.Bernoulli("p(y)", logits=0.3, event_shape=()).double()
    for p, values in [
        (index, torch.arange(3)),
        (hot, torch.eye(3, dtype=torch.float64)),
        (one, torch.tensor([0.0, 1.0], dtype=torch.float64)),
    ]:
        probs = p.prob({"y": values})
        assert float(probs.sum()) == pytest.approx(1, abs=1e-14)
        assert float(p.entropy()) == pytest.approx(float(st.entropy(np.asarray(probs))), abs=1e-14)


@every_family
def test_what_does_not_exist_is_refused(case: Case) -> None:
    p, _ = constant(case)
    for what in case.refused:
        with pytest.raises(NotSupportedError, match=rf"{case.family.family} p\(v\) has no {what}.*\n."):
            getattr(p, what)()


@every_family
def test_draws_have_a_density(case: Case) -> None:
    q, _ = conditional(case, torch.float32)
    drawn = q.sample(X, shape=200, generator=torch.Generator().manual_seed(2))["v"]
    assert q.log_prob({"v": drawn, **X}).isfinite().all()


@pytest.mark.parametrize("case", [c for c in CASES if c.frozen is not None], ids=lambda case: case.name)
def test_draws_follow_the_distribution_function_of_scipy(case: Case) -> None:
    """By the test of Kolmogorov and Smirnov; a whole turn of an angle adds one to what scipy gives."""
    p, parameters = constant(case)
    draws = p.sample(n=5_000, generator=torch.Generator().manual_seed(11))["v"]
    arrays = {n: t.numpy() for n, t in (parameters | case.numbers()).items()}
    for i in range(draws.shape[-1]):
        law = case.frozen(**{n: a[i] if a.ndim else a for n, a in arrays.items()})
        jittered = law.cdf(draws[:, i].numpy())
        if case.family.discrete:  # uniform within the jump of each value
            mass = law.pmf(draws[:, i].numpy())
            jittered = jittered - mass * np.random.default_rng(0).random(len(mass))
        assert st.kstest(jittered % 1, "uniform").pvalue > 1e-5
