"""Streams are put back bit for bit."""

import pytest
import torch

from symdgm.training.randomness import RandomState, draw_seed, seeded

CPU = torch.device("cpu")


def test_replaying_draws_again_and_puts_back():
    state = RandomState.capture(CPU)
    first = torch.randn(4)
    after = torch.get_rng_state()
    with pytest.raises(KeyError), state.replayed():
        assert torch.equal(torch.randn(4), first)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), after)


def test_seeded_is_manual_seed_inside_and_nothing_outside():
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    with seeded(5, CPU):
        assert torch.equal(torch.randn(3), expected)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(None, CPU):
        torch.randn(1)
    assert not torch.equal(torch.get_rng_state(), before)


def test_seeds_come_from_the_stream():
    torch.manual_seed(0)
    first, second = draw_seed(), draw_seed()
    torch.manual_seed(0)
    assert draw_seed() == first != second
