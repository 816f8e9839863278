"""Recorded steps: what stands in their way, what they depend on; on a GPU, that they are the same steps."""

import copy

import pytest
import torch
from shared_networks import Encoder
from torch import nn
from torch.nn.functional import softplus
from training_models import VAE

import symdgm as sd
from symdgm.binding import Scalars
from symdgm.errors import NonFiniteError, OptionError, SymdgmWarning
from symdgm.training import Stepper, fit
from symdgm.training.capture import move_key, obstacle, wanted
from symdgm.training.graphs import Graphs
from symdgm.training.rates import Rates
from symdgm.training.snapshot import Snapshot, differences
from symdgm.training.syncs import find_syncs

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
X = (torch.arange(48).view(8, 6) % 5 < 2).float()
SOME = int(X.sum())


def player(**options):
    return Stepper(VAE(), **options).players[0]


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (CPU, "the parameters are on `cpu`, and only a CUDA device has graphs"),
        (CUDA, "the parameters are on several devices"),
    ],
)
def test_what_stands_in_the_way(device, words):
    assert words in obstacle([player()], device)


@needs_gpu
def test_what_an_optimiser_puts_in_the_way():
    sgd = player_on_gpu(optimizer=torch.optim.SGD)
    assert "SGD does not run as one kernel" in obstacle([sgd], CUDA)
    hooked = player_on_gpu()
    hooked.optimizer.register_step_pre_hook(lambda *_: None)
    assert "Adam has hooks, which a replay would not call" in obstacle([hooked], CUDA)


def player_on_gpu(**options):
    return Stepper(vae().to(CUDA), **options).players[0]


def test_who_asks_for_it_is_told_why_not():
    with pytest.warns(SymdgmWarning, match="steps run one kernel at a time: the parameters are on `cpu`"):
        Stepper(VAE(), capture=True)
    Stepper(VAE(), capture="auto")
    assert wanted("auto", "") and wanted(True, "") and not wanted(False, "") and not wanted("auto", "why")


@pytest.mark.parametrize("value", [1, "yes", None])
def test_another_value_is_refused(value):
    with pytest.raises(OptionError, match="`capture` is"):
        fit(VAE(), torch.zeros(4, 6), capture=value)


def test_a_recorded_move_depends_on_shapes_numbers_and_places():
    one = player()
    key = move_key(one, {"x": X}, ())
    assert move_key(one, {"x": X + 1}, ()) == key and hash(key) is not None
    assert move_key(one, {"x": X[:3]}, ()) != key
    assert move_key(one, {"x": X.double()}, ()) != key
    assert move_key(one, {"x": X}, ("beta", 1)) != key
    for change in (
        lambda: one.optimizer.param_groups[0].update(weight_decay=0.5),
        lambda: one.optimizer.param_groups[0].update(lr=torch.tensor(0.5)),
        lambda: one.optimizer.load_state_dict(copy.deepcopy(one.optimizer.state_dict())),
        lambda: setattr(one.parameters[0], "data", one.parameters[0].data.clone()),
        lambda: one.parameters[0].requires_grad_(False),
    ):
        before = move_key(one, {"x": X}, ())
        change()
        assert move_key(one, {"x": X}, ()) != before


def test_an_optimiser_is_capturable_only_inside():
    one = player()
    with Rates(one.optimizer, CPU).read():
        assert all(group["capturable"] for group in one.optimizer.param_groups)
    assert not any(group["capturable"] for group in one.optimizer.param_groups)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: X.sum().item(), "`item`"),
        (lambda: bool(X.sum() > 0), "`item`"),
        (lambda: X[X > 0], "`index.Tensor`"),
        (lambda: X.nonzero(), "`nonzero`"),
        (lambda: X.unique(), "`_unique2`"),
        (lambda: torch.equal(X, X), "`equal`"),
        (lambda: X.clone().__setitem__(X > 0, torch.zeros(SOME)), "`index_put_`"),
        (lambda: torch.linalg.cholesky(torch.eye(2)), "`_linalg_check_errors`"),
    ],
)
def test_what_waits_for_the_device_is_found_with_its_line(call, word):
    _, found = find_syncs(call)
    assert any(f.startswith(word) for f in found) and "test_capture.py:" in found[0]


THERE = torch.zeros(3, 2, device="meta")
"""A tensor that is not the host's."""


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: X.to("meta"), "`_to_copy`"),
        (lambda: torch.tensor(2.0).to("meta"), "`_to_copy`"),
        (lambda: THERE.copy_(X[:3, :2]), "`copy_`"),
        (lambda: THERE[torch.tensor([0, 1])], "`index.Tensor`"),
    ],
)
def test_what_goes_from_the_host_to_the_device_is_found(call, word):
    """A graph would copy the same values again, from memory that is gone."""
    _, found = find_syncs(call)
    assert [f.split(" ")[0] for f in found] == [word]


def test_a_single_number_of_the_host_is_no_copy():
    assert find_syncs(lambda: THERE * torch.tensor(2.0))[1] == []


def test_noise_of_the_host_cannot_be_recorded():
    assert "draws noise on the CPU" in Graphs.watched(lambda: torch.rand(2))[1]
    assert Graphs.watched(lambda: X.sum()) == (X.sum(), "")


def test_a_tensor_of_the_host_is_pinned_where_a_recorded_step_reads_it():
    scalars, there = Scalars({"beta": torch.tensor(2.0)}), torch.zeros((), device="meta")
    rest = scalars.refill(there.device)
    assert scalars.tensor("beta", there) is scalars["beta"] and rest == ()
    with scalars.pinned():
        pinned = scalars.tensor("beta", there)
    scalars["beta"] = torch.tensor(3.0)
    assert pinned.device == there.device and scalars.refill(there.device) == rest
    with scalars.pinned():
        assert scalars.tensor("beta", there) is pinned


def test_a_mask_that_takes_one_number_does_not_wait():
    found = X.clone()
    assert find_syncs(lambda: found.__setitem__(X > 0, 0.0))[1] == [] and found.sum() == 0


def test_a_step_without_waiting_is_clean():
    weight = nn.Parameter(torch.ones(6, 3))
    optimizer = torch.optim.Adam([weight], fused=True)

    def step():
        loss = (softplus(X @ weight) + torch.randn(8, 3)).where(X[:, :3] > 0, 0).mean()
        loss.backward()
        optimizer.step()

    assert find_syncs(step)[1] == []


def test_pinned_scalars_stay_where_they_are_and_others_do_not_see_them():
    scalars, like = Scalars({"beta": lambda step: step / 10, "gamma": torch.tensor(2.0)}), torch.zeros(())
    with scalars.pinned():
        pinned, bound = scalars.tensor("beta", like), scalars.tensor("gamma", like)
    before = scalars.tensor("beta", like)
    scalars.advance(5)
    rest = scalars.refill(CPU)
    assert pinned == 0.5 and before == 0.0 and scalars.tensor("beta", like) is not pinned
    assert scalars.refill(CPU) == rest and scalars.tensor("gamma", like) is bound
    scalars["gamma"] = torch.tensor(2.0)
    assert scalars.refill(CPU) != rest
    with scalars.pinned():
        assert scalars.tensor("beta", like) is pinned


def test_sizes_are_part_of_what_is_recorded():
    scalars = Scalars({"T": 3.0})
    rest = scalars.refill(CPU, ["T"])
    scalars["T"] = 4
    assert rest == (("T", 3),) and scalars.refill(CPU, ["T"]) == (("T", 4),)


def test_a_snapshot_brings_everything_back():
    model, x = VAE(), {"x": X}
    stepper = Stepper(model)
    model, one = stepper.trainable, stepper.players[0]
    x = {"x": torch.rand(8, one.parameters[0].shape[-1]).round()}
    stepper(x)
    flag = torch.zeros(())
    before = Snapshot.take(model, one, [flag])
    torch.manual_seed(0)
    stepper(x)
    flag.add_(1)
    first = Snapshot.take(model, one, [flag])
    before.restore()
    assert all(map(torch.equal, before.values.values(), Snapshot.take(model, one, [flag]).values.values()))
    torch.manual_seed(0)
    stepper(x)
    flag.add_(1)
    again = Snapshot.take(model, one, [flag])
    assert max(differences(before, first, again).values()) == 0 and before.replaced(model) == []
    stepper(x)
    assert max(differences(before, first, Snapshot.take(model, one, [flag])).values()) > 0.1


def test_what_only_one_of_two_steps_changes_is_a_difference():
    still, moved = (Snapshot({}, {"w": torch.full((4,), v)}) for v in (1.0, 1.5))
    assert differences(still, still, moved) == {"w": 1.0}
    assert differences(still, still, still) == {"w": 0.0}


def vae(**options):
    torch.manual_seed(0)
    q, p = sd.Normal("q(z|x)", Encoder()), sd.Bernoulli("p(x|z)", options.pop("dec", nn.Linear(2, 6)))
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    text = "maximize E_q(z|x)[log p(x|z)] - beta KL[q||p]"
    return sd.Model(text, q, p, prior, beta=lambda step: 1 + step / 10, **options)


def losses(model, capture, batches, **options):
    stepper = model.configure(capture=capture, **options)
    torch.manual_seed(3)
    found = [model.train_step(x=x).loss.item() for x in batches]
    stepper.settle()
    return found


@needs_gpu
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"clip_value": 0.01}])
def test_recorded_steps_are_eager_steps(options):
    """Noise, schedules, a smaller batch now and then, clipping: all go on as in an eager run."""
    batches = [X.to(CUDA)[: 8 if i % 5 else 3] for i in range(30)]
    one, two = vae().to(CUDA), vae().to(CUDA)
    found, plain = losses(one, True, batches, **options), losses(two, False, batches, **options)
    assert found == pytest.approx(plain, rel=1e-4)
    assert len(one._stepper._recorder._recorded) == 2 and not one._stepper._recorder.why
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@needs_gpu
def test_the_players_of_a_game_are_recorded_one_by_one():
    def game():
        torch.manual_seed(0)
        prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
        text = "min_G max_D E_{data(x)}[log sigmoid(D(x))] + E_p(z)[log(1 - sigmoid(D(G(z))))]"
        return sd.Model(text, prior, D=nn.Linear(6, 1), G=nn.Linear(2, 6), ema={"G_bar": 0.9}).to(CUDA)

    found = []
    for capture in (True, False):
        model = game()
        model.configure(capture=capture)
        torch.manual_seed(3)
        for _ in range(12):
            last = model.train_step(x=X.to(CUDA))
        found.append([*(e.loss.item() for e in last.values()), *model.state_dict().values()])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(2, 6)

    def forward(self, z):
        return self.body(z) if bool(z.sum() > 0) else self.body(-z)


@needs_gpu
def test_a_network_that_waits_for_the_device_runs_as_it_is():
    model = vae(dec=Branching()).to(CUDA)
    with pytest.warns(SymdgmWarning, match="a step waits for the device: `item` at .*test_capture.py"):
        found = losses(model, True, [X.to(CUDA)] * 8)
    assert found == pytest.approx(losses(vae(dec=Branching()).to(CUDA), False, [X.to(CUDA)] * 8), rel=1e-4)


@needs_gpu
def test_a_bad_batch_stops_a_recorded_run_before_the_weights_move():
    model = vae(validate=False).to(CUDA)
    stepper = model.configure(capture=True)
    for _ in range(10):
        model.train_step(x=X.to(CUDA))
    before = [p.detach().clone() for p in model.parameters()]
    bad = X.to(CUDA).clone()
    bad[0, 0] = float("nan")
    model.train_step(x=bad)
    model.train_step(x=X.to(CUDA))
    with pytest.raises(NonFiniteError, match="`x` is NaN in 1 of"):
        stepper.settle()
    assert all(map(torch.equal, before, model.parameters()))


class Fragile(nn.Linear):
    """Waits for the device only where it is recorded, after it has drawn noise."""

    def __init__(self):
        super().__init__(2, 6)

    def forward(self, z):
        z = z + 0 * torch.randn_like(z)
        if torch.cuda.is_current_stream_capturing():
            z.sum().item()
        return super().forward(z)


@needs_gpu
def test_a_recording_that_fails_leaves_nothing_behind():
    """PyTorch itself would leave the stream, the memory and the generator as if it were recorded still."""
    stream = torch.cuda.current_stream(CUDA)
    model = vae(dec=Fragile()).to(CUDA)
    with pytest.warns(SymdgmWarning, match="PyTorch could not record it"):
        found = losses(model, True, [X.to(CUDA)] * 8)
    assert torch.cuda.current_stream(CUDA) == stream and not torch.cuda.is_current_stream_capturing()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    assert torch.randn(3, device=CUDA).isfinite().all()
    assert found == pytest.approx(losses(vae(dec=Fragile()).to(CUDA), False, [X.to(CUDA)] * 8), rel=1e-4)
    losses(other := vae().to(CUDA), True, [X.to(CUDA)] * 8)
    assert len(other._stepper._recorder._recorded) == 1


@needs_gpu
def test_a_new_learning_rate_is_read():
    found = []
    for capture in (True, False):
        model = vae().to(CUDA)
        stepper = model.configure(capture=capture)
        torch.manual_seed(3)
        for i in range(16):
            stepper.players[0].optimizer.param_groups[0]["lr"] = 1e-2 if i < 8 else 1e-3
            last = model.train_step(x=X.to(CUDA)).loss.item()
        found.append(last)
        assert not capture or len(stepper._recorder._recorded) == 1
    assert found[0] == pytest.approx(found[1], rel=1e-4)
