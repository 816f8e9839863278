"""Networks in half precision: what they cost in accuracy, and what stays in full."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import OptionError
from symdgm.runtime.precision import Narrowed, widened

sys.path.insert(0, str(Path(__file__).parents[1] / "zoo"))
from test_compiled import CASES

X = torch.rand(64, 784, generator=torch.Generator().manual_seed(0)).round()
FLOWS = {"real_nvp", "image_real_nvp", "glow", "planar_posterior", "gaussian_mixture"}
"""Their networks stand inside of a density, which is computed as a whole, in full."""
CHAINS = {"hidden_markov", "linear_dynamics"}
"""Their tables and matrices are no networks, or networks without products."""


class Seen(nn.Module):
    """A network that notes in what its products come out."""

    def __init__(self, *sizes):
        super().__init__()
        self.body, self.dtypes = nn.Linear(*sizes), []

    def forward(self, x):
        y = self.body(x)
        self.dtypes.append(y.dtype)
        return y


def vae(**options):
    torch.manual_seed(0)
    enc, dec = Seen(784, 8), Seen(8, 784)
    q = sd.Normal("q(z|x)", lambda x: (enc(x), torch.ones(len(x), 8)))
    p, prior = sd.Bernoulli("p(x|z)", dec), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=8)
    text = "maximize E_q(z|x)[log p(x|z)] - KL[q||p]"
    return sd.Model(text, q, p, prior, **options), dec


def loss(model, **data):
    torch.manual_seed(1)
    return model.loss(**data)


def test_steps_within_one_autocast_use_the_weights_of_now():
    """Autocast keeps what it cast until its end, which must not outlive a step."""
    found = []
    for around in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        model, dec = vae(precision="bfloat16")
        torch.manual_seed(1)
        with around:
            dec(torch.ones(1, 8))
            found.append([model.train_step(x=X).loss.item() for _ in range(3)])
    assert found[0] == found[1]


@pytest.mark.parametrize("way", ["option", "around"])
def test_networks_are_in_half_precision_and_all_else_is_not(way):
    model, dec = vae(precision="bfloat16") if way == "option" else vae()
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "around"):
        values = [loss(model, x=X), loss(model, x=X)]
        assert torch.is_autocast_enabled("cpu") == (way == "around")
    plain, _ = vae()
    assert set(dec.dtypes) == {torch.bfloat16}
    assert values[0].dtype == torch.float32 and torch.equal(*values)
    # Each term of 784 keeps its digits: the sum is off by less than one rounding of bfloat16 would be.
    reference = loss(plain, x=X)
    assert 0 < abs(values[1] - reference) < 2e-3 * abs(reference)
    values[1].backward()
    reference.backward()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert a.grad.dtype == torch.float32
        assert (a.grad - b.grad).norm() < 0.03 * b.grad.norm()


def test_both_ways_are_the_same():
    model, _ = vae(precision="bf16")
    other, _ = vae()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(other, x=X), loss(model, x=X))
    assert torch.equal(loss(model, x=X), loss(model, x=X))
    assert loss(other, x=X) != loss(model, x=X)


@pytest.mark.parametrize("name", CASES)
def test_a_step_of_every_model_drifts_little(name):
    """Losses and gradients of one step, relative to those in single precision on the same noise."""
    build, data = CASES[name]
    found = []
    for precision in (None, torch.bfloat16):
        torch.manual_seed(0)
        model = build()
        for side in model.sides.values():
            side.objective.runner.precision = precision
        torch.manual_seed(1)
        moves = model.train_step(**data)
        moves = moves if isinstance(moves, dict) else {"": moves}
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append(([m.loss.detach() for m in moves.values()], gradients))
        assert all(m.loss.dtype == torch.float32 for m in moves.values())
        assert gradients.dtype == torch.float32
    (plain, exact), (half, rounded) = found
    for a, b in zip(plain, half, strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.02)
    assert (rounded - exact).norm() <= 0.15 * exact.norm()
    assert (name in FLOWS | CHAINS) == torch.equal(rounded, exact)


def test_training_in_half_precision_reaches_the_same():
    ends = []
    for precision in (None, "bfloat16"):
        model, _ = vae(precision=precision)
        history = model.fit(X, epochs=40, batch_size=32, seed=0, progress=False)
        ends.append(history.epochs[-1].value)
    assert ends[0] - ends[1] == pytest.approx(0, abs=0.01 * abs(ends[0]))


def test_products_outside_of_networks_are_in_full():
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.LinearNormal("p(z_t|z_{t-1})", 0.9 * torch.eye(2), scale=0.5),
        sd.LinearNormal("p(x_t|z_t)", torch.ones(3, 2) / 3, scale=0.7),
        sd.Normal("p(z_1)", loc=0.3, scale=1.0, event_shape=2),
    )
    x = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(0))
    plain = objective(x=x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(objective(x=x), plain)


def test_what_is_no_precision_is_refused():
    with pytest.raises(OptionError, match="`precision` is 'float16'"):
        vae(precision="float16")


def test_results_of_any_form_are_widened():
    half = torch.ones(2, dtype=torch.bfloat16)
    packed = nn.utils.rnn.pack_sequence([half[:, None]])
    assert widened({"a": [half, 3]})["a"][0].dtype == torch.float32
    assert widened(packed).data.dtype == torch.float32
    assert widened(torch.return_types.max((half, half))).values.dtype == torch.float32
    rnn = Narrowed(nn.GRU(1, 2), torch.bfloat16)
    output, state = rnn(nn.utils.rnn.pack_sequence([torch.ones(3, 1)]))
    assert output.data.dtype == state.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_too():
    model, dec = vae(precision="bfloat16")
    model, reference = model.cuda(), vae()[0].cuda()
    for _ in range(2):
        value = loss(model, x=X.cuda())
    assert set(dec.dtypes) == {torch.bfloat16} and value.dtype == torch.float32
    plain = loss(reference, x=X.cuda())
    assert abs(value - plain) < 2e-3 * abs(plain)
