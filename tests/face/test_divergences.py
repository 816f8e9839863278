"""Divergences of samples as a user meets them: options, derivations, autoencoders."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.divergences import MMD, Energy, Sinkhorn, SlicedWasserstein
from symdgm.errors import NotSupportedError, OptionError
from symdgm.lowering.statements import environment
from symdgm.rewriting import Kind

HELPERS = environment()


class Encoder(nn.Module):
    """The parameters of a normal."""

    def __init__(self, inputs: int = 8) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 4)

    def forward(self, x):
        loc, log_scale = self.linear(x).chunk(2, -1)
        return {"loc": loc, "scale": (log_scale - 2).exp()}


def parts() -> tuple[sd.Normal, sd.Normal]:
    return sd.Normal("q(z|x)", Encoder()), sd.Normal("p(z)", loc=0.0, scale=1.0)


def seeded(objective, **data):
    torch.manual_seed(0)
    return objective(**data)


def wae(penalty: float, **options) -> sd.Model:
    return sd.Model(
        "minimize E_data(x) E_q(z|x)[||x - G(z)||^2] + lambda MMD[q(z) || p(z)]",
        *parts(),
        G=nn.Linear(2, 8),
        **{"lambda": penalty},
        **options,
    )


def test_a_wasserstein_autoencoder_is_its_equation():
    torch.manual_seed(0)
    model = wae(10.0, divergences={"MMD": MMD("imq", 2.0)})
    encoder, decoder = model.objective.factors.get_submodule("q(z|x)").network, model.networks.G
    x = torch.randn(20, 8)
    value = seeded(model, x=x)
    torch.manual_seed(0)
    law = encoder(x)
    z = law["loc"] + law["scale"] * torch.randn_like(law["loc"])
    mmd = HELPERS["unbiased_mmd"](z, torch.randn(20, 2), HELPERS["imq_kernel"], [2.0])
    expected = (x - decoder(z)).square().sum(-1).mean() + 10 * mmd
    torch.testing.assert_close(value, expected)
    weights = list(model.parameters())
    for found, wanted in zip(
        torch.autograd.grad(value, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_the_penalty_brings_the_codes_to_the_prior():
    torch.manual_seed(0)
    mixing = torch.randn(2, 8)
    x = 3 * torch.rand(512, 2) @ mixing
    distances = []
    for penalty in (0.0, 50.0):
        torch.manual_seed(1)
        model = wae(penalty)
        model.fit(x, epochs=15, batch_size=64, lr=0.02, progress=False, seed=0)
        distance = sd.Objective(
            "Energy[q(z) || p(z)]", *[f.distribution for f in model.objective.bound.environment.factors]
        )
        distances.append(seeded(distance, x=x).item())
    assert distances[1] < 0.1 * distances[0]


def test_an_infovae_objective_reports_its_terms():
    q, p = parts()
    decoder = sd.Normal("p(x|z)", nn.Linear(2, 8), scale=1.0)
    model = sd.Model(
        "maximize E_q(z|x)[log p(x|z)] - (1 - a) KL[q(z|x) || p(z)] - (a + lambda - 1) MMD[q(z) || p(z)]",
        q, p, decoder, a=0.5, **{"lambda": 3.0},
    )  # fmt: skip
    terms = seeded(model.terms, x=torch.randn(16, 8))
    assert "MMD[q(z) || p(z)]" in terms and len(terms) == 3
    model.loss(x=torch.randn(16, 8)).backward()
    assert all(t.grad is not None for t in model.parameters())


def test_two_divergences_of_one_kind_have_options_of_their_own():
    q, p = parts()
    r = sd.Normal("r(z)", loc=1.0, scale=1.0)
    options = {"MMD": MMD(bandwidth=3.0), "MMD[q(z) || r(z)]": MMD("imq", 1.0, "biased")}
    o = sd.Objective("MMD[q(z) || p(z)] + MMD[q(z) || r(z)]", q, p, r, divergences=options)
    x = torch.randn(12, 8)
    both = seeded(o.terms, x=x)
    assert "unbiased_mmd(z, z_2, gaussian_kernel, [3.0])" in o.code
    assert "biased_mmd(z, z_3, imq_kernel, [1.0])" in o.code
    alone = sd.Objective("MMD[q(z) || p(z)]", q, p, divergences={"MMD": MMD(bandwidth=3.0)})
    torch.testing.assert_close(both["MMD[q(z) || p(z)]"], seeded(alone, x=x))


def test_a_kernel_may_be_a_network_that_is_trained():
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Linear(2, 3)

        def forward(self, x, y):
            return (-torch.cdist(self.features(x), self.features(y)).square()).exp()

    kernel = Deep()
    o = sd.Objective("MMD[q(z) || p(z)]", *parts(), divergences={"MMD": MMD(kernel)})
    assert any(t is kernel.features.weight for t in o.parameters())
    seeded(o, x=torch.randn(9, 8)).backward()
    assert kernel.features.weight.grad.abs().max() > 0
    assert "unbiased_mmd(z, z_2, kernel)" in o.code


@pytest.mark.parametrize(
    ("equation", "option", "kind", "words"),
    [
        ("MMD", MMD(bandwidth=1.0), Kind.UNBIASED, "U-statistic .unbiased estimator.: .* may be negative"),
        ("MMD", None, Kind.BIASED, "widths are median distances of the same draws"),
        ("MMD", MMD(statistic="biased"), Kind.BIASED, "never negative, but too large"),
        ("Energy", None, Kind.UNBIASED, "Székely and Rizzo"),
        ("SW", None, Kind.BIASED, "the distance of two samples is above that of their laws"),
        ("W", None, Kind.BIASED, "no critic is bound, so W is sliced: .* at most W"),
    ],
)
def test_the_derivation_names_the_estimator(equation, option, kind, words):
    given = {equation: option} if option else {}
    o = sd.Objective(f"{equation}[q(z) || p(z)]", *parts(), divergences=given)
    steps = [s for s in o.derivation.steps if "statistic" in s.name or "samples" in s.name]
    assert [s.kind for s in steps] == [kind]
    text = " ".join(repr(o.derivation).split())
    import re

    assert re.search(words, text)
    assert "one number for the whole batch, estimated from one draw from q(z) for each row of x" in text
    assert "is averaged over the batch" not in text
    assert "\\text{" in o.derivation.latex()


def test_a_nonlinear_function_of_an_unbiased_estimate_is_biased():
    o = sd.Objective("exp(Energy[q(z) || p(z)])", *parts())
    assert "a nonlinear function of it is taken, so the value is biased" in repr(o.derivation)


def test_the_derivation_says_by_what_a_law_is_drawn():
    g = sd.Deterministic("p(x|z)", nn.Linear(2, 8))
    o = sd.Objective("MMD[data(x) || p(x)]", g, parts()[1], samples=5)
    text = repr(o.derivation)
    assert "the rows of data(x) and 5 draws from p(x) for each example (z ~ p(z), x ~ p(x|z))" in text
    by_example = sd.Objective("MMD[q(z|x) || p(z)]", *parts(), samples=5)
    assert "is one number for each example, estimated from 5 draws from q(z|x)" in repr(by_example.derivation)


@pytest.mark.parametrize(
    ("divergences", "words"),
    [
        ({"MMD": Energy()}, "`divergences` says Energy for `MMD"),
        ({"MMD": "imq"}, "`divergences` says 'imq' for `MMD`"),
        ({"SW": SlicedWasserstein()}, "names `SW`, which the formula does not have"),
        ({"KL": MMD()}, "`KL` is no divergence of samples"),
        ({"MMD[q(z) || r(z)]": MMD()}, "which the formula does not have"),
    ],
)
def test_options_that_fit_nothing_are_refused(divergences, words):
    with pytest.raises(OptionError, match=words):
        sd.Objective("MMD[q(z) || p(z)]", *parts(), divergences=divergences)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MMD("gausian"), "unknown kernel `gausian`"),
        (lambda: MMD(3), "`kernel` is int"),
        (lambda: MMD(statistic="U"), "unknown statistic `U`"),
        (lambda: MMD(bandwidth=0.0), "`bandwidth` is 0.0"),
        (lambda: MMD(bandwidth="mean"), "`bandwidth` is 'mean'"),
        (lambda: MMD(bandwidth=()), "`bandwidth` has no widths"),
        (lambda: MMD(bandwidth=(1.0, float("nan"))), "`bandwidth` is nan"),
        (lambda: Energy("u"), "unknown statistic `u`"),
        (lambda: SlicedWasserstein(slices=0), "`slices` is 0"),
        (lambda: SlicedWasserstein(order=3), "`order` is 3"),
        (lambda: Sinkhorn(blur=-1.0), "`blur` is -1.0"),
        (lambda: Sinkhorn(scaling=1.0), "`scaling` is 1.0"),
    ],
)
def test_impossible_options_are_refused(make, words):
    with pytest.raises(OptionError, match=words):
        make()


def test_what_is_missing_for_the_sinkhorn_divergence_is_named(monkeypatch):
    monkeypatch.setattr("symdgm.lowering.sample_divergences.find_spec", lambda name: None)
    with pytest.raises(NotSupportedError, match="computed by geomloss, which is not installed") as error:
        sd.Objective("Sinkhorn[q(z) || p(z)]", *parts())
    assert "pip install 'symdgm[transport]'" in error.value.hint


def test_the_value_is_the_same_for_every_example():
    o = sd.Objective("MMD[q(z) || p(z)] + KL[q(z|x) || p(z)]", *parts())
    x = torch.randn(6, 8)
    torch.manual_seed(0)
    examples = o.per_example(x=x)
    torch.testing.assert_close(examples.mean(), seeded(o, x=x))


def test_wasserstein_by_either_name_takes_its_options():
    given = {"W": SlicedWasserstein(slices=7)}
    o = sd.Objective("W_1[q(z) || p(z)]", *parts(), divergences=given)
    o(x=torch.randn(6, 8))
    assert "random_directions(7, z)" in o.code
