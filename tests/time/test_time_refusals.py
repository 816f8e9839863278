"""What is said of formulas over time, and of data, that cannot be meant."""

from __future__ import annotations

import re

import pytest
import torch
from time_models import DMM, STEP, WHOLE, Counted, Gaussian, data
from torch import nn

import symdgm as sd
from symdgm.errors import (
    DataError,
    NameResolutionError,
    NotSupportedError,
    OptionError,
    ParameterError,
    ShapeError,
)

X = data()
AUTO = sd.Bernoulli("p(x_t|x_{t-1})", Counted(4, 4).double())


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([3, 7, 1, 1], ShapeError, r"the lengths `T` are from 1 to 7, but the sequences have 6 steps"),
        ([3, 0, 1, 1], ShapeError, r"the lengths `T` are from 0 to 3, .*\na length is .* from 1 to 6"),
        ([3, 6, 1], ShapeError, r"no common batch size: x \[4, 6, 4\], T \[3\]"),
        (
            [3.0, 6.0, 1.0, 1.0],
            ShapeError,
            r"have shape \[4\] and dtype torch.float32\npass one whole number",
        ),
        ([[3], [6], [1], [1]], ShapeError, r"the lengths `T` have shape \[4, 1\]"),
        (6, DataError, "`T` is int, not a tensor"),
    ],
)
def test_lengths(lengths, error, words):
    with pytest.raises(error, match=words):
        DMM().objective()(x=X, T=lengths if lengths == 6 else torch.tensor(lengths))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"x": X[:, 0, 0]},
            r"no common number of steps: x \[4\]\nevery sequence is \[batch, time, \*event\]",
        ),
        ({"x": X[:, :0]}, "the sequences have no steps\npass at least one"),
    ],
)
def test_sequences(values, words):
    with pytest.raises(ShapeError, match=words):
        DMM().objective()(**values)


def test_sequences_of_different_numbers_of_steps():
    p = sd.Bernoulli("p(x_t|a_t)", Counted(1, 4).double())
    with pytest.raises(ShapeError, match=r"no common number of steps: x \[4, 6, 4\], a \[4, 5, 1\]"):
        sd.Objective("sum_{t=1}^T log p(x_t|a_t)", p)(x=X, a=torch.zeros(4, 5, 1).double())


CARETS = {
    "a step outside of its sum": (
        "log p(x_t|x_{t-1}) + sum_{t=1}^T log p(x_t|x_{t-1})",
        [AUTO],
        r"`x_t` stands outside of a sum over `t`\n"
        r"  log p\(x_t\|x_\{t-1\}\) \+ sum_\{t=1\}\^T log p\(x_t\|x_\{t-1\}\)\n"
        r"      \^\nwrite `sum_\{t=1\}\^T \(...\)` around",
    ),
    "a sequence without a factor": (
        "E_q(z_{1:T}|x_{1:T})[log p(y_{1:T}|z_{1:T})]",
        DMM().factors,
        r"`p\(y_\{1:T\}\|z_\{1:T\}\)` has no factor over a step of `y`\n.*\n +\^\nbind one, "
        r"such as `p\(y_t\)`",
    ),
    "two factors of one sequence": (
        WHOLE,
        [*DMM().factors, sd.Normal("q(z_t|x_t)", Gaussian(4, 2))],
        r"the steps of `z` have more than one factor: `q\(z_t\|z_\{t-1\}, h_t\)`, `q\(z_t\|x_t\)`",
    ),
    "a circle within a step": (
        "E_q(z_{1:T},w_{1:T}|x_{1:T})[sum_{t=1}^T ||z_t - w_t||^2]",
        [sd.Normal("q(z_t|w_t)", Gaussian(2, 2)), sd.Normal("q(w_t|z_t)", Gaussian(2, 2))],
        r"the steps of .* depend on each other in a circle\n",
    ),
}


BEGINNINGS = {
    "a sequence without a factor": {"z_0": 0.0},
    "two factors of one sequence": {"z_0": 0.0},
    "a circle within a step": {"z_0": 0.0, "w_0": 0.0},
}


@pytest.mark.parametrize("case", CARETS)
def test_formulas(case):
    text, factors, words = CARETS[case]
    with pytest.raises(NameResolutionError, match=words):
        sd.Objective(text, *factors, **BEGINNINGS.get(case, {}))


MARGINALS = ("E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log q(z_t|x_{1:T})]", "sum_{t=1}^T H[q(z_t|x_{1:T})]")


@pytest.mark.parametrize("text", MARGINALS)
def test_the_density_of_a_step_under_the_law_of_the_path(text):
    words = (
        r"`q\(z_t\|x_\{1:T\}\)` is a marginal of `q\(z_\{1:T\}\|x_\{1:T\}\)`, .*\n.*\n +\^\nwrite a law of"
    )
    with pytest.raises(NotSupportedError, match=words):
        sd.Objective(text, *DMM().factors, z_0=0.0, z=2)


@pytest.mark.parametrize("way", [WHOLE, STEP])
def test_a_latent_without_a_beginning(way):
    words = r"the sequence `z` has no beginning: `q\(z_t\|z_\{t-1\}, h_t\)`[^\n]*\n.*\n +\^\nbind `z_0=0.0`"
    with pytest.raises(NameResolutionError, match=r"(?s)" + words):
        sd.Objective(way, *DMM().factors, z=2)(x=X)


def test_a_latent_without_a_beginning_in_its_prior_alone():
    factors = [
        sd.Normal("q(z_t|x_t)", Gaussian(4, 2).double()),
        sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2).double()),
        sd.Bernoulli("p(x_t|z_t)", Counted(2, 4).double()),
    ]
    with pytest.raises(NameResolutionError, match=r"the sequence `z` has no beginning: `z_\{t-1\}` is given"):
        sd.Objective(WHOLE, *factors, z=2)


@pytest.mark.parametrize("value", ["zero", None, [1.0], True])
def test_a_beginning_of_no_value(value):
    with pytest.raises(
        OptionError,
        match=r"`z_0` is .*, but it is the value before the first step\n.*\n +\^\ngive a number",
    ):
        sd.Objective(WHOLE, *DMM().factors, z_0=value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor([0.0, float("nan")])])
def test_a_beginning_that_is_not_finite(value):
    """A NaN ended in a NameError of the code that was written."""
    text = "sum_{t=1}^T log p(x_t|x_{t-1})"
    with pytest.raises(OptionError, match=r"`x_0` .*finite.*\n.*\n +\^\n") as caught:
        sd.Objective(text, AUTO, x_0=value)
    assert caught.value.span is not None and caught.value.span[0] == text.index("x_{t-1}")


def test_the_caret_of_a_keyword_without_a_meaning():
    with pytest.raises(OptionError, match=r"`x_0` must be one number; it is a str\n.*\n +\^"):
        sd.Objective("sum(x) + x_0", x_0="zero")


def test_a_beginning_of_another_shape():
    with pytest.raises(ShapeError):
        sd.Objective(WHOLE, *DMM().factors, z_0=torch.zeros(3).double())(x=X)
    with pytest.raises(ShapeError, match="a step of `z` has 1 event axes, but its beginning has 2"):
        broadcasting = sd.Normal("q(z_t|z_{t-1})", lambda z: (z[:, 0], torch.ones_like(z[:, 0])))
        sd.Objective(
            "sum_{t=1}^T E_q(z_t|z_{t-1})[||z_t||^2] + sum_{t=1}^T log p(x_t|x_{t-1})",
            broadcasting,
            AUTO,
            z_0=torch.zeros(1, 2).double(),
        )(x=X)


def test_the_event_shape_of_a_beginning_must_be_known():
    with pytest.raises(
        ShapeError, match=r"the event shape of `z` before its first step is not known\n.*\n +\^\ndeclare it"
    ):
        sd.Objective(WHOLE, *DMM().factors, z_0=0.0)(x=X)


def test_two_letters_for_time():
    other = sd.Bernoulli("p(y_s|y_{s-1})", Counted(4, 4))
    with pytest.raises(NotSupportedError, match="`s`, `t` are both steps of sequences\nuse one letter"):
        sd.Objective("sum_{t=1}^T log p(x_t|x_{t-1}) + sum_{s=1}^T log p(y_s|y_{s-1})", AUTO, other)


@pytest.mark.parametrize("text", ["sum_{t=1}^S log p(x_t|x_{t-1}) + sum_{t=1}^T log p(x_t|x_{t-1})"])
def test_ranges_that_do_not_end_with_the_sequences(text):
    with pytest.raises(
        NotSupportedError, match=r"the range of .* cannot be computed yet\n.*\n  \^\nwrite a sum from"
    ):
        sd.Objective(text, AUTO)


def test_a_product_over_time_outside_of_a_logarithm():
    with pytest.raises(NotSupportedError, match=r"the product .* over time cannot be computed yet"):
        sd.Objective("prod_{t=1}^T p(x_t|x_{t-1})", AUTO)


def test_numbered_steps():
    with pytest.raises(NotSupportedError, match="`x_2`, a numbered step, cannot be computed yet"):
        sd.Objective("sum_{t=1}^T log p(x_t|x_2)", sd.Bernoulli("p(x_t|x_2)", Counted(4, 4)))


def test_paths_that_carry_more_than_the_step_before():
    factors = [sd.Normal("q(z_t|z_{t-1},z_{t-2})", Gaussian(4, 2)), AUTO]
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (||z_t||^2 + log p(x_t|x_{t-1}))]"
    with pytest.raises(
        NotSupportedError, match=r"depends on `z_\{t-2\}`, but only the step before is carried"
    ):
        sd.Objective(text, *factors, z_0=0.0)


def test_a_later_step_of_a_cell():
    factors = [
        sd.Deterministic("h(h_t|x_t,h_{t+1})", nn.GRUCell(4, 5)),
        sd.Bernoulli("p(x_t|h_t)", Counted(5, 4)),
    ]
    with pytest.raises(NotSupportedError, match="is no recurrence over one step before"):
        sd.Objective("sum_{t=1}^T log p(x_t|h_t)", *factors)


def test_first_steps_of_other_families_or_of_some_sequences_only():
    dmm = DMM(backward=False)
    other = sd.Laplace("p(z_1)", loc=0.0, scale=1.0, event_shape=2)
    begin = sd.Normal("q(z_1|h_1)", Gaussian(5, 2).double())
    with pytest.raises(ParameterError, match="are not of one family with the same parameters"):
        sd.Objective(WHOLE, *dmm.factors, other, begin)(x=X)


def test_a_network_over_whole_sequences_that_returns_one_value():
    factors = [
        sd.Deterministic("h(h_{1:T}|x_{1:T})", lambda x: x.sum((1, 2))),
        sd.Bernoulli("p(x_t|h_t)", Counted(1, 4).double()),
    ]
    with pytest.raises(ShapeError, match=r"returned no tensor \[batch, time, \*event\]"):
        sd.Objective("sum_{t=1}^T log p(x_t|h_t)", *factors)(x=X)


@pytest.mark.parametrize("sides", ["sg[{}] || {}", "{} || sg[{}]"])
def test_a_law_of_whole_sequences_that_is_stopped(sides):
    q, p = sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2)), sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2))
    text = f"KL[{sides.format('q(z_{1:T}|x_{1:T})', 'p(z_{1:T})')}]"
    words = r"stops a law of whole sequences, .*(?s:.*)`sum_\{t=1\}\^T KL\[sg\["
    with pytest.raises(NotSupportedError, match=words):
        sd.Objective(text, q, p, z_0=0.0, z=2)


def test_no_sequence_is_observed():
    factors = [sd.Normal("q(z_t|z_{t-1})", Gaussian(2, 2))]
    with pytest.raises(
        NotSupportedError, match="no sequence is observed, so that nothing says how many steps"
    ):
        sd.Objective("sum_{t=1}^T E_q(z_t|z_{t-1})[||z_t||^2]", *factors, z_0=0.0, z=2)()


def test_a_flow_at_another_value_than_its_draw():
    flow = sd.distributions.flows.Autoregressive(2)
    base = sd.Normal("q(u_t|z_{t-1},x_t)", Gaussian(6, 2))
    q = sd.Transformed("q(z_t|z_{t-1},x_t)", base=base, flow=flow)
    with pytest.raises(NotSupportedError, match="at another value than its draw cannot be computed yet"):
        sd.Objective("E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log q(z_{t-1}|z_{t-1},x_t)]", q, z_0=0.0, z=2)(
            x=X.float()
        )


PAST = {
    "samples": ({"samples": 2, "z_0": 0.0}, "has several draws, which a network over whole sequences cannot"),
    "truncate": (
        {"truncate": 2, "z_0": 0.0},
        r"reads all steps so far, (?s:.*)leave `truncate` and `checkpoint`",
    ),
    "checkpoint": (
        {"checkpoint": 2, "z_0": 0.0},
        "reads all steps so far, which a loop in segments does not",
    ),
    "a first step": (
        {},
        r"reads all steps so far, and has a first step of its own(?s:.*)begin the sequence by",
    ),
}


@pytest.mark.parametrize("case", PAST)
def test_the_past_in_a_loop(case):
    options, words = PAST[case]
    first = [sd.Normal("q(z_1)", loc=0.0, scale=1.0, event_shape=2)] if case == "a first step" else []
    q = sd.Normal("q(z_t|z_{t-1},x_{<=t})", Gaussian(6, 2).double())
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T ||z_t||^2]"
    with pytest.raises(NotSupportedError, match=words):
        sd.Objective(text, q, *first, z=2, **options)(x=X)


def test_several_draws_in_a_network_over_whole_sequences():
    factors = [
        sd.Normal("q(z_t|x_t)", Gaussian(4, 2).double()),
        sd.Bernoulli("p(x_t|z_{<=t})", Counted(2, 4).double()),
    ]
    text = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]"
    with pytest.raises(NotSupportedError, match="has several draws, which a network over whole sequences"):
        sd.Objective(text, *factors, samples=2)(x=X)


STEP_OF_ALL = sd.Normal("q(z_t|z_{t-1},x_{1:T})", Gaussian(6, 2).double())


@pytest.mark.parametrize(
    "text",
    [
        "E_q(z_{1:T}|y_{1:T})[sum_{t=1}^T ||z_t||^2]",
        "sum_{t=1}^T E_q(z_t|z_{t-1},y_{1:T})[||z_t||^2]",
        "sum_{t=1}^T E_q(z_t|y_{1:T})[||z_t||^2]",
    ],
)
def test_a_path_that_is_given_another_sequence(text):
    with pytest.raises(
        NameResolutionError, match=r"is given `y_{1:T}`, but its steps depend on `x_{1:T}`"
    ) as e:
        sd.Objective(text, STEP_OF_ALL, z=2, z_0=0.0)
    assert "q(z_{1:T}|x_{1:T})" in e.value.hint and "^" in str(e.value)


@pytest.mark.parametrize("past", ["x_{1:t}", "x_{<=t}", "x_{<t}"])
def test_a_step_that_is_given_less_than_the_whole_sequence(past):
    with pytest.raises(NameResolutionError, match="is no factor that is bound") as caught:
        sd.Objective(f"sum_{{t=1}}^T E_q(z_t|z_{{t-1}},{past})[||z_t||^2]", STEP_OF_ALL, z=2, z_0=0.0)
    assert "q(z_t|z_{t-1}, x_{1:T})" in caught.value.hint


def test_a_step_that_is_given_itself():
    past = sd.Normal("p(x_t|x_{<t})", Gaussian(4, 4).double())
    with pytest.raises(NameResolutionError, match="is no factor that is bound") as caught:
        sd.Objective("sum_{t=1}^T log p(x_t|x_{<=t})", past)
    assert "p(x_t|x_{<t})" in caught.value.hint


@pytest.mark.parametrize(
    ("body", "variable"),
    [
        ("sum_{t=1}^T ||z_{t-1}||^2 + ||z_t||^2", "z_t"),
        ("sum_{t=1}^T ||z_t||^2 - KL[q(z_t|z_{t-1},x_t)||p(z_t|z_{t-1})]", "z_{t-1}"),
        ("log p(z_t|z_{t-1})", "z_t"),
        ("||z_t||^2", "z_t"),
    ],
)
def test_a_step_of_a_path_outside_of_a_sum(body, variable):
    """It was the mean over all steps of all sequences."""
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2).double()),
        sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2).double()),
    ]
    words = re.escape(f"`{variable}` stands outside of a sum over `t`")
    with pytest.raises(NameResolutionError, match=words) as caught:
        sd.Objective(f"E_q(z_{{1:T}}|x_{{1:T}})[{body}]", *factors, z_0=0.0, z=2)
    assert "^" in str(caught.value)


@pytest.mark.parametrize(
    "body", ["||z_{1:T}||^2", "sum_{t=1}^T ||z_{<=t}||^2", "sum_{t=1}^T sum(x_{<t})", "f(2 z_{1:T})"]
)
def test_several_steps_are_no_number(body):
    """A whole sequence was the mean over its steps, and a slice its last step."""
    q = sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2).double())
    networks = {"f": nn.Linear(2, 1)} if "f" in body else {}
    with pytest.raises(NotSupportedError, match="several steps of a sequence, where the value of one") as e:
        sd.Objective(f"E_q(z_{{1:T}}|x_{{1:T}})[{body}]", q, z_0=0.0, z=2, **networks)
    assert "sum_{t=1}^T" in e.value.hint and "^" in str(e.value)


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("sum_{t=1}^T sum_{s=1}^T ||x_t - x_s||^2", "x_s"),
        ("sum_{s=1}^T sum_{t=1}^T <x_t, x_s>", "x_s"),
        ("sum_{t=1}^T sum_{s=1}^t <x_t, x_s>", "x_s"),
        ("E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T sum_{s=1}^T ||z_t - z_s||^2]", "z_s"),
        ("sum_{t=1}^T E_q(z_t|z_{t-1},x_t)[sum_{s=1}^t ||z_t - z_s||^2]", "z_s"),
    ],
)
def test_two_steps_by_two_indices(text, variable):
    """A second index ran over the components of all steps."""
    q = [sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2).double())] if "q(" in text else []
    beginning = {"z_0": 0.0, "z": 2} if q else {}
    words = rf"`{variable}` is a step of the sequence `{variable[0]}` by another index than `t`.*\n.*\n +\^"
    with pytest.raises(NotSupportedError, match=words) as caught:
        sd.Objective(text, *q, **beginning)
    assert f"`h_{{1:T}} = f({variable[0]}_{{1:T}})`" in caught.value.hint


def test_data_of_a_step_of_a_path_are_asked_for():
    q = sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2).double())
    text = "E_q(z_{1:T}|x_{1:T})[mean_{t=1}^T ||z_t - z_{t_1}||^2]"
    with pytest.raises(DataError, match="the objective needs the data `t_1`, but got `x`"):
        sd.Objective(text, q, z_0=0.0, z=2)(x=X)
