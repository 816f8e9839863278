"""The algorithms of chains on tables: every way to compute a thing gives the same."""

import math

import pytest
import torch
from torch.autograd import grad

from symdgm.distributions.chains import finite
from symdgm.distributions.chains.forward import (
    forward_algorithm,
    forward_messages,
    log_product,
    tree_of_steps,
)

COUNTS = [4, 4, 3, 3, 2, 2, 2, 1, 1]


def tables(states, counts, *, varying, dtype=torch.float64):
    generator = torch.Generator().manual_seed(states)

    def rand(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).log_softmax(-1).requires_grad_()

    lead = (sum(counts),) if varying else ()
    return rand(states), rand(*lead, states, states), rand(sum(counts), states)


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("counts", [COUNTS, [1] * 12, [3, 2], [2] * 10])
def test_products_of_neighbours_are_the_loop(counts, varying):
    found = tables(3, counts, varying=varying)
    pairs = zip(*forward_messages(*found, counts), [*counts[1:], 0], strict=True)
    ended = [(message + top.unsqueeze(-1))[n:] for message, top, n in pairs]
    loop, tree = torch.cat(ended[::-1]), tree_of_steps(*found, counts)
    torch.testing.assert_close(tree, loop, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        grad(tree.logsumexp(-1).sum(), found), grad(loop.logsumexp(-1).sum(), found), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_of_matrices_is_the_sum_of_logarithms(dtype):
    _, transition, alpha = tables(40, [5], varying=False, dtype=dtype)
    exact = (alpha.double().unsqueeze(-1) + transition.double()).logsumexp(-2)
    torch.testing.assert_close(log_product(alpha, transition).double(), exact, rtol=0, atol=3e-6)


def test_what_underflows_is_not_lost():
    """The only way to a state is from one that is e^-200 less probable than the others."""
    alpha = torch.zeros(1, 40)
    alpha[0, 0] = -200.0
    transition = torch.full((40, 40), -math.inf)
    transition[0, 1], transition[1:, 0] = 0.0, 0.0
    found = log_product(alpha, transition)
    assert found[0, 1] == -200.0 and found[0, 0] == pytest.approx(math.log(39))


def test_sequences_that_cannot_be_have_no_probability():
    start, transition, emission = tables(2, [2, 2], varying=False)
    never = emission.detach().clone()
    never[1] = -math.inf
    log_p = forward_algorithm(start, transition, never, [2, 2])
    assert log_p[1] == -math.inf and bool(log_p[0].isfinite())
    gradients = grad(log_p[0], [start, transition])
    assert all(bool(g.isfinite().all()) for g in gradients)


@pytest.mark.parametrize("way", ["loop", "tree"])
def test_states_that_nothing_leads_to_have_gradients(way):
    """From left to right: the first of three states is left for good, so that its logarithm is that of 0."""
    start, _, emission = tables(3, [2] * 10, varying=False)
    move = torch.rand(3, 3, dtype=torch.float64).triu(1).requires_grad_()
    never = torch.ones(3, 3).tril().bool()
    never[2, 2] = False

    def log_p(forward):
        return forward(start, move.masked_fill(never, -math.inf), emission, [2] * 10)

    messages = log_p(lambda *arguments: forward_messages(*arguments)[0][-1].logsumexp(-1))
    found = messages if way == "loop" else log_p(tree_of_steps).logsumexp(-1)
    gradients = grad(found.sum(), [start, move, emission])
    assert all(bool(g.isfinite().all()) for g in gradients) and bool(gradients[1][1, 2] != 0)


def test_what_cannot_be_has_some_path():
    """The state that is seen last is one that nothing leads to."""
    start, _, emission = tables(2, [50, 50], varying=False)
    move = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64).log()
    seen = emission.detach().clone()
    seen[50:, 1] = -math.inf
    for paths in (finite.most_probable, finite.sampled):
        found = torch.stack(paths((start.detach(), move, seen, [50, 50])))
        assert found.shape == (2, 50) and set(found.flatten().tolist()) <= {0, 1}


def test_long_sequences_of_many_states_are_stable():
    found = tables(33, [2] * 1000, varying=False, dtype=torch.float32)
    log_p = forward_algorithm(*found, [2] * 1000)
    exact = forward_algorithm(*(t.double() for t in found), [2] * 1000)
    torch.testing.assert_close(log_p.double(), exact, rtol=1e-6, atol=0)
