"""Mixtures, mixtures of experts, and the lesson on expectation-maximisation."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.distributions as td
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

import symdgm as sdgm
import symdgm.distributions as sd
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, ParameterError, ShapeError

D = torch.float64
torch.manual_seed(0)
LOC, SCALE = torch.randn(3, 2, dtype=D), torch.rand(3, 2, dtype=D) + 0.3
WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=D)


def gaussians() -> list[sd.Normal]:
    return [sd.Normal("p(x)", loc=m, scale=s) for m, s in zip(LOC, SCALE, strict=True)]


MIX = sd.Mixture("p(x)", gaussians(), WEIGHTS)
REFERENCE = td.MixtureSameFamily(td.Categorical(WEIGHTS), td.Independent(td.Normal(LOC, SCALE), 1))


def test_density_mean_and_variance_are_those_of_torch() -> None:
    x = torch.randn(7, 4, 2, dtype=D)
    torch.testing.assert_close(MIX.log_prob({"x": x}), REFERENCE.log_prob(x))
    torch.testing.assert_close(MIX.prob({"x": x[0]}), REFERENCE.log_prob(x[0]).exp())
    torch.testing.assert_close(MIX.mean()["x"][0], REFERENCE.mean)
    torch.testing.assert_close(MIX.variance()["x"][0], REFERENCE.variance)
    torch.testing.assert_close(MIX.joint.marginal("x").log_prob({"x": x[0]}), REFERENCE.log_prob(x[0]))


def test_gradients_are_those_of_torch() -> None:
    logits, locs = nn.Parameter(WEIGHTS.log()), [nn.Parameter(m) for m in LOC]
    p = sd.Mixture(
        "p(x)", [sd.Normal("p(x)", loc=m, scale=s) for m, s in zip(locs, SCALE, strict=True)], logits
    )
    x = torch.randn(4, 2, dtype=D)
    p.log_prob({"x": x}).sum().backward()
    leaves = WEIGHTS.log().requires_grad_(), LOC.clone().requires_grad_()
    td.MixtureSameFamily(
        td.Categorical(logits=leaves[0]), td.Independent(td.Normal(leaves[1], SCALE), 1)
    ).log_prob(x).sum().backward()
    torch.testing.assert_close(logits.grad, leaves[0].grad)
    torch.testing.assert_close(torch.stack([m.grad for m in locs]), leaves[1].grad)


def test_responsibilities_and_posterior_are_bayes() -> None:
    x = torch.randn(4, 2, dtype=D)
    each = torch.stack([c.log_prob({"x": x}) for c in gaussians()]) + WEIGHTS.log().unsqueeze(-1)
    torch.testing.assert_close(MIX.responsibilities({"x": x}), each.softmax(0).T)
    q = MIX.posterior()
    assert q.text == "p(k|x) = p(x|k) p(k) / p(x)"
    index = torch.arange(3).unsqueeze(-1).expand(3, 4)
    torch.testing.assert_close(q.prob({"k": index, "x": x}), each.softmax(0))
    torch.testing.assert_close(q.entropy({"x": x}), td.Categorical(logits=each.T).entropy())
    n = 20_000
    drawn = q.sample({"x": x}, shape=n, generator=torch.Generator().manual_seed(0))["k"]
    probs = each.softmax(0).T
    counts = nn.functional.one_hot(drawn, 3).to(D).mean(0)
    assert ((counts - probs).abs() / (probs * (1 - probs) / n).sqrt()).max() < 5


def test_samples_choose_one_component_at_random_for_every_example() -> None:
    """Pixyz took the first part of the batch from the first expert, and ignored sample axes in mixtures."""
    far = [sd.Normal("p(x)", loc=m, scale=0.1, event_shape=()) for m in (-10.0, 0.0, 10.0)]
    p = sd.Mixture("p(x)", far, WEIGHTS)
    drawn = p.sample(n=300, shape=(2, 20), generator=torch.Generator().manual_seed(0))["x"]
    assert drawn.shape == (2, 20, 300)
    index = (drawn / 10).round().long() + 1
    for part in (index[..., :30], index[..., -30:], index[0], index[1]):
        counts = torch.bincount(part.flatten(), minlength=3)
        z = (counts / part.numel() - WEIGHTS) / (WEIGHTS * (1 - WEIGHTS) / part.numel()).sqrt()
        assert z.abs().max() < 5
    together = p.joint.sample(n=50)
    assert torch.equal((together["x"] / 10).round().long() + 1, together["k"])


def test_pathwise_gradients_reach_the_chosen_component() -> None:
    locs = [nn.Parameter(torch.tensor(m)) for m in (-10.0, 10.0)]
    p = sd.Mixture("p(x)", [sd.Normal("p(x)", loc=m, scale=0.1, event_shape=()) for m in locs])
    drawn = p.sample(n=50)["x"]
    drawn.sum().backward()
    assert [float(m.grad) for m in locs] == [float((drawn < 0).sum()), float((drawn > 0).sum())]


def experts() -> list[sd.Normal]:
    return [sd.Normal("q(z|x)", lambda x: (x, 0.5)), sd.Normal("q(z|y)", lambda y: (y - 1, 2.0))]


def test_a_mixture_of_experts_is_the_log_of_the_weighted_sum() -> None:
    """Pixyz took logsumexp of w log p: -2.71 where the truth was -6.11."""
    q = sd.Mixture("q(z|x,y)", experts(), torch.tensor([0.3, 0.7]))
    x, y, z = torch.randn(3, 4, 1).unbind(0)
    parts = [td.Normal(x, 0.5).log_prob(z).sum(-1), td.Normal(y - 1, 2.0).log_prob(z).sum(-1)]
    expected = (0.3 * parts[0].exp() + 0.7 * parts[1].exp()).log()
    torch.testing.assert_close(q.log_prob({"z": z, "x": x, "y": y}), expected)
    torch.testing.assert_close(q.mean({"x": x, "y": y})["z"], 0.3 * x + 0.7 * (y - 1))
    assert q.sample({"x": x, "y": y}, shape=6)["z"].shape == (6, 4, 1)
    many = torch.randn(5, 4, 1)
    rows = torch.stack([q.log_prob({"z": z, "x": row, "y": y}) for row in many])
    torch.testing.assert_close(q.log_prob({"z": z, "x": many, "y": y}, sample_axes={"x": 1}), rows)
    assert q.sample({"x": many, "y": y}, sample_axes={"x": 1}, shape=2)["z"].shape == (2, 5, 4, 1)


def test_a_missing_modality_leaves_the_others() -> None:
    q = sd.Mixture(
        "q(z|x,y)",
        [*experts(), sd.Normal("q(z)", loc=0.0, scale=1.0, event_shape=1)],
        torch.tensor([0.3, 0.5, 0.2]),
    )
    x, z = torch.randn(4, 1), torch.randn(4, 1)
    part = q.only("x")
    assert (str(part), len(part.components)) == ("q(z|x)", 2)
    expected = (
        (0.6 * td.Normal(x, 0.5).log_prob(z).exp() + 0.4 * td.Normal(0.0, 1.0).log_prob(z).exp())
        .log()
        .sum(-1)
    )
    torch.testing.assert_close(part.log_prob({"z": z, "x": x}), expected)
    logits = nn.Parameter(torch.zeros(2))
    q = sd.Mixture("q(z|x,y)", experts(), logits)
    q.only("y").log_prob({"z": z, "y": x}).sum().backward()
    assert logits.grad is not None


def test_gates_may_be_networks() -> None:
    gate = sd.Categorical("q(c|x)", nn.Linear(1, 2))
    q = sd.Mixture("q(z|x,y)", experts(), gate)
    x, y, z = torch.randn(3, 4, 1).unbind(0)
    parts = torch.stack([td.Normal(x, 0.5).log_prob(z).sum(-1), td.Normal(y - 1, 2.0).log_prob(z).sum(-1)])
    logits = gate.network(x).log_softmax(-1).T
    torch.testing.assert_close(q.log_prob({"z": z, "x": x, "y": y}), (parts + logits).logsumexp(0))
    torch.testing.assert_close(q.responsibilities({"z": z, "x": x, "y": y}), (parts + logits).softmax(0).T)
    assert q.text == "q(z|x, y) = sum_c q(z|c, x, y) q(c|x)"


def test_components_are_a_factor_of_their_own() -> None:
    choice = MIX.factors[0]
    x, k = torch.randn(4, 2, dtype=D), torch.tensor([0, 2, 1, 1])
    torch.testing.assert_close(
        choice.log_prob({"x": x, "k": k}), td.Normal(LOC[k], SCALE[k]).log_prob(x).sum(-1)
    )
    torch.testing.assert_close(choice.mean({"k": k})["x"], LOC[k])
    torch.testing.assert_close(choice.variance({"k": k})["x"], SCALE[k] ** 2)
    torch.testing.assert_close(choice.entropy({"k": k}), td.Normal(LOC[k], SCALE[k]).entropy().sum(-1))
    assert len(sd.Mixture("q(z|x,y)", experts()).sources) == 2


def test_mixtures_of_any_family_and_inside_a_product() -> None:
    p = sd.Mixture(
        "p(x)",
        [
            sd.Normal("p(x)", loc=0.0, scale=1.0, event_shape=()),
            sd.Laplace("p(x)", loc=3.0, scale=2.0, event_shape=()),
        ],
    )
    x = torch.randn(5)
    expected = (td.Normal(0.0, 1.0).log_prob(x).exp() / 2 + td.Laplace(3.0, 2.0).log_prob(x).exp() / 2).log()
    torch.testing.assert_close(p.log_prob({"x": x}), expected)
    product = sd.Normal("p(y|x)", lambda x: (x, 1.0)) * p
    drawn = product.sample(n=4, shape=3)
    torch.testing.assert_close(
        product.log_prob(drawn),
        p.log_prob({"x": drawn["x"]}) + td.Normal(drawn["x"], 1.0).log_prob(drawn["y"]),
    )
    assert product.text == "p(y, x) = p(y|x) p(x)"


def test_texts_and_copies() -> None:
    assert MIX.latex == r"p(x) = \sum_{k} p(x \mid k) \, p(k)"
    assert sdgm.signature(sdgm.parse(MIX.text)) == sdgm.signature(sdgm.parse(MIX.latex))
    assert repr(MIX).splitlines() == [
        f"Mixture {MIX.text}",
        *(f"  {c!r}" for c in MIX.components),
        f"  {MIX.prior!r}",
    ]
    x = torch.randn(4, 2, dtype=D)
    for same in (copy.deepcopy(MIX), pickle.loads(pickle.dumps(MIX))):
        assert torch.equal(same.log_prob({"x": x}), MIX.log_prob({"x": x}))
    assert len(MIX.state_dict()) == 7
    assert copy.deepcopy(MIX).float().sample()["x"].dtype == torch.float32


# --- Expectation-maximisation ------------------------------------------------------------------------------------


def toy_data() -> Tensor:
    """Three clusters, drawn as in the lesson that this repeats: seed 0, one normal draw a point."""
    torch.manual_seed(0)
    clusters = [([1.5, 2.5], [1.2, 0.8], 150), ([7.5, 7.5], [0.75, 0.5], 50), ([8.0, 1.5], [0.6, 0.8], 100)]
    rows = [torch.normal(torch.tensor(m), torch.tensor(v).sqrt()) for m, v, n in clusters for _ in range(n)]
    x = torch.stack(rows)
    return (x - x.mean(0)) / x.std(0)


def maximise(p: sd.Mixture, x: Tensor) -> None:
    """The closed form of the M-step, in place."""
    posterior = p.responsibilities({"x": x})
    total = posterior.sum(0)
    loc = posterior.T @ x / (total.unsqueeze(-1) + 1e-6)
    variance = torch.stack([r @ (x - m) ** 2 for r, m in zip(posterior.T, loc, strict=True)]) / (
        total.unsqueeze(-1) + 1e-6
    )
    p.prior.constants["probs"].copy_(total / total.sum())
    for component, m, v in zip(p.components, loc, variance, strict=True):
        component.constants["loc"].copy_(m)
        component.constants["scale"].copy_(v.sqrt())


PIXYZ_CURVE = {0: -3.86147, 1: -2.52381, 2: -2.44564, 10: -1.65912, 20: -1.65912}
"""The log-likelihood by epoch as Pixyz's `gmm` lesson prints it."""


@pytest.mark.parametrize("dtype", [torch.float32, D], ids=["float32", "float64"])
def test_expectation_maximisation_repeats_the_curve_of_pixyz(dtype: torch.dtype) -> None:
    x = toy_data().to(dtype)
    components = [
        sd.Normal("p(x)", loc=torch.randn(2).to(dtype), scale=torch.full((2,), 0.6, dtype=dtype))
        for _ in range(3)
    ]
    p = sd.Mixture("p(x)", components, torch.full((3,), 1 / 3, dtype=dtype), latent="z")
    curve = []
    for _ in range(21):
        curve.append(float(p.log_prob({"x": x}).mean()))
        maximise(p, x)
    assert {epoch: round(curve[epoch], 5) for epoch in PIXYZ_CURVE} == PIXYZ_CURVE
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(curve))
    by_sklearn = GaussianMixture(
        3, covariance_type="diag", tol=0, max_iter=1, reg_covar=0,
        means_init=LOC.numpy() * 0 + torch.stack([c.constants["loc"] for c in p.components]).double().numpy(),
    )  # fmt: skip
    by_sklearn.means_ = torch.stack([c.constants["loc"] for c in p.components]).double().numpy()
    by_sklearn.covariances_ = torch.stack([c.constants["scale"] for c in p.components]).double().numpy() ** 2
    by_sklearn.weights_ = p.prior.constants["probs"].double().numpy()
    by_sklearn.precisions_cholesky_ = by_sklearn.covariances_**-0.5
    assert float(p.log_prob({"x": x}).mean()) == pytest.approx(by_sklearn.score(x.double().numpy()), abs=1e-6)
    found = p.responsibilities({"x": x}).double()
    torch.testing.assert_close(
        found, torch.as_tensor(by_sklearn.predict_proba(x.double().numpy())), rtol=1e-4, atol=1e-5
    )


REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (ParameterError, lambda: sd.Mixture("p(x)", []), r"Mixture p\(x\) has no components"),
    (ParameterError, lambda: sd.Mixture("p(x)", gaussians(), torch.tensor([0.5, 0.5])), r"the weights of Mixture p\(x\) have shape \[2\] for 3 components\ngive one weight for each component"),
    (ParameterError, lambda: sd.Mixture("p(x)", gaussians(), torch.tensor([0.5, 0.5, 0.5])), r"probs of Categorical p\(k\) sums to 1.5"),
    (NameResolutionError, lambda: sd.Mixture("p(y)", gaussians()), r"Mixture p\(y\) has the component p\(x\), which is over other variables\nall components are over \(y\)"),
    (NameResolutionError, lambda: sd.Mixture("q(z|x)", experts()), r"Mixture q\(z\|x\) is declared, but its components and weights are given \(x, y\)\ndeclare `q\(z\|x,y\)`"),
    (NameResolutionError, lambda: sd.Mixture("p(x)", gaussians(), latent="x"), r"the index of Mixture p\(x\) is called `x`"),
    (NameResolutionError, lambda: sd.Mixture("q(z|x,y)", experts()).only("u"), r"q\(z\|x,y\) is not given `u`"),
    (NameResolutionError, lambda: sd.Mixture("q(z|x,y)", experts()).only(), r"has no part that is given only \(\): no component is given so little\nits components are q\(z\|x\), q\(z\|y\)"),
    (NameResolutionError, lambda: sd.Mixture("q(z|x,y)", experts(), sd.Categorical("q(c|x)", nn.Linear(1, 2))).only("x"), r"its weights are conditional"),
    (NotSupportedError, lambda: MIX.entropy(), r"Mixture p\(x\) has no entropy in closed form\nestimate it"),
    (OptionError, lambda: MIX.sample(batch_size=3), r"unknown option `batch_size`"),
    (OptionError, lambda: MIX.sample(n=0), r"`n` is 0"),
    (NameResolutionError, lambda: MIX.log_prob({"y": LOC}), r"Mixture p\(x\) takes no value of `y`"),
    (ShapeError, lambda: sd.Mixture("q(z|x,y)", experts()).log_prob({"z": torch.zeros(4, 1), "x": torch.zeros(4, 1), "y": torch.zeros(3, 1)}), r"z has shape \[4, 1\], but the parameters of Normal q\(z\|y\) are for the batch \[3\]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
