"""Generation and reconstruction of sequences against loops that draw with the same noise."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, WHOLE, Cell, Counted, Gaussian, data
from torch import nn

import symdgm as sd
from symdgm.errors import DataError, NameResolutionError, OptionError, ShapeError

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def without_gradients():
    with torch.no_grad():
        yield


def model_of(dmm, way=WHOLE):
    return sd.Model(f"maximize {way}", *dmm.factors, z_0=dmm.start)


def step(factor, **given):
    """A draw of a factor's only variable; its givens in order."""
    names = factor.given
    return factor.sample(dict(zip(names, given.values(), strict=True)))[factor.variables[0]]


def test_the_whole_sequence_is_drawn_ancestors_first():
    dmm = DMM()
    found = model_of(dmm).sample(3, T=5, seed=1)
    assert {name: tuple(v.shape) for name, v in found.items()} == {"x": (3, 5, 4), "z": (3, 5, 2)}
    torch.manual_seed(1)
    z = dmm.start.expand(3, 2)
    for t in range(5):
        z = step(dmm.factors[2], z=z)
        assert torch.equal(found["z"][:, t], z)
        assert torch.equal(found["x"][:, t], step(dmm.factors[1], z=z))


@pytest.mark.parametrize("recurrent", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("backward", [True, False])
def test_a_prefix_is_inferred_and_continued(recurrent, backward):
    dmm = DMM(recurrent, backward=backward)
    x = data(batch=3, steps=4)
    found = model_of(dmm).sample(x=x, T=7, seed=2)
    assert torch.equal(found["x"][:, :4], x)
    torch.manual_seed(2)
    h = torch.stack([dmm.states(own) for own in x])
    z = dmm.start.expand(3, 2)
    for t in range(7):
        z = step(dmm.factors[0], z=z, h=h[:, t]) if t < 4 else step(dmm.factors[2], z=z)
        torch.testing.assert_close(found["z"][:, t], z)
        if t >= 4:
            assert torch.equal(found["x"][:, t], step(dmm.factors[1], z=z))


def test_given_latents_are_taken_as_they_are():
    dmm = DMM()
    z = torch.randn(3, 4, 2, dtype=torch.float64)
    found = model_of(dmm).sample(z=z, T=6, seed=2)
    assert torch.equal(found["z"][:, :4], z)
    torch.manual_seed(2)
    assert torch.equal(found["x"][:, 0], step(dmm.factors[1], z=z[:, 0]))


def test_the_mean_of_what_is_observed():
    dmm = DMM()
    found = model_of(dmm).sample(3, T=5, mean=True, seed=1)
    torch.testing.assert_close(found["x"], dmm.emit(found["z"]).sigmoid())
    assert not torch.equal(found["z"][0], found["z"][1])


def test_by_default_as_many_steps_as_are_given():
    assert model_of(DMM()).sample(x=data(batch=2, steps=4))["x"].shape == (2, 4, 4)


def test_long_sequences_are_no_deep_recursion():
    assert model_of(DMM()).sample(1, T=600)["x"].shape == (1, 600, 4)


def test_first_steps_of_their_own():
    dmm = DMM(backward=False)
    prior = sd.Normal("p(z_1)", loc=0.5, scale=2.0, event_shape=2)
    begin = sd.Normal("q(z_1|h_1)", Gaussian(5, 2).double())
    model = sd.Model(f"maximize {WHOLE}", *dmm.factors, prior, begin)
    found = model.sample(3, T=3, seed=1)
    torch.manual_seed(1)
    z = prior.sample(n=3)["z_1"]
    for t in range(3):
        z = step(dmm.factors[2], z=z) if t else z.double()
        assert torch.equal(found["z"][:, t].double(), z)
        assert torch.equal(found["x"][:, t], step(dmm.factors[1], z=z))
    x = data(batch=2, steps=2)
    found = model.sample(x=x, T=3, seed=1)
    torch.manual_seed(1)
    h = torch.stack([dmm.states(own) for own in x])
    z = step(begin, h=h[:, 0])
    torch.testing.assert_close(found["z"][:, 0], z)
    torch.testing.assert_close(found["z"][:, 1], step(dmm.factors[0], z=z, h=h[:, 1]))


class World:
    """States h inside the path, actions, and rewards."""

    def __init__(self):
        torch.manual_seed(0)
        self.cell = Cell(2 + 1, 5).double()
        self.infer = sd.Normal("q(z_t|h_t,x_t)", Gaussian(5 + 4, 2).double())
        self.move = sd.Normal("p(z_t|h_t)", Gaussian(5, 2).double())
        self.state = sd.Deterministic("f(h_t|z_{t-1},a_{t-1},h_{t-1})", self.cell)
        self.see = sd.Bernoulli("p(x_t|h_t,z_t)", Counted(7, 4).double())
        self.gain = sd.Normal("p(r_t|h_t,z_t)", Gaussian(7, 1).double())
        factors = (self.infer, self.move, self.state, self.see, self.gain)
        text = (
            "maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T},r_{1:T}|z_{1:T})] "
            "- KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
        )
        self.model = sd.Model(text, *factors, z_0=0.0, z=2)

    def by_hand(self, x, a, steps):
        z, h, action = x.new_zeros(3, 2), x.new_zeros(3, 5), x.new_zeros(3, 1)
        for t in range(steps):
            h = self.cell(z, action, h)
            given = t < x.shape[1]
            z = step(self.infer, h=h, x=x[:, t]) if given else step(self.move, h=h)
            seen = x[:, t] if given else step(self.see, h=h, z=z)
            yield z, seen, step(self.gain, h=h, z=z)
            action = a[:, t]


@pytest.mark.parametrize("known", [3, 0])
def test_states_actions_and_rewards(known):
    world, a = World(), torch.rand(3, 6, 1, dtype=torch.float64)
    x = data(batch=3, steps=6)[:, :known]
    assert world.model.loss(x=data(batch=3), r=torch.zeros(3, 6, 1, dtype=a.dtype), a=a).isfinite()
    given = {"x": x} if known else {}
    found = world.model.sample(a=a, T=6, seed=4, **given)
    assert {"x", "z", "r", "a", "h"} <= set(found)
    torch.manual_seed(4)
    for t, (z, seen, reward) in enumerate(world.by_hand(x, a, 6)):
        torch.testing.assert_close(found["z"][:, t], z)
        assert torch.equal(found["x"][:, t], seen)
        torch.testing.assert_close(found["r"][:, t], reward)


def test_actions_must_reach_as_far_as_they_are_needed():
    world = World()
    world.model.loss(**{k: torch.zeros(3, 6, n).double() for k, n in {"x": 4, "r": 1, "a": 1}.items()})
    with pytest.raises(DataError, match="`a` is given for 2 steps, but step 3 is needed, and no factor"):
        world.model.sample(a=torch.zeros(3, 2, 1).double(), T=6)
    with pytest.raises(DataError, match="`a` is not given, and no factor generates it"):
        world.model.sample(3, T=6)


def test_a_context_is_drawn_once():
    torch.manual_seed(0)
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t,c)", Gaussian(2 + 4 + 3, 2).double()),
        sd.Normal("p(z_t|z_{t-1},c)", Gaussian(2 + 3, 2).double()),
        sd.Bernoulli("p(x_t|z_t)", Counted(2, 4).double()),
        sd.Normal("q(c|x_1)", Gaussian(4, 3).double()),
        sd.Normal("p(c)", loc=0.0, scale=1.0, event_shape=3),
    ]
    text = (
        "maximize E_q(c|x_1)[sum_{t=1}^T (E_q(z_t|z_{t-1},x_t,c)[log p(x_t|z_t)] "
        "- KL[q(z_t|z_{t-1},x_t,c)||p(z_t|z_{t-1},c)])] - KL[q(c|x_1)||p(c)]"
    )
    model = sd.Model(text, *factors, z_0=0.0, z=2)
    found = model.sample(3, T=4, seed=1, c=torch.ones(3, 3).double())
    torch.manual_seed(1)
    z = torch.zeros(3, 2).double()
    for t in range(4):
        z = step(factors[1], z=z, c=torch.ones(3, 3).double())
        assert torch.equal(found["z"][:, t], z)
        step(factors[2], z=z)
    x = data(batch=2, steps=2)
    found = model.sample(x=x, T=3, seed=1)
    assert found["c"].shape == (2, 3)
    torch.manual_seed(1)
    drawn = [step(factors[3], x=x[:, 0])]
    drawn.append(step(factors[0], z=torch.zeros(2, 2).double(), x=x[:, 0], c=drawn[0]))
    torch.testing.assert_close(found["c"], drawn[0])
    torch.testing.assert_close(found["z"][:, 0], drawn[1])


def test_autoregression_goes_on_from_a_prefix():
    network = Counted(5, 4).double()
    p = sd.Bernoulli("p(x_t|x_{t-1},t)", lambda x, t: network(x, t[:, None].to(x.dtype)))
    model = sd.Model("maximize sum_{t=1}^T log p(x_t|x_{t-1},t)", p, x=4, x_0=1.0)
    x = data(batch=3, steps=2)
    found = model.sample(x=x, T=5, seed=1)["x"]
    torch.manual_seed(1)
    before = x[:, 1]
    for t in range(2, 5):
        before = step(p, x=before, t=torch.full((3,), t + 1))
        assert torch.equal(found[:, t], before)
    with pytest.raises(OptionError, match=r"`T=1`, but `x` is given for more steps\ngive `x\[:, :1\]`"):
        model.sample(x=x, T=1)
    first = model.sample(2, T=1, seed=1)["x"]
    torch.manual_seed(1)
    wanted = step(p, x=torch.ones(2, 4).double(), t=torch.ones(2, dtype=torch.int64))
    assert torch.equal(first[:, 0], wanted)


class Causal(nn.Module):
    """Logits of each step from the steps up to it."""

    def __init__(self):
        super().__init__()
        self.read, self.tell = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x):
        return self.tell(self.read(x)[0])


def test_autoregression_on_the_whole_past():
    torch.manual_seed(0)
    network, x = Causal().double(), data(batch=3, steps=2)
    model = sd.Model("maximize log p(x_{1:T})", sd.Bernoulli("p(x_t|x_{<t})", network), x=4)
    found = model.sample(x=x, T=5, mean=True)["x"]
    wanted = torch.cat([torch.zeros(3, 1, 4).double(), x], 1)
    for _ in range(3):
        wanted = torch.cat([wanted, network(wanted)[:, -1:].sigmoid()], 1)
    torch.testing.assert_close(found, wanted[:, 1:])
    assert set(model.sample(3, T=4, seed=1)["x"].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("recurrent", ["GRU", "LSTM"])
def test_states_of_the_past(recurrent):
    torch.manual_seed(0)
    read, tell = getattr(nn, recurrent)(4, 5, batch_first=True).double(), Counted(5, 4).double()
    p = sd.Bernoulli("p(x_t|h_t)", tell)
    model = sd.Model("maximize log p(x_{1:T})", sd.Deterministic("h(h_t|x_{<t})", read), p, x=4)
    x = data(batch=3, steps=2)
    found = model.sample(x=x, T=5, seed=1)["x"]
    torch.manual_seed(1)
    wanted = torch.cat([torch.zeros(3, 1, 4).double(), x], 1)
    for _ in range(3):
        wanted = torch.cat([wanted, step(p, h=read(wanted)[0][:, -1])[:, None]], 1)
    assert torch.equal(found, wanted[:, 1:])


def test_reconstruction_follows_each_sequence_to_its_end():
    dmm, x, lengths = DMM(), data(batch=3, steps=5), torch.tensor([3, 5, 3])
    found = model_of(dmm).reconstruct(x, T=lengths, seed=1)
    assert found.shape == x.shape
    torch.manual_seed(1)
    for length, rows in ((3, [0, 2]), (5, [1])):
        own = x[rows, :length]
        h = torch.stack([dmm.states(sequence) for sequence in own])
        z = dmm.start.expand(len(rows), 2)
        for t in range(length):
            z = step(dmm.factors[0], z=z, h=h[:, t])
            torch.testing.assert_close(found[rows, t], dmm.emit(z).sigmoid())
        assert not found[rows, length:].any()
    draws = model_of(dmm).reconstruct(x, mean=False, seed=1)
    assert set(draws.unique().tolist()) == {0.0, 1.0}


def test_a_whole_sequence_is_read_up_to_the_prefix():
    torch.manual_seed(0)
    both = nn.GRU(4, 3, batch_first=True, bidirectional=True).double()
    infer = sd.Normal("q(z_t|z_{t-1},h_t)", Gaussian(8, 2).double())
    factors = [
        sd.Deterministic("h(h_{1:T}|x_{1:T})", lambda x: both(x)[0]),
        infer,
        sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2).double()),
        sd.Bernoulli("p(x_t|z_t)", Counted(2, 4).double()),
    ]
    model, x = sd.Model(f"maximize {WHOLE}", *factors, z_0=0.0, z=2), data(batch=2, steps=3)
    found = model.sample(x=x, T=4, seed=1)
    torch.manual_seed(1)
    z, h = torch.zeros(2, 2).double(), both(x)[0]
    for t in range(3):
        z = step(infer, z=z, h=h[:, t])
        torch.testing.assert_close(found["z"][:, t], z)


def test_factors_of_one_step_alone():
    dmm = DMM()
    _, emit, move, _ = dmm.factors
    found = sd.rollout(emit * move, n=3, steps=5, seed=1, z_0=dmm.start)
    wanted = model_of(dmm).sample(3, T=5, seed=1)
    assert torch.equal(found["x"], wanted["x"])
    assert torch.equal(found["z"], wanted["z"])
    on = sd.rollout(emit, move, steps=7, seed=2, z_0=dmm.start, z=found["z"])
    assert torch.equal(on["z"][:, :5], found["z"])
    assert on["x"].shape == (3, 7, 4)


def test_refusals_of_factors_of_one_step():
    dmm = DMM()
    _, emit, move, _ = dmm.factors
    with pytest.raises(NameResolutionError, match="no factor has a variable with the step `s`"):
        sd.rollout(emit, move, n=3, steps=2, index="s")
    with pytest.raises(NameResolutionError, match=r"the sequence `z` has no beginning\nbind `z_0=0.0`"):
        sd.rollout(emit, move, n=3, steps=2)
    with pytest.raises(ShapeError, match="the event shape of `z` is not known yet\ndeclare it"):
        sd.rollout(emit, move, n=3, steps=2, z_0=0.0)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, OptionError, r"nothing says how many steps there are\nwrite `sample\(n, T=32\)`"),
        ({"T": 0}, OptionError, "`T` is 0\nwrite a whole number of steps, 1 or more"),
        ({"T": 2.5}, OptionError, "`T` is 2.5"),
        ({"x": torch.ones(3)}, ShapeError, r"`x` has no steps\na sequence is \[n, steps, \*event\]"),
        ({"y": torch.ones(3, 2)}, DataError, "the model has no variable `y`\nknown: `h`, `x`, `z`"),
        (
            {"x": torch.ones(3, 2, 4).double(), "z": torch.ones(2, 2, 2).double()},
            ShapeError,
            "numbers of rows do not agree",
        ),
    ],
)
def test_refusals(given, error, words):
    with pytest.raises(error, match=words):
        model_of(DMM()).sample(**given)


def test_a_prefix_without_a_factor_that_infers_is_refused():
    _, emit, move, _ = DMM().factors
    model = sd.Model("maximize sum_{t=1}^T (E_p(z_t|z_{t-1})[log p(x_t|z_t)])", emit, move, z_0=0.0, z=2)
    with pytest.raises(NameResolutionError, match=r"no factor infers `z_t` at step 1\nbound: "):
        model.sample(x=data(), T=8)


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_module_that_reads_draws_of_its_own_step(batch_first):
    torch.manual_seed(0)
    read, decode = nn.GRU(6, 5, batch_first=batch_first).double(), Counted(7, 4).double()
    infer, prior, x = Gaussian(9, 2).double(), Gaussian(5, 2).double(), data(steps=3)
    model = sd.Model(
        f"maximize {WHOLE}",
        sd.Deterministic("f(h_t|x_t,z_t,h_{t-1})", read),
        sd.Normal("q(z_t|x_t,h_{t-1})", infer),
        sd.Normal("p(z_t|h_{t-1})", prior),
        sd.Bernoulli("p(x_t|z_t,h_{t-1})", decode),
    )
    found = model.sample(x=x, T=5, seed=1)
    torch.manual_seed(1)
    h = x.new_zeros(4, 5)
    for t in range(5):
        loc, scale = infer(x[:, t], h) if t < 3 else prior(h)
        z = loc + scale * torch.randn_like(loc)
        now = x[:, t] if t < 3 else torch.bernoulli(decode(z, h).sigmoid())
        torch.testing.assert_close(found["z"][:, t], z)
        assert found["x"][:, t].equal(now)
        h = read(torch.cat([now, z], -1).unsqueeze(1 if batch_first else 0), h[None])[1][0]


def recurrence() -> tuple[nn.GRUCell, sd.Distribution]:
    cell = nn.GRUCell(2, 5)
    h = sd.Deterministic("p(h_t|x_{t-1},h_{t-1})", lambda x, h: cell(x, h))
    return cell, sd.Normal("p(x_t|h_t)", loc=nn.Linear(5, 2), scale=1.0) * h


def test_a_beginning_of_its_own_for_each_row():
    cell, p = recurrence()
    begins = torch.randn(3, 5)
    found = sd.rollout(p, n=3, steps=2, x=2, x_0=0.0, h=5, h_0=begins)
    torch.testing.assert_close(found["h"][:, 0], cell(torch.zeros(3, 2), begins).detach())
    one = sd.rollout(p, n=3, steps=2, x=2, x_0=0.0, h=5, h_0=begins[0])
    torch.testing.assert_close(one["h"][:, 0], cell(torch.zeros(3, 2), begins[:1].expand(3, 5)).detach())


def test_a_beginning_of_another_shape_is_refused():
    _, p = recurrence()
    with pytest.raises(ShapeError, match=r"`h_0` has the shape \[4, 5\].*\ngive \[5\], or a row .* \[3, 5\]"):
        sd.rollout(p, n=3, steps=2, x=2, x_0=0.0, h=5, h_0=torch.zeros(4, 5))
    with pytest.raises(ShapeError, match=r"one value or a row for each of 3\nwrite `h=\[5\]` for rows"):
        sd.rollout(p, n=3, steps=2, x=2, x_0=0.0, h_0=torch.zeros(3, 5))


def test_a_module_that_fails_in_a_rollout_is_named():
    states = sd.Deterministic("p(h_t|x_{t-1},h_{t-1})", nn.GRU(4, 5))
    p = sd.Normal("p(x_t|h_t)", loc=nn.Linear(5, 2), scale=1.0) * states
    with pytest.raises(ShapeError, match=r"`GRU\(x_\{t-1\}, h_\{t-1\}\)` of Det.* with x_\{t-1\} \[3, 2\]: "):
        sd.rollout(p, n=3, steps=2, x=2, x_0=0.0)
