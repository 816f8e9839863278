"""Networks in sums over time where no factor is declared over what they predict, against loops."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, Counted, calls, data, noise_of, same, spoiled
from torch import nn
from torch.distributions import Normal, kl_divergence

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)
EXACT = 1e-10


class Timed(nn.Module):
    """A linear map of its inputs and of the number of the step."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs + 1, outputs).double()

    def forward(self, *values):
        *values, t = values
        time = t.to(values[0].dtype)[..., None].expand(*values[0].shape[:-1], 1)
        return self.linear(torch.cat([*values, time], -1))


def of_data(text, network, inputs):
    """The formula, and the sum of squares of one sequence by a loop."""
    return text, network, inputs


FORMS = {
    "another sequence": (
        "sum_{t=1}^T ||x_t - f(z_t)||^2",
        Counted(2, 4),
        lambda f, x, z: sum(((x[t] - f(z[t])) ** 2).sum() for t in range(len(x))),
    ),
    "the step before": (
        "sum_{t=1}^T ||x_t - f(x_{t-1}, z_t)||^2",
        Counted(6, 4),
        lambda f, x, z: sum(
            ((x[t] - f(x[t - 1] if t else 0 * x[0], z[t])) ** 2).sum() for t in range(len(x))
        ),
    ),
    "the next step": (
        "sum_{t=1}^{T-1} ||x_{t+1} - f(x_t, z_t)||^2",
        Counted(6, 4),
        lambda f, x, z: sum(((x[t + 1] - f(x[t], z[t])) ** 2).sum() for t in range(len(x) - 1)),
    ),
    "the number of the step": (
        "sum_{t=1}^T ||x_t - f(z_t, t)||^2",
        Timed(2, 4),
        lambda f, x, z: sum(((x[t] - f(z[t], torch.tensor(t + 1))) ** 2).sum() for t in range(len(x))),
    ),
    "a mean by its length": (
        "1/T sum_{t=1}^T ||x_t - f(z_t)||^2",
        Counted(2, 4),
        lambda f, x, z: sum(((x[t] - f(z[t])) ** 2).sum() for t in range(len(x))) / len(x),
    ),
    "the length in a term": (
        "sum_{t=1}^T t/T ||x_t - f(z_t)||^2",
        Counted(2, 4),
        lambda f, x, z: sum((t + 1) / len(x) * ((x[t] - f(z[t])) ** 2).sum() for t in range(len(x))),
    ),
    "an inner product": (
        "sum_{t=1}^T <x_t, f(z_t)>",
        Counted(2, 4),
        lambda f, x, z: sum((x[t] * f(z[t])).sum() for t in range(len(x))),
    ),
}


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_sequences_of_data(form, lengths):
    text, network, by_hand = FORMS[form]
    network.double()
    x, z = data(), torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    given = {"x": spoiled(x, LENGTHS), "z": spoiled(z, LENGTHS), "T": T} if lengths else {"x": x, "z": z}
    found = sd.Objective(text, f=network)(given)
    total = sum(
        by_hand(network, x[b, :end], z[b, :end]) for b, end in enumerate(LENGTHS if lengths else [6] * 4)
    )
    same(found, total / 4, list(network.parameters()), EXACT)


WAYS = {
    "whole": "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T ||x_t - f(z_t)||^2] + KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]",
    "sum": "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (||x_t - f(z_t)||^2 + KL[q(z_t|z_{t-1},h_t)||p(z_t|z_{t-1})])]",
    "step": "sum_{t=1}^T (E_q(z_t|z_{t-1},h_t)[||x_t - f(z_t)||^2] + KL[q(z_t|z_{t-1},h_t)||p(z_t|z_{t-1})])",
}


@pytest.mark.parametrize("way", WAYS)
def test_latents_along_a_path(way):
    model, f, x = DMM(), Counted(2, 4).double(), data()
    objective = model.objective(WAYS[way], f=f)
    torch.manual_seed(3)
    found = objective(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2), 0.0
    for b, end in enumerate(LENGTHS):
        z, h = model.start[None], model.states(x[b, :end])
        for t in range(end):
            q, p = Normal(*model.combine(z, h[t][None])), Normal(*model.transition(z))
            z = q.mean + q.stddev * noise[b, t]
            total = total + ((x[b, t] - f(z)) ** 2).sum() + kl_divergence(q, p).sum()
    parts = [*model.combine.parameters(), *model.transition.parameters(), *f.parameters(), model.start]
    same(found, total / 4, parts, EXACT)
    count = calls(f)
    objective(x=spoiled(x, LENGTHS), T=T)
    assert count() == [1]


@pytest.mark.parametrize("text", ["1/T ({})", "({}) / T"])
def test_a_bound_for_each_step(text):
    model, x = DMM(), data()
    bound = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
    torch.manual_seed(3)
    found = model.objective(text.format(bound))(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    wanted = model.by_hand(x, LENGTHS, noise_of(LENGTHS, 2)) / T
    same(found, wanted.mean(), model.parameters, EXACT)


def test_a_model_of_data_alone_is_trained():
    torch.manual_seed(0)
    x = torch.rand(20, 6, 3).cumsum(1)
    model = sd.Model("minimize mean_{t=1}^{T-1} ||x_{t+1} - f(x_t)||^2", f=nn.Linear(3, 3))
    lengths = torch.randint(2, 7, (20,))
    history = model.fit({"x": x, "T": lengths}, epochs=60, batch_size=10, lr=0.03, seed=0, progress=False)
    assert history.epochs[-1].value < 0.4 < history.epochs[0].value


def test_what_is_no_sequence():
    """A variable that is named as a whole has components, and an entry of a tensor is no step."""
    x = torch.rand(5, 3)
    data_law = sd.Data("data(x)")
    found = sd.Objective("E_data(x)[sum_{t=1}^T x_t^2]", data_law)(x=x)
    torch.testing.assert_close(found, (x**2).sum(1).mean())
    found = sd.Objective("sum_{t=1}^T w_t^2", w=torch.arange(3.0))()
    torch.testing.assert_close(found, torch.tensor(5.0))
    with pytest.raises(NameResolutionError, match="`x` is not bound"):
        sd.Objective("sum_{i=1}^D ||x_i||^2")
    with pytest.raises(NotSupportedError, match="an index that is a range or an expression"):
        sd.Objective("sum_{i=2}^D (x_i - x_{i-1})^2", data_law)
