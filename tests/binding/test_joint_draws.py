"""Expectations over joints and products of laws are draws from one factor after the other."""

import pytest
import torch
from bound_parts import batch
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions import Distribution
from symdgm.errors import NameResolutionError

NESTED = "E_q(z|x)[E_q(w|z)[log p(x|z) + log p(z|w) + log p(w) - log q(w|z) - log q(z|x)]]"
RATIO = "[log(p(x, z, w)/q(z, w|x))]"


def parts() -> list[Distribution]:
    torch.manual_seed(0)

    def normal(text: str, inputs: int, outputs: int) -> Distribution:
        return sd.Normal(text, loc=nn.Linear(inputs, outputs), scale=0.5)

    prior = sd.Normal("p(w)", loc=0.0, scale=1.0, event_shape=2)
    inference = [normal("q(w|z)", 3, 2), normal("q(z|x)", 6, 3)]
    return [*inference, normal("p(z|w)", 2, 3), sd.Bernoulli("p(x|z)", nn.Linear(3, 6)), prior]


def value(text: str, *, analytic: bool = True) -> Tensor:
    objective = sd.Objective(text, *parts(), analytic=analytic)
    torch.manual_seed(1)
    return objective(x=batch())


@pytest.mark.parametrize(
    "law",
    ["q(z, w|x)", "q(w, z|x)", "q(z|x) q(w|z)", "q(w|z) q(z|x)", "z, w ~ q(z, w|x)", "z, w ~ q(z|x) q(w|z)"],
)
def test_a_joint_is_drawn_factor_by_factor(law: str) -> None:
    assert torch.allclose(value(f"E_{{{law}}}{RATIO}"), value(NESTED), rtol=1e-5)


def test_drawn_under_other_names() -> None:
    renamed = (
        "E_{a, b ~ q(z, w|x)}[log p(x|z=a) + log p(z=a|w=b) + log p(w=b) - log q(w=b|z=a) - log q(z=a|x)]"
    )
    # Without closed forms, which need the variables' own names, both average the same draws.
    assert torch.allclose(value(renamed, analytic=False), value(NESTED, analytic=False), rtol=1e-5)


def test_gradients_reach_every_factor() -> None:
    gradients = []
    for text in (f"E_{{q(z, w|x)}}{RATIO}", NESTED):
        objective = sd.Objective(text, *parts())
        torch.manual_seed(1)
        objective(x=batch()).backward()
        gradients.append([p.grad for p in objective.parameters()])
    assert len(gradients[0]) == 8
    for a, b in zip(*gradients, strict=True):
        assert a is not None and b is not None and torch.allclose(a, b, atol=1e-5) and a.abs().sum() > 0


def test_the_split_is_recorded() -> None:
    text = str(sd.Objective(f"E_{{q(z, w|x)}}{RATIO}", *parts()).derivation)
    assert "q(w|z) q(z|x)" in text


def test_a_circle_is_refused() -> None:
    circle = [
        sd.Normal("q(z|w)", loc=nn.Linear(2, 2), scale=1.0),
        sd.Normal("q(w|z)", loc=nn.Linear(2, 2), scale=1.0),
    ]
    with pytest.raises(NameResolutionError, match="depend on each other in a circle"):
        sd.Objective("E_{q(z|w) q(w|z)}[||z||^2]", *circle)


def test_a_caret_stands_in_the_term_that_is_meant() -> None:
    text = "E_q(z|x)[log p(x|z)] - KL[q||p]"
    q, p = sd.Normal("q(z|x)", loc=nn.Linear(6, 3), scale=1.0), sd.Bernoulli("p(x|z)", nn.Linear(3, 6))
    with pytest.raises(NameResolutionError) as caught:
        sd.Objective(text, q, p)
    assert caught.value.span == (text.rindex("p"), text.rindex("p") + 1)
    assert 'sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=...)' in str(caught.value.hint)


JOINTS = {
    "KL[q(w,z|x) || p(w,z)]": lambda log_q, log_p: log_q - log_p,
    "KL[q(z,w|x) || p(z,w)]": lambda log_q, log_p: log_q - log_p,
    "H[q(z,w|x)]": lambda log_q, log_p: -log_q,
    "H[q(z,w|x), p(z,w)]": lambda log_q, log_p: -log_p,
}


@pytest.mark.parametrize("text", JOINTS)
def test_divergences_and_entropies_of_joints_by_their_definition(text):
    """Against hand-written PyTorch with the same noise, causes drawn first."""
    torch.manual_seed(0)
    encoder, effect = nn.Linear(3, 2).double(), nn.Linear(2, 2).double()
    laws = [
        sd.Normal("q(w|z)", lambda z: (effect(z), torch.ones_like(z))),
        sd.Normal("q(z|x)", lambda x: (encoder(x), torch.ones(len(x), 2, dtype=x.dtype))),
        sd.Normal("p(w|z)", lambda z: (2 * z, torch.ones_like(z))),
        sd.Normal("p(z)", loc=0.0, scale=2.0),
    ]
    x = torch.randn(5, 3, dtype=torch.float64)
    objective = sd.Objective(text, *laws, analytic=False)
    torch.manual_seed(1)
    value = objective(x=x)
    torch.manual_seed(1)
    z = encoder(x) + torch.randn(5, 2, dtype=torch.float64)
    w = effect(z) + torch.randn(5, 2, dtype=torch.float64)
    unit = torch.distributions.Normal
    log_q = unit(encoder(x), 1.0).log_prob(z).sum(-1) + unit(effect(z), 1.0).log_prob(w).sum(-1)
    log_p = unit(0.0, 2.0).log_prob(z).sum(-1) + unit(2 * z, 1.0).log_prob(w).sum(-1)
    expected = JOINTS[text](log_q, log_p).mean()
    torch.testing.assert_close(value, expected)
    weights = [*encoder.parameters(), *effect.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(value, weights, materialize_grads=True),
        torch.autograd.grad(expected, weights, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
