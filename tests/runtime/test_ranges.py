"""Labels and parameters out of their range are refused, at the first evaluation and where a step failed."""

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import ParameterError, SupportError
from symdgm.runtime import diagnose

X = torch.zeros(4, 6)


def classifier(network, **options):
    return sd.Objective("log p(y|x)", sd.Categorical("p(y|x)", network), **options)


def labels(*classes: int) -> torch.Tensor:
    return torch.tensor(classes)


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_label_beyond_the_classes(first: bool, validate: bool) -> None:
    objective = classifier(nn.Linear(6, 5), validate=validate)
    if not first:
        objective(x=X, y=labels(0, 1, 2, 4))
    words = r"y has values in \[0, 9\], outside the support \[0, 4\] of Categorical p\(y\|x\)"
    with pytest.raises(SupportError, match=words) as caught:
        objective(x=X, y=labels(0, 1, 2, 9))
    shown, caret = str(caught.value).splitlines()[1:3]
    assert shown[caret.index("^") :] == "p(y|x)"


@pytest.mark.parametrize("first", [True, False])
def test_a_negative_label(first: bool) -> None:
    objective = classifier(nn.Linear(6, 5), validate=False)
    if not first:
        objective(x=X, y=labels(0, 1, 2, 4))
    with pytest.raises(SupportError, match=r"y has values in \[-1, 2\]"):
        objective(x=X, y=labels(0, 1, 2, -1))


def test_other_failures_of_later_batches_stay_what_they_are() -> None:
    network = nn.Sequential(nn.Embedding(7, 5))
    objective = classifier(network)
    objective(x=labels(0, 1), y=labels(0, 1))
    with pytest.raises(IndexError, match="index out of range in self"):
        objective(x=labels(0, 7), y=labels(0, 1))


@pytest.mark.parametrize(
    ("law", "words", "hint"),
    [
        (
            sd.Normal("p(y|x)", lambda x: (x, x - 1.0)),
            r"scale of Normal p\(y\|x\) has values in \[-1, -1\]; it must be positive and finite",
            "end the network in `softplus` or `exp`",
        ),
        (
            sd.Categorical("p(y|x)", probs=lambda x: torch.ones(len(x), 10)),
            r"probs of Categorical p\(y\|x\) sums to 10 over the classes, not to 1",
            "end the network in `softmax(-1)`",
        ),
        (
            sd.Categorical("p(y|x)", probs=lambda x: torch.full((len(x), 3), 2.0)),
            r"probs of Categorical p\(y\|x\) has values in \[2, 2\]; it must be in \[0, 1\]",
            "end the network in `softmax(-1)`",
        ),
        (
            sd.Bernoulli("p(y|x)", probs=lambda x: x + 2.0),
            r"probs of Bernoulli p\(y\|x\) has values in \[2, 2\]; it must be in \[0, 1\]",
            "end the network in `sigmoid`",
        ),
    ],
)
def test_parameters_that_a_network_gives_out_of_range(law, words: str, hint: str) -> None:
    y = labels(0, 0, 0, 0) if isinstance(law, sd.Categorical) else X
    objective = sd.Objective("log p(y|x)", law)
    for _ in range(2):  # the refused evaluation leaves no function behind
        with pytest.raises(ParameterError, match=words) as caught:
            objective(x=X, y=y)
    assert hint in str(caught.value.hint)
    shown, caret = str(caught.value).splitlines()[1:3]
    assert shown[caret.index("^") :] == "p(y|x)"


def test_a_draw_is_refused_too() -> None:
    q = sd.Normal("q(z|x)", lambda x: (x, x - 1.0))
    with pytest.raises(ParameterError, match=r"scale of Normal q\(z\|x\) has values in \[-1, -1\]"):
        sd.Objective("E_q(z|x)[||z||^2]", q)(x=X)


def test_a_failed_step_says_which_parameter_left_its_range() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(6))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, self.scale.expand_as(x)

    network = Scaled()
    objective = sd.Objective("log p(y|x)", sd.Normal("p(y|x)", network))
    assert objective(x=X, y=X).isfinite()
    with torch.no_grad():
        network.scale.fill_(-0.5)
    assert objective(x=X, y=X).isnan()
    error = diagnose(objective.runner, objective.read({"x": X, "y": X}))
    assert isinstance(error, ParameterError)
    assert "scale of Normal p(y|x) has values in [-0.5, -0.5]; it must be positive" in error.problem
    assert "^" in str(error)
    assert error.hint == "end the network in `softplus` or `exp`"
