"""What a recorded step must do, seen on the CPU, where the operations are recorded as a CUDA graph does."""

import copy

import pytest
import torch
from shared_networks import Encoder
from taping import Tape, taped
from torch import nn

import symdgm as sd
from symdgm.errors import NonFiniteError, SymdgmWarning
from symdgm.training import capture

X = (torch.arange(48).view(8, 6) % 5 < 2).float()


def schedule(step):
    return 1 + step / 10


def vae(dec=lambda: nn.Linear(2, 6), beta=schedule, **options):
    torch.manual_seed(0)
    q, p = sd.Normal("q(z|x)", Encoder()), sd.Bernoulli("p(x|z)", dec())
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    text = "maximize E_q(z|x)[log p(x|z)] - beta KL[q||p]"
    return sd.Model(text, q, p, prior, beta=beta, **options)


def run(model, tape, batches, each=lambda i, model, stepper: None, **options):
    """The losses of some steps; without a tape one operation after another."""
    stepper = model.configure(capture=False, **options)
    if tape is not None:
        taped(stepper, tape)
    torch.manual_seed(3)
    found = []
    for i, x in enumerate(batches):
        each(i, model, stepper)
        found.append(model.train_step(x=x).loss.item())
    stepper.settle()
    return found


def compare(build, batches, each=lambda i, model, stepper: None, **options):
    """Runs both ways; the recorder, and how often something was recorded."""
    one, two, tape = build(), build(), Tape()
    found, plain = run(one, tape, batches, each, **options), run(two, None, batches, each, **options)
    assert found == pytest.approx(plain, rel=1e-5)
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)
    return one._stepper._recorder, tape.recordings


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.1, momentum=0.9, fused=True)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"clip_value": 0.01}, {"optimizer": sgd}])
def test_recorded_steps_are_eager_steps(options):
    """Noise, a schedule, a smaller batch now and then, clipping: all go on as in an eager run."""
    recorder, recordings = compare(vae, [X[: 8 if i % 4 else 3] for i in range(24)], **options)
    assert recordings == len(recorder._recorded) == 2 and not recorder.why


def test_a_new_step_size_is_no_new_recording():
    def each(i, model, stepper):
        stepper.players[0].optimizer.param_groups[0]["lr"] = 1e-1 / (1 + i)

    recorder, recordings = compare(vae, [X] * 12, each)
    assert recordings == 1 and not recorder.why


class Unused(nn.Linear):
    """Has a parameter that no gradient reaches."""

    def __init__(self):
        super().__init__(2, 6)
        self.spare = nn.Parameter(torch.ones(1))


def test_steps_are_counted_where_a_parameter_has_no_gradient():
    """Adam's counts stay where the recording reads them; another kind of batch does not move them."""
    recorder, _ = compare(lambda: vae(Unused), [X[: 8 if i % 3 else 3] for i in range(24)], lr=0.1)
    assert len(recorder._recorded) == 2


@pytest.mark.parametrize("beta", [lambda step: torch.tensor(1 + step / 10), lambda step: 1 + step // 3])
def test_schedules_may_be_tensors_and_stairs(beta):
    recorder, recordings = compare(lambda: vae(beta=beta), [X] * 12)
    assert recordings == 1 and not recorder.why


def test_a_bound_tensor_is_read_where_it_is():
    def each(i, model, stepper):
        model.scalars["beta"].fill_(1 + i / 10)

    assert compare(lambda: vae(beta=torch.tensor(1.0)), [X] * 12, each)[1] == 1


class Tempered(nn.Linear):
    def __init__(self):
        super().__init__(2, 6)
        self.temperature = 1.0

    def forward(self, z):
        return super().forward(z) / self.temperature


def test_a_number_of_a_network_is_part_of_the_recording():
    def each(i, model, stepper):
        (network,) = (m for m in model.modules() if isinstance(m, Tempered))
        network.temperature = 1.0 + i // 10

    recorder, recordings = compare(lambda: vae(Tempered), [X] * 20, each)
    assert recordings == 2 and not recorder.why


class Counting(nn.Linear):
    def __init__(self):
        super().__init__(2, 6)
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return super().forward(z) / self.calls


def test_a_network_that_counts_its_calls_is_never_recorded(monkeypatch):
    monkeypatch.setattr(capture, "IDLE", 5)
    with pytest.warns(SymdgmWarning, match="the steps are of too many kinds"):
        assert compare(lambda: vae(Counting), [X] * 9)[1] == 0


class Branching(nn.Linear):
    def __init__(self):
        super().__init__(2, 6)

    def forward(self, z):
        return super().forward(z if bool(z.sum() > 0) else -z)


class Replacing(nn.Linear):
    def __init__(self):
        super().__init__(2, 6)
        self.register_buffer("total", torch.zeros(()))

    def forward(self, z):
        self.total = self.total + z.detach().sum()
        return super().forward(z)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Branching, "a step waits for the device: `item` at .*test_recorder.py"),
        (Replacing, "each step puts a new tensor in the place of `.*total`"),
    ],
)
def test_what_cannot_be_recorded_runs_as_it_is(network, words):
    with pytest.warns(SymdgmWarning, match=words):
        compare(lambda: vae(network), [X] * 8)


class Failing(Tape):
    def record(self, work, pool):
        super().record(work, pool)
        raise RuntimeError(self.words)


@pytest.mark.parametrize("words", ["out of memory\nand more", ""])
def test_a_recording_that_fails_leaves_the_step_as_it_was(words):
    one, two, tape = vae(), vae(), Failing()
    tape.words = words
    with pytest.warns(SymdgmWarning, match=f"could not record it: {words[:13] or 'RuntimeError'}"):
        found = run(one, tape, [X] * 8)
    assert found == pytest.approx(run(two, None, [X] * 8), rel=1e-6)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a.grad, b.grad)


class Wrong(Tape):
    def record(self, work, pool):
        result, launch = super().record(work, pool)
        return result, lambda: (launch(), result[1].mul_(1.5))


def test_a_replay_that_differs_is_not_used():
    one, two = vae(), vae()
    with pytest.warns(SymdgmWarning, match="a replayed step differs from an eager one, in `value` by 50.0%"):
        found = run(one, Wrong(), [X] * 8)
    assert found == pytest.approx(run(two, None, [X] * 8), rel=1e-6)
    torch.testing.assert_close(one.state_dict(), two.state_dict())


def test_a_loaded_state_of_the_optimiser_is_recorded_anew():
    kept = []

    def each(i, model, stepper):
        optimizer = stepper.players[0].optimizer
        if i == 1:
            kept.append(copy.deepcopy(optimizer.state_dict()))
        if i in (8, 16):
            optimizer.load_state_dict(copy.deepcopy(kept[-1]))

    assert compare(vae, [X] * 24, each, lr=0.1)[1] == 3


def test_a_frozen_parameter_is_not_moved_by_a_recording():
    def each(i, model, stepper):
        if i == 8:
            stepper.players[0].parameters[0].requires_grad_(False)

    compare(vae, [X] * 16, each)


def test_graphs_that_are_not_needed_make_room(monkeypatch):
    monkeypatch.setattr(capture, "MAX_GRAPHS", 2)
    monkeypatch.setattr(capture, "IDLE", 10)
    batches = [X[: 8 - i // 8] for i in range(32)]
    recorder, recordings = compare(vae, batches)
    assert recordings == 4 and len(recorder._recorded) == 2
    recorder, recordings = compare(vae, [X[: 8 - i % 4] for i in range(32)])
    assert recordings == 2, "kinds that take turns are not recorded again and again"


def test_the_players_of_a_game_and_averages():
    def game():
        torch.manual_seed(0)
        prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
        text = "min_G max_D E_{data(x)}[log sigmoid(D(x))] + E_p(z)[log(1 - sigmoid(D(G(z))))]"
        networks = {"D": nn.Linear(6, 1), "G": nn.Linear(2, 6)}
        return sd.Model(text, prior, **networks, ema={"G_bar": 0.9}, clip_weights={"D": 0.2})

    found = []
    for tape in (Tape(), None):
        model = game()
        stepper = model.configure(capture=False, steps={"D": 2})
        if tape is not None:
            taped(stepper, tape)
        torch.manual_seed(3)
        for i in range(20):
            last = model.train_step(x=X + i)
        found.append([*(e.loss.item() for e in last.values()), *model.state_dict().values()])
    assert len(model._stepper.players) == 2
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_bad_batch_stops_a_recorded_run_before_the_weights_move():
    model = vae(validate=False)
    stepper = taped(model.configure(capture=False))
    for _ in range(10):
        model.train_step(x=X)
    before = [p.detach().clone() for p in model.parameters()]
    bad = X.clone()
    bad[0, 0] = float("nan")
    model.train_step(x=bad)
    model.train_step(x=X)
    with pytest.raises(NonFiniteError, match="`x` is NaN in 1 of"):
        stepper.settle()
    assert all(map(torch.equal, before, model.parameters()))
    model.train_step(x=X)
    stepper.settle()
    assert not any(map(torch.equal, before, model.parameters())), "who catches the error can go on"


def test_batches_that_wait_for_a_look_take_little_memory(monkeypatch):
    from symdgm.training import guard

    monkeypatch.setattr(guard, "PENDING_BYTES", 3 * X.nbytes)
    model = vae()
    stepper = taped(model.configure(capture=False))
    held = []
    for _ in range(9):
        model.train_step(x=X)
        held.append(len(stepper._guard._attempts))
    assert max(held) == 3 and held.count(0) == 2


def test_steps_are_recorded_where_double_precision_is_the_default():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert compare(lambda: vae().double(), [X.double()] * 8)[1] == 1
    finally:
        torch.set_default_dtype(before)
