"""Streams are put back bit for bit."""

from contextlib import nullcontext

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


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_accelerators_stream_is_kept_too(kind, monkeypatch):
    """The device is played by a generator: no machine that runs the tests is sure to have one."""
    stream = torch.Generator().manual_seed(1)
    device = torch.device(kind, 0)
    told = (device,) if kind == "cuda" else ()

    class Module:
        @staticmethod
        def get_rng_state(*where):
            assert where == told
            return stream.get_state()

        @staticmethod
        def set_rng_state(state, *where):
            assert where == told
            stream.set_state(state)

        manual_seed = stream.manual_seed

        @staticmethod
        def device(where):
            assert where == device and kind == "cuda"
            return nullcontext()

    monkeypatch.setattr(torch, "get_device_module", lambda where: Module)
    before = stream.get_state()
    with seeded(5, device):
        assert torch.equal(
            torch.randn(3, generator=stream), torch.randn(3, generator=torch.Generator().manual_seed(5))
        )
    assert torch.equal(stream.get_state(), before)
