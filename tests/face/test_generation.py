"""Sampling and reconstruction."""

import pytest
import torch
from face_models import BLOCK, LATENT, PIXELS, Encoder, by_block, by_objects, images, networks
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import DataError, NameResolutionError, NotSupportedError, OptionError, ShapeError


def conditional() -> sd.Model:
    """A VAE with labels, ``p(x|z,y)``."""
    torch.manual_seed(0)
    return sd.Model(
        """
        p(z)     = Normal(z; 0, 1)
        q(z|x,y) = Normal(z; enc(x, y))
        p(x|z,y) = Bernoulli(x; logits = f(z) + g(y))
        maximize E_q(z|x,y)[log p(x|z,y)] - KL[q||p]
        """,
        enc=Encoder(PIXELS + 2),
        f=nn.Linear(LATENT, PIXELS),
        g=nn.Linear(2, PIXELS),
        z=LATENT,
    )


def test_samples_have_the_shapes_of_the_events() -> None:
    drawn = by_block().sample(5)
    assert {k: v.shape for k, v in drawn.items()} == {"z": (5, LATENT), "x": (5, PIXELS)}
    assert set(drawn["x"].unique().tolist()) <= {0.0, 1.0}
    assert by_block().sample()["x"].shape == (1, PIXELS)


def test_laws_by_their_names() -> None:
    model = conditional()
    assert list(model.factors) == ["p(z)", "q(z|x, y)", "p(x|z, y)"]
    x, y = torch.ones(3, PIXELS), torch.eye(2)[[0, 1, 1]]
    codes = model.factors["q(z|x,y)"].mean({"x": x, "y": y})["z"]
    assert torch.equal(codes, model.factors["q(z|x, y)"].mean({"x": x, "y": y})["z"])
    assert torch.equal(codes, dict(model.factors.named_children())["q(z|x, y)"].mean({"x": x, "y": y})["z"])
    with pytest.raises(OptionError, match=r"unknown name `q\(z\|x\)`[^`]*`q\(z\|x,y\)`"):
        model.factors["q(z|x)"]


def test_seeds_repeat_and_leave_the_callers_stream_alone() -> None:
    model = by_block()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second, other = model.sample(4, seed=3), model.sample(4, seed=3), model.sample(4, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["z"], second["z"]) and torch.equal(first["x"], second["x"])
    assert not torch.equal(first["z"], other["z"])
    a, b = (model.reconstruct(images(), seed=1) for _ in range(2))
    assert torch.equal(a, b)


def test_means_are_means() -> None:
    model = by_block()
    drawn = model.sample(4, mean=True, seed=0)
    (bernoulli,) = (
        f.distribution for f in model.objective.bound.environment.factors if str(f.node) == "p(x|z)"
    )
    assert torch.allclose(drawn["x"], bernoulli.mean({"z": drawn["z"]})["x"])
    assert ((drawn["x"] > 0) & (drawn["x"] < 1)).all()
    assert drawn["z"].std() > 0
    sampled = model.reconstruct(images(), mean=False)
    assert set(sampled.unique().tolist()) <= {0.0, 1.0}


def test_names_with_parameter_subscripts_are_one_model() -> None:
    """``p_theta(x|z)`` is generated from ``p(z)``, and ``q_phi`` infers."""
    torch.manual_seed(0)
    enc, dec = Encoder(PIXELS), nn.Linear(LATENT, PIXELS)
    model = sd.Model(
        """
        p(z) = Normal(z; 5, 0.001)
        q_phi(z|x) = Normal(z; enc(x))
        p_theta(x|z) = Normal(x; dec(z), 0.001)
        maximize E_{q_phi(z|x)}[log p_theta(x|z)] - KL[q_phi(z|x) || p(z)]
        """,
        enc=enc, dec=dec, z=LATENT,
    )  # fmt: skip
    drawn = model.sample(3)
    torch.testing.assert_close(drawn["z"], torch.full((3, LATENT), 5.0), rtol=0, atol=0.01)
    torch.testing.assert_close(drawn["x"], dec(drawn["z"]), rtol=0, atol=0.01)
    assert model.reconstruct(images()).shape == images().shape


def test_an_event_shape_is_learnt_from_an_evaluation() -> None:
    enc, dec = networks()
    model = sd.Model(BLOCK, enc=enc, dec=dec, beta=1.0)
    with pytest.raises(ShapeError, match="z=16"):
        model.sample(2)
    model.loss(x=images())
    assert model.sample(2)["x"].shape == (2, PIXELS)


def test_reconstruction_passes_through_the_latent_variables() -> None:
    model = by_objects()
    model.fit(images(), epochs=150, lr=1e-2, seed=0, progress=False)
    x = images()
    error = (model.reconstruct(x, seed=0) - x).abs().mean()
    baseline = (x.mean(0) - x).abs().mean()
    assert model.reconstruct(x).shape == x.shape
    assert error < baseline


def test_labels_are_given() -> None:
    model = conditional()
    labels = torch.eye(2)[torch.tensor([0, 1, 1])]
    assert {k: tuple(v.shape) for k, v in model.sample(y=labels).items()} == {
        "y": (3, 2),
        "z": (3, LATENT),
        "x": (3, PIXELS),
    }
    assert torch.equal(model.sample(3, y=labels, seed=1)["x"], model.sample(y=labels, seed=1)["x"])
    x = images(3)
    assert model.reconstruct(x, y=labels).shape == x.shape
    fixed = model.sample(y=labels, z=torch.zeros(3, LATENT), mean=True)["x"]
    assert torch.equal(fixed[1], fixed[2]) and not torch.equal(fixed[0], fixed[1])


def test_a_hierarchy_is_drawn_from_the_top() -> None:
    model = sd.Model(
        """
        p(z)   = Normal(z; 0, 1)
        p(h|z) = Normal(h; 2 z, 0.5)
        p(x|h) = Normal(x; h, 0.1)
        q(h|x) = Normal(h; x, 0.1)
        q(z|h) = Normal(z; h / 2, 0.1)
        maximize E_q(h|x)[E_q(z|h)[log p(x|h) + log p(h|z) + log p(z)]]
        """,
        z=1,
    )
    drawn = model.sample(4000, seed=0)
    assert set(drawn) == {"z", "h", "x"}
    assert (
        abs(drawn["h"].var() / 4.25 - 1) < 0.15
    )  # 4 + 1/4; the relative error of a variance is sqrt(2/4000) = 0.022
    x = torch.randn(7, 1)
    assert (model.reconstruct(x, seed=0) - x).abs().max() < 1


def test_discrete_ancestors() -> None:
    model = sd.Model(
        "maximize log p(x|y) + log p(y)",
        sd.Categorical("p(y)", probs=torch.tensor([0.5, 0.5])),
        sd.Normal("p(x|y)", loc=nn.Embedding(2, 3), scale=0.1),
    )
    drawn = model.sample(6)
    assert drawn["x"].shape == (6, 3) and drawn["y"].shape == (6,)


def test_what_cannot_be_sampled() -> None:
    model = conditional()
    with pytest.raises(NameResolutionError, match="no factor generates `y`"):
        model.sample(2)
    labels = torch.eye(2)
    with pytest.raises(ShapeError, match="do not agree: n=3, `y` has 2"):
        model.sample(3, y=labels)
    with pytest.raises(ShapeError, match="do not agree"):
        model.sample(y=labels, z=torch.zeros(3, LATENT))
    with pytest.raises(DataError, match="the model has no variable `w`"):
        model.sample(y=labels, w=labels)
    with pytest.raises(DataError, match="needs the data `y`"):
        model.reconstruct(images())
    ambiguous = sd.Model(
        "maximize log p(x|z) + log r(x)",
        sd.Normal("p(x|z)", lambda z: (z, torch.ones_like(z))),
        sd.Normal("r(x)", loc=nn.Parameter(torch.zeros(2)), scale=1.0),
    )
    with pytest.raises(NameResolutionError, match="more than one factor generates `x`"):
        ambiguous.sample(2, z=torch.zeros(2, 2))
    draws = sd.Model(
        "minimize E_p(z)[||f(z)||^2]", sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2), f=nn.Linear(2, 2)
    )
    with pytest.raises(NotSupportedError, match="no data to reconstruct"):
        draws.reconstruct(torch.zeros(1))


def test_given_values_are_read_and_checked() -> None:
    model = by_objects()
    zeros = torch.zeros(3, LATENT)
    from_array = model.sample(z=zeros.numpy().astype("float64"), mean=True)["x"]
    assert torch.equal(from_array, model.sample(z=zeros, mean=True)["x"])
    with pytest.raises(ShapeError, match=r"`z` has the event shape \[5\], but Normal p\(z\) is over \[3\]"):
        model.sample(z=torch.zeros(3, 5))
    with pytest.raises(DataError, match="`z` is int, not a tensor"):
        model.sample(z=3)
    for n in (0, -1, 1.5, True):
        with pytest.raises(OptionError, match=r"`n` is .*\n.*1 or more"):
            model.sample(n)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="`z` has no rows"):
        model.sample(z=torch.zeros(0, LATENT))


def test_event_shapes_that_only_an_evaluation_shows() -> None:
    model = sd.Model(
        "maximize E_q(z|x)[log p(x|z)]",
        sd.Normal("q(z|x)", networks()[0]),
        sd.Bernoulli("p(x|z)", networks()[1]),
    )
    model.loss(x=images())
    with pytest.raises(ShapeError, match=r"`z` has the event shape \[5\], but \[3\] was evaluated"):
        model.sample(z=torch.zeros(2, 5))


def test_a_model_without_factors_generates_nothing() -> None:
    model = sd.Model("minimize ||f(x)||^2", f=nn.Linear(2, 2))
    with pytest.raises(NameResolutionError, match="no factor generates `x`\nnothing is bound"):
        model.reconstruct(torch.ones(3, 2))


def test_a_circle_of_factors_is_refused() -> None:
    def unit(a: Tensor) -> tuple[Tensor, Tensor]:
        return a, torch.ones_like(a)

    model = sd.Model("maximize log p(x|h)", sd.Normal("p(x|h)", unit), sd.Normal("p(h|x)", unit))
    with pytest.raises(NameResolutionError, match="depends on itself"):
        model.sample(2)


@pytest.mark.parametrize("evaluated", [False, True])
def test_values_of_a_wrong_shape(evaluated: bool) -> None:
    model = by_objects()
    if evaluated:
        model.loss(x=images())
    for x in (torch.zeros(3, PIXELS + 1), torch.zeros(3), torch.zeros(())):
        with pytest.raises(ShapeError):
            model.reconstruct(x)
        with pytest.raises((ShapeError, DataError)):
            model.sample(x=x)
    with pytest.raises(
        ShapeError, match=r"`z` has the event shape \[\], but .* is over \[3\]\n.*\n +\^\n.* here \[3\]"
    ):
        model.sample(z=torch.tensor(1.0))


def test_a_value_of_more_axes_that_networks_take() -> None:
    """It was encoded and decoded as if it were one more batch."""
    by_axis = sd.Model(
        "maximize E_q(z|x)[log p(x|z)] - KL[q||p]",
        sd.Normal("q(z|x)", lambda x: (x[..., :LATENT], torch.ones_like(x[..., :LATENT]))),
        sd.Normal("p(x|z)", lambda z: (z, torch.ones_like(z))),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT),
    )
    with pytest.raises(
        ShapeError, match=r"`z` has the event shape \[2, 3\], but Normal p\(z\) is over \[3\]"
    ):
        by_axis.reconstruct(torch.zeros(4, 2, LATENT))
    by_axis.loss(x=torch.zeros(4, LATENT))
    with pytest.raises(ShapeError, match=r"`x` has the event shape \[2, 3\], but \[3\] was evaluated"):
        by_axis.reconstruct(torch.zeros(4, 2, LATENT))


def test_nothing_is_left_to_draw() -> None:
    """What was given came back, whatever it was."""
    with pytest.raises(DataError, match=r"`x` given, so that nothing is left .*\n.* `reconstruct`"):
        by_objects().sample(x=images())
