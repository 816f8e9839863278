"""What objectives are to a log-likelihood: recognised, and true of numbers."""

import itertools
import math

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.rewriting.bounds import Direction

PIXELS, LATENT = 4, 2
IWAE = "E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x,z_k)/q(z_k|x))]"
ALPHA = "1/(1 - alpha) log E_q(z|x)[(p(x,z)/q(z|x))^(1 - alpha)]"
CUBO = "1/n log E_q(z|x)[(p(x,z)/q(z|x))^n]"


def laws():
    torch.manual_seed(0)
    return {
        "q": sd.Bernoulli("q(z|x)", nn.Linear(PIXELS, LATENT)),
        "p": sd.Bernoulli("p(x|z)", nn.Linear(LATENT, PIXELS)),
        "prior": sd.Bernoulli("p(z)", probs=0.3, event_shape=LATENT),
        "other": sd.Bernoulli("r(z)", probs=0.6, event_shape=LATENT),
        "w": sd.Bernoulli("q(w|z)", nn.Linear(LATENT, LATENT)),
        "pw": sd.Bernoulli("p(z|w)", nn.Linear(LATENT, LATENT)),
        "top": sd.Bernoulli("p(w)", probs=0.4, event_shape=LATENT),
    }


def built(text, *names, **scalars):
    known = laws()
    return sd.Objective(text, *(known[n] for n in names or ("q", "p", "prior")), **scalars)


CASES = [
    ("E_q(z|x)[log p(x|z)] - KL[q||p]", {}, "lower", "log p(x)"),
    ("E_q(z|x)[log(p(x,z)/q(z|x))]", {}, "lower", "log p(x)"),
    ("E_q(z|x)[log p(x,z)] + H[q(z|x)]", {}, "lower", "log p(x)"),
    ("E_data(x)[E_q(z|x)[log p(x|z)] - KL[q||p]]", {}, "lower", "E_data(x)[log p(x)]"),
    ("E_q(z|x)[log p(x|z)] - beta KL[q||p]", {"beta": 4.0}, "lower", "log p(x)"),
    ("E_q(z|x)[log p(x|z)] - beta KL[q||p]", {"beta": 1.0}, "lower", "log p(x)"),
    ("E_q(z|x)[log p(x|z)] - beta KL[q||p]", {"beta": 0.5}, "neither", "log p(x)"),
    ("2 E_q(z|x)[log p(x|z)] - 2 KL[q||p]", {}, "lower", "2 log p(x)"),
    ("KL[q(z|x)||p(z)] - E_q(z|x)[log p(x|z)]", {}, "upper", "-log p(x)"),
    ("E_q(z|x)[log p(x|z)] - max(KL[q||p], 0.5)", {}, "lower", "log p(x)"),
    ("E_q(z|x)[log p(x|z)] - KL[q||p] - 0.1 E_q(z|x)[||z||^2]", {}, "lower", "log p(x)"),
    ("E_q(z|x)[log p(x|z)] - KL[q||p] + 0.1 E_q(z|x)[||z||^2]", {}, "neither", "log p(x)"),
    ("E_p(z)[log p(x|z)]", {}, "lower", "log p(x)"),
    ("log E_p(z)[p(x|z)]", {}, "equal", "log p(x)"),
    ("log E_q(z|x)[p(x,z)/q(z|x)]", {}, "equal", "log p(x)"),
    (IWAE, {"K": 3}, "lower", "log p(x)"),
    (f"E_data(x)[{IWAE}]", {"K": 3}, "lower", "E_data(x)[log p(x)]"),
    (IWAE.replace("E_{", "E_{data(x), "), {"K": 3}, "lower", "E_data(x)[log p(x)]"),
    ("-E_{x ~ data(x)}[E_q(z|x)[log p(x|z)] - KL[q||p]]", {}, "upper", "-E_data(x)[log p(x)]"),
    (CUBO, {"n": 2.0}, "upper", "log p(x)"),
    (CUBO, {"n": 0.5}, "lower", "log p(x)"),
    (ALPHA, {"alpha": 0.5}, "lower", "log p(x)"),
    (ALPHA, {"alpha": 3.0}, "lower", "log p(x)"),
    (ALPHA, {"alpha": -1.0}, "upper", "log p(x)"),
    ("E_q(z|x)[log p(x|z)]", {}, "unknown", "None"),
    ("E_q(z|x)[log p(x|z)] + KL[q||p] - sin(1) E_q(z|x)[log q(z|x)]^3", {}, "unknown", "None"),
]


@pytest.mark.parametrize(("text", "scalars", "side", "target"), CASES)
def test_the_side_and_the_target_are_recognised(text, scalars, side, target):
    names = ("p", "prior") if "q(z|x)" not in text else ()
    found = built(text, *names, **scalars).derivation.bound
    assert (found.direction.name.lower(), str(found.target)) == (side, target)


def log_likelihood(known, x):
    """``log p(x)`` by the sum over all states of z."""
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=LATENT)))
    logits = known["p"].get_submodule("network")(states)
    log_p = torch.distributions.Bernoulli(logits=logits).log_prob(x[:, None]).sum(-1)
    prior = torch.distributions.Bernoulli(probs=0.3).log_prob(states).sum(-1)
    return torch.logsumexp(log_p + prior, -1)


@pytest.mark.parametrize(("text", "scalars", "side", "target"), [c for c in CASES if "log p(x)" in c[3]])
def test_the_numbers_lie_on_that_side(text, scalars, side, target):
    """Everything is finite, so that the objective is exact where it is no mean of several samples."""
    names = ("p", "prior") if "q(z|x)" not in text else ()
    objective = built(text, *names, **scalars)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=PIXELS)))
    scale = -1.0 if target.startswith("-") else 2.0 if target.startswith("2") else 1.0
    wanted = (scale * log_likelihood(laws(), x)).mean().item()
    with torch.no_grad():
        if "K" in scalars:
            torch.manual_seed(1)
            values = torch.stack([objective(x=x) for _ in range(200)])
            value, error = values.mean().item(), values.std().item() / math.sqrt(200)
        else:
            value, error = objective(x=x).item(), 1e-6
    found = objective.derivation.bound
    if side == "equal":
        assert value == pytest.approx(wanted, abs=1e-5)
    if found.is_lower:
        assert value < wanted + 4 * error
    if found.is_upper:
        assert value > wanted - 4 * error


def test_what_separates_the_two_is_named():
    beta = built("E_q(z|x)[log p(x|z)] - beta KL[q||p]", beta=4.0).derivation.bound
    gaps = [str(node) for node in beta.relation.gap]
    assert gaps == ["KL[q(z|x) || p(z|x)]", "(beta - 1) KL[q(z|x) || p(z)]"]
    assert [str(c) for c in beta.relation.conditions] == ["beta - 1"]
    assert "as long as β − 1 ≥ 0" in repr(beta)
    low = built("E_q(z|x)[log p(x|z)] - beta KL[q||p]", beta=0.5).derivation.bound
    assert [str(node) for node in low.relation.against] == ["(1 - beta) KL[q(z|x) || p(z)]"]
    assert repr(low).startswith("not a bound on log p(x)")


def test_the_gap_is_the_difference():
    """ELBO + gap = log p(x), the posterior being that of the finite model."""
    whole = built("E_q(z|x)[log p(x|z)] - KL[q||p] + KL[q(z|x)||p(z|x)]")
    x = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    with torch.no_grad():
        assert whole(x=x).item() == pytest.approx(log_likelihood(laws(), x).mean().item(), abs=1e-5)
    assert whole.derivation.bound.direction is Direction.EQUAL or whole.derivation.bound.target is None


def test_it_changes_with_the_scalars():
    objective = built("E_q(z|x)[log p(x|z)] - beta KL[q||p]", beta=4.0)
    assert objective.derivation.bound.is_lower
    objective.scalars["beta"] = 0.5
    assert not objective.derivation.bound.is_lower


def test_a_hierarchy_is_recognised():
    text = "E_{q(z,w|x)}[log(p(x|z)p(z|w)p(w)/(q(z|x) q(w|z)))]"
    found = built(text, "q", "w", "p", "pw", "top").derivation.bound
    assert (found.direction, str(found.target)) == (Direction.LOWER, "log p(x)")
    assert [str(g) for g in found.relation.gap] == ["KL[q(z, w|x) || p(z, w|x)]"]


def test_a_prior_of_another_name_gives_the_integral_of_the_product():
    found = built("E_q(z|x)[log p(x|z)] - KL[q(z|x)||r(z)]", "q", "p", "other").derivation.bound
    assert (found.direction, str(found.target)) == (Direction.LOWER, "log(int p(x|z) r(z) dz)")


def test_an_entropy_of_states_that_is_left_out_only_widens_the_gap():
    found = built("E_q(z|x)[log p(x|z)] + E_q(z|x)[log p(z)]").derivation.bound
    assert found.is_lower and str(found.relation.gap[-1]) == "H[q(z|x)]"


def test_an_entropy_of_a_density_may_be_negative():
    text = "E_q(z|x)[log p(x|z)] + E_q(z|x)[log p(z)]"
    assert sd.Objective(text, *normals()).derivation.bound.direction is Direction.UNKNOWN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("E_q(z|x)[log p(x|z)] - KL[q||p]", "its estimate: exact"),
        (CUBO.replace("1/n", "1/2").replace("^n", "^2"), "its estimate: exact"),
    ],
)
def test_finite_models_are_exact(text, words):
    assert words in repr(built(text).derivation.bound)


def normals():
    def moments(values):
        return values.mean(-1, keepdim=True), torch.ones(len(values), 1)

    return sd.Normal("q(z|x)", moments), sd.Normal("p(x|z)", moments), sd.Normal("p(z)", loc=0.0, scale=1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("E_q(z|x)[log p(x|z)] - KL[q||p]", "its estimate: unbiased"),
        ("log E_q(z|x)[p(x,z)/q(z|x)]", "an estimator of a lower bound"),
        (
            "1/2 log E_q(z|x)[(p(x,z)/q(z|x))^2]",
            "below the bound on average (Jensen), so that it bounds nothing",
        ),
    ],
)
def test_an_estimate_says_what_it_is_to_the_bound(text, words):
    assert words in repr(sd.Objective(text, *normals()).derivation.bound)


def test_a_bound_is_typeset():
    latex = built("E_q(z|x)[log p(x|z)] - KL[q||p]").derivation.bound._repr_latex_()
    assert (
        latex.startswith(r"$\displaystyle \mathcal{L} = \log p(x) - D_{\mathrm{KL}}") and r"\le \log" in latex
    )
    assert built("E_q(z|x)[log p(x|z)]").derivation.bound._repr_latex_() is None
    upper = built(CUBO, n=2.0).derivation.bound._repr_latex_()
    assert upper == r"$\displaystyle \mathcal{L} \ge \log p(x)$"
