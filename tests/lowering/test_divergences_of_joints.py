"""Divergences and entropies of joints: factor by factor where that is right, against dense Gaussians."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import z_score
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError


def linear(name, weight, scale, bias=0.0):
    """``N(weight * given + bias, scale^2)`` of one number, by a network."""
    return sd.Normal(name, lambda given: (weight * given + bias, 0 * given + scale))


def start(name, loc, scale):
    return sd.Normal(name, loc=loc, scale=scale, event_shape=())


def dense(first, second):
    """The joint of ``first ~ N(m, s^2)`` and ``second = w first + c + t noise`` as a dense Gaussian."""
    (m, s), (w, c, t) = first, second
    cov = torch.tensor([[s**2, w * s**2], [w * s**2, w**2 * s**2 + t**2]]).double()
    return td.MultivariateNormal(torch.tensor([m, w * m + c]).double(), cov)


def test_one_order_splits_by_the_chain_rule():
    q = [start("q(a)", 0.0, 1.0), linear("q(b|a)", 0.8, 0.6)]
    p = [start("p(a)", 0.3, 1.2), linear("p(b|a)", -0.5, 0.9, bias=0.1)]
    objective = sd.Objective("KL[q(a,b)||p(a,b)]", *q, *p, samples={"a": 40_000})
    assert [s.name for s in objective.derivation][:2] == ["chain rule of KL", "closed form"]
    assert objective.term_names == ["KL[q(a, b) || p(a, b)]"]
    expected = td.kl_divergence(dense((0.0, 1.0), (0.8, 0.0, 0.6)), dense((0.3, 1.2), (-0.5, 0.1, 0.9)))
    torch.manual_seed(0)
    draws = torch.stack([objective() for _ in range(20)])
    assert z_score(draws, expected) < 4
    product = sd.Objective("KL[q(a) q(b|a)||p(b|a) p(a)]", *q, *p, samples={"a": 40_000})
    torch.manual_seed(0)
    torch.testing.assert_close(product(), draws[0])


def test_the_reversed_pair_is_not_split():
    """``-KL[q(a) q(b|a) || p(b) p(a|b)]`` is -2.169; as if a and b were independent under q it is -2.677."""
    q = [start("q(a)", 1.721, 0.85), linear("q(b|a)", 0.9, 0.5)]
    p = [start("p(b)", 0.0, 1.0), linear("p(a|b)", 0.5, 0.8)]
    objective = sd.Objective("-KL[q(a,b)||p(a,b)]", *q, *p, samples={"a": 2000, "b": 20})
    assert "chain rule of KL" not in repr(objective.derivation)
    ours, theirs = dense((1.721, 0.85), (0.9, 0.0, 0.5)), dense((0.0, 1.0), (0.5, 0.0, 0.8))
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()  # the factors of p are over b, then a
    theirs = td.MultivariateNormal(swap @ theirs.loc, swap @ theirs.covariance_matrix @ swap)
    expected = -td.kl_divergence(ours, theirs)
    assert expected.item() == pytest.approx(-2.169, abs=5e-4)
    shortcut = expected - 0.5 * 0.9 * 0.85**2 / 0.8**2  # E[a b] as if it were E[a] E[b]
    assert shortcut.item() == pytest.approx(-2.677, abs=5e-4)
    torch.manual_seed(0)
    draws = torch.stack([objective() for _ in range(60)])
    assert z_score(draws, expected) < 4
    assert z_score(draws, shortcut) > 20
    torch.manual_seed(0)
    product = sd.Objective("-KL[q(a) q(b|a)||p(b) p(a|b)]", *q, *p, samples={"a": 2000, "b": 20})
    torch.testing.assert_close(product(), draws[0])


def test_independent_factors_need_no_draw():
    q = [sd.Normal("q(z|x)", lambda x: (x, x.exp())), sd.Normal("q(w|x)", lambda x: (x.sin(), x.cos().exp()))]
    p = [
        sd.Normal("p(z)", loc=0.0, scale=1.0),
        sd.Gamma("r(w)", concentration=2.0, rate=1.0),
        sd.Normal("p(w)", loc=1.0, scale=2.0),
    ]
    objective = sd.Objective("KL[q(z,w|x)||p(z,w)]", *q, *p)
    assert "Monte Carlo" not in repr(objective.derivation)
    x = torch.randn(4, 2, dtype=torch.float64)
    expected = td.kl_divergence(td.Normal(x, x.exp()), td.Normal(0 * x, 0 * x + 1)).sum(-1)
    expected = expected + td.kl_divergence(
        td.Normal(x.sin(), x.cos().exp()), td.Normal(0 * x + 1, 0 * x + 2)
    ).sum(-1)
    torch.testing.assert_close(objective.per_example(x=x), expected)
    torch.testing.assert_close(
        sd.Objective("KL[q(z|x) q(w|x)||p(w) p(z)]", *q, *p).per_example(x=x), expected
    )


def test_entropy_of_a_joint():
    q = [start("q(a)", 0.0, 1.3), linear("q(b|a)", 0.8, 0.6)]
    objective = sd.Objective("H[q(a,b)]", *q)
    expected = dense((0.0, 1.3), (0.8, 0.0, 0.6)).entropy()
    assert "chain rule of entropy" in repr(objective.derivation)
    assert objective().item() == pytest.approx(expected.item(), rel=1e-6)
    sampled = sd.Objective("H[q(a) q(b|a)]", *q, analytic=False, samples={"a": 300, "b": 3})
    torch.manual_seed(0)
    assert z_score(torch.stack([sampled() for _ in range(60)]), expected) < 4


@pytest.mark.parametrize("kind", ["JS", "TV", "chi2"])
def test_other_divergences_of_joints_by_definition(kind):
    """Against the same integrand over draws of dense Gaussians."""
    q = [start("q(a)", 0.0, 0.9), linear("q(b|a)", 0.8, 0.6)]
    p = [start("p(a)", 0.3, 1.2), linear("p(b|a)", 0.5, 0.9)]
    ours, theirs = dense((0.0, 0.9), (0.8, 0.0, 0.6)), dense((0.3, 1.2), (0.5, 0.0, 0.9))
    torch.manual_seed(1)
    x, y = ours.sample((200_000,)), theirs.sample((200_000,))
    d, e = (theirs.log_prob(v) - ours.log_prob(v) for v in (x, y))
    integrand = {
        "JS": math.log(2) - (nn.functional.softplus(d) + nn.functional.softplus(-e)) / 2,
        "TV": (1 - d.exp()).clamp(min=0),
        "chi2": (-d).exp() - 1,
    }[kind]
    objective = sd.Objective(f"{kind}[q(a,b)||p(a,b)]", *q, *p, samples={"a": 300, "b": 5})
    draws = torch.stack([objective() for _ in range(100)])
    error = (draws.var() / 100 + integrand.var() / len(integrand)).sqrt()
    assert (draws.mean() - integrand.mean()).abs() < 4 * error


def hierarchy(top_given):
    """Encoders over two layers and their generative counterparts."""
    return [
        sd.Normal("q(z1|x)", lambda x: (x[:, :2], (0.1 * x[:, :2]).exp())),
        sd.Normal(f"q(z2|{top_given})", lambda v: (v[..., -2:], 0 * v[..., -2:] + 0.5)),
        sd.Bernoulli("p(x|z1)", lambda z: z.repeat_interleave(2, -1)),
        sd.Normal("p(z1|z2)", lambda z: (z.sin(), z.cos().exp())),
        sd.Normal("p(z2)", loc=0.0, scale=1.0),
    ]


def test_the_product_form_of_a_hierarchical_bound_finds_its_divergences():
    x = torch.rand(3, 4, dtype=torch.float64).round()
    chain = sd.Objective(
        "E_{q(z1|x) q(z2|z1)}[log(p(x|z1) p(z1|z2) p(z2)/(q(z1|x) q(z2|z1)))]", *hierarchy("z1")
    )
    assert "E_q(z1|x)[KL[q(z2|z1) || p(z2)]]" in chain.term_names
    both = sd.Objective("E_{q(z1|x) q(z2|x)}[log(p(x|z1) p(z1|z2) p(z2)/(q(z1|x) q(z2|x)))]", *hierarchy("x"))
    assert both.term_names[1:] == ["E_q(z2|x)[KL[q(z1|x) || p(z1|z2)]]", "KL[q(z2|x) || p(z2)]"]
    for objective, given in ((chain, "z1"), (both, "x")):
        text = f"E_{{q(z1|x) q(z2|{given})}}[log(p(x|z1) p(z1|z2) p(z2)/(q(z1|x) q(z2|{given})))]"
        sampled = sd.Objective(text, *hierarchy(given), analytic=False)
        torch.manual_seed(0)
        draws = [torch.stack([o(x=x) for _ in range(600)]) for o in (objective, sampled)]
        error = sum(d.var() / len(d) for d in draws).sqrt()
        assert (draws[0].mean() - draws[1].mean()).abs() < 4 * error


def test_scalars_before_a_sum_let_closed_forms_be_found():
    q = sd.Normal("q(z|x)", lambda x: (x, x.exp()))
    p = sd.Normal("p(z)", loc=0.0, scale=1.0)
    objective = sd.Objective(
        "beta (E_q(z|x)[log q(z|x)] + ||x||^2) - beta E_q(z|x)[log p(z)]", q, p, beta=3.0
    )
    assert objective.term_names == ["KL[q(z|x) || p(z)]", "||x||^2"]
    x = torch.randn(4, 2, dtype=torch.float64)
    expected = td.kl_divergence(td.Normal(x, x.exp()), td.Normal(0 * x, 0 * x + 1)).sum(-1) + x.square().sum(
        -1
    )
    torch.testing.assert_close(objective.per_example(x=x), 3 * expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("KL[q(z|x) q(z|x)||p(z)]", "two factors of .* are over `z`"),
        ("KL[q(z|x) r(w)||p(z)]", "same variables, but `q.z.x. r.w.` is over `z`, `w` and `p.z.` over `z`"),
        ("KL[q(z|x)||r(w)]", "is over `z` and `r.w.` over `w`"),
    ],
)
def test_laws_over_different_variables_are_refused_with_both_named(text, words):
    laws = [
        sd.Normal("q(z|x)", lambda x: (x, x.exp())),
        *(sd.Normal(n, loc=0.0, scale=1.0) for n in ("p(z)", "r(w)")),
    ]
    with pytest.raises(NameResolutionError, match=words):
        sd.Objective(text, *laws)
