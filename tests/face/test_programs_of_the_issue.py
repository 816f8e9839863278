"""One model, written three ways: from objects, as a block of text, and by subclasses."""

import torch
from face_models import EQUATION, LATENT, PIXELS, Encoder, by_block, by_objects, images, networks
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import symdgm as sd


def step(model: sd.Model, seed: int = 3) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(seed)
    loss = model.loss(x=images())
    model.zero_grad()
    loss.backward()
    return loss.detach(), [p.grad for p in model.parameters() if p.grad is not None]


class Inference(sd.Normal):
    def __init__(self) -> None:
        super().__init__("q(z|x)")
        self.encoder = Encoder()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        loc, scale = self.encoder(x)
        return {"loc": loc, "scale": scale}


class Generative(sd.Bernoulli):
    def __init__(self) -> None:
        super().__init__("p(x|z)")
        self.decoder = nn.Linear(LATENT, PIXELS)

    def forward(self, z: Tensor) -> dict[str, Tensor]:
        return {"logits": self.decoder(z)}


def by_subclasses() -> sd.Model:
    torch.manual_seed(0)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
    return sd.Model(EQUATION, Inference(), Generative(), prior, beta=1.0)


def by_hand(seed: int = 3) -> tuple[Tensor, list[Tensor]]:
    enc, dec = networks()
    x = images()
    torch.manual_seed(seed)
    loc, scale = enc(x)
    z = loc + scale * torch.randn_like(loc)
    likelihood = -binary_cross_entropy_with_logits(dec(z), x, reduction="none").sum(-1)
    kl = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(-1)
    loss = -(likelihood.mean() - kl.mean())
    loss.backward()
    return loss.detach(), [p.grad for m in (enc, dec) for p in m.parameters() if p.grad is not None]


def test_all_programs_agree_bit_for_bit() -> None:
    loss, gradients = step(by_objects())
    for other in (by_block(), by_subclasses()):
        other_loss, other_gradients = step(other)
        assert torch.equal(loss, other_loss)
        assert len(gradients) == len(other_gradients) == 6
        assert all(torch.equal(a, b) for a, b in zip(gradients, other_gradients, strict=True))


def test_they_are_what_one_writes_by_hand() -> None:
    loss, gradients = step(by_objects())
    expected, by_hand_gradients = by_hand()
    assert torch.allclose(loss, expected)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients, by_hand_gradients, strict=True))


def test_they_train_alike() -> None:
    histories = [
        m.fit(images(), epochs=2, batch_size=8, seed=5, progress=False) for m in (by_block(), by_objects())
    ]
    assert histories[0].epochs[-1].value == histories[1].epochs[-1].value


def test_the_code_is_what_runs() -> None:
    model = by_objects()
    torch.manual_seed(1)
    expected = model.objective(x=images())
    namespace: dict[str, object] = {}
    exec(model.code, namespace)
    inputs = model.objective.inputs(x=images())
    torch.manual_seed(1)
    value, terms = namespace["objective"](**inputs)  # type: ignore[operator]
    assert torch.equal(value, expected)
    assert list(terms) == ["E_q(z|x)[log p(x|z)]", "KL[q || p]"]
