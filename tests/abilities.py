"""What some versions of torch cannot do; pytest finds it, since `conftest.py` stands beside it."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException


@cache
def draws_gamma_without_data() -> bool:
    try:
        torch._standard_gamma(torch.ones(2, device="meta"))
    except NotImplementedError:
        return False
    return True


@cache
def compiles_expanded_laws() -> bool:
    """Whether torch can look into ``torch.distributions.Uniform(...).expand(...)``."""
    law = torch.distributions.Uniform(0.0, 1.0, validate_args=False)
    try:
        torch.compile(lambda: law.expand((3,)).sample(), fullgraph=True, backend="eager")()
    except TorchDynamoException:
        return False
    return True


def needs_gamma_without_data(law: str) -> None:
    """Skips a test whose law draws gamma variables."""
    drawn = {"StudentT", "Gamma", "InverseGamma", "Beta", "Dirichlet", "NegativeBinomial"}
    if law in drawn and not draws_gamma_without_data():
        pytest.skip("this torch draws no gamma variables on a device without data")


def needs_compiled_expansion() -> None:
    """Skips a test."""
    if not compiles_expanded_laws():
        pytest.skip("this torch cannot compile what expands a law")
