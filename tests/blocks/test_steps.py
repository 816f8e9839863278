"""Blocks over the steps of sequences: recurrences, beginnings, products over time."""

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import GrammarError, NameResolutionError, NotSupportedError, OptionError

BOUND = """
maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]
"""
STEPS = """
p(x_t|z_t) = Bernoulli(x_t; logits = dec(z_t))
p(z_t|z_{t-1}) = Normal(z_t; trans(z_{t-1}))
q(z_t|z_{t-1}, h_t) = Normal(z_t; inf(z_{t-1}, h_t))
"""
LENGTHS = torch.tensor([3, 5, 1, 4])


class Gaussian(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * outputs)

    def forward(self, *values):
        mean, scale = self.linear(torch.cat(values, -1)).chunk(2, -1)
        return mean, scale.sigmoid()


def networks(**more):
    torch.manual_seed(0)
    found = {"dec": nn.Linear(2, 4), "trans": Gaussian(2, 2), "inf": Gaussian(5, 2), **more}
    return {name: network.double() for name, network in found.items()}


def data():
    torch.manual_seed(1)
    x = torch.bernoulli(torch.full((4, 5, 4), 0.5, dtype=torch.float64))
    beyond = torch.arange(5) >= LENGTHS[:, None]
    return x.masked_fill(beyond[:, :, None], torch.nan)


def value(whole, x=None, **given):
    """One evaluation with its own noise, and its gradients."""
    torch.manual_seed(2)
    loss = whole.loss if isinstance(whole, sd.Model) else whole
    result = loss(x=data() if x is None else x, **given)
    gradients = torch.autograd.grad(result, [p for p in whole.parameters() if p.requires_grad])
    return (-result if isinstance(whole, sd.Model) else result).item(), [g.norm().item() for g in gradients]


def agree(block, objective, **given):
    (a, grads_a), (b, grads_b) = value(block, **given), value(objective, **given)
    assert a == pytest.approx(b, rel=1e-12)
    # A maximised model has the gradients of its negative; weights may stand in another order.
    assert sorted(grads_a) == pytest.approx(sorted(grads_b), rel=1e-10)


def factors(nets, *more):
    return [
        sd.Bernoulli("p(x_t|z_t)", logits=nets["dec"]),
        sd.Normal("p(z_t|z_{t-1})", nets["trans"]),
        sd.Normal("q(z_t|z_{t-1}, h_t)", nets["inf"]),
        *more,
    ]


@pytest.mark.parametrize("recurrent", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("other", ["h_{t-1}", "h_{t+1}"])
def test_recurrent_modules_read_the_inputs_of_all_steps_at_once(recurrent, other):
    nets = networks(rnn=getattr(nn, recurrent)(4, 3, batch_first=True))
    block = sd.Model(f"{STEPS}h_t = rnn(x_t, {other})\nz_0 = 0{BOUND}", **nets, z=2)
    python = sd.Deterministic(f"h(h_t|x_t, {other})", nets["rnn"])
    text = BOUND.replace("maximize", "")
    agree(block, sd.Objective(text, *factors(nets, python), z_0=0.0, z=2), T=LENGTHS)
    assert block.code.count("rnn.weight_ih_l0") == 1 and "rnn(" not in block.code


def test_a_cell_a_formula_and_a_value_of_each_step():
    nets = networks(cell=nn.GRUCell(4, 3), f=nn.Linear(4, 4), g=nn.Linear(3, 3))
    block = sd.Model(
        f"{STEPS}e_t = f(x_t)\nr_t = cell(e_t, r_{{t-1}})\nh_t = tanh(g(r_t)) + 1/2 r_t\nz_0 = 0{BOUND}",
        **nets,
        z=2,
        r=3,
    )
    x = data()[LENGTHS == 5]
    torch.manual_seed(2)
    found = -block.loss(x=x)
    torch.manual_seed(2)
    z, r, total = torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64), 0.0
    for t in range(5):
        r = nets["cell"](nets["f"](x[:, t]), r)
        q = Normal(*nets["inf"](z, nets["g"](r).tanh() + 0.5 * r))
        p = Normal(*nets["trans"](z))
        z = q.loc + q.scale * torch.randn_like(q.loc)
        total = total + Bernoulli(logits=nets["dec"](z)).log_prob(x[:, t]).sum() - kl_divergence(q, p).sum()
    torch.testing.assert_close(found, total, rtol=1e-12, atol=0)


def test_a_network_of_whole_sequences():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x):
            return self.linear(x).cumsum(1)

    nets = networks(both=Both())
    block = sd.Model(f"{STEPS}h_{{1:T}} = both(x_{{1:T}})\nz_0 = 0{BOUND}", **nets, z=2)
    python = sd.Deterministic("h(h_{1:T}|x_{1:T})", nets["both"])
    text = BOUND.replace("maximize", "")
    agree(block, sd.Objective(text, *factors(nets, python), z_0=0.0, z=2), T=LENGTHS)


@pytest.mark.parametrize("how", ["number", "negative", "name", "keyword"])
def test_values_before_the_first_step(how):
    nets = networks(rnn=nn.RNN(4, 3, batch_first=True))
    start = nn.Parameter(torch.randn(2, dtype=torch.float64))
    line, bound, known = {
        "number": ("z_0 = 1/2", {}, 0.5),
        "negative": ("z_0 = -2", {}, -2.0),
        "name": ("z_0 = start", {"start": start}, start),
        "keyword": ("", {"z_0": start}, start),
    }[how]
    block = sd.Model(f"{STEPS}h_t = rnn(x_t, h_{{t-1}})\n{line}{BOUND}", **nets, **bound, z=2)
    python = sd.Deterministic("h(h_t|x_t, h_{t-1})", nets["rnn"])
    agree(
        block, sd.Objective(BOUND.replace("maximize", ""), *factors(nets, python), z_0=known, z=2), T=LENGTHS
    )
    names = [name for name, _ in block.named_parameters()]
    assert ("initial_z" in names) == (how in ("name", "keyword"))


def test_a_learned_beginning_of_a_recurrence_is_trained():
    start = nn.Parameter(torch.zeros(3))
    model = sd.Model(
        "h_t = cell(x_{t-1}, h_{t-1}); h_0 = start; p(x_t|h_t) = Normal(x_t; f(h_t), 1)\n"
        "maximize sum_{t=1}^T log p(x_t|h_t)",
        cell=nn.RNNCell(2, 3),
        f=nn.Linear(3, 2),
        start=start,
    )
    before = start.clone()
    model.fit(torch.randn(16, 4, 2), epochs=1, progress=False, seed=0)
    assert not torch.equal(before, start) and model.state()["initial_h"] is not None


def test_a_first_step_with_a_law_of_its_own():
    nets = networks(rnn=nn.GRU(4, 3, batch_first=True), one=Gaussian(3, 2))
    own = "p(z_1) = Normal(z_1; 0, 1); q(z_1|h_1) = Normal(z_1; one(h_1))\n"
    joint = "p(x_{1:T}, z_{1:T}) = p(z_1) prod_{t=2}^T p(z_t|z_{t-1}) prod_{t=1}^T p(x_t|z_t)\n"
    block = sd.Model(f"{STEPS}{own}{joint}h_t = rnn(x_t, h_{{t-1}}){BOUND}", **nets, z=2)
    more = [
        sd.Normal("p(z_1)", loc=0.0, scale=1.0, event_shape=2),
        sd.Normal("q(z_1|h_1)", nets["one"]),
        sd.Deterministic("h(h_t|x_t, h_{t-1})", nets["rnn"]),
    ]
    agree(block, sd.Objective(BOUND.replace("maximize", ""), *factors(nets, *more), z=2), T=LENGTHS)


def test_states_that_depend_on_draws_belong_to_the_path():
    """VRNN (Chung et al. 2015): the state reads x_t and z_t, and the prior and the posterior read it."""
    nets = networks(cell=nn.GRUCell(6, 3), prior=Gaussian(3, 2), post=Gaussian(7, 2), out=nn.Linear(5, 4))

    def joined(x, z, h):
        return nets["cell"](torch.cat([x, z], -1), h)

    block = sd.Model(
        """
        h_t = step(x_t, z_t, h_{t-1})
        p(z_t|h_{t-1}) = Normal(z_t; prior(h_{t-1}))
        q(z_t|x_t, h_{t-1}) = Normal(z_t; post(x_t, h_{t-1}))
        p(x_t|z_t, h_{t-1}) = Bernoulli(x_t; logits = out(z_t, h_{t-1}))
        p(x_{1:T}, z_{1:T}) = prod_{t=1}^T p(x_t|z_t, h_{t-1}) p(z_t|h_{t-1})
        h_0 = 0
        """
        + BOUND,
        step=joined,
        prior=nets["prior"],
        post=nets["post"],
        out=lambda z, h: nets["out"](torch.cat([z, h], -1)),
        h=3,
    )
    x = data()[LENGTHS == 5]
    torch.manual_seed(2)
    found = -block.loss(x=x)
    torch.manual_seed(2)
    h, total = torch.zeros(1, 3, dtype=torch.float64), 0.0
    for t in range(5):
        q, p = Normal(*nets["post"](x[:, t], h)), Normal(*nets["prior"](h))
        z = q.loc + q.scale * torch.randn_like(q.loc)
        logits = nets["out"](torch.cat([z, h], -1))
        total = total + Bernoulli(logits=logits).log_prob(x[:, t]).sum() - kl_divergence(q, p).sum()
        h = joined(x[:, t], z, h)
    torch.testing.assert_close(found, total, rtol=1e-12, atol=0)


def test_what_is_written_out_in_a_parameter_is_no_state():
    block = "p(x_t|z_t) = Normal(x_t; m_t, 1); m_t = 2 f(z_t); maximize sum_{t=1}^T log p(x_t|z_t)"
    model = sd.Model(block, f=lambda z: z)
    x, z = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    wanted = Normal(2 * z, torch.ones(())).log_prob(x).sum((1, 2)).mean()
    torch.testing.assert_close(-model.loss(x=x, z=z), wanted)


SUM = "sum_{t=1}^T (E_q(z_t|z_{t-1},h_t)[log p(x_t|z_t)] - KL[q(z_t|z_{t-1},h_t)||p(z_t|z_{t-1})])"
PAPERS = r"\mathcal{L}(\theta, \phi; x_{1:T})"
NAMED = {
    "a name": f"L = {SUM}; maximize L",
    "a function": f"L(x) = {SUM}; maximize L(x)",
    "a paper's": f"{PAPERS} = {SUM}; maximize {PAPERS}",
    "parts": "R = E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]; K = KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]; "
    "maximize R - K",
    "where": f"maximize L\nwhere L = {SUM}",
}


@pytest.mark.parametrize("way", NAMED)
def test_a_sum_over_time_under_a_name(way):
    block = STEPS + "h_t = rnn(x_t, h_{t+1}); z_0 = 0\n"
    nets = networks(rnn=nn.GRU(4, 3))
    agree(sd.Model(block + NAMED[way], z=2, **nets), sd.Model(block + BOUND, z=2, **nets), T=LENGTHS)


def test_a_block_of_steps_is_sampled_and_trained():
    nets = {name: network.float() for name, network in networks(rnn=nn.GRU(4, 3)).items()}
    model = sd.Model(f"{STEPS}h_t = rnn(x_t, h_{{t+1}})\nz_0 = 0{BOUND}", **nets, z=2)
    x = torch.bernoulli(torch.full((32, 6, 4), 0.9))
    history = model.fit({"x": x, "T": torch.arange(32) % 6 + 1}, epochs=40, lr=0.05, seed=0, progress=False)
    assert history.last.value > history.epochs[0].value
    drawn = model.sample(200, T=6, seed=0)
    assert drawn["x"].shape == (200, 6, 4) and drawn["z"].shape == (200, 6, 2)
    assert 0.8 < drawn["x"].mean() < 1
    assert model.reconstruct(x, seed=0).shape == x.shape


def test_samples_under_an_index_are_no_steps():
    model = sd.Model(
        "p(z) = Normal(z; 0, 1); q(z|x) = Normal(z; x, 1); p(x|z) = Normal(x; z, 1)\n"
        "maximize E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x, z_k)/q(z_k|x))]",
        K=3,
    )
    assert model.objective.bound.environment.time is None
    assert model.loss(x=torch.zeros(4, 2)).isfinite()


REFUSED = [
    ("h_t = f(h_{t-1})\nmaximize sum(h_t)", NotSupportedError, "made from step to step, but the objective"),
    ("h_t = f(h_{t-1})\nh_t = g(h_{t-1})\nmaximize sum(h_t)", GrammarError, "`h_t` is defined twice"),
    (
        "p(x_t|h_t) = Normal(x_t; h_t, 1); h_t = f(x_{t-1}, h_{t-1}); h_0 = f(3)\n"
        "maximize sum_{t=1}^T log p(x_t|h_t)",
        NotSupportedError,
        "no value before the first step that can be computed",
    ),
    (
        "p(x_t|h_t) = Normal(x_t; h_t, 1); h_t = f(x_{t-1}, h_{t-1}); h_0 = start\n"
        "maximize sum_{t=1}^T log p(x_t|h_t)",
        NameResolutionError,
        "`h_0` is `start`, which is not bound",
    ),
    (
        "p(x_t|h_t) = Normal(x_t; h_t, 1); h_{1:T} = 2 f(x_{1:T})\nmaximize sum_{t=1}^T log p(x_t|h_t)",
        NotSupportedError,
        "is no network of whole sequences",
    ),
    (
        "p(x_t|h_t) = Normal(x_t; h_t, 1); p(h_t) = Normal(h_t; 0, 1); h_t = f(x_{t-1}, h_{t-1})\n"
        "maximize sum_{t=1}^T log p(x_t|h_t)",
        NameResolutionError,
        "`h_t` is certain by its statement",
    ),
    (
        "p(x_t|z_t) = Normal(x_t; z_t, 1); p(z_t|z_{t-1}) = Normal(z_t; z_{t-1}, 1)\n"
        "p(x_{1:T}, z_{1:T}) = prod_{t=2}^T p(x_t|z_t) p(z_t|z_{t-1})\n"
        "maximize sum_{t=1}^T log p(x_t|z_t)",
        NameResolutionError,
        "is not the product over time of the factors that are bound",
    ),
    (
        "p(x_t|z_t) = Normal(x_t; z_t, 1); p(z_t|z_{t-1}) = Normal(z_t; z_{t-1}, 1)\n"
        "p(x_{1:T}, z_{1:T}) = prod_{t=1}^T p(x_t|z_t) p(z_t)\nmaximize sum_{t=1}^T log p(x_t|z_t)",
        NameResolutionError,
        "is not the product over time of the factors that are bound",
    ),
]


@pytest.mark.parametrize(("block", "error", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_refusals(block, error, words):
    names = {name: (lambda *v: v[0]) for name in "fg" if f"{name}(" in block}
    with pytest.raises(error, match=words) as caught:
        sd.Model(block, **names)
    assert caught.value.span is not None


def test_a_beginning_is_a_number_or_a_tensor():
    block = (
        "p(x_t|h_t) = Normal(x_t; h_t, 1); h_t = f(x_{t-1}, h_{t-1}); h_0 = start\n"
        "maximize sum_{t=1}^T log p(x_t|h_t)"
    )
    with pytest.raises(OptionError, match="`start` is str, but it is the value before the first step"):
        sd.Model(block, f=lambda *v: v[0], start="zero")
