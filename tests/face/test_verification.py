"""Derivations checked by numbers: true ones hold, false ones fail."""

from dataclasses import replace

import pytest
import torch
from face_models import LATENT, PIXELS, images, networks
from torch import nn

import symdgm as sd
from symdgm.derivation import Derivation
from symdgm.errors import OptionError, SymdgmError
from symdgm.expressions.arithmetic import Times
from symdgm.rewriting import Kind


def objective(text, **options):
    enc, dec = networks()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    return sd.Objective(text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior, **options)


FORMULAS = [
    "E_q(z|x)[log p(x|z)] - KL[q||p]",
    "E_q(z|x)[log(p(x,z)/q(z|x))]",
    "E_data(x)[E_q(z|x)[log p(x,z)] + H[q(z|x)]]",
    "log E_q(z|x)[p(x,z)/q(z|x)]",
    "E_{z_{1:3} ~ q(z|x)}[log(1/3 sum_{k=1}^3 p(x,z_k)/q(z_k|x))]",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_every_step_holds(text):
    built = objective(text)
    found = built.derivation.verify(x=images(8), draws=500)
    assert found.ok, found
    names = {step.name for step in built.rewriting.steps}
    assert names <= {row.step for row in found} | {"resolution"}
    assert all(abs(row.z) <= 4 for row in found if row.kind is Kind.EQUALITY and row.left is not None)


def test_enumeration_is_compared_with_draws():
    parts = [
        sd.Categorical("q(y|x)", nn.Linear(PIXELS, 3)),
        sd.Bernoulli("p(x|y)", nn.Embedding(3, PIXELS)),
        sd.Categorical("p(y)", logits=torch.zeros(3)),
    ]
    found = sd.Objective("E_q(y|x)[log p(x|y)] - KL[q(y|x)||p(y)]", *parts).derivation.verify(x=images(8))
    row = next(r for r in found if r.step == "enumeration")
    assert row.verdict == "holds" and row.left.error > 10 * row.right.error


def wrong(built, factor):
    """The derivation with a false step: what it gives is multiplied by a number."""
    first, *others = built.rewriting.steps
    false = replace(first, name="a false rule", result=Times(factor, first.result))
    checks = replace(built.derivation.checks, rewriting=replace(built.rewriting, steps=(false, *others)))
    return replace(built.derivation, checks=checks)


def test_a_false_step_fails():
    found = wrong(objective("E_q(z|x)[log p(x|z)] - KL[q||p]"), 2).verify(x=images(8), draws=400)
    assert not found.ok
    assert found[0].step == "a false rule" and found[0].verdict == "FAILS" and abs(found[0].z) > 4
    assert "FAILS" in repr(found)


def test_the_bias_of_a_lower_bound_is_measured():
    found = objective("log E_q(z|x)[p(x,z)/q(z|x)]").derivation.verify(x=images(8), draws=2000)
    row = next(r for r in found if r.kind is Kind.LOWER_BOUND)
    assert row.verdict == "holds" and row.right.mean < row.left.mean - 4 * row.right.error


def test_a_lower_bound_from_above_would_fail():
    """The two sides of a Jensen step the other way round."""
    from symdgm.measuring import Measured
    from symdgm.verification import _fits

    low, high = Measured(-2.0, 0.01), Measured(-1.0, 0.01)
    assert _fits(Kind.LOWER_BOUND, low, high, -70.0) and not _fits(Kind.LOWER_BOUND, high, low, 70.0)


def test_the_caller_s_noise_is_left_alone_and_seeds_repeat():
    derivation = objective(FORMULAS[0]).derivation
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, third = (derivation.verify(x=images(4), draws=50, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert repr(first) == repr(second) != repr(third)


def test_it_is_shown_as_text_and_as_html():
    found = objective(FORMULAS[0]).derivation.verify(x=images(4), draws=50)
    lines = repr(found).splitlines()
    assert lines[0].split() == ["step", "kind", "left", "side", "left", "right", "z", "verdict"]
    assert any(line.startswith("closed form") and "±" in line for line in lines)
    html = found._repr_html_()
    assert html.startswith("<table>") and html.count("<tr>") == len(found) + 1


@pytest.mark.parametrize("draws", [1, True, 2.5])
def test_too_few_draws_are_refused(draws):
    with pytest.raises(OptionError, match="`draws` is"):
        objective(FORMULAS[0]).derivation.verify(x=images(4), draws=draws)


def test_a_derivation_of_its_own_cannot_be_checked():
    with pytest.raises(SymdgmError, match="this derivation is of no objective"):
        Derivation(sd.parse("a"), ()).verify(x=images(4))


def test_missing_data_are_named():
    with pytest.raises(SymdgmError, match="x"):
        objective(FORMULAS[0]).derivation.verify()
