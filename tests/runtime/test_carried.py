"""A loop over time from its record against the same loop as it is written: values, gradients, fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, softplus
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from symdgm.runtime.carried import Carried
from symdgm.runtime.carried.loop import plainly

COUNTS = [4, 4, 3, 3, 1, 1]
ROWS, LATENT, HIDDEN = sum(COUNTS), 3, 5
Call = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


@pytest.fixture(autouse=True)
def _double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Gated(nn.Module):
    """Gates and products, as in a deep Markov model; one layer is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.mean = nn.Linear(LATENT, LATENT), nn.Linear(LATENT, LATENT)
        self.read, self.scale = nn.Linear(HIDDEN, LATENT), nn.Linear(LATENT, LATENT)

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(self.gate(z))
        loc = (1 - gate) * self.mean(z) + gate * torch.relu(self.read(h)) / 2
        return loc, softplus(self.scale(self.mean(loc).exp().log1p()))


class Joined(nn.Module):
    """A network of some layers over the state and what is given, side by side."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(LATENT + HIDDEN, 7), *layers, nn.Linear(7, 2 * LATENT))

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.net(torch.cat([z, h], -1)).chunk(2, -1)
        return loc, softplus(scale)


class Tied(nn.Module):
    """One weight in two places, and a part of a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(LATENT, LATENT) / 2)
        self.given = nn.Linear(HIDDEN, LATENT, bias=False)
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0]))

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        loc = torch.tanh(z @ self.weight) @ self.weight.T + self.given(h) * self.mask
        return loc, softplus(self.weight[0] + 0.1 * loc)


class Attention(nn.Module):
    """Products of rows by themselves, and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.keys, self.out = nn.Linear(LATENT, 4 * LATENT), nn.Linear(HIDDEN, LATENT)

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        keys = self.keys(z).unflatten(-1, (4, LATENT))
        weights = torch.einsum("nkd,nd->nk", keys, self.out(h)).softmax(-1)
        return (weights[..., None] * keys).sum(1), softplus(self.out(h))


def parametrized() -> Gated:
    module = Gated()
    parametrizations.weight_norm(module.mean)
    return module


def frozen() -> Gated:
    module = Gated()
    module.mean.requires_grad_(False)
    module.gate.bias.requires_grad_(False)
    return module


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "gates": Gated,
    "relu": lambda: Joined(nn.ReLU(), nn.Linear(7, 7), nn.Tanh()),
    "in place": lambda: Joined(nn.ReLU(inplace=True)),
    "activations": lambda: Joined(nn.ELU(), nn.GELU(), nn.SiLU(), nn.LeakyReLU(), nn.Softplus()),
    "layer norm": lambda: Joined(nn.LayerNorm(7), nn.Hardtanh()),
    "tied": Tied,
    "attention": Attention,
    "parametrized": parametrized,
    "frozen": frozen,
    "dropout at rest": lambda: Joined(nn.Dropout()).eval(),
    "checkpoint": lambda: Checkpointed(),
}


class Checkpointed(Gated):
    """Computed anew in the backward pass."""

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = checkpoint(super().forward, z, h, use_reentrant=False)
        return loc, scale


def drawing(network: Call, read: Tensor | None = None):
    """A step that draws the next state, and keeps it, the one before it, and its law."""

    def step(count: int, z: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        loc, scale = network(z, h)
        now = loc + scale * torch.randn_like(loc)
        return [now], [now, z, loc, scale]

    return step


def inputs() -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(1)
    start = torch.randn(LATENT, requires_grad=True)
    return [start], [torch.randn(ROWS, HIDDEN, requires_grad=True)]


def outcome(loop, step, parameters: Sequence[Tensor], keep=slice(None)) -> tuple[list[Tensor], list[Tensor]]:
    """What is kept, and the gradients of a random sum of it."""
    (start,), given = inputs()
    torch.manual_seed(2)
    kept = loop(step, COUNTS, [start.expand(COUNTS[0], -1)], given)
    weights = [torch.randn(k.shape) for k in kept]
    total = sum((k * w).sum() for k, w in zip(kept[keep], weights[keep], strict=True))
    leaves = [start, *given, *(p for p in parameters if p.requires_grad)]
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    return list(kept), [
        g if g is not None else torch.zeros_like(t) for g, t in zip(found, leaves, strict=True)
    ]


def agree(found, wanted) -> None:
    for many, others in zip(found, wanted, strict=True):
        for a, b in zip(many, others, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def assert_same(step, parameters: Sequence[Tensor], why: str = "") -> Carried:
    """A loop gives the same twice, with or without a program."""
    carried = Carried()
    wanted = outcome(plainly, step, parameters)
    for _ in range(2):
        agree(outcome(carried, step, parameters), wanted)
    reasons = " ".join(carried.why)
    assert (why in reasons) if why else not reasons, reasons
    return carried


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_program_equals_the_loop(kind):
    network = NETWORKS[kind]()
    carried = assert_same(drawing(network), list(network.parameters()))
    assert len(carried.programs) == 1


@pytest.mark.parametrize("keep", [slice(0, 1), slice(2, 4), slice(1, 2)])
def test_what_is_kept_and_not_read_has_no_gradient(keep):
    network, carried = Gated(), Carried()
    step, parameters = drawing(network), list(network.parameters())
    agree(outcome(carried, step, parameters, keep), outcome(plainly, step, parameters, keep))
    assert carried.programs


def test_a_gradient_that_two_values_share_is_left_as_it_is():
    """A sum hands one and the same tensor to both of its terms."""
    network, found = Gated(), []
    for loop in (Carried(), plainly):
        (start,), given = inputs()
        torch.manual_seed(2)
        now, _, loc, _ = loop(drawing(network), COUNTS, [start.expand(COUNTS[0], -1)], given)
        loss = (now + loc).square().sum()
        found.append([torch.autograd.grad(loss, [start, *given, *network.parameters()], allow_unused=True)])
    agree([[g for g in found[0][0] if g is not None]], [[g for g in found[1][0] if g is not None]])


@pytest.mark.parametrize("cell", [nn.GRUCell(HIDDEN, LATENT), nn.RNNCell(HIDDEN, LATENT)])
def test_cells(cell):
    cell = cell.to(torch.float64)

    def step(count, h, x):
        now = cell(x, h)
        return [now], [now]

    assert_same(step, list(cell.parameters()))


def test_two_states_of_an_lstm():
    cell = nn.LSTMCell(HIDDEN, LATENT)

    def step(count, h, c, x):
        h, c = cell(x, (h, c))
        return [h, c], [h]

    def loop(way):
        torch.manual_seed(1)
        x = torch.randn(ROWS, HIDDEN, requires_grad=True)
        (h,) = way(step, COUNTS, [torch.zeros(4, LATENT), torch.zeros(4, LATENT)], [x])
        return h, torch.autograd.grad(h.square().sum(), [x, *cell.parameters()])

    carried = Carried()
    (a, grads), (b, others) = loop(carried), loop(plainly)
    agree([[a], grads], [[b], others])
    assert carried.programs


def test_weights_gradients_are_one_product_each():
    network, carried = Gated(), Carried()
    step, parameters = drawing(network), list(network.parameters())
    outcome(carried, step, parameters)
    (program,) = carried.programs
    sums = [op for op in program.stages.backward.within if op.name in ("mm", "sum", "addmm")]
    gradients = set(program.trace.gradients.values())
    assert not any(set(op.results) & gradients for op in sums if op.name == "sum")
    forward = program.stages.forward
    assert [op.name for op in forward.before].count("addmm") == 1  # what reads only what is given
    assert all(op.name != "addmm" for op in program.stages.backward.before)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 5 * gradient


def branching(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    loc = z if z.sum() > 0 else -z
    return loc + h[:, :LATENT], softplus(z)


def doubled(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    return Doubled.apply(z).tanh() + h[:, :LATENT], softplus(z)


def joining(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    return z - z.mean(0) + h[:, :LATENT], softplus(z)


def anew(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    return z * torch.tensor([1.0, 2.0, 3.0]).tanh() + h[:, :LATENT], softplus(z)


def changing(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    z = z.clone()
    z[:, 0] = 0.0
    return z + h[:, :LATENT], softplus(z)


REFUSED = {
    "depends on the values": branching,
    "torch.autograd.Function": doubled,
    "in place": changing,
    "made anew": anew,
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_recorded_runs_as_it_is(why):
    assert_same(drawing(REFUSED[why]), [], why)


JOINED: dict[str, Call] = {
    "mean": joining,
    "softmax": lambda z, h: (z + h.softmax(0)[:, :LATENT], softplus(z).log_softmax(0).exp()),
    "rows as columns": lambda z, h: (
        z + torch.cat([h, h], 1).reshape(2 * HIDDEN, -1).t()[:, :LATENT],
        softplus(z),
    ),
    "columns as rows": lambda z, h: (z + torch.cat([h, h], 1).t().reshape(-1, 10)[:, :LATENT], softplus(z)),
    "sorted": lambda z, h: (z + h.sort(0).values[:, :LATENT], softplus(z)),
    "cumulated": lambda z, h: (z + h.cumsum(0)[:, :LATENT], softplus(z)),
    "turned": lambda z, h: (z + h.flip(0)[:, :LATENT], softplus(z.flip(0))),
    "products": lambda z, h: (z + (h @ h.t() @ h)[:, :LATENT], softplus((z @ z.t()).sum(1, True) + z)),
    "sum of squares": lambda z, h: (z * h.square().sum().sqrt(), softplus(z + z.square().sum())),
    "side by side": lambda z, h: (z + torch.cat([h, h])[::2, :LATENT], softplus(z)),
}


@pytest.mark.parametrize("how", JOINED)
def test_rows_of_a_step_may_depend_on_each_other(how):
    step, carried = drawing(JOINED[how]), Carried()
    wanted = outcome(plainly, step, [])
    for _ in range(2):
        agree(outcome(carried, step, []), wanted)


WEIGHT = torch.nn.Parameter(torch.linspace(-1.0, 1.0, LATENT * LATENT).view(LATENT, LATENT).double())


def drawn(loc: Tensor, scale: Tensor) -> Tensor:
    return loc + scale * torch.randn_like(loc)


def used_twice(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    product = z @ WEIGHT
    return product + h[:, :LATENT], softplus(product)


def kept_too(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    product = z @ WEIGHT
    return product + h[:, :LATENT], product


def one_column(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return (z @ WEIGHT[:, :1]) + h[:, :LATENT], softplus(z)


def weighed(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return torch.add(h[:, :LATENT], z @ WEIGHT, alpha=0.5), softplus(z)


def drawn_in_vain(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    torch.randn_like(z)
    return z @ WEIGHT + h[:, :LATENT], softplus(z)


def noise_of_all_rows(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return z @ WEIGHT * torch.randn(LATENT) + h[:, :LATENT], softplus(z)


def averaged(z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return z @ WEIGHT + h[:, :LATENT], softplus(z).mean(0, keepdim=True)


@pytest.mark.parametrize(
    "network",
    [used_twice, kept_too, one_column, weighed, drawn_in_vain, averaged, noise_of_all_rows],
    ids=lambda n: n.__name__,
)
def test_products_and_draws_of_a_step(network):
    def step(count, z, h):
        loc, other = network(z, h)
        now = drawn(loc, 1.0)
        return [now], [now, loc, other]

    carried = Carried()
    wanted = outcome(plainly, step, [WEIGHT])
    for _ in range(2):
        agree(outcome(carried, step, [WEIGHT]), wanted)


def test_weights_that_are_computed_outside_of_a_step():
    computed = WEIGHT.exp()

    def loop(way):
        (start,), given = inputs()
        torch.manual_seed(2)
        step = drawing(lambda z, h: (z @ WEIGHT + z @ computed / 9 + h[:, :LATENT], softplus(z)))
        kept = way(step, COUNTS, [start.expand(COUNTS[0], -1)], given)
        return list(kept), torch.autograd.grad(sum(k.square().sum() for k in kept), [start, *given, WEIGHT],
                                               retain_graph=True)  # fmt: skip

    carried = Carried()
    agree(loop(carried), loop(plainly))
    assert "computed with gradients" in " ".join(carried.why)


def test_gradients_that_are_recorded_only_at_times():
    network, carried = Gated(), Carried()

    def at_times(z, h):
        with torch.set_grad_enabled(network.graded):
            gate = network.gate(z)
        return gate * network.mean(z) + h[:, :LATENT], softplus(z)

    step, parameters = drawing(at_times), list(network.parameters())
    for graded in (True, False, True):
        network.graded = graded
        agree(outcome(carried, step, parameters), outcome(plainly, step, parameters))


def test_one_value_that_is_carried_on_twice():
    network = Gated()

    def step(count, z, y, h):
        loc, scale = network(z, h)
        now = drawn(loc + y, scale)
        return [now, now], [now]

    def loop(way):
        (start,), given = inputs()
        torch.manual_seed(2)
        (kept,) = way(step, COUNTS, [start.expand(COUNTS[0], -1), torch.zeros(COUNTS[0], LATENT)], given)
        return [kept], torch.autograd.grad(kept.square().sum(), [start, *given, *network.parameters()])

    agree(loop(Carried()), loop(plainly))


def test_a_network_that_counts_its_calls():
    class Counting(Gated):
        calls = 0

        def forward(self, z, h):
            self.calls += 1
            return super().forward(z, h)

    network = Counting()
    assert_same(drawing(network), list(network.parameters()), "changes itself")
    assert network.calls == 3 * len(COUNTS)


def test_batch_norm_and_dropout_in_training():
    network = Joined(nn.BatchNorm1d(7))

    def step(count, z, h):
        loc, scale = network(z.repeat(2, 1), h.repeat(2, 1))
        return [loc[:count]], [loc[:count], scale[:count]]

    assert_same(step, list(network.parameters()), "in place")
    network.eval()
    assert_same(drawing(network), list(network.parameters()), "joins its rows")
    dropped = drawing(lambda z, h: (dropout(z, 0.5) + h[:, :LATENT], softplus(z)))
    carried = Carried()
    agree(outcome(carried, dropped, []), outcome(plainly, dropped, []))


def test_hooks_are_told_of_every_step():
    network, carried, told = Gated(), Carried(), []
    step, parameters = drawing(network), list(network.parameters())
    outcome(carried, step, parameters)
    network.mean.register_forward_hook(lambda *_: told.append(1))
    agree(outcome(carried, step, parameters), outcome(plainly, step, parameters))
    assert len(told) == 2 * 2 * len(COUNTS)


def test_what_changes_between_evaluations_is_seen():
    network, carried = Gated(), Carried()
    network.factor = 1.0

    def scaled(z, h):
        loc, scale = network(z, h)
        return network.factor * loc, scale

    step, parameters = drawing(scaled), list(network.parameters())
    for factor in (1.0, 0.5, 2.0):
        network.factor = factor
        agree(outcome(carried, step, parameters), outcome(plainly, step, parameters))
    network.mean.weight = nn.Parameter(torch.randn(LATENT, LATENT))
    parameters = list(network.parameters())
    agree(outcome(carried, step, parameters), outcome(plainly, step, parameters))
    network.gate.requires_grad_(False)
    agree(outcome(carried, step, parameters), outcome(plainly, step, parameters))
    assert not carried.why


def test_what_changes_all_the_time_becomes_a_plain_loop():
    carried, state = Carried(), [0.0]

    def restless(z, h):
        return state[0] * z + h[:, :LATENT], softplus(z)

    step = drawing(restless)
    for i in range(12):
        state[0] = float(i)
        agree(outcome(carried, step, []), outcome(plainly, step, []))
    assert "the same each time" in " ".join(carried.why)


def loss_of(loop, network: Gated, steps=drawing) -> tuple[Tensor, list[Tensor]]:
    (start,), given = inputs()
    torch.manual_seed(2)
    kept = loop(steps(network), COUNTS, [start.expand(COUNTS[0], -1)], given)
    return sum(k.square().sum() for k in kept), [start, *given, *network.parameters()]


def noisy(network: Gated):
    """A step whose noise no gradient depends on."""

    def step(count: int, z: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        loc, scale = network(z, h)
        now = drawn(loc, 1.0)
        return [now], [now, loc, scale]

    return step


def stopped(network: Gated):
    """A step of which a part has no gradient."""

    def step(count: int, z: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        with torch.no_grad():
            gate = torch.sigmoid(network.gate(z))
        loc, scale = network(z, h)
        now = drawn(loc * gate, scale)
        return [now], [now, loc, scale]

    return step


@pytest.mark.parametrize("steps", [drawing, noisy, stopped])
def test_second_derivatives(steps):
    network, carried = Gated(), Carried()
    found = []
    for loop in (carried, plainly):
        loss, leaves = loss_of(loop, network, steps)
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        found.append((first, second))
    agree(*found)
    assert carried.programs


def test_a_graph_that_is_kept_gives_its_gradients_twice():
    network, carried = Gated(), Carried()
    loss, leaves = loss_of(carried, network)
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    agree([first], [torch.autograd.grad(loss, leaves)])
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, leaves)


def test_weights_that_change_before_the_backward_pass():
    network, carried = Gated(), Carried()
    loss, leaves = loss_of(carried, network)
    with torch.no_grad():
        network.mean.weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, leaves)


@pytest.mark.filterwarnings("ignore:.*jit.script")
def test_without_gradients_and_under_transforms():
    network, carried = Gated(), Carried()
    with torch.no_grad():
        loss, _ = loss_of(carried, network)
    torch.testing.assert_close(loss, loss_of(plainly, network)[0].detach())

    def of_bias(bias):
        def moved(z, h):
            loc, scale = network(z, h)
            return loc + bias, scale

        (start,), given = inputs()
        torch.manual_seed(2)
        return carried(drawing(moved), COUNTS, [start.expand(COUNTS[0], -1)], given)[0].square().sum()

    bias = torch.zeros(LATENT)
    gradient = torch.func.grad(of_bias)(bias)
    direction = torch.ones(LATENT)
    _, forward = torch.func.jvp(of_bias, (bias,), (direction,))
    torch.testing.assert_close(forward, gradient.sum())
    assert not carried.programs


def test_a_constant_of_each_evaluation_is_read_anew():
    network, carried, found = Gated(), Carried(), []
    for value in (1.0, 3.0):
        beta = torch.tensor(value)

        def step(count, z, h, beta=beta):
            loc, scale = network(z, h)
            now = loc + beta * scale * torch.randn_like(loc)
            return [now], [now]

        found.append((outcome(carried, step, []), outcome(plainly, step, [])))
    for one, other in found:
        agree(one, other)
    assert len(carried.programs) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_mixed_precision(dtype):
    network, carried, found = Gated().float(), Carried(), []
    torch.set_default_dtype(torch.float32)
    step = drawing(lambda z, h: tuple(v.float() for v in network(z, h)))
    for loop in (carried, plainly):
        with torch.autocast("cpu", dtype):
            found.append(outcome(loop, step, list(network.parameters())))
    for many, others in zip(*found, strict=True):
        for a, b in zip(many, others, strict=True):
            torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)
    assert carried.programs


def test_what_is_in_full_within_mixed_precision_has_its_gradient_in_full():
    weight = nn.Parameter(torch.randn(LATENT, LATENT, dtype=torch.float32))
    torch.set_default_dtype(torch.float32)

    def full(z, h):
        with torch.autocast("cpu", enabled=False):
            return torch.tanh(z @ weight) + h[:, :LATENT], softplus(z)

    carried, found = Carried(), []
    for loop in (carried, plainly):
        (start,), given = inputs()
        torch.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16):
            kept = loop(drawing(full), COUNTS, [start.expand(COUNTS[0], -1)], given)
        found.append(torch.autograd.grad(sum(k.square().sum() for k in kept), [start, *given, weight]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert carried.programs


def test_discrete_states_have_no_gradient():
    logits = nn.Linear(LATENT + HIDDEN, LATENT)

    def step(count, z, h):
        p = torch.softmax(logits(torch.cat([z, h], -1)), -1)
        now = nn.functional.one_hot(torch.multinomial(p, 1)[:, 0], LATENT).to(p.dtype)
        return [now], [now, p]

    def loop(way):
        torch.manual_seed(3)
        now, p = way(step, COUNTS, [torch.zeros(4, LATENT)], inputs()[1])
        assert not now.requires_grad
        return [now, p], torch.autograd.grad(p.log().sum(), list(logits.parameters()))

    agree(loop(Carried()), loop(plainly))


def test_short_sequences_run_as_they_are():
    network, carried = Gated(), Carried()
    h = torch.randn(5, HIDDEN)
    found = carried(drawing(network), [3, 2], [torch.zeros(3, LATENT)], [h])
    assert [len(k) for k in found] == [5, 5, 5, 5]
    assert not carried.programs


def thawed(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    return torch.tanh(z @ WEIGHT) + h[:, :LATENT], softplus(z)


def test_a_gradient_that_is_wanted_only_later():
    """What is given, or a weight, has no gradient in the first evaluation, and one in the next."""
    carried, step = Carried(), drawing(thawed)
    for given_too, weight_too in ((False, True), (True, True), (True, False), (False, True)):
        found = []
        WEIGHT.requires_grad_(weight_too)
        for loop in (carried, plainly):
            (start,), (h,) = inputs()
            torch.manual_seed(2)
            kept = loop(step, COUNTS, [start.expand(COUNTS[0], -1)], [h.requires_grad_(given_too)])
            leaves = [start, *[h] * given_too, *[WEIGHT] * weight_too]
            found.append((kept, torch.autograd.grad(sum(k.square().sum() for k in kept), leaves)))
        agree(*found)
    WEIGHT.requires_grad_(True)
    assert len(carried.programs) == 3


def test_events_of_another_size():
    """The operations of a step may be the same whatever the size of an event."""
    carried = Carried()

    def step(count, z, h):
        now = (z * h).tanh()
        return [now], [now, h.sum(1, True)]

    for size in (2, 4):
        found = []
        for loop in (carried, plainly):
            torch.manual_seed(size)
            start = torch.randn(COUNTS[0], size, requires_grad=True)
            h = torch.randn(ROWS, size, requires_grad=True)
            kept = loop(step, COUNTS, [start], [h])
            found.append((kept, torch.autograd.grad(kept[0].square().sum(), [start, h])))
        agree(*found)
    assert len(carried.programs) == 2


def test_a_state_that_grows_in_the_first_step():
    """One column is carried into the first step, and several ones on."""
    carried, found = Carried(), []

    def step(count, z, h):
        now = z.tanh() + h[:, :LATENT]
        return [now], [now]

    for loop in (carried, plainly):
        torch.manual_seed(1)
        start = torch.randn(COUNTS[0], 1, requires_grad=True)
        h = torch.randn(ROWS, HIDDEN, requires_grad=True)
        kept = loop(step, COUNTS, [start], [h])
        found.append((kept, torch.autograd.grad(kept[0].square().sum(), [start, h])))
    agree(*found)
    assert "changes its shape" in " ".join(carried.why)


def test_what_is_kept_without_a_gradient_has_none():
    network = Gated()

    def step(count, z, h):
        loc, scale = network(z, h)
        now = drawn(loc, scale)
        return [now], [now, loc.detach()]

    carried = Carried()
    (start,), given = inputs()
    now, loc = carried(step, COUNTS, [start.expand(COUNTS[0], -1)], given)
    assert carried.programs and now.requires_grad and not loc.requires_grad


def test_forward_derivatives():
    network, carried = Gated(), Carried()
    (start,), given = inputs()
    tangents = []
    for loop in (carried, plainly):
        torch.manual_seed(2)
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(start.detach(), torch.ones(LATENT))
            now, *_ = loop(drawing(network), COUNTS, [dual.expand(COUNTS[0], -1)], given)
            tangents.append([torch.autograd.forward_ad.unpack_dual(now).tangent])
    agree([tangents[0]], [tangents[1]])


def test_a_network_that_counts_its_calls_from_some_time_on():
    class Counting(Gated):
        def __init__(self):
            super().__init__()
            self.factor, self.counts, self.calls = 1.0, False, 0

        def forward(self, z, h):
            self.calls += self.counts
            loc, scale = super().forward(z, h)
            return self.factor * loc, scale

    network, carried = Counting(), Carried()
    step, parameters = drawing(network), list(network.parameters())
    outcome(carried, step, parameters)
    network.factor, network.counts = 0.5, True
    outcome(carried, step, parameters)
    calls = network.calls
    outcome(carried, step, parameters)
    assert network.calls == calls + len(COUNTS)
    assert "changes itself" in " ".join(carried.why)
