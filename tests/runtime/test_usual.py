"""The call that is made again is found by one look; one that differs in anything is not taken for it."""

import pytest
import torch
from torch import nn

import symdgm as sd


def vae():
    torch.manual_seed(0)
    q = sd.Normal("q(z|x)", loc=nn.Linear(4, 2), scale=lambda x: torch.ones(len(x), 2, dtype=x.dtype))
    p = sd.Bernoulli("p(x|z)", logits=nn.Linear(2, 4))
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0)
    return sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", q, p, prior, beta=1.0)


def value(objective, x, **options):
    torch.manual_seed(1)
    return objective(x=x, **options)


@pytest.fixture
def looked(monkeypatch):
    """How often a function was looked for."""
    found, key = [], sd.Objective("a", a=1.0).runner.__class__.key
    monkeypatch.setattr(
        "symdgm.runtime.runner.Runner.key", lambda *a, **k: (found.append(1), key(*a, **k))[1]
    )
    return found


def test_the_same_call_is_not_looked_for(looked):
    objective, x = vae(), torch.ones(3, 4)
    first, second = value(objective, x), value(objective, x)
    count = len(looked)
    assert torch.equal(value(objective, x), first) and torch.equal(first, second)
    assert len(looked) == count


def test_another_batch_output_or_dtype_is_looked_for(looked):
    objective, x = vae(), torch.ones(3, 4)
    for _ in range(2):
        value(objective, x)
    count = len(looked)
    assert value(objective, x[:1]).isfinite() and len(looked) > count
    for _ in range(2):
        value(objective, x)
    assert objective.per_example(x=x).shape == (3,)
    assert objective(x=x).shape == ()


def test_an_autocast_that_begins_later_counts():
    objective, x = vae(), torch.rand(3, 4).round()
    plain = [value(objective, x) for _ in range(3)][-1]
    with torch.autocast("cpu", torch.bfloat16):
        narrow = [value(objective, x) for _ in range(2)]
        fresh = value(vae(), x)
    assert torch.equal(narrow[0], fresh) and torch.equal(narrow[1], fresh) and not torch.equal(fresh, plain)
    assert torch.equal(value(objective, x), plain)


def test_an_autocast_that_has_ended_does_not():
    objective, x = vae(), torch.rand(3, 4).round()
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(3):
            value(objective, x)
    assert torch.equal(value(objective, x), value(vae(), x))


def test_scalars_and_weights_of_now_are_taken():
    objective, x = vae(), torch.ones(3, 4)
    for _ in range(3):
        value(objective, x)
    objective.scalars["beta"] = 0.0
    without = value(objective, x)
    assert torch.equal(without, vae_without_beta(x))
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.zero_()
    assert value(objective, x).item() == pytest.approx(4 * -0.6931472)


def vae_without_beta(x):
    other = vae()
    other.scalars["beta"] = 0.0
    return value(other, x)


def test_what_was_cleared_is_made_anew():
    objective, x = vae(), torch.ones(3, 4)
    first = value(objective, x)
    value(objective, x)
    sd.cache_clear()
    assert objective.runner.programs.usual is None
    assert torch.equal(value(objective, x), first)
    assert len(objective.runner.programs) == 1


def test_a_number_of_draws_is_part_of_the_call():
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)

    def made():
        return sd.Objective("E_p(z)[f(z)]", prior, f=lambda z: z.sum(-1).squeeze())

    def drawn(objective, n):
        torch.manual_seed(n)
        return objective.per_example(n=n)

    objective = made()
    for n in (1, 1, 1, 5, 5, 1):
        assert torch.equal(drawn(objective, n), drawn(made(), n))


def test_the_order_of_the_data_is_no_part_of_the_call():
    p = sd.Normal("p(y|x)", loc=lambda x: x, scale=1.0)
    objective, x, y = sd.Objective("log p(y|x)", p), torch.randn(3, 2), torch.randn(3, 2)
    model = sd.Model("maximize log p(y|x) + a", p, a=nn.Parameter(torch.zeros(())))
    for data in ({"x": x, "y": y}, {"y": y, "x": x}, {"x": x, "y": y}):
        expected = objective(data)
        assert torch.equal(model.evaluate(data).value.detach(), expected)
    assert len(objective.runner.programs) == len(model.objective.runner.programs) == 1
