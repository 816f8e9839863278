"""A budget of memory: draws and states a few at a time, with the values and gradients of all at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import symdgm as sd
from symdgm.errors import OptionError

X = (torch.arange(96).view(8, 12) % 5 < 2).float()
BOUND = "log E_q(z|x)[p(x|z) p(z)/q(z|x)]"
ELBO = "E_q(z|x)[log p(x|z)] - KL[q||p]"


class Encoder(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.body = nn.Linear(12, 2 * latent)

    def forward(self, x):
        loc, scale = self.body(x).chunk(2, -1)
        return loc, softplus(scale)


class Decoder(nn.Module):
    """Notes how many rows it was given at most."""

    def __init__(self, latent=3, last=None):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(latent, 64), last or nn.Tanh(), nn.Linear(64, 12))
        self.most = 0

    def forward(self, z):
        self.most = max(self.most, len(z))
        return self.body(z)


def normal(text=BOUND, last=None, **options):
    torch.manual_seed(0)
    dec = Decoder(last=last)
    q, p = sd.Normal("q(z|x)", Encoder()), sd.Bernoulli("p(x|z)", dec)
    return sd.Objective(text, q, p, sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=3), **options), dec


def binary(text=ELBO, **options):
    torch.manual_seed(0)
    dec = Decoder(6)
    q, p = sd.Bernoulli("q(z|x)", nn.Linear(12, 6)), sd.Bernoulli("p(x|z)", dec)
    return sd.Objective(text, q, p, sd.Bernoulli("p(z)", probs=0.5, event_shape=6), **options), dec


def hierarchical(**options):
    torch.manual_seed(0)
    dec = Decoder()
    laws = [
        sd.Normal("q(a|x)", Encoder()),
        sd.Normal("q(z|a)", lambda a: (a, torch.ones_like(a))),
        sd.Normal("p(a|z)", lambda z: (z, torch.ones_like(z))),
        sd.Bernoulli("p(x|a)", dec),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=3),
    ]
    text = "E_q(a|x)[E_q(z|a)[log p(x|a) + log p(a|z) + log p(z) - log q(z|a)] - log q(a|x)]"
    return sd.Objective(text, *laws, analytic=False, samples={"a": 40, "z": 2}, **options), dec


MODELS = {
    "importance-weighted": lambda **o: normal(samples=50, **o),
    "mean of draws": lambda **o: normal(ELBO, samples=50, **o),
    "states": lambda **o: binary(**o),
    "VIMCO": lambda **o: binary(BOUND, samples=20, estimators={"z": "VIMCO"}, **o),
    "draws within draws": hierarchical,
}


def evaluated(objective):
    torch.manual_seed(5)
    value = objective(x=X)
    parameters = objective.parameters()
    return value, torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters)])


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_are_those_of_all_at_once(name):
    whole, reference = MODELS[name]()
    parted, dec = MODELS[name](memory_budget=40_000)
    for _ in range(2):
        for a, b in zip(evaluated(parted), evaluated(whole), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert dec.most < 0.6 * reference.most
    assert "in_parts(part," in parted.code and "in_parts" not in whole.code
    torch.manual_seed(1)
    each = parted.per_example(x=X)
    torch.manual_seed(1)
    torch.testing.assert_close(each, whole.per_example(x=X))


def test_within_the_budget_all_is_done_at_once():
    objective, dec = normal(samples=50, memory_budget="1 GB")
    evaluated(objective)
    assert dec.most == 50 * 8


def test_noise_after_the_first_evaluation_goes_on_as_without_a_budget():
    (whole, _), (parted, _) = normal(samples=50), normal(samples=50, memory_budget=40_000)
    found = []
    for objective in (whole, parted):
        torch.manual_seed(0)
        found.append([objective(x=X).item() for _ in range(3)])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_what_the_gradient_keeps_stays_within_the_budget():
    """Bytes that autograd saves for one evaluation and that nobody had before it."""

    def kept(samples, budget):
        objective, _ = normal(samples=samples, memory_budget=budget)
        objective(x=X)
        known = {p.data_ptr() for p in (*objective.parameters(), X)}
        sizes = {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            value = objective(x=X)
        value.backward()
        return sum(size for place, size in sizes.items() if place not in known)

    plain = [kept(k, None) for k in (100, 200, 400)]
    parted = [kept(k, 100_000) for k in (100, 200, 400)]
    # Both are linear in the number of draws; what is left is the draws themselves and a number for each.
    assert plain[2] - plain[1] == pytest.approx(2 * (plain[1] - plain[0]), rel=0.01)
    assert all(p < 0.35 * w for p, w in zip(parted, plain, strict=True))


@pytest.mark.parametrize("last", [nn.BatchNorm1d(64), nn.Dropout(0.5)])
def test_what_is_not_row_by_row_is_left_as_it_is(last):
    objective, dec = normal(samples=50, memory_budget=40_000, last=last)
    before = {name: b.clone() for name, b in dec.named_buffers()}
    objective(x=X)
    assert dec.most == 50 * 8 and "\n    p_x_logits = decoder(" in objective.code
    if before:
        assert int(dec.body[1].num_batches_tracked) == 1


def test_a_smaller_batch_takes_more_draws_at_a_time():
    objective, dec = normal(samples=50, memory_budget=40_000)
    rows = []
    for batch in (8, 4, 2):
        objective(x=X[:batch])
        dec.most = 0
        objective(x=X[:batch])
        rows.append(dec.most)
    assert len(objective.runner.programs) == 1 and 32 <= rows[0] <= 96
    assert rows[1] // 4 >= 2 * (rows[0] // 8) and rows[2] // 2 >= 2 * (rows[1] // 4)
    assert all(rows[0] / 2 < later <= 1.5 * rows[0] for later in rows[1:])


def test_a_model_trains_within_a_budget():
    torch.manual_seed(0)
    q, p = sd.Normal("q(z|x)", Encoder()), sd.Bernoulli("p(x|z)", Decoder())
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=3)
    model = sd.Model(f"maximize {BOUND}", q, p, prior, samples=30, memory_budget="40 kB")
    history = model.fit(X, epochs=30, batch_size=8, lr=0.01, seed=0, progress=False)
    assert history.epochs[-1].value > history.epochs[0].value + 0.5


@pytest.mark.parametrize("budget", ["2 apples", 0, "0 B", "0.9 B", -1, 1.5, True])
def test_what_is_no_size_is_refused(budget):
    with pytest.raises(OptionError, match="`memory_budget` is"):
        normal(memory_budget=budget)


@pytest.mark.parametrize(("text", "size"), [("2 GB", 2 * 10**9), ("1.5 MiB", 3 * 2**19), ("64 B", 64)])
def test_sizes_in_words(text, size):
    assert normal(memory_budget=text)[0].runner.budget == size
