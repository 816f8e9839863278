"""Derivations as people read them: both forms of the ELBO, and LaTeX that MathJax and KaTeX set."""

import re
from pathlib import Path

import pytest
import torch
from face_models import LATENT, PIXELS, networks
from torch import nn

import symdgm as sd
from symdgm.distributions.flows import Planar

GOLDEN = Path(__file__).parent / "golden"
FORMS = {
    "elbo_analytic": "E_q(z|x)[log p(x|z)] - beta KL[q||p]",
    "elbo_ratio": "E_q(z|x)[log(p(x,z)/q(z|x))]",
}


def objective(text: str, **options: object) -> sd.Objective:
    enc, dec = networks()
    parts = [
        sd.Normal("q(z|x)", enc),
        sd.Bernoulli("p(x|z)", dec),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT),
    ]
    names = {"beta": 1.0} if "beta" in text else {}
    return sd.Objective(text, *parts, **names, **options)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("form", ["txt", "tex"])
def test_golden_derivations(name: str, form: str, update: bool) -> None:
    derivation = objective(FORMS[name]).derivation
    text = (repr(derivation) if form == "txt" else derivation.latex()) + "\n"
    path = GOLDEN / f"{name}.{form}"
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_second_form_leads_to_the_first() -> None:
    ratio, analytic = objective(FORMS["elbo_ratio"]), objective(FORMS["elbo_analytic"])
    names = [step.name for step in ratio.derivation.steps]
    assert names[:4] == ["chain rule", "logarithm of a product", "linearity", "definition of KL"]
    x = torch.ones(4, PIXELS)
    torch.manual_seed(0)
    first = analytic(x=x)
    torch.manual_seed(0)
    assert torch.equal(ratio(x=x), first)
    assert len(ratio.derivation) == len(names)
    assert ratio.derivation[0].name == "chain rule"


EQUATIONS = [
    *FORMS.values(),
    "E_data(x)[E_q_phi(z|x)[log p_theta(x|z)]] - lambda_1 KL[q||p]",
    "log E_q(z|x)[p(x|z)]",
    "1/2 E_q(z|x)[||x - G_{w}(z)||^2] + eps^2",
    "E_q(z|x)[log p(x|z)] + sg[1/beta]^2",
]


@pytest.mark.parametrize("text", EQUATIONS)
def test_the_latex_is_set_by_mathjax_and_by_katex(text: str) -> None:
    names = {"lambda_1": 0.5, "eps": 0.1, "G": nn.Linear(LATENT, PIXELS), "beta": 1.0}
    used = {k: v for k, v in names.items() if re.search(rf"(?<![a-z]){k}", text)}
    enc, dec = networks()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0)
    built = sd.Objective(text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior, **used)
    for latex in (built.derivation._repr_latex_(), built._repr_latex_()):
        assert latex.startswith("$\\displaystyle") and latex.endswith("$")
        assert latex.count("$") == 2
        assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
        assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}")
        assert latex.count(r"\left") == latex.count(r"\right")
        assert r"\left\left" not in latex and not re.search(r"'_\{[^{}]*\}\^", latex)
        assert r"\tag" not in latex and r"\operatorname{\\" not in latex
        for words in re.findall(r"\\text\{([^{}]*)\}", latex):
            assert not set(words) & set(r"\_#&%$^~"), words


def test_a_wide_equation_goes_over_several_lines_and_keeps_every_term() -> None:
    built = objective(
        " + ".join(f"E_q(z|x)[log p(x|z) + beta log p(z) - ||z - {i}|| - beta ||z||]" for i in range(3)),
        analytic=False,
    )
    step = next(s for s in built.derivation.steps if s.name == "distributivity")
    (change,) = step.changes
    lines = built.derivation.latex().splitlines()
    title = lines[1].removeprefix("& ").removesuffix(r" \\[4pt]")
    assert r"\\ & \qquad " in title
    assert sd.parse(title.replace(r"\\ & \qquad ", "")) == sd.parse(str(built.derivation.title))
    (line,) = (s for s in lines if s.count(r"\\ & \qquad") > 2)
    before, after = line.removeprefix(r"& \quad ").removesuffix(r" \\[4pt]").split(r"\\ & \qquad = ")
    sides = [side.replace(r"\\ & \qquad ", "") for side in (before, after)]
    assert [sd.parse(side) for side in sides] == [sd.parse(str(s)) for s in (change.before, change.after)]
    assert before.startswith(r"\left(")  # a sum within the sum keeps its brackets
    rows = repr(built.derivation).splitlines()
    assert max(len(row) for row in rows if row[:1].isdigit()) <= 110


def test_the_law_of_a_path_is_computed_by_its_steps_and_a_marginal_is_shown() -> None:
    finite = sd.Objective(
        "log p(x)", sd.Categorical("p(y)", logits=torch.zeros(3)), sd.Bernoulli("p(x|y)", nn.Embedding(3, 5))
    )
    assert "     p(x) = ∑_y p(y) p(x|y)" in repr(finite.derivation).splitlines()
    assert r"p(x) = \sum_{y} p(y) p(x|y)" in finite.derivation.latex()
    pairs = sd.Model(
        """
        q(u_t|z_{t-1}, x_t) = Normal(u_t; f(z_{t-1}, x_t)); z_t = flow(u_t); z_0 = 0
        p(x_t|z_t) = Normal(x_t; z_t, 1)
        maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]
        """,
        f=lambda z, x: (z + x, torch.ones_like(x)),
        flow=Planar(2),
        z=2,
    )
    shown = repr(pairs.derivation)
    assert "q(z_t|z_{t−1}, x_t) is computed by a Transformed as a whole" in shown
    assert "rules of probability" not in shown


@pytest.mark.parametrize(
    ("latent", "by"), [("latent", "d latent"), ("h1", "d h1"), ("theta", "dθ"), ("z_1", "dz_1")]
)
def test_a_marginal_over_a_latent_of_any_name_is_shown(latent: str, by: str) -> None:
    prior = sd.Normal(f"p({latent})", loc=0.0, scale=1.0, event_shape=2)
    likelihood = sd.Normal(f"p(x|{latent})", nn.Linear(2, 3), scale=1.0)
    shown = repr(sd.Objective("log p(x)", prior, likelihood).derivation)
    assert any(line.startswith("     p(x) = ∫") and line.endswith(by) for line in shown.splitlines())


def test_estimates_say_what_they_are() -> None:
    text = repr(objective(FORMS["elbo_analytic"], samples=5).derivation)
    assert "is estimated by the mean of 5 draws from q(z|x) for each example" in text
    assert "is averaged over the batch of x" in text
    biased = repr(objective("log E_q(z|x)[p(x|z)]").derivation)
    assert "biased estimator" in biased and "Jensen" in biased


def test_a_term_without_data_expectation_is_still_averaged() -> None:
    mixed = repr(objective("E_data(x)[E_q(z|x)[log p(x|z)]] - KL[q||p]").derivation)
    assert "is estimated by the mean over the batch of x" in mixed
    assert "KL[q(z|x) ‖ p(z)] is averaged over the batch of x" in mixed
    whole = repr(objective("E_data(x)[E_q(z|x)[log p(x|z)] - KL[q||p]]").derivation)
    assert "no expectation over data is written" not in whole


def test_enumeration_and_certain_values_say_so() -> None:
    y = [sd.Categorical("q(y|x)", nn.Linear(PIXELS, 3)), sd.Bernoulli("p(x|y)", nn.Embedding(3, PIXELS))]
    assert "is the sum over all states, weighted by q(y|x)" in repr(
        sd.Objective("E_q[log p(x|y)]", *y).derivation
    )
    g = [sd.Deterministic("g(z|x)", nn.Linear(PIXELS, LATENT)), sd.Bernoulli("p(x|z)", networks()[1])]
    assert "is the value of g(z|x)" in repr(sd.Objective("E_g(z|x)[log p(x|z)]", *g).derivation)


def test_the_laws_of_an_estimate_are_typeset_as_mathematics() -> None:
    q = sd.Normal("q(z_1|x_hat)", networks()[0])
    built = sd.Objective(
        "E_q(z_1|x_hat)[exp(-||z_1||^2)] + MMD[q(z_1|x_hat) || p(z_1)]",
        q, sd.Normal("p(z_1)", loc=0.0, scale=1.0, event_shape=LATENT),
        samples={"z_1": 64},
    )  # fmt: skip
    text, latex = repr(built.derivation), built.derivation.latex()
    assert "is estimated by the mean of 64 draws from q(z_1|x̂) for each example" in text
    law = r"q(z_{1}|\hat{x})"
    assert rf"\text{{ is estimated by the mean of 64 draws from }}{law}\text{{ for each example}}" in latex
    assert rf"\text{{ for each example (}}z_{{1}}\text{{ }}\sim \text{{ }}{law}\text{{)" in latex
    assert r"\text{ is averaged over the batch of }\hat{x}" in latex
    assert r"\_" not in latex
