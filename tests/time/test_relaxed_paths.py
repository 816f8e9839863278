"""Discrete draws along a path with gradients that are not quite theirs: straight-through, Gumbel-softmax."""

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, Independent, Normal, OneHotCategorical
from torch.distributions.kl import kl_divergence

import symdgm as sd
from symdgm.errors import EstimatorError

WHOLE = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
T = torch.tensor([3, 5, 1, 4])


class Net(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.body = nn.Linear(inputs, outputs)

    def forward(self, *values):
        return self.body(torch.cat(values, -1)).tanh() * 2


def unit(loc):
    return loc, torch.ones_like(loc)


def model(estimator, *, first=False, parallel=False, samples=1):
    torch.manual_seed(0)
    infer, move = Net(3 + (0 if parallel else 4), 4).double(), Net(4, 4).double()
    emit, begin = Net(4, 3).double(), Net(3, 4).double()
    given = "x_t" if parallel else "z_{t-1}, x_t"
    factors = [
        sd.OneHotCategorical(f"q(z_t|{given})", logits=infer),
        sd.OneHotCategorical("p(z_t|z_{t-1})", logits=move),
        sd.Normal("p(x_t|z_t)", lambda z: unit(emit(z))),
    ]
    if first:
        uniform = torch.zeros(4, dtype=torch.float64)
        factors += [
            sd.OneHotCategorical("q(z_1|x_1)", logits=begin),
            sd.OneHotCategorical("p(z_1)", logits=uniform),
        ]
    options = {} if first else {"z_0": 0.0, "z": 4}
    objective = sd.Objective(WHOLE, *factors, estimators={"z": estimator}, samples=samples, **options)
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    x[2, 1:] = float("nan")
    networks = [infer, move, emit, *([begin] if first else [])]
    return objective, x, networks, [p for m in networks for p in m.parameters()]


def hard(logits):
    mean = logits.softmax(-1)
    return OneHotCategorical(logits=logits, validate_args=False).sample() + mean - mean.detach()


def relaxed(logits):
    noise = -(
        -torch.rand(logits.shape, dtype=logits.dtype).clamp_min(torch.finfo(logits.dtype).tiny).log()
    ).log()
    return ((logits + noise) / 0.7).softmax(-1)


def by_hand(x, networks, draw, *, first=False):
    infer, move, emit, *begin = networks
    order = T.argsort(descending=True, stable=True)
    x, z, total = x[order].transpose(0, 1), torch.zeros(4, 4, dtype=torch.float64), 0.0
    for t, count in enumerate((T[:, None] > torch.arange(5)).sum(0).tolist()):
        z = z[:count]
        starts = first and t == 0
        q = begin[0](x[t, :count]) if starts else infer(z, x[t, :count])
        p = torch.zeros(4, 4, dtype=torch.float64) if starts else move(z)
        if starts:  # drawn in the order of the data
            back = order.argsort()
            z = draw(q[back])[order]
        else:
            z = draw(q)
        total = total + Normal(emit(z), 1.0).log_prob(x[t, :count]).sum()
        total = total - kl_divergence(Categorical(logits=q), Categorical(logits=p)).sum()
    return total / 4


@pytest.mark.parametrize("first", [False, True], ids=["from zero", "with a first step of its own"])
@pytest.mark.parametrize(
    ("estimator", "draw"),
    [("straight-through", hard), (sd.estimators.GumbelSoftmax(temperature=0.7), relaxed)],
    ids=["straight-through", "Gumbel-softmax"],
)
def test_values_and_gradients_are_those_of_the_loop(estimator, draw, first):
    objective, x, networks, weights = model(estimator, first=first)
    torch.manual_seed(1)
    found = objective(x=x, T=T)
    torch.manual_seed(1)
    wanted = by_hand(x, networks, draw, first=first)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    for a, b in zip(*(torch.autograd.grad(v, weights) for v in (found, wanted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-13)
    step = next(s for s in objective.derivation.steps if "straight" in s.name or "Gumbel" in s.name)
    assert step.kind.value.startswith("biased")


def test_steps_that_carry_nothing_are_drawn_at_once():
    objective, x, _, weights = model("straight-through", parallel=True, samples=3)
    value = objective(x=x, T=T)
    assert "for count" not in objective.code and "z_t_mean.detach()" in objective.code
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, weights))


def test_several_paths():
    one, x, _, weights = model("straight-through")
    many, *_ = model("straight-through", samples=400)
    torch.manual_seed(2)
    with torch.no_grad():
        alone = torch.stack([one(x=x, T=T) for _ in range(400)])
        together = many(x=x, T=T)
    error = alone.std() / 20
    assert abs(together - alone.mean()) < 4 * 2**0.5 * error
    assert many(x=x, T=T).requires_grad and weights


def test_draws_beside_others_that_carry_gradients():
    """q(b_t|x_t) goes straight through, q(z_t|b_t) is pathwise as ever."""
    torch.manual_seed(0)
    choose, x = nn.Linear(2, 1).double(), torch.randn(3, 4, 2, dtype=torch.float64)
    factors = [
        sd.Bernoulli("q(b_t|x_t,z_{t-1})", lambda x, z: choose(x) + z),
        sd.Normal("q(z_t|b_t)", unit),
        sd.Normal("p(x_t|z_t,b_t)", lambda z, b: unit((z + b).expand(-1, 2))),
    ]
    text = "E_q(b_{1:T}, z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t,b_t)]"
    objective = sd.Objective(text, *factors, z_0=0.0, b=1, z=1, estimators={"b": "straight-through"})
    torch.manual_seed(1)
    found = objective(x=x)
    torch.manual_seed(1)
    z, wanted = torch.zeros(3, 1, dtype=torch.float64), 0.0
    for t in range(4):
        logits = choose(x[:, t]) + z
        b = Bernoulli(logits=logits).sample() + logits.sigmoid() - logits.sigmoid().detach()
        z = b + torch.randn_like(b)
        wanted = wanted + Independent(Normal((z + b).expand(-1, 2), 1.0), 1).log_prob(x[:, t]).mean()
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    for a, b in zip(
        *(torch.autograd.grad(v, list(choose.parameters())) for v in (found, wanted)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_what_has_no_relaxation_is_refused():
    emission = sd.Normal("p(x_t|z_t)", lambda z: unit(z[:, None].double()))
    factors = [sd.Categorical("q(z_t|x_t)", nn.Linear(1, 3).double()), emission]
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t)]"
    with pytest.raises(EstimatorError, match="the number of a class has no value between two classes"):
        sd.Objective(text, *factors, estimators={"z": "straight-through"})
