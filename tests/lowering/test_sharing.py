"""What is computed once, and what is drawn again."""

import pytest
import torch
from lowering_cases import BATCH, DATA, LATENT, Counting, Encoder, images, vae, z_score
from torch import nn

import symdgm as sd

FORMS = ["E_q(z|x)[log p(x|z)] - KL[q||p]", "E_q(z|x)[log(p(x,z)/q(z|x))]"]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("analytic", [True, False])
def test_each_module_runs_once_an_evaluation(text, analytic):
    encoder, decoder, laws = vae()
    calls = {"encoder": 0, "decoder": 0}
    encoder.register_forward_hook(lambda *_: calls.update(encoder=calls["encoder"] + 1))
    decoder.register_forward_hook(lambda *_: calls.update(decoder=calls["decoder"] + 1))
    elbo = sd.Objective(text, *laws, analytic=analytic)
    for evaluation in (1, 2, 3):
        elbo(x=images())
        assert calls == {"encoder": evaluation, "decoder": evaluation}


@pytest.mark.parametrize("text", FORMS)
def test_each_plain_callable_runs_once_an_evaluation(text):
    encoder, decoder = Counting(Encoder().double()), Counting(nn.Linear(LATENT, DATA).double())
    laws = [
        sd.Normal("q(z|x)", encoder),
        sd.Bernoulli("p(x|z)", decoder),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
    ]
    elbo = sd.Objective(text, *laws, samples=3)
    for evaluation in (1, 2):
        elbo(x=images())
        assert (encoder.calls, decoder.calls) == (evaluation, evaluation)


def test_nothing_is_kept_between_evaluations():
    encoder, _, laws = vae()
    kl = sd.Objective("KL[q(z|x)||p(z)]", *laws)
    x = images()
    before = kl(x=x)
    with torch.no_grad():
        encoder.layer.weight.mul_(2.0)
    after = kl(x=x)
    torch.testing.assert_close(after, sd.Objective("KL[q(z|x)||p(z)]", *laws)(x=x), rtol=0, atol=0)
    assert abs(after - before) > 1e-6
    x.mul_(0.0)  # the same tensor object, edited in place
    torch.testing.assert_close(kl(x=x), kl(x=torch.zeros(BATCH, DATA, dtype=torch.float64)), rtol=0, atol=0)


def test_train_and_eval_mode_are_followed():
    encoder = nn.Sequential(nn.Dropout(0.5), Encoder()).double()
    kl = sd.Objective("KL[q(z|x)||p(z)]", sd.Normal("q(z|x)", encoder), sd.Normal("p(z)", loc=0.0, scale=1.0))
    x = torch.ones(BATCH, DATA, dtype=torch.float64)
    assert kl(x=x) != kl(x=x)
    encoder.eval()
    assert kl(x=x) == kl(x=x)


def test_terms_share_their_sample():
    _, _, laws = vae()
    gap = sd.Objective("E_q(z|x)[log p(x|z)] - E_q(z|x)[2 log p(x|z)]", *laws)
    terms = gap.terms(x=images())
    torch.testing.assert_close(*terms.values(), rtol=0, atol=0)


def test_two_factors_with_one_module_call_it_once():
    encoder = Encoder()
    count = []
    encoder.register_forward_hook(lambda *_: count.append(1))
    laws = [sd.Normal("q(z|x)", encoder), sd.Normal("r(z|x)", encoder)]
    torch.testing.assert_close(
        sd.Objective("KL[q(z|x)||r(z|x)]", *laws)(x=images().float()), torch.tensor(0.0), rtol=0, atol=1e-6
    )
    assert len(count) == 1


def test_one_module_is_read_by_each_factor_in_its_own_way():
    layer = nn.Linear(DATA, LATENT).double()
    count = []
    layer.register_forward_hook(lambda *_: count.append(1))
    b, x = torch.ones(BATCH, LATENT, dtype=torch.float64), images()
    both = sd.Objective(
        "log u(b|x) + E_r(c|x)[||c||^2] + ||f(x)||_1",
        sd.Bernoulli("u(b|x)", layer),
        sd.Deterministic("r(c|x)", layer),
        f=layer,
    )
    value = both(x=x, b=b)
    assert len(count) == 1
    h = layer(x)
    expected = nn.functional.logsigmoid(h).sum(-1) + h.square().sum(-1) + h.abs().sum(-1)
    torch.testing.assert_close(value, expected.mean())


def test_a_module_that_one_factor_cannot_read_is_refused():
    encoder = Encoder()
    with pytest.raises(sd.SymdgmError, match=r"returned a tuple .* but the function f needs \(value\)"):
        sd.Objective(
            "KL[q(z|x)||p(z)] + ||f(x)||^2",
            sd.Normal("q(z|x)", encoder),
            sd.Normal("p(z)", loc=0.0, scale=1.0),
            f=encoder,
        )(x=images().float())


def test_methods_of_one_module_are_one_network():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.calls = Encoder(), 0

        def encode(self, x):
            self.calls += 1
            return self.encoder(x)

    net = Net()
    laws = [sd.Normal("q(z|x)", net.encode), sd.Normal("r(z|x)", net.encode)]
    sd.Objective("KL[q(z|x)||r(z|x)]", *laws)(x=images().float())
    assert net.calls == 1


LAW = sd.Normal("q(z)", loc=1.0, scale=1.0, event_shape=())


@pytest.mark.parametrize(
    ("text", "expected", "shared"),
    [
        ("E_q(z)[z] E_q(z)[z]", 1.0, 2.0),
        ("E_q(z)[z]^2", 1.0, 2.0),
        ("E_q(z)[z]^3", 1.0, 4.0),
        ("(E_q(z)[z] E_q(z)[z]) E_q(z)[z]", 1.0, 4.0),
        ("(1 + E_q(z)[z] E_q(z)[z]) E_q(z)[z]", 2.0, 5.0),
        ("<E_q(z)[z], E_q(z)[z]>", 1.0, 2.0),
        ("||E_q(z)[z]||^2", 1.0, 2.0),
        ("E_q(z)[z] E_q(z)[z] + E_q(z)[z]^2", 2.0, 4.0),
        ("E_q(z)[z E_q(z)[z]]", 1.0, 2.0),
        ("E_q(z)[E_q(z)[z] z] E_q(z)[z]", 1.0, 4.0),
        ("(E_q(z)[z] / 2) E_q(z)[z]", 0.5, 1.0),
    ],
)
def test_products_of_expectations_are_unbiased(text, expected, shared):
    objective = sd.Objective(text, LAW, analytic=False)
    torch.manual_seed(0)
    draws = torch.stack([objective(n=200) for _ in range(400)]).double()
    assert z_score(draws, expected) < 4  # |z| < 4 at a fixed seed
    assert z_score(draws, shared) > 8  # what a shared draw would give


def test_a_variance_by_its_definition_is_unbiased():
    variance = sd.Objective("E_q(z)[(z - E_q(z)[z])^2]", LAW, analytic=False)
    torch.manual_seed(0)
    draws = torch.stack([variance(n=200) for _ in range(300)]).double()
    # (z - z')(z - z'') with two fresh draws inside; with one, E[(z - z')^2] = 2
    assert z_score(draws, 1.0) < 4
    assert z_score(draws, 2.0) > 8


def test_what_is_not_inside_a_nonlinear_function_is_not_called_biased():
    sums = sd.Objective("E_q(z)[z]^2 + E_q(z)[exp(z)]", LAW, analytic=False)
    assert "biased estimator" not in repr(sums.derivation).replace("unbiased", "")
    inside = sd.Objective("exp(E_q(z)[z])", LAW, analytic=False)
    assert "biased estimator" in repr(inside.derivation).replace("unbiased", "")
