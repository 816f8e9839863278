"""What all tests share."""

from __future__ import annotations

import os
import signal

# Before torch is imported: tests are many small things, and several workers would fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

# A shell starts what runs in the background deaf to Ctrl-C, of which some tests are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline would make tests fail by the load of the machine.
settings.register_profile("symdgm", deadline=None, print_blob=True)
settings.load_profile("symdgm")


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same noise in whatever order the workers take them."""
    torch.manual_seed(0)


def pytest_addoption(parser):
    parser.addoption(
        "--update", action="store_true", help="write what golden tests found in place of what they expect"
    )


@pytest.fixture
def update(request):
    """Whether golden files are to be written anew."""
    return request.config.getoption("--update")
