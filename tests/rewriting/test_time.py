"""Rules of whole sequences, seen in the derivations of objectives."""

from __future__ import annotations

import pytest
from torch import nn

import symdgm as sd

FACTORS = [
    sd.Normal("q(z_t|z_{t-1},x_t)", lambda z, x: (z, z)),
    sd.Normal("p(z_t|z_{t-1})", lambda z: (z, z)),
    sd.Bernoulli("p(x_t|z_t)", nn.Linear(2, 4)),
]
PATH = "E_q(z_{1:T}|x_{1:T})"
SPLIT = {
    f"{PATH}[sum_{{t=1}}^T log p(x_t|z_t)]",
    f"{PATH}[sum_{{t=1}}^T KL[q(z_t|z_{{t-1}}, x_t) || p(z_t|z_{{t-1}})]]",
}


def terms(text, **options):
    return sd.Objective(text, *FACTORS, z_0=0.0, z=2, **options).term_names


@pytest.mark.parametrize(
    "text",
    [
        f"{PATH}[log p(x_{{1:T}}|z_{{1:T}})] - KL[q(z_{{1:T}}|x_{{1:T}})||p(z_{{1:T}})]",
        f"{PATH}[log p(x_{{1:T}},z_{{1:T}}) - log q(z_{{1:T}}|x_{{1:T}})]",
        f"{PATH}[log(p(x_{{1:T}},z_{{1:T}})/q(z_{{1:T}}|x_{{1:T}}))]",
        f"{PATH}[sum_{{t=1}}^T (log p(x_t|z_t) + log p(z_t|z_{{t-1}}) - log q(z_t|z_{{t-1}},x_t))]",
    ],
)
def test_every_form_of_the_bound_is_split_into_the_same_terms(text):
    assert set(terms(text)) == SPLIT


def test_the_chain_rule_is_a_step_of_the_derivation():
    text = f"{PATH}[log p(x_{{1:T}}|z_{{1:T}})] - KL[q(z_{{1:T}}|x_{{1:T}})||p(z_{{1:T}})]"
    shown = str(sd.Objective(text, *FACTORS, z_0=0.0, z=2).derivation)
    assert "chain rule" in shown.lower()


def test_sums_are_split_and_scalars_stand_outside():
    found = terms("sum_{t=1}^T (log p(x_t|z_t) - beta log p(z_t|z_{t-1}))", beta=2.0)
    assert set(found) == {"sum_{t=1}^T log p(x_t|z_t)", "sum_{t=1}^T log p(z_t|z_{t-1})"}


@pytest.mark.parametrize("prior", ["2 log p(z_t|z_{t-1}) -", "-log p(z_t|z_{t-1}) -"])
def test_logarithms_of_other_weights_are_no_divergence(prior):
    found = terms(f"{PATH}[sum_{{t=1}}^T ({prior} log q(z_t|z_{{t-1}},x_t))]")
    assert len(found) == 2 and not any("KL" in name for name in found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("log sum_{t=1}^T p(x_t|z_t)", "log(sum_{t=1}^T p(x_t|z_t))"),
        ("log prod_{t=1}^T (p(x_t|z_t) + 1)", "sum_{t=1}^T log(p(x_t|z_t) + 1)"),
    ],
)
def test_a_sum_in_a_logarithm_and_one_in_a_product_stay_together(text, wanted):
    assert terms(text) == [wanted]
