"""Equal, not equal, or unknown: each answer against what is known of the formulas."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.equivalence import Equivalence

ELBO = "E_q(z|x)[log p(x|z)] - KL[q(z|x)||p(z)]"
RATIO = "E_q(z|x)[log(p(x,z)/q(z|x))]"
IWAE = "E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x,z_k)/q(z_k|x))]"

PROVED = [
    (ELBO, RATIO, {}),
    ("E_q(z|x)[log p(x|z) + log p(z) - log q(z|x)]", RATIO, {}),
    ("E_q(z|x)[log p(x,z)] + H[q(z|x)]", ELBO, {}),
    ("E_{z' ~ q(z|x)}[log p(x|z')] - KL[q(z|x)||p(z)]", ELBO, {}),
    ("E_data(x)[E_q(z|x)[log p(x|z)] - KL[q(z|x)||p(z)]]", f"E_data(x)[{RATIO}]", {}),
    ("H[q(z|x), p(z)]", "H[q(z|x)] + KL[q(z|x)||p(z)]", {}),
    ("E_q(z|x)[beta log p(x|z) + gamma]", "beta E_q(z|x)[log p(x|z)] + gamma", {}),
    ("E_q(z|x)[log p(x|z)] - beta KL[q(z|x)||p(z)]", ELBO, {"beta": 1.0}),
    (IWAE, ELBO, {"K": 1}),
    (IWAE.replace("K", "1"), RATIO, {}),
    (IWAE.replace("1/K sum", "mean"), IWAE, {"K": 3}),
    ("log p(x)", f"{ELBO} + KL[q(z|x)||p(z|x)]", {}),
    ("log p(x)", "log E_q(z|x)[p(x,z)/q(z|x)]", {}),
    ("log p(x,z) - log p(z|x)", "log p(x)", {}),
    ("E_{q(z|x) r(w|z)}[log r(w|z)]", "-E_q(z|x)[H[r(w|z)]]", {}),
    (
        "E_{q(a|x) q(b|a)}[log(p(x|a) p(a|b) p(b)/(q(a|x) q(b|a)))]",
        "E_q(a|x)[log p(x|a)] + E_{q(a,b|x)}[log p(a|b)] - E_q(a|x)[KL[q(b|a)||p(b)]] + H[q(a|x)]",
        {},
    ),
    ("E_q(z|x)[||x - f(z)||^2]", "E_q(z|x)[||f(z) - x||^2]", {}),
    ("(a - b) (a + b)", "a^2 - b^2", {}),
    ("log(exp(a) exp(b))", "a + b", {}),
    ("maximize a - b", "minimize b - a", {}),
    ("J = maximize a - b", "a - b", {}),
    ("E_q(z|x)[p(x|z)] E_q(z|x)[p(x|z)]", "E_q(z|x)[p(x|z) E_{z' ~ q(z|x)}[p(x|z')]]", {}),
    ("sum_{k=1}^K (a + f(k))", "K a + sum_{k=1}^K f(k)", {}),
]

REFUTED = [
    (ELBO, "E_q(z|x)[log p(x|z)] - beta KL[q(z|x)||p(z)]", {}),
    (ELBO, "E_q(z|x)[log p(x|z)] - KL[p(z)||q(z|x)]", {}),
    (ELBO, "E_q(z|x)[log p(x|z)] + KL[q(z|x)||p(z)]", {}),
    (IWAE, ELBO, {"K": 2}),
    ("log p(x)", ELBO, {}),
    ("log E_q(z|x)[p(x|z)]", "E_q(z|x)[log p(x|z)]", {}),
    ("(E_q(z|x)[p(x|z)])^2", "E_q(z|x)[p(x|z)^2]", {}),
    ("KL[q(z|x)||p(z)]", "KL[q(z|x)||r(z)]", {}),
    ("maximize a - b", "minimize a - b", {}),
    ("log(a + b)", "log a + log b", {}),
]

UNKNOWN = [
    ("log(a b)", "log a + log b", {}, "no proof was found, but the two are equal in 3 random models"),
    ("MMD[q(z|x)||p(z)]", "MMD[p(z)||q(z|x)]", {}, "finite tables give no value"),
]


@pytest.mark.parametrize(("a", "b", "names"), PROVED)
def test_what_is_equal_is_proved(a, b, names):
    found = sd.equivalent(a, b, **names)
    assert found.verdict == "proved" and found.proved and not found.refuted and bool(found), found
    assert found.steps[-1].name in ("canonical form", "sameness")
    assert repr(found).startswith("proved: ")
    assert found._repr_latex_().count(r"\begin{aligned}") == 1


@pytest.mark.parametrize(("a", "b", "names"), REFUTED)
def test_what_differs_is_refuted_by_numbers(a, b, names):
    found = sd.equivalent(a, b, **names)
    assert found.refuted and not found, found
    assert abs(found.witness.left - found.witness.right) > 1e-6 and found.witness.error == 0
    assert "exactly" in repr(found) and found._repr_latex_() is None


@pytest.mark.parametrize(("a", "b", "names", "reason"), UNKNOWN)
def test_what_is_not_known_says_why(a, b, names, reason):
    found = sd.equivalent(a, b, **names)
    assert found.verdict == "unknown" and reason in repr(found)


@pytest.mark.parametrize(("a", "b", "names"), [*PROVED, *REFUTED])
def test_order_does_not_matter(a, b, names):
    assert sd.equivalent(a, b, **names).verdict == sd.equivalent(b, a, **names).verdict
    assert sd.equivalent(a, a, **names).proved


def bound():
    torch.manual_seed(0)
    encoder = nn.Linear(4, 2)
    return [
        sd.Normal("q(z|x)", lambda x: (encoder(x), torch.full((len(x), 2), 0.7))),
        sd.Bernoulli("p(x|z)", nn.Linear(2, 4)),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2),
    ]


def test_what_is_bound_resolves_short_names():
    assert sd.equivalent("E_q(z|x)[log p(x|z)] - KL[q||p]", RATIO, *bound()).proved


def test_what_is_bound_is_refuted_by_evaluation():
    doubled = "E_q(z|x)[log p(x|z)] - 2 KL[q||p]"
    found = sd.equivalent("E_q(z|x)[log p(x|z)] - KL[q||p]", doubled, *bound())
    assert found.refuted and found.witness.error > 0 and "data drawn from the model" in repr(found)
    data = torch.ones(8, 4)
    given = sd.equivalent("E_q(z|x)[log p(x|z)] - KL[q||p]", doubled, *bound(), x=data)
    assert given.refuted and "on the data given" in repr(given)
    kl = sd.Objective("KL[q||p]", bound()[0], bound()[2])(x=data).item()
    assert given.witness.left - given.witness.right == pytest.approx(kl, abs=6 * given.witness.error)


def test_an_identity_of_a_family_is_not_refuted():
    """KL of normals in closed form: no proof by structure, and no numbers against it."""
    q, _, prior = bound()
    closed = "1/2 E_q(z|x)[||z||^2] - 1 - 2 log s"
    found = sd.equivalent("KL[q||p]", closed, q, prior, s=0.7, x=torch.ones(4, 4))
    assert found.verdict == "unknown" and "the two agree within errors" in repr(found)


def test_data_that_cannot_be_drawn_leave_it_unknown():
    q = bound()[0]
    found = sd.equivalent("H[q(z|x)]", "2 H[q(z|x)]", q)
    assert found.verdict == "unknown" and "cannot be compared by numbers" in found.reason


def test_objectives_and_formulas_bring_what_they_name():
    q, p, prior = bound()
    objective = sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", q, p, prior, beta=1.0)
    formula = sd.E(q)[sd.log(p * prior) - sd.log(q)]
    assert sd.equivalent(objective, formula).proved
    objective.scalars["beta"] = 2.0
    assert sd.equivalent(objective, formula).refuted


def test_mistakes_are_refused():
    with pytest.raises(sd.SymdgmError, match="is no option, and the formula does not use it"):
        sd.equivalent("a", "b", G=nn.Linear(1, 1))
    with pytest.raises(sd.SymdgmError, match="int is no equation"):
        sd.equivalent(3, "b")
    with pytest.raises(sd.SymdgmError, match="no distribution is called `r`"):
        sd.equivalent("KL[q||r]", "KL[q||p]", *bound())
    with pytest.raises(sd.SymdgmError):
        sd.equivalent("E_q(z|x)[", "b")
    with pytest.raises(sd.SymdgmError, match=r"write densities with their variables, such as `q\(z\|x\)`"):
        sd.equivalent("KL[q||p]", "2 KL[q||p]")
    assert sd.equivalent("KL[q||p] + a", "a + KL[q||p]").proved


def test_very_large_formulas_are_unknown():
    product = " ".join(f"(a_{i} + b_{i})" for i in range(30))
    found = sd.equivalent(product, f"{product} + 1")
    assert isinstance(found, Equivalence) and found.verdict == "unknown" and "too large" in found.reason


def corpus():
    """Well-formed texts of the language's own cases, whether they can be computed or not."""
    import tomllib

    cases = tomllib.loads((Path(__file__).parents[1] / "corpus.toml").read_text("utf-8"))
    return [text for group in cases["equal"] + cases["distinct"] for text in group["strings"]]


def test_any_two_formulas_of_the_corpus_have_an_answer():
    answers = {}
    for a, b in list(pairwise(corpus()))[::3]:
        try:
            answer = sd.equivalent(sd.parse(a), sd.parse(b)).verdict
        except sd.SymdgmError as error:
            answer = type(error).__name__
        answers[answer] = answers.get(answer, 0) + 1
    assert {"proved", "refuted", "unknown"} <= set(answers), answers
