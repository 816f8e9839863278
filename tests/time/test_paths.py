"""Other paths against loops: first steps of their own, states inside the path, flows, context, actions."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, WHOLE, Cell, Counted, Gaussian, calls, data, noise_of, same
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.distributions import flows
from symdgm.errors import NotSupportedError

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)


def seeded(objective, **values):
    torch.manual_seed(3)
    return objective(**values)


def parameters(*parts):
    return [p for part in parts for p in part.parameters()]


def divergence(q, p):
    return kl_divergence(q, p).sum()


def test_a_first_step_with_factors_of_its_own():
    model, x = DMM(backward=False), data()
    start = Gaussian(5, 2).double()
    factors = [
        *model.factors,
        sd.Normal("p(z_1)", loc=0.5, scale=2.0, event_shape=2),
        sd.Normal("q(z_1|h_1)", start),
    ]
    found = seeded(sd.Objective(WHOLE, *factors), x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2, first=True), 0.0
    for b, length in enumerate(LENGTHS):
        h, z = model.states(x[b, :length]), None
        for t in range(length):
            q = Normal(*(start(h[:1]) if z is None else model.combine(z, h[t : t + 1])))
            p = Normal(0.5, 2.0) if z is None else Normal(*model.transition(z))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=model.emit(z)).log_prob(x[b, t]).sum() - divergence(q, p)
    own = [*parameters(start), *model.parameters[:-1]]
    same(found, total / 4, own)


class VRNN:
    """Deterministic states that read the latent of the step before."""

    def __init__(self):
        torch.manual_seed(0)
        self.encode, self.prior = Gaussian(4 + 5, 2).double(), Gaussian(5, 2).double()
        self.cell, self.decode = Cell(4 + 2, 5).double(), Counted(7, 4).double()
        self.factors = [
            sd.Normal("q(z_t|x_t,h_t)", self.encode),
            sd.Normal("p(z_t|h_t)", self.prior),
            sd.Deterministic("f(h_t|x_{t-1},z_{t-1},h_{t-1})", self.cell),
            sd.Bernoulli("p(x_t|z_t,h_t)", self.decode),
        ]

    def by_hand(self, x, noise):
        total = 0.0
        for b, length in enumerate(LENGTHS):
            z, h, before = x.new_zeros(1, 2), x.new_zeros(1, 5), x.new_zeros(1, 4)
            for t in range(length):
                h = self.cell(before, z, h)
                before = x[b, t][None]
                q, p = Normal(*self.encode(before, h)), Normal(*self.prior(h))
                z = q.mean + q.stddev * noise[b, t]
                total = total + Bernoulli(logits=self.decode(z, h)).log_prob(before).sum() - divergence(q, p)
        return total / len(LENGTHS)


def test_states_inside_the_path():
    model, x = VRNN(), data()
    objective = sd.Objective(WHOLE, *model.factors, z_0=0.0, z=2)
    found = seeded(objective, x=x, T=T)
    torch.manual_seed(3)
    own = parameters(model.encode, model.prior, model.cell, model.decode)
    same(found, model.by_hand(x, noise_of(LENGTHS, 2)), own)
    count = calls(model.encode, model.prior, model.cell, model.decode)
    seeded(objective, x=x, T=T)
    assert count() == [6, 1, 6, 1]


class Normed(nn.Module):
    """A law whose mean is normalised over the batch."""

    def __init__(self):
        super().__init__()
        self.law, self.norm = Gaussian(6, 2), nn.BatchNorm1d(2)

    def forward(self, *values):
        mean, scale = self.law(*values)
        return self.norm(mean), scale


def test_running_statistics_count_every_step_once():
    infer = Normed().double()
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t)", infer),
        sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2).double()),
        sd.Bernoulli("p(x_t|z_t)", Counted(2, 4).double()),
    ]
    objective = sd.Objective(WHOLE, *factors, z_0=0.0, z=2)
    for times in (1, 2, 3):
        objective(x=data())
        assert int(infer.norm.num_batches_tracked) == 6 * times


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU])
@pytest.mark.parametrize("order", ["x_t,z_t,h_{t-1}", "h_{t-1},x_t,z_t"])
def test_a_module_inside_the_path_makes_one_step(order, kind, batch_first):
    torch.manual_seed(0)
    encode, prior = Gaussian(4 + 5, 2).double(), Gaussian(5, 2).double()
    read, decode, x = kind(6, 5, batch_first=batch_first).double(), Counted(7, 4).double(), data()
    factors = [
        sd.Deterministic(f"f(h_t|{order})", read),
        sd.Normal("q(z_t|x_t,h_{t-1})", encode),
        sd.Normal("p(z_t|h_{t-1})", prior),
        sd.Bernoulli("p(x_t|z_t,h_{t-1})", decode),
    ]
    found = seeded(sd.Objective(WHOLE, *factors), x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2), 0.0
    for b, length in enumerate(LENGTHS):
        h = x.new_zeros(1, 5)
        for t in range(length):
            q, p = Normal(*encode(x[b, t][None], h)), Normal(*prior(h))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z, h)).log_prob(x[b, t]).sum() - divergence(q, p)
            h = read(torch.cat([x[b, t][None], z], -1), h)[0]
    same(found, total / 4, parameters(read, encode, prior, decode))


@pytest.mark.parametrize("network", [nn.LSTM(6, 5), nn.GRU(6, 5, num_layers=2)])
def test_a_module_inside_the_path_that_carries_more_is_refused(network):
    factors = [
        sd.Deterministic("f(h_t|x_t,z_t,h_{t-1})", network.double()),
        sd.Normal("q(z_t|x_t,h_{t-1})", Gaussian(9, 2).double()),
        sd.Normal("p(z_t|h_{t-1})", Gaussian(5, 2).double()),
        sd.Bernoulli("p(x_t|z_t)", Counted(2, 4).double()),
    ]
    with pytest.raises(NotSupportedError, match="carries more than it returns, which cannot be computed yet"):
        sd.Objective(WHOLE, *factors)(x=data())


def test_a_recurrence_of_one_cell_is_a_loop_without_draws():
    torch.manual_seed(0)
    cell, encode, decode = Cell(4, 5).double(), Gaussian(5, 2).double(), Counted(2, 4).double()
    factors = [
        sd.Deterministic("f(h_t|x_t,h_{t-1})", cell),
        sd.Normal("q(z_t|h_t)", encode),
        sd.Bernoulli("p(x_t|z_t)", decode),
        sd.Normal("p(z_t)", loc=0.0, scale=1.0),
    ]
    x = data()
    objective = sd.Objective(WHOLE, *factors, z=2)
    found = seeded(objective, x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2, at_once=True), 0.0
    for b, length in enumerate(LENGTHS):
        h = x.new_zeros(1, 5)
        for t in range(length):
            h = cell(x[b, t][None], h)
            q = Normal(*encode(h))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z)).log_prob(x[b, t]).sum()
            total = total - divergence(q, Normal(torch.zeros(1, 2), 1.0))
    same(found, total / 4, parameters(cell, encode, decode))
    count = calls(cell, encode, decode)
    seeded(objective, x=x, T=T)
    assert count() == [6, 1, 1]


@pytest.mark.parametrize("first", [False, True])
def test_a_path_in_which_nothing_is_carried_is_drawn_at_once(first):
    torch.manual_seed(0)
    infer, begin, decode = Gaussian(4, 2).double(), Gaussian(4, 2).double(), Counted(2, 4).double()
    move = Gaussian(2, 2).double()
    factors = [
        sd.Normal("q(z_t|x_t)", infer),
        sd.Normal("p(z_t|z_{t-1})", move),
        sd.Bernoulli("p(x_t|z_t)", decode),
    ]
    if first:
        prior = sd.Normal("p(z_1)", loc=0.5, scale=2.0, event_shape=2)
        factors += [sd.Normal("q(z_1|x_1)", begin), prior]
    x = data()
    objective = sd.Objective(WHOLE, *factors, **({} if first else {"z_0": 0.0, "z": 2}))
    found = seeded(objective, x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2, at_once=True), 0.0
    for b, length in enumerate(LENGTHS):
        z = x.new_zeros(1, 2)
        for t in range(length):
            own = first and t == 0
            q = Normal(*(begin if own else infer)(x[b, t][None]))
            p = Normal(0.5, 2.0) if own else Normal(*move(z))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z)).log_prob(x[b, t]).sum() - divergence(q, p)
    own = parameters(infer, decode, move, *([begin] if first else []))
    same(found, total / 4, own)
    count = calls(infer, move, decode)
    seeded(objective, x=x, T=T)
    assert count() == [1, 1, 1]
    assert "for " not in objective.code.replace("for c in", "").replace("for before, count in", "")


def test_several_paths_at_once():
    torch.manual_seed(0)
    infer, decode = Gaussian(4, 2).double(), Counted(2, 4).double()
    factors = [
        sd.Normal("q(z_t|x_t)", infer),
        sd.Normal("p(z_t)", loc=0.0, scale=1.0),
        sd.Bernoulli("p(x_t|z_t)", decode),
    ]
    x = data()
    text = "log E_q(z_{1:T}|x_{1:T})[p(x_{1:T},z_{1:T})/q(z_{1:T}|x_{1:T})]"
    found = seeded(sd.Objective(text, *factors, samples=5).per_example, x=x, T=T)
    torch.manual_seed(3)
    order = sorted(range(4), key=lambda b: -LENGTHS[b])
    places = [(b, t) for t in range(6) for b in order if LENGTHS[b] > t]
    noise = torch.randn(5, len(places), 2, dtype=x.dtype)
    weights = torch.zeros(5, 4, dtype=x.dtype)
    for i, (b, t) in enumerate(places):
        q, p = Normal(*infer(x[b, t][None])), Normal(torch.zeros(2), 1.0)
        z = q.mean + q.stddev * noise[:, i]
        log = Bernoulli(logits=decode(z)).log_prob(x[b, t]) + 0
        step = log.sum(-1) + (p.log_prob(z) - q.log_prob(z)).sum(-1)
        weights = weights + step[:, None] * (torch.arange(4) == b)
    reference = weights.logsumexp(0) - torch.tensor(5.0).log()
    same(found.mean(), reference.mean(), parameters(infer, decode))


def test_several_latents_in_one_step():
    torch.manual_seed(0)
    z_infer, w_infer = Gaussian(6, 2).double(), Gaussian(6, 3).double()
    z_move, w_move = Gaussian(2, 2).double(), Gaussian(5, 3).double()
    decode = Counted(5, 4).double()
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t)", z_infer),
        sd.Normal("q(w_t|z_t,x_t)", w_infer),
        sd.Normal("p(z_t|z_{t-1})", z_move),
        sd.Normal("p(w_t|z_t,w_{t-1})", w_move),
        sd.Bernoulli("p(x_t|z_t,w_t)", decode),
    ]
    text = (
        "E_q(z_{1:T},w_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T},w_{1:T})] "
        "- KL[q(z_{1:T},w_{1:T}|x_{1:T})||p(z_{1:T},w_{1:T})]"
    )
    x = data()
    found = seeded(sd.Objective(text, *factors, z_0=0.0, z=2, w_0=1.0, w=3), x=x, T=T)
    torch.manual_seed(3)
    order = sorted(range(4), key=lambda b: -LENGTHS[b])
    noise = {}
    for t in range(6):
        running = [b for b in order if LENGTHS[b] > t]
        drawn = [torch.randn(len(running), size, dtype=x.dtype) for size in (2, 3)]
        noise |= {(b, t): (drawn[0][i], drawn[1][i]) for i, b in enumerate(running)}
    total = 0.0
    for b, length in enumerate(LENGTHS):
        z, w = x.new_zeros(1, 2), x.new_ones(1, 3)
        for t in range(length):
            now = x[b, t][None]
            q, p = Normal(*z_infer(z, now)), Normal(*z_move(z))
            z = q.mean + q.stddev * noise[b, t][0]
            q_w, p_w = Normal(*w_infer(z, now)), Normal(*w_move(z, w))
            w = q_w.mean + q_w.stddev * noise[b, t][1]
            total = total + Bernoulli(logits=decode(z, w)).log_prob(now).sum()
            total = total - divergence(q, p) - divergence(q_w, p_w)
    same(found, total / 4, parameters(z_infer, w_infer, z_move, w_move, decode))


def test_a_context_of_each_sequence_and_actions():
    torch.manual_seed(0)
    infer, move = Gaussian(2 + 4 + 3, 2).double(), Gaussian(2 + 1 + 3, 2).double()
    decode, context = Counted(2, 4).double(), Gaussian(4, 3).double()
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t,c)", infer),
        sd.Normal("p(z_t|z_{t-1},a_{t-1},c)", move),
        sd.Bernoulli("p(x_t|z_t)", decode),
        sd.Normal("q(c|x_1)", context),
        sd.Normal("p(c)", loc=0.0, scale=1.0),
    ]
    text = (
        "E_q(c|x_1)[sum_{t=1}^T (E_q(z_t|z_{t-1},x_t,c)[log p(x_t|z_t)] "
        "- KL[q(z_t|z_{t-1},x_t,c)||p(z_t|z_{t-1},a_{t-1},c)])] - KL[q(c|x_1)||p(c)]"
    )
    x, a = data(), torch.rand(4, 6, 1, dtype=torch.float64)
    found = seeded(sd.Objective(text, *factors, z_0=0.0, z=2), x=x, T=T, a=a)
    torch.manual_seed(3)
    first = torch.randn(4, 3, dtype=x.dtype)
    noise, total = noise_of(LENGTHS, 2), 0.0
    for b, length in enumerate(LENGTHS):
        law = Normal(*context(x[b, :1]))
        c = law.mean + law.stddev * first[b]
        total = total - divergence(law, Normal(torch.zeros(1, 3), 1.0))
        z, action = x.new_zeros(1, 2), x.new_zeros(1, 1)
        for t in range(length):
            q, p = Normal(*infer(z, x[b, t][None], c)), Normal(*move(z, action, c))
            z, action = q.mean + q.stddev * noise[b, t], a[b, t][None]
            total = total + Bernoulli(logits=decode(z)).log_prob(x[b, t]).sum() - divergence(q, p)
    same(found, total / 4, parameters(infer, move, decode, context))


def test_a_flow_in_the_path():
    model, x = DMM(backward=False), data()
    flow = (flows.Autoregressive(2) >> flows.Reverse(2) >> flows.Autoregressive(2)).double()
    base = sd.Normal("q(u_t|z_{t-1},h_t)", model.combine)
    q = sd.Transformed("q(z_t|z_{t-1},h_t)", base=base, flow=flow)
    found = seeded(sd.Objective(WHOLE, q, *model.factors[1:], z_0=0.0, z=2), x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2), 0.0
    for b, length in enumerate(LENGTHS):
        z, h = x.new_zeros(1, 2), model.states(x[b, :length])
        for t in range(length):
            law = Normal(*model.combine(z, h[t][None]))
            u = law.mean + law.stddev * noise[b, t]
            before, (z, log_det) = z, flow(u)
            log_q = law.log_prob(u).sum() - log_det.sum()
            log_p = Normal(*model.transition(before)).log_prob(z).sum()
            total = total + Bernoulli(logits=model.emit(z)).log_prob(x[b, t]).sum() + log_p - log_q
    same(found, total / 4, model.parameters[:-1])


class Both(nn.Module):
    """Reads a whole sequence in both directions; with lengths it stops at them."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 3, batch_first=True, bidirectional=True)

    def forward(self, x, lengths=None):
        if lengths is None:
            return self.rnn(x)[0]
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(
            self.rnn(packed)[0], batch_first=True, total_length=x.shape[1]
        )[0]


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_a_network_that_reads_whole_sequences(lengths):
    torch.manual_seed(0)
    both, infer, decode = Both().double(), Gaussian(2 + 6, 2).double(), Counted(2, 4).double()
    move = Gaussian(2, 2).double()
    factors = [
        sd.Deterministic("h(h_{1:T}|x_{1:T})", both),
        sd.Normal("q(z_t|z_{t-1},h_t)", infer),
        sd.Normal("p(z_t|z_{t-1})", move),
        sd.Bernoulli("p(x_t|z_t)", decode),
    ]
    x = data()
    given = {} if lengths is None else {"T": T}
    found = seeded(sd.Objective(WHOLE, *factors, z_0=0.0, z=2), x=x, **given)
    lengths = lengths or [6] * 4
    torch.manual_seed(3)
    noise, total = noise_of(lengths, 2), 0.0
    for b, length in enumerate(lengths):
        z, h = x.new_zeros(1, 2), both(x[b : b + 1, :length])[0]
        for t in range(length):
            q, p = Normal(*infer(z, h[t][None])), Normal(*move(z))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z)).log_prob(x[b, t]).sum() - divergence(q, p)
    same(found, total / 4, parameters(both, infer, decode, move))


def test_sums_from_a_later_step_and_means():
    model, x = DMM(), data()
    h = model.states
    for text, picked in {
        "sum_{t=2}^T log p(x_t|h_t)": lambda log: log[1:].sum(),
        "mean_{t=1}^T log p(x_t|h_t)": lambda log: log.mean(),
    }.items():
        emit = Counted(5, 4).double()
        objective = sd.Objective(text, sd.Bernoulli("p(x_t|h_t)", emit), model.factors[3])
        found = objective.per_example(x=x[[0, 1, 3]], T=T[[0, 1, 3]])
        wanted = [
            picked(Bernoulli(logits=emit(h(x[b, : LENGTHS[b]]))).log_prob(x[b, : LENGTHS[b]]).sum(-1))
            for b in (0, 1, 3)
        ]
        torch.testing.assert_close(found, torch.stack(wanted))


def test_autoregression_on_the_step_before():
    x, network = data(), Counted(4, 4).double()
    objective = sd.Objective("sum_{t=1}^T log p(x_t|x_{t-1})", sd.Bernoulli("p(x_t|x_{t-1})", network))
    wanted = []
    for b, length in enumerate(LENGTHS):
        before = torch.cat([x.new_zeros(1, 4), x[b, : length - 1]])
        wanted.append(Bernoulli(logits=network(before)).log_prob(x[b, :length]).sum())
    same(objective(x=x, T=T), torch.stack(wanted).mean(), parameters(network))


@pytest.mark.parametrize("start", [0.5, "trained"])
def test_observations_begin_where_they_are_told(start):
    x, network = data(), Counted(4, 4).double()
    begin = nn.Parameter(torch.rand(4, dtype=x.dtype)) if start == "trained" else start
    p = sd.Bernoulli("p(x_t|x_{t-1})", network)
    found, total = sd.Objective("sum_{t=1}^T log p(x_t|x_{t-1})", p, x_0=begin)(x=x, T=T), 0.0
    first = begin if start == "trained" else x.new_full((4,), start)
    for b, length in enumerate(LENGTHS):
        before = torch.cat([first[None], x[b, : length - 1]])
        total = total + Bernoulli(logits=network(before)).log_prob(x[b, :length]).sum()
    same(found, total / 4, [*parameters(network), *([begin] if start == "trained" else [])])


@pytest.mark.parametrize("recurrent", ["RNN", "GRU"])
@pytest.mark.parametrize("start", [0.5, "trained"])
def test_a_module_over_sequences_begins_where_it_is_told(recurrent, start):
    model, x = DMM(recurrent, backward=False), data()
    begin = nn.Parameter(torch.rand(5, dtype=x.dtype)) if start == "trained" else start
    found = seeded(model.objective(h_0=begin), x=x, T=T)
    state = (begin if start == "trained" else x.new_full((5,), start)).expand(1, 1, 5).contiguous()
    model.states = lambda own, detach: model.recurrent(own[None], state)[0][0]
    torch.manual_seed(3)
    wanted = model.by_hand(x, LENGTHS, noise_of(LENGTHS, 2)).mean()
    same(found, wanted, [*model.parameters, *([begin] if start == "trained" else [])])


@pytest.mark.parametrize(("recurrent", "backward"), [("LSTM", False), ("GRU", True)])
def test_a_module_that_cannot_begin_elsewhere_is_refused(recurrent, backward):
    model = DMM(recurrent, backward=backward)
    with pytest.raises(NotSupportedError, match=r"`h_0` cannot begin .* yet"):
        model.objective(h_0=1.0)(x=data())


def test_the_number_of_a_step_is_a_value():
    torch.manual_seed(0)
    x, network = data(), Counted(5, 4).double()

    def logits(before, t):
        assert not t.is_floating_point()
        return network(before, t[:, None].to(before.dtype))

    text = "sum_{t=1}^T gamma^t (log p(x_t|x_{t-1},t) - t)"
    objective = sd.Objective(text, sd.Bernoulli("p(x_t|x_{t-1},t)", logits), gamma=0.9)
    for lengths in (LENGTHS, [6] * 4):
        total = 0.0
        for b, length in enumerate(lengths):
            before = x.new_zeros(1, 4)
            for t in range(1, length + 1):
                logit = network(before, x.new_full((1, 1), t))
                before = x[b, t - 1][None]
                total = total + 0.9**t * (Bernoulli(logits=logit).log_prob(before).sum() - t)
        given = {"T": torch.tensor(lengths)} if lengths is LENGTHS else {}
        same(objective(x=x, **given), total / 4, parameters(network))


def test_the_number_of_a_step_in_a_path_and_its_first_step():
    torch.manual_seed(0)
    x, move, infer = data(), Gaussian(3, 2).double(), Gaussian(7, 2).double()
    begin, decode = Gaussian(5, 2).double(), Counted(2, 4).double()

    def timed(network):
        return lambda *values: network(*values[:-1], values[-1][:, None].to(x.dtype))

    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t,t)", timed(infer)),
        sd.Normal("q(z_1|x_1,t)", timed(begin)),
        sd.Normal("p(z_t|z_{t-1},t)", timed(move)),
        sd.Normal("p(z_1)", loc=0.0, scale=1.0, event_shape=2),
        sd.Bernoulli("p(x_t|z_t)", decode),
    ]
    found = seeded(sd.Objective(WHOLE, *factors), x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2, first=True), 0.0
    for b, length in enumerate(LENGTHS):
        z = x.new_zeros(1, 2)
        for t in range(length):
            now, number = x[b, t][None], x.new_full((1, 1), t + 1)
            q = Normal(*(infer(z, now, number) if t else begin(now, number)))
            p = Normal(*move(z, number)) if t else Normal(torch.zeros(1, 2), 1.0)
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z)).log_prob(now).sum() - divergence(q, p)
    same(found, total / 4, parameters(infer, begin, move, decode))


class Causal(nn.Module):
    """Logits of each step from the steps up to it; it returns a dict."""

    def __init__(self, inputs=4):
        super().__init__()
        self.read, self.tell = nn.GRU(inputs, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, *values):
        return {"logits": self.tell(self.read(torch.cat(values, -1))[0])}


SLICES = {"<t": 1, "<=t": 0, "1:t": 0, "1:t-1": 1, "<t-1": 2}


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("past", SLICES)
def test_slices_of_the_past(past, lengths):
    torch.manual_seed(0)
    network, x, lag = Causal().double(), data(), SLICES[past]
    p = sd.Bernoulli(f"p(y_t|x_{{{past}}})", network)
    y = data(seed=2)
    given = {} if lengths is None else {"T": T}
    total = later = 0.0
    for b, length in enumerate(lengths or [6] * 4):
        before = torch.cat([x.new_zeros(lag, 4), x[b]])[:length]
        logs = Bernoulli(**network(before[None])).log_prob(y[b, :length])[0].sum(-1)
        total, later = total + logs.sum(), later + logs[1:].sum()
    for text in (f"sum_{{t=1}}^T log p(y_t|x_{{{past}}})", "log p(y_{1:T}|x_{1:T})"):
        same(sd.Objective(text, p)(x=x, y=y, **given), total / 4, parameters(network))
    found = sd.Objective(f"sum_{{t=2}}^T log p(y_t|x_{{{past}}})", p)(x=x, y=y, **given)
    same(found, later / 4, parameters(network))


def test_an_autoregression_over_the_whole_past_and_its_latents():
    torch.manual_seed(0)
    network, infer, x = Causal(6).double(), Gaussian(4, 2).double(), data()
    factors = [
        sd.Normal("q(z_t|x_t)", infer),
        sd.Normal("p(z_t)", loc=0.0, scale=1.0),
        sd.Bernoulli("p(x_t|x_{<t},z_{<=t})", network),
    ]
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (log p(x_t|x_{<t},z_{<=t}) + log p(z_t) - log q(z_t|x_t))]"
    found = seeded(sd.Objective(text, *factors, analytic=False, z=2), x=x, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2, at_once=True), 0.0
    for b, length in enumerate(LENGTHS):
        q = Normal(*infer(x[b, :length]))
        z = q.mean + q.stddev * torch.stack([noise[b, t] for t in range(length)])
        before = torch.cat([x.new_zeros(1, 4), x[b]])[:length]
        logits = network(before[None], z[None])["logits"][0]
        total = total + Bernoulli(logits=logits).log_prob(x[b, :length]).sum()
        total = total + (Normal(torch.zeros(2), 1.0).log_prob(z) - q.log_prob(z)).sum()
    same(found, total / 4, parameters(network, infer))


@pytest.mark.parametrize("recurrent", ["GRU", "LSTM"])
def test_states_of_the_past(recurrent):
    torch.manual_seed(0)
    read, tell, x = getattr(nn, recurrent)(4, 5).double(), Counted(5, 4).double(), data()
    factors = [sd.Deterministic("h(h_t|x_{<t})", read), sd.Bernoulli("p(x_t|h_t)", tell)]
    total = 0.0
    for b, length in enumerate(LENGTHS):
        before = torch.cat([x.new_zeros(1, 4), x[b]])[:length]
        total = total + Bernoulli(logits=tell(read(before[:, None])[0][:, 0])).log_prob(x[b, :length]).sum()
    same(sd.Objective("log p(x_{1:T})", *factors)(x=x, T=T), total / 4, parameters(read, tell))


@pytest.mark.parametrize("backward", [True, False])
def test_a_module_that_reads_several_sequences_side_by_side(backward):
    torch.manual_seed(0)
    read, tell, x, y = nn.GRU(8, 5).double(), Counted(5, 4).double(), data(), data(seed=2)
    turn = (lambda s: s.flip(0)) if backward else (lambda s: s)
    state = sd.Deterministic(f"h(h_t|x_t,y_t,h_{{t{'+' if backward else '-'}1}})", read)
    found = sd.Objective("sum_{t=1}^T log p(x_t|h_t)", state, sd.Bernoulli("p(x_t|h_t)", tell))(x=x, y=y, T=T)
    total = 0.0
    for b, length in enumerate(LENGTHS):
        h = turn(read(turn(torch.cat([x[b, :length], y[b, :length]], -1)))[0])
        total = total + Bernoulli(logits=tell(h)).log_prob(x[b, :length]).sum()
    same(found, total / 4, parameters(read, tell))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_a_module_that_reads_in_both_directions(lengths, batch_first):
    torch.manual_seed(0)
    both = nn.GRU(4, 3, batch_first=batch_first, bidirectional=True).double()
    tell, x, y = Counted(6, 4).double(), data(), data(seed=2)
    factors = [sd.Deterministic("h(h_{1:T}|x_{1:T})", both), sd.Bernoulli("p(y_t|h_t)", tell)]
    given = {} if lengths is None else {"T": T}
    found = sd.Objective("log p(y_{1:T}|x_{1:T})", *factors)(x=x, y=y, **given)
    total = 0.0
    for b, length in enumerate(lengths or [6] * 4):
        h = both(x[b, :length][None] if batch_first else x[b, :length][:, None])[0]
        total = total + Bernoulli(logits=tell(h.squeeze(int(not batch_first)))).log_prob(y[b, :length]).sum()
    same(found, total / 4, parameters(both, tell))
