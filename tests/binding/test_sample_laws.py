"""What a law is drawn by: factors from their ancestors on, and rows of the batch."""

from __future__ import annotations

import pytest
import torch

import symdgm as sd
from symdgm.binding import Environment, Factor
from symdgm.binding.sample_laws import sampled
from symdgm.distributions import Bernoulli, Categorical, Data, Distribution, Normal
from symdgm.errors import NameResolutionError, SymdgmError
from symdgm.parsing import parse


def network(*values: torch.Tensor, **named: torch.Tensor):
    first = next(iter((*values, *named.values())))
    return {"loc": first, "scale": torch.ones_like(first)}


def constant(declaration: str) -> Normal:
    return Normal(declaration, loc=0.0, scale=1.0)


def environment(*distributions: Distribution) -> Environment:
    numbered = (Factor(i, parse(d.declaration.text), d) for i, d in enumerate(distributions))
    return Environment(tuple(numbered))


VAE = (
    Normal("q(z|x)", network),
    Normal("q(w|z)", network),
    Normal("p(x|z)", network),
    constant("p(z)"),
    Normal("Q(Z|X)", network),
    constant("P(Z)"),
    Data("data(x)"),
)


def drawn(text: str, *, over: str | None = None, parts=VAE) -> tuple[str, str, str]:
    """The factors, the rows and the givens of a law."""
    variables = None if over is None else tuple(map(parse, over.split()))
    found = sampled(environment(*parts), parse(text), variables)
    return " ".join(str(m.node) for m in found.matches), " ".join(map(str, found.rows)), " ".join(
        map(str, found.givens)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ("q(z|x)", ("q(z|x)", "", "x")),
        ("q(z)", ("q(z|x)", "x", "")),
        ("q(w)", ("q(z|x) q(w|z)", "x", "")),
        ("q(w|x)", ("q(z|x) q(w|z)", "", "x")),
        ("q(x, z)", ("q(z|x)", "x", "")),
        ("p(x)", ("p(z) p(x|z)", "", "")),
        ("p(z, x)", ("p(z) p(x|z)", "", "")),
        ("p(z)", ("p(z)", "", "")),
        ("data(x)", ("", "x", "")),
        ("data(x) q(z|x)", ("q(z|x)", "x", "")),
        ("q(w|z) q(z|x)", ("q(z|x) q(w|z)", "", "x")),
        ("Q_Z", ("Q(Z|X)", "X", "")),
        ("P_Z", ("P(Z)", "", "")),
        ("sg[q(z)]", ("q(z|x)", "x", "")),
        ("p_data(x)", ("", "x", "")),
    ],
)
def test_a_law_is_drawn_by(law, expected):
    assert drawn(law) == expected


@pytest.mark.parametrize(
    ("law", "over", "expected"),
    [
        ("p", "z", ("p(z)", "", "")),
        ("p", "x", ("p(z) p(x|z)", "", "")),
        ("q", "z", ("q(z|x)", "", "x")),
        ("data", "x", ("", "x", "")),
        ("P", None, ("P(Z)", "", "")),
    ],
)
def test_a_bare_name_is_drawn_over_the_variables_of_the_other_side(law, over, expected):
    assert drawn(law, over=over) == expected


def test_a_finite_latent_is_drawn_where_it_is_fixed():
    parts = (
        Categorical("p(k)", probs=torch.tensor([0.5, 0.5])),
        Normal("p(x|k)", lambda k: network(k.float()[:, None])),
    )
    assert drawn("p(x)", parts=parts) == ("p(k) p(x|k)", "", "")


def test_a_stopped_law_says_so():
    assert sampled(environment(*VAE), parse("sg[q(z)]")).stopped


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ("p(u)", "nothing that is bound draws from `p.u.`"),
        ("r(z)", "nothing that is bound draws from `r.z.`"),
        ("q(z|u)", "nothing that is bound draws from `q.z|u.`"),
        ("q(w|w)", "nothing that is bound draws"),
        ("p(x) + p(z)", "nothing that is bound draws"),
        ("data", "`data` does not say over what"),
        ("p(z) q(z|x)", "a variable of .* is drawn by more than one of its factors"),
        ("r", "no distribution is called `r`"),
    ],
)
def test_what_nothing_draws_is_refused(law, words):
    with pytest.raises(SymdgmError, match=words):
        drawn(law)


def test_two_factors_of_one_variable_are_refused():
    with pytest.raises(NameResolutionError, match=r"`z` of `q.w.` is drawn by more than one factor"):
        drawn("q(w)", parts=(*VAE, Normal("q(z|y)", network)))


def test_different_variables_are_refused():
    with pytest.raises(NameResolutionError, match=r"`q.z.` is over `z` and `p.x.` over `x`"):
        sd.Objective("MMD[q(z) || p(x)]", VAE[0], VAE[2], VAE[3])


@pytest.mark.parametrize("text", ["MMD[data || p(x)]", "MMD[p || data(x)]", "MMD[data(x) || p]"])
def test_bare_names_take_the_variables_of_the_other_side(text):
    o = sd.Objective(text, Normal("p(x|z)", network), constant("p(z)"), z=2)
    assert o.data == ("x",) and o(x=torch.randn(6, 2)).isfinite()


def test_a_row_is_data_though_a_draw_has_its_name():
    o = sd.Objective("E_{p(z) p(x|z)}[||x||^2] + MMD[q(z) || p(z)]", VAE[0], VAE[2], VAE[3])
    assert o.data == ("x",)


def test_the_wasserstein_autoencoder_of_the_paper():
    text = r"\mathrm{MMD}(Q_Z, P_Z)"
    o = sd.Objective(text, Normal("Q(Z|X)", network), constant("P(Z)"))
    assert o.data == ("X",) and o(X=torch.randn(6, 2)).isfinite()


def test_a_discrete_given_is_one_that_examples_differ_by():
    q = Normal("q(z|y)", network)
    o = sd.Objective("Energy[q(z|y) || p(z)]", q, constant("p(z)"), samples={"z": 9})
    assert o.per_example(y=torch.tensor([[0.0], [3.0]]))[1] > 1
    assert Bernoulli("p(y)", probs=0.5).given == ()
