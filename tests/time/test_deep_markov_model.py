"""The bound of a deep Markov model against loops over sequences and steps, value and gradient."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, WAYS, calls, data, noise_of, same, spoiled

import symdgm as sd

LENGTHS = {
    "none given": None,
    "equal": [6, 6, 6, 6],
    "sorted": [6, 4, 3, 1],
    "unsorted": [3, 6, 1, 4],
    "ties": [2, 5, 2, 5],
    "all shorter than the data": [3, 2, 1, 2],
}


def evaluate(objective, x, lengths, seed=3):
    torch.manual_seed(seed)
    return objective(x=x, **({} if lengths is None else {"T": torch.tensor(lengths)}))


def wanted(model, x, lengths, seed=3, **options):
    lengths = [x.shape[1]] * len(x) if lengths is None else lengths
    torch.manual_seed(seed)
    return model.by_hand(x, lengths, noise_of(lengths, 2, dtype=x.dtype), **options)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("way", ["step", "whole"])
def test_both_ways_are_the_loop(way, lengths):
    model, x = DMM(), data()
    objective = model.objective(way)
    found = evaluate(objective, x, LENGTHS[lengths])
    same(found, wanted(model, x, LENGTHS[lengths]).mean(), model.parameters)
    again = evaluate(objective, x, LENGTHS[lengths])  # the finished function, not the first evaluation
    same(again, wanted(model, x, LENGTHS[lengths]).mean(), model.parameters)


def test_the_three_ways_agree_under_one_seed():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    values = [evaluate(model.objective(way), x, lengths) for way in WAYS]
    torch.testing.assert_close(values[0], values[1], rtol=1e-12, atol=0)
    torch.testing.assert_close(values[0], values[2], rtol=1e-12, atol=0)


def test_without_closed_forms_the_divergence_is_that_of_the_draws():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    found = evaluate(model.objective(analytic=False), x, lengths)
    same(found, wanted(model, x, lengths, analytic=False).mean(), model.parameters)


@pytest.mark.parametrize("recurrent", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("backward", [True, False])
def test_modules_over_whole_sequences_run_forward_and_backward(recurrent, backward):
    model, x, lengths = DMM(recurrent, backward=backward), data(), [3, 6, 1, 4]
    found = evaluate(model.objective(), x, lengths)
    same(found, wanted(model, x, lengths).mean(), model.parameters)


@pytest.mark.parametrize(
    ("recurrent", "options"),
    [("RNN", {"nonlinearity": "relu"}), *((name, {"bias": False}) for name in ("RNN", "GRU", "LSTM"))],
)
def test_modules_with_other_steps(recurrent, options):
    model, x, lengths = DMM(recurrent, **options), data(), [3, 6, 1, 4]
    found = evaluate(model.objective(), x, lengths)
    same(found, wanted(model, x, lengths).mean(), model.parameters)


def test_hooks_of_a_module_over_whole_sequences_are_called():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    model.recurrent.register_forward_hook(lambda module, given, found: (2 * found[0], found[1]))
    found = evaluate(model.objective(), x, lengths)
    same(found, wanted(model, x, lengths).mean(), model.parameters)


@pytest.mark.parametrize("way", WAYS)
def test_nan_beyond_the_lengths_does_no_harm(way):
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    found = evaluate(model.objective(way), spoiled(x, lengths), lengths)
    same(found, wanted(model, x, lengths).mean(), model.parameters)


@pytest.mark.parametrize("way", WAYS)
def test_a_path_begins_at_a_number(way):
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    model.start.data.fill_(0.7)
    found = evaluate(sd.Objective(WAYS[way], *model.factors, z_0=0.7, z=2), x, lengths)
    same(found, wanted(model, x, lengths).mean(), model.parameters[:-1])


def test_what_lies_beyond_a_length_has_no_gradient():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    x.requires_grad_()
    objective = model.objective(validate=False)
    (gradient,) = torch.autograd.grad(evaluate(objective, x, lengths), x)
    for b, length in enumerate(lengths):
        assert not gradient[b, length:].any()
        assert gradient[b, :length].abs().sum() > 0


def test_each_sequence_has_a_value_of_its_own():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    objective = model.objective()
    torch.manual_seed(3)
    found = objective.per_example(x=x, T=torch.tensor(lengths))
    torch.testing.assert_close(found, wanted(model, x, lengths))
    torch.manual_seed(3)
    terms = objective.terms(x=x, T=torch.tensor(lengths))
    first, second = terms.values()
    torch.testing.assert_close(first - second, found.mean())


def test_the_order_of_the_sequences_makes_no_difference():
    model, x, lengths = DMM(), data(), [6, 4, 3, 1]
    objective = model.objective()
    torch.manual_seed(3)
    found = objective.per_example(x=x, T=torch.tensor(lengths))
    torch.manual_seed(3)
    turned = objective.per_example(x=x.flip(0), T=torch.tensor(lengths[::-1]))
    torch.testing.assert_close(turned.flip(0), found)


@pytest.mark.parametrize(("batch", "steps"), [(1, 6), (4, 1), (1, 1)])
def test_one_sequence_and_one_step(batch, steps):
    model, x = DMM(), data(batch=batch, steps=steps)
    objective = model.objective()
    same(evaluate(objective, x, None), wanted(model, x, None).mean(), model.parameters)
    lengths = [steps] * batch
    same(evaluate(objective, x, lengths), wanted(model, x, lengths).mean(), model.parameters)


def test_one_program_serves_all_numbers_of_steps():
    model, objective = DMM(), None
    objective = model.objective()
    for steps in (5, 1, 9):
        x = data(steps=steps)
        same(evaluate(objective, x, None), wanted(model, x, None).mean(), model.parameters)
    assert len(objective.runner.programs) == 1


def test_in_single_precision():
    model, x, lengths = DMM(dtype=torch.float32), data(dtype=torch.float32), [3, 6, 1, 4]
    found = evaluate(model.objective(), x, lengths)
    assert found.dtype == torch.float32
    same(found, wanted(model, x, lengths).mean(), model.parameters, relative=1e-4)


def test_every_network_runs_once_over_all_steps_but_what_is_carried():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    objective = model.objective()
    evaluate(objective, x, lengths)
    count = calls(model.combine, model.transition, model.emit)
    evaluate(objective, x, lengths)
    assert count() == [6, 1, 1]


def test_several_paths_are_an_average_of_single_ones():
    model, x, lengths = DMM(), data(), [3, 6, 1, 4]
    one, many = model.objective(), model.objective(samples=200)
    singles = torch.stack([evaluate(one, x, lengths, seed) for seed in range(200)]).detach()
    averages = torch.stack([evaluate(many, x, lengths, seed) for seed in range(20)]).detach()
    error = (singles.var() / 200 + averages.var() / 20).sqrt()
    assert abs(singles.mean() - averages.mean()) < 4 * error
    assert averages.std() < 0.3 * singles.std()


def test_importance_weights_are_those_of_whole_paths():
    model, x = DMM(), data(batch=3, steps=4)
    text = "log E_q(z_{1:T}|x_{1:T})[p(x_{1:T},z_{1:T})/q(z_{1:T}|x_{1:T})]"
    lengths, count = [2, 4, 3], 5
    objective = model.objective(text, samples=count)
    torch.manual_seed(3)
    found = objective.per_example(x=x, T=torch.tensor(lengths))
    torch.manual_seed(3)
    order = sorted(range(3), key=lambda b: -lengths[b])
    noise = [torch.randn(count, sum(n > t for n in lengths), 2, dtype=x.dtype) for t in range(4)]
    weights = []
    for k in range(count):
        own = {
            (b, t): noise[t][k, i] for t in range(4) for i, b in enumerate(b for b in order if lengths[b] > t)
        }
        weights.append(model.by_hand(x, lengths, own, analytic=False))
    reference = torch.stack(weights).logsumexp(0) - torch.tensor(float(count)).log()
    same(found.mean(), reference.mean(), model.parameters)
