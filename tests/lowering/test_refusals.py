"""What does not fit together is refused, with a caret under what is wrong."""

import pytest
import torch
from lowering_cases import DATA, LATENT, Encoder, images
from torch import nn

import symdgm as sd
from symdgm.errors import NonFiniteError, ParameterError, ShapeError, SupportError


def standard(event=None):
    return sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=event)


ENCODER, DECODER = Encoder(), nn.Linear(LATENT, DATA)
Q, P = sd.Normal("q(z|x)", ENCODER), sd.Bernoulli("p(x|z)", DECODER)
X = images().float()


@pytest.mark.parametrize(
    ("text", "laws", "names", "error", "words", "under"),
    [
        (
            "E_q(z|x)[log p(x|z)]",
            [Q, sd.Bernoulli("p(x|z)", nn.Linear(LATENT, 5))],
            {},
            ShapeError,
            r"`x` has the event shape \[6\], but Bernoulli p\(x\|z\) is over \[5\]",
            "p(x|z)",
        ),
        (
            "KL[q||p]",
            [Q, standard(7)],
            {},
            ShapeError,
            r"`z` has the event shape \[7\] in .*, but \[3\] in",
            "KL",
        ),
        (
            "E_q(z|x)[||f(z)||^2]",
            [Q],
            {"f": lambda z: z[:2]},
            ShapeError,
            r"`f\(z\)` returned shape \[2, 3\] for a batch of 5",
            "f(z)",
        ),
        (
            "E_q(z|x)[||f(z)||^2]",
            [Q],
            {"f": lambda z: z[:2], "samples": 3},
            ShapeError,
            r"returned shape \[2, 3\] for a batch of 15",
            "f(z)",
        ),
        (
            "E_q(z|x)[||f(z)||^2]",
            [Q],
            {"f": nn.Linear(9, 2)},
            ShapeError,
            r"the network failed in `f\(z\)` with z \[5, 3\]",
            "f(z)",
        ),
        (
            "KL[q||p]",
            [sd.Normal("q(z|x)", nn.Linear(DATA, 4)), standard()],
            {},
            ParameterError,
            r"returned tensor \[5, 4\], but Normal q\(z\|x\) needs \(loc, scale\)",
            "KL",
        ),
        ("E_q(z|x)[z]", [Q], {}, ShapeError, r"the body is event-shaped \(it has 1 event axes\)", "E_q"),
        (
            "||x - f(x)||^2",
            [],
            {"f": lambda x: x[:, None, :]},
            ShapeError,
            "an event with 1 axes is combined with one of 2 axes",
            "x - f",
        ),
        (
            "E_p(z)[||f(z)||^2]",
            [standard()],
            {"f": DECODER},
            ShapeError,
            r"the event shape of Normal p\(z\) is not known",
            "z",
        ),
        (
            "E_q(z|x)[||softmax(f(z))||^2]",
            [Q],
            {"f": lambda z: z.sum(-1)},
            ShapeError,
            "`softmax` is over the last axis of an event",
            "softmax",
        ),
        (
            "1/0 + KL[q(z|x)||p(z)]",
            [Q, standard()],
            {},
            NonFiniteError,
            "`1 / 0` has no finite real value",
            "1/0",
        ),
        (
            "log(-1) + KL[q(z|x)||p(z)]",
            [Q, standard()],
            {},
            NonFiniteError,
            r"`math.log\(-1\)` has no finite real value",
            "log",
        ),
        (
            "(-8)^(1/3) + KL[q(z|x)||p(z)]",
            [Q, standard()],
            {},
            NonFiniteError,
            "has no finite real value",
            "-8",
        ),
        (
            "H[q(y|x)]",
            [sd.Categorical("q(y|x)", lambda x: x.sum(-1))],
            {},
            ShapeError,
            r"logits of .* has shape \[5\], without a class axis",
            "q(y|x)",
        ),
        (
            "KL[q||p]",
            [sd.Normal("q(z|x)", lambda x: (x[:, :3], x[:, :2].exp())), standard()],
            {},
            ShapeError,
            r"different event shapes: loc \[3\], scale \[2\]",
            "KL",
        ),
    ],
)
def test_refusals_point_at_what_is_wrong(text, laws, names, error, words, under):
    with pytest.raises(error, match=words) as caught:
        objective = sd.Objective(text, *laws, **names)
        objective(**({"x": X} if objective.data else {}))
    lines = str(caught.value).splitlines()
    caret = next(i for i, line in enumerate(lines) if line.strip() == "^")
    assert lines[caret - 1].strip() == text
    assert lines[caret - 1][lines[caret].index("^") :].startswith(under)


def test_a_declared_shape_that_the_network_does_not_give():
    with pytest.raises(ShapeError, match=r"gives its variable the event shape \[3\], but \[4\] was declared"):
        sd.Objective("E_q(z|x)[||z||^2]", Q, z=4)(x=X)


@pytest.mark.parametrize(
    ("network", "value", "error", "words"),
    [
        (
            nn.Embedding(4, 2),
            torch.tensor([0, 9]),
            SupportError,
            r"failed in `f\(x\)` with x \[2\] of values in \[0, 9\]: index out of range",
        ),
        (nn.Flatten(2), torch.zeros(2, 3), ShapeError, r"with x \[2, 3\]: Dimension out of range"),
        (nn.BatchNorm1d(3), torch.zeros(1, 3), ShapeError, r"with x \[1, 3\]: Expected more than 1 value"),
        (nn.Linear(4, 2), torch.zeros(2, 3), ShapeError, r"with x \[2, 3\]: (addmm: )?mat1 and mat2 shapes"),
    ],
)
def test_what_a_network_refuses_is_shown_with_its_input(network, value, error, words):
    with pytest.raises(error, match=words) as caught:
        sd.Objective("||f(x)||^2", f=network)(x=value)
    shown, caret = str(caught.value).split("\n")[-3:-1]
    assert shown[caret.index("^") :].startswith("f(x)")


def test_errors_of_networks_keep_their_kind():
    def broken(z):
        raise KeyError("weights")

    with pytest.raises(KeyError, match="weights") as caught:
        sd.Objective("E_q(z|x)[||f(z)||^2]", Q, f=broken)(x=X)
    assert "while computing `f(z)`" in caught.value.__notes__


def test_a_network_that_takes_no_number():
    with pytest.raises(ShapeError, match=r"`f\(2\)` with the number `2`: .*\n.*\n {13}\^") as caught:
        sd.Objective("sum(x) + ||f(2)||^2", sd.Data("data(x)"), f=nn.Linear(1, 1))(x=torch.rand(2, 3))
    assert isinstance(caught.value.__cause__, TypeError)
    assert sd.Objective("f(2) + 1", f=lambda v: v**2)() == 5


def test_a_variable_that_is_given_twice():
    x = torch.rand(2, 4)
    torch.manual_seed(0)
    once = sd.Objective("sum_y p(x|y) c(y)", *twice())(x=x)
    torch.testing.assert_close(sd.Objective("sum_y p(x|y,y) c(y)", *twice())(x=x), once)


def twice():
    torch.manual_seed(0)
    return sd.Categorical("c(y)", probs=torch.ones(3) / 3), sd.Bernoulli("p(x|y)", nn.Embedding(3, 4))
