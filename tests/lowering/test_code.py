"""The code that is shown is the code that runs, bit for bit; golden files hold its text."""

import re
from pathlib import Path

import pytest
import torch
from lowering_cases import BATCH, DATA, LATENT, Encoder, gradients, images, run_text, vae
from torch import nn

import symdgm as sd

GOLDEN = Path(__file__).parent / "golden"


def mixture():
    torch.manual_seed(0)
    table = nn.Embedding(4, DATA).double()
    return [
        sd.Categorical("q(y|x)", nn.Linear(DATA, 4).double()),
        sd.Categorical("p(y)", probs=torch.full((4,), 0.25, dtype=torch.float64)),
        sd.Bernoulli("p(x|y)", table),
    ]


def bits():
    torch.manual_seed(0)
    return [
        sd.Bernoulli("q(b|x)", probs=nn.Sequential(nn.Linear(DATA, 2), nn.Sigmoid()).double()),
        sd.Bernoulli("p(b)", probs=0.5, event_shape=2),
        sd.Normal("p(x|b)", loc=nn.Linear(2, DATA).double(), scale=0.5),
    ]


def hierarchy():
    torch.manual_seed(0)
    return [
        sd.Normal("q(a|x)", Encoder().double()),
        sd.Normal("q(z|a)", Encoder(LATENT, 2).double()),
        sd.Normal("p(a|z)", Encoder(2, LATENT).double()),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
        sd.Bernoulli("p(x|a)", nn.Linear(LATENT, DATA).double()),
    ]


CASES = {
    "elbo": ("E_q(z|x)[log p(x|z)] - beta KL[q||p]", lambda: vae()[2], {"beta": 0.5}),
    "elbo_by_sampling": ("E_q(z|x)[log(p(x,z)/q(z|x))]", lambda: vae()[2], {"analytic": False, "samples": 3}),
    "elbo_over_data": ("E_data(x)[E_q(z|x)[log p(x|z)] - KL[q||p]]", lambda: vae()[2], {}),
    "categorical": ("E_q(y|x)[log p(x|y)] - KL[q||p]", mixture, {}),
    "bernoulli": ("E_q(b|x)[log p(x|b)] - KL[q||p]", bits, {}),
    "hierarchy": (
        "E_q(a|x) E_q(z|a)[log p(x|a) + log p(a|z) + log p(z) - log q(z|a) - log q(a|x)]",
        hierarchy, {"samples": {"a": 2, "z": 3}},
    ),
    "autoencoder": ("E_q(z|x)[||x - G(z)||^2]", lambda: vae()[2][:1], {"G": vae()[1], "samples": 2}),
}  # fmt: skip


def made(name):
    text, laws, options = CASES[name]
    return sd.Objective(text, *laws(), **options)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("first", [True, False])
def test_text_gives_the_same_bits(name, first):
    objective, x = made(name), images()
    if not first:
        objective(x=x)
    torch.manual_seed(1)
    value, terms = objective.evaluate({"x": x})
    torch.manual_seed(1)
    again, again_terms = run_text(objective.code, objective.inputs(x=x))
    assert torch.equal(value, again)
    assert list(terms) == list(again_terms)
    assert all(torch.equal(terms[k], again_terms[k]) for k in terms)
    ours, theirs = gradients(value, objective), gradients(again, objective)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert any(g.abs().sum() > 0 for g in ours)


@pytest.mark.parametrize("name", CASES)
def test_code_is_as_golden(name, update):
    objective = made(name)
    objective(x=images())
    file = GOLDEN / f"{name}.txt"
    if update:
        file.write_text(objective.code)
    assert objective.code == file.read_text()


@pytest.mark.parametrize("name", CASES)
def test_code_stands_alone_and_fits_the_page(name):
    objective = made(name)
    objective(x=images())
    imports = re.findall(r"^(?:import|from) (\w+)", objective.code, re.MULTILINE)
    assert set(imports) <= {"torch", "math"}
    assert max(map(len, objective.code.splitlines())) <= 110


def test_imports_are_those_that_are_used():
    _, _, laws = vae()
    kl = sd.Objective("KL[q(z|x)||p(z)]", *laws)
    kl(x=images())
    assert "import" not in kl.code  # though the docstring could name anything


def test_another_batch_size_reuses_the_program():
    objective = made("hierarchy")
    objective(x=images())
    objective(x=images(11))
    assert len(objective.runner.programs) == 1
    torch.manual_seed(0)
    value = objective(x=images(11, seed=2))
    fresh = made("hierarchy")
    torch.manual_seed(0)
    torch.testing.assert_close(value, fresh(x=images(11, seed=2)), rtol=0, atol=0)


def test_per_example_code_is_another_program():
    objective = made("categorical")
    rows = objective.per_example(x=images())
    assert rows.shape == (BATCH,)
    torch.testing.assert_close(rows.mean(), objective(x=images()))


def test_generated_function_compiles():
    objective, x = made("elbo"), images()
    objective(x=x)
    function = objective.runner.last().function
    # "aot_eager" traces forward and backward as any backend does, and needs no C++ compiler
    compiled = torch.compile(function, backend="aot_eager")
    torch.manual_seed(0)
    expected = function(**objective.inputs(x=x))[0]
    torch.manual_seed(0)
    value = compiled(**objective.inputs(x=x))[0]
    torch.testing.assert_close(value, expected)
    value.backward()


def test_a_thousand_terms_run():
    _, _, laws = vae()
    text = " + ".join(f"{k} E_q(z|x)[||z||^2]" for k in range(1, 1001))
    objective = sd.Objective(text, *laws[:1])
    torch.manual_seed(0)
    value = objective(x=images())
    torch.manual_seed(0)
    one = sd.Objective("E_q(z|x)[||z||^2]", *laws[:1])(x=images())
    torch.testing.assert_close(value, 500_500 * one)
    assert max(map(len, objective.code.splitlines())) <= 110
    torch.manual_seed(0)
    assert torch.equal(run_text(objective.code, objective.inputs(x=images()))[0], value)
