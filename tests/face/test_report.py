"""Reports by term: values, gradients and their noise against direct evaluation, and advice."""

import pytest
import torch
from face_models import LATENT, PIXELS, images, networks
from torch import nn

import symdgm as sd
from symdgm.errors import OptionError

ELBO = "E_q(z|x)[log p(x|z)] - beta KL[q||p]"


def objective(text=ELBO, **options):
    enc, dec = networks()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    names = {"beta": 2.0} if "beta" in text else {}
    return sd.Objective(
        text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior, **names, **options
    )


def by_hand(built, name, parameters, draws=400):
    """Value and gradient of a term by itself, from evaluations of the whole."""
    values, gradients = [], []
    for _ in range(draws):
        term = built.terms(x=images(8))[name]
        found = torch.autograd.grad(term, parameters, allow_unused=True)
        values.append(term.item())
        gradients.append(torch.cat([g.flatten() for g in found if g is not None]))
    return torch.tensor(values), torch.stack(gradients)


def test_values_and_gradients_are_those_of_the_terms():
    built = objective()
    torch.manual_seed(3)
    found = built.report(x=images(8), draws=400)
    assert [row.term for row in found] == list(built.terms(x=images(8)))
    row = found[0]
    values, gradients = by_hand(built, row.term, list(built.factors.get_submodule("q(z|x)").parameters()))
    error = (row.value.error**2 + values.var().item() / 400) ** 0.5
    assert abs(row.value.mean - values.mean().item()) < 4 * error
    assert row.deviation == pytest.approx(values.std().item(), rel=0.2)
    mine = next(g for g in row.gradients if g.of == "q(z|x)")
    spread = gradients.var(0).sum().sqrt().item()
    assert mine.deviation == pytest.approx(spread, rel=0.1)
    assert mine.norm == pytest.approx(gradients.mean(0).norm().item(), abs=4 * spread / 400**0.5)


def test_a_closed_form_has_no_noise_and_enters_with_its_weight():
    row = objective().report(x=images(8), draws=3)[1]
    assert row.deviation == 0 and row.estimators == () and row.latents == ()
    (only,) = row.gradients
    assert only.of == "q(z|x)" and only.deviation < 1e-5 * only.norm
    half = objective()
    half.scalars["beta"] = 1.0
    (other,) = half.report(x=images(8), draws=3)[1].gradients
    assert only.norm == pytest.approx(2 * other.norm, rel=1e-5)


def test_shares_of_time_are_a_whole():
    found = objective().report(x=images(8), draws=5)
    assert sum(row.share for row in found) == pytest.approx(1)
    assert all(row.share > 0 for row in found)


def finite(**options):
    torch.manual_seed(0)
    parts = [
        sd.Categorical("q(y|x)", nn.Linear(PIXELS, 3)),
        sd.Bernoulli("p(x|y)", nn.Embedding(3, PIXELS)),
        sd.Categorical("p(y)", logits=torch.zeros(3)),
    ]
    return sd.Objective("E_q(y|x)[log p(x|y)] - KL[q(y|x)||p(y)]", *parts, **options)


ADVICE = [
    (lambda: objective(), 0, ""),
    (lambda: objective(analytic=False), 1, "a closed form is known: analytic=True"),
    (lambda: finite(), 0, ""),
    (lambda: finite(estimators={"y": "score function"}), 0, '"y" is finite: enumeration is exact'),
    (lambda: objective("log E_q(z|x)[p(x,z)/q(z|x)]"), 0, 'samples={"z": 10}'),
    (lambda: objective("log E_q(z|x)[p(x,z)/q(z|x)]", samples=5), 0, ""),
    (lambda: objective("E_q(z|x)[(log q(z|x))^3]"), 0, '"sticking the landing"'),
]


@pytest.mark.parametrize(("built", "term", "words"), ADVICE)
def test_a_better_estimator_is_named(built, term, words):
    advice = built().report(x=images(8), draws=3)[term].better
    assert words in advice if words else advice == ""


def test_following_the_advice_lowers_the_noise():
    noisy, exact = finite(estimators={"y": "score function"}), finite()
    first, second = (o.report(x=images(8), draws=100)[0] for o in (noisy, exact))
    assert second.deviation == 0 < first.deviation
    pairs = [(a.deviation, b.deviation) for a, b in zip(first.gradients, second.gradients, strict=True)]
    assert all(b < 1e-3 * a for a, b in pairs)


def test_biased_estimators_are_told_so():
    onehot = [
        sd.OneHotCategorical("q(y|x)", nn.Linear(PIXELS, 3)),
        sd.Bernoulli("p(x|y)", nn.Linear(3, PIXELS)),
    ]
    built = sd.Objective("E_q(y|x)[log p(x|y)]", *onehot, estimators={"y": "Gumbel-softmax"})
    assert "enumeration is exact" in built.report(x=images(8), draws=3)[0].better


def test_biased_estimators_along_paths_are_told_so():
    steps = [sd.Bernoulli("q(z_t|x_t)", nn.Linear(3, 2)), sd.Bernoulli("p(x_t|z_t)", nn.Linear(2, 3))]
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t)]"
    built = sd.Objective(text, *steps, estimators={"z": "straight-through"})
    advice = built.report(x=torch.ones(4, 5, 3), draws=3)[0].better
    assert advice == "the estimator is biased: the score function is not"


def test_it_is_shown_as_text_and_as_html():
    found = objective().report(x=images(8), draws=3)
    text, html = repr(found), found._repr_html_()
    for word in (
        "term",
        "gradient of",
        "better",
        "E_q(z|x)[log p(x|z)]",
        "KL[q || p]",
        "q(z|x)",
        "p(x|z)",
        "%",
    ):
        assert word in text and word in html
    assert html.count("<tr>") == 4


def test_weights_gradients_and_noise_are_left_alone():
    built = objective()
    before = [p.clone() for p in built.parameters()]
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    built.report(x=images(8), draws=3)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, built.parameters(), strict=True))


def test_a_model_reports_too():
    enc, dec = networks()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    text = "maximize E_q(z|x)[log p(x|z)] - KL[q||p]"
    model = sd.Model(text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior)
    assert len(model.report(x=images(8), draws=3)) == 2


def test_without_parameters_there_are_no_gradients():
    built = sd.Objective("E_p(z)[||z||^4]", sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2))
    found = built.report(n=16, draws=3)
    assert found[0].gradients == () and "nothing" in repr(found)


@pytest.mark.parametrize("draws", [1, True, "3"])
def test_too_few_draws_are_refused(draws):
    with pytest.raises(OptionError, match="`draws` is"):
        objective().report(x=images(8), draws=draws)


def test_terms_of_a_fit_cost_no_evaluation_of_their_own():
    calls = []
    enc, dec = networks()
    enc.register_forward_hook(lambda *_: calls.append(1))
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    text = "maximize E_q(z|x)[log p(x|z)] - KL[q||p]"
    model = sd.Model(text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior)
    model(x=images(8))
    calls.clear()
    history = model.fit(images(24), epochs=2, batch_size=8, progress=False)
    assert len(calls) == 6
    assert set(history.last.terms) == {"E_q(z|x)[log p(x|z)]", "KL[q || p]"}
    reconstruction, divergence = history.last.terms.values()
    assert history.last.value == pytest.approx(reconstruction - divergence, rel=1e-5)
