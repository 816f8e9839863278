"""A model in `fit`, in a loop of one's own, with schedules, files and errors."""

import copy
import math
import pickle
from pathlib import Path

import pytest
import torch
from face_models import EQUATION, LATENT, PIXELS, Encoder, by_block, by_objects, images, networks
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import symdgm as sd
from symdgm.errors import (
    DataError,
    FileMismatchError,
    NonFiniteError,
    NotSupportedError,
    OptionError,
    ParameterError,
    SupportError,
    SymdgmError,
)
from symdgm.training.randomness import draw_seed

QUIET = {"epochs": 1, "batch_size": 8, "seed": 0, "progress": False}


def weights(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_fit_takes_every_form_of_data() -> None:
    x = images()
    forms = [x, x.numpy(), {"x": x}, (x,), TensorDataset(x)]
    fitted = []
    for form in forms:
        model = by_objects()
        model.fit(form, **QUIET)
        fitted.append(weights(model))
    assert all(equal(fitted[0], other) for other in fitted[1:])
    model = by_objects()
    history = model.fit(DataLoader(TensorDataset(x), batch_size=8), epochs=1, seed=0, progress=False)
    assert math.isfinite(history.epochs[0].value)


def test_a_loop_of_ones_own_is_fit() -> None:
    x = images()
    fitted, own = by_objects(), by_objects()
    fitted.fit([{"x": x}] * 3, epochs=1, lr=1e-2, seed=11, progress=False)
    own.configure(lr=1e-2)
    torch.manual_seed(11)
    draw_seed(), draw_seed()  # for the order of the data and for validation, as `fit` does
    for _ in range(3):
        evaluation = own.train_step(x=x)
    assert equal(weights(own), weights(fitted))
    assert set(evaluation.terms) == {"E_q(z|x)[log p(x|z)]", "KL[q || p]"}


def test_steps_train_in_training_mode_after_fit() -> None:
    modes: list[bool] = []

    class Noted(nn.Linear):
        def forward(self, z: Tensor) -> Tensor:
            modes.append(self.training)
            return super().forward(z)

    parts = [sd.Normal("q(z|x)", networks()[0]), sd.Bernoulli("p(x|z)", Noted(LATENT, PIXELS))]
    model = sd.Model("maximize E_q(z|x)[log p(x|z)]", *parts)
    model.fit(images(), **QUIET)
    assert not model.training
    modes.clear()
    model.train_step(x=images())
    assert modes == [True]


def test_a_lone_tensor_belongs_to_the_only_data() -> None:
    model, x = by_objects(), images()
    values = []
    for given in ({"x": x}, x, x.numpy()):
        torch.manual_seed(0)
        values.append(model.loss(given))
    torch.manual_seed(0)
    values.append(model(x=x))
    assert len({float(v.detach()) for v in values}) == 1
    assert torch.isfinite(model.train_step(x).loss)
    assert model.objective.per_example(x).shape == (len(x),)
    two = sd.Model("maximize log p(x|y)", sd.Normal("p(x|y)", Encoder()))
    assert set(two.variables) == {"x", "y"}
    with pytest.raises(
        DataError, match=r"a Tensor is given without its name\nwrite `objective\(.=..., .=...\)"
    ):
        two.loss(x)
    with pytest.raises(DataError, match=r"without its name\nwrite `model.train_step\("):
        two.train_step(x)
    nothing = sd.Model("minimize ||theta||^2", theta=nn.Parameter(torch.ones(())))
    with pytest.raises(DataError, match="has no data: leave it out"):
        nothing.loss(x)


def test_the_code_of_a_model_asks_for_a_loss() -> None:
    with pytest.raises(SymdgmError, match=r"evaluate once: `model.loss\(x=batch\)`"):
        _ = by_objects().code


def test_a_plain_loop_is_a_loop_of_train_steps() -> None:
    x = images()
    own, reference = by_objects(), by_objects()
    own.configure(lr=1e-2)
    torch.manual_seed(11)
    for _ in range(3):
        own.train_step(x=x)
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-2)
    torch.manual_seed(11)
    for _ in range(3):
        optimizer.zero_grad()
        reference.loss(x=x).backward()
        optimizer.step()
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(weights(own), weights(reference), strict=True))


def test_a_schedule_is_followed_without_new_programs() -> None:
    model = by_block(beta=lambda step: step / 10)
    seen = []
    model.fit(
        images(), callbacks=[lambda record: seen.append(model.scalars["beta"])], **{**QUIET, "epochs": 3}
    )
    assert seen == [0.2, 0.5, 0.8]
    assert len(model.objective.runner.programs) == 1
    model.scalars["beta"] = 4.0
    torch.manual_seed(0)
    terms = model.terms(x=images())
    torch.manual_seed(0)
    value = model.objective(x=images())
    assert torch.allclose(value, terms["E_q(z|x)[log p(x|z)]"] - 4 * terms["KL[q(z|x) || p(z)]"])
    assert len(model.objective.runner.programs) == 1


def test_a_parameter_as_a_scalar_is_trained() -> None:
    beta = nn.Parameter(torch.tensor(1.0))
    model = by_objects(beta=beta)
    assert "scalar_beta" in model.state_dict()
    model.fit(images(), **QUIET)
    assert float(beta.detach()) != 1.0
    assert sum(p is beta for p in model.parameters()) == 1
    assert sum(p is beta for p in model.objective.parameters()) == 1


def test_a_schedule_reaches_formulas_of_parameters() -> None:
    model = sd.Model("p(x) = N(x; a, 1)\n minimize a ||x||^2 - log p(x)", a=lambda step: float(step), x=2)
    x = torch.ones(4, 2)
    for step in (0, 3):
        model.schedule(step)
        expected = step * 2 + (1 - step) ** 2 + math.log(2 * math.pi)
        assert model.loss(x=x).item() == pytest.approx(expected, rel=1e-5)


def test_validation_and_seeds() -> None:
    runs = [by_objects().fit(images(), validation=images(8), **QUIET) for _ in range(2)]
    assert runs[0].epochs[0].validation_value == runs[1].epochs[0].validation_value
    assert runs[0].epochs[0].validation_terms.keys() == {"E_q(z|x)[log p(x|z)]", "KL[q || p]"}


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    model, other = by_block(), by_block(seed=9)
    model.save(path)
    assert not equal(weights(model), weights(other))
    other.load(path)
    assert equal(weights(model), weights(other))
    smaller = sd.Model(
        "maximize E_q(z|x)[log p(x|z)]",
        sd.Normal("q(z|x)", networks()[0]),
        sd.Bernoulli("p(x|z)", networks()[1]),
    )
    with pytest.raises(FileMismatchError, match="belongs to another model"):
        smaller.load(path)
    with pytest.raises(FileMismatchError):
        by_objects().load(tmp_path / "nothing.safetensors")


def test_the_names_of_weights_say_what_they_belong_to() -> None:
    names = list(by_block().state_dict())
    assert names[0] == "factors.q(z|x).network.hidden.weight"
    assert names[-1] == "factors.p(x|z).logits_network.bias"
    objective = sd.Model("minimize ||G_w(x)||^2", G_w=nn.Linear(2, 2))
    assert list(objective.state_dict()) == ["networks.G_w.weight", "networks.G_w.bias"]
    taken = sd.Model("minimize ||train(x)||^2", train=nn.Linear(2, 2))
    assert next(iter(taken.state_dict())) == "networks.train_.weight"


def test_a_shared_network_is_trained_and_saved_once(tmp_path: Path) -> None:
    shared = nn.Linear(PIXELS, PIXELS)
    model = sd.Model(
        "minimize ||x - f(x)||^2 - log p(x|y=f(x))",
        sd.Normal("p(x|y)", loc=shared, scale=1.0),
        f=shared,
    )
    assert len(list(model.parameters())) == 2
    model.save(tmp_path / "m.safetensors")
    model.load(tmp_path / "m.safetensors")


def test_copies_and_pickles_are_models_of_their_own() -> None:
    model = by_objects()
    model.fit(images(), **QUIET)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.manual_seed(2)
        expected = model.loss(x=images())
        torch.manual_seed(2)
        assert torch.equal(other.loss(x=images()), expected)
        before = weights(model)
        other.fit(images(), **QUIET)
        assert equal(weights(model), before)
        assert not equal(weights(other), before)


def test_another_dtype() -> None:
    model = by_objects().to(torch.float64)
    assert model.loss(x=images().double()).dtype == torch.float64
    model.fit(images(), **QUIET)
    assert model.sample(2)["x"].dtype == torch.float64


class Exploding(nn.Module):
    """A network that is fine, and then is not."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = nn.Linear(PIXELS, 2 * LATENT)
        self.kind = kind

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.layer(x).chunk(2, -1)
        if self.kind == "zero scale":
            return loc, scale * 0
        if self.kind == "exploding loc":
            return loc * 1e38 * 1e38, scale.exp()
        return loc, scale.exp()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("zero scale", r"scale of Normal q.z.x. has values in \[-?0, -?0\]; it must be positive"),
        ("exploding loc", "the first bad intermediate is `q_z_loc` of `q.z.x.`, which is infinite|NaN"),
        ("bad weight", "the weight `layer.weight` of `.*` is NaN in 1 of 48 entries"),
    ],
)
def test_what_is_not_finite_is_named(kind: str, words: str) -> None:
    encoder = Exploding(kind)
    if kind == "bad weight":
        with torch.no_grad():
            encoder.layer.weight[0, 0] = float("nan")
    parts = [
        sd.Normal("q(z|x)", encoder),
        sd.Bernoulli("p(x|z)", networks()[1]),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
    ]
    model = sd.Model(EQUATION, *parts, beta=1.0)
    before = weights(model)
    with pytest.raises((NonFiniteError, ParameterError), match=words):
        model.fit(torch.ones(8, PIXELS), **QUIET)
    assert all(torch.equal(a, b) or a.isnan().any() for a, b in zip(weights(model), before, strict=True))


def test_the_logarithm_of_a_negative_number_and_a_bad_scalar() -> None:
    model = sd.Model("minimize log(sum(f(x)))", f=nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model.networks.f.weight.fill_(-1.0)
    with pytest.raises(NonFiniteError, match="the first bad intermediate is"):
        model.train_step(x=torch.ones(3, 2))
    with pytest.raises(NonFiniteError, match="the input `beta` is NaN in 1 of 1 entries"):
        by_objects(beta=torch.tensor(float("nan"))).train_step(x=images())


def test_a_model_says_which_way() -> None:
    with pytest.raises(NotSupportedError, match="does not say whether to maximise or to minimise"):
        sd.Model("||f(x)||^2", f=nn.Linear(2, 2))
    with pytest.raises(OptionError, match="unknown option `epoch`"):
        by_objects().fit(images(), epoch=3)
    minimised = sd.Model("J(x) = minimize ||f(x)||^2", f=nn.Linear(2, 2))
    x = torch.ones(3, 2)
    assert minimised.loss(x=x) == minimised.objective(x=x)


def test_a_step_looks_at_values_in_the_first_batch_of_each_shape() -> None:
    model, x = by_objects(), images()
    with pytest.raises(SupportError):
        model.train_step(x=x + 0.5)
    model.train_step(x=x)
    model.train_step(x=x + 0.5)
    with pytest.raises(SupportError):
        model.objective(x=x + 0.5)
    with pytest.raises(DataError, match="no data `y`"):
        model.train_step(y=x)


def test_a_step_puts_a_network_that_was_set_apart_into_training_mode() -> None:
    model, x = by_objects(), images()
    model.train_step(x=x)
    inner = next(m for m in model.modules() if isinstance(m, torch.nn.Linear))
    inner.eval()
    model.train_step(x=x)
    assert all(m.training for m in model.modules())


def test_a_step_forms_no_gradient_of_data() -> None:
    model, x = by_objects(), images().requires_grad_()
    model.train_step(x=x)
    assert x.grad is None
