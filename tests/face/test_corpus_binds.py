"""Every equation of the corpora either becomes an objective or is refused with a `SymdgmError`, quickly."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions import Distribution
from symdgm.expressions.names import spelled
from symdgm.expressions.scope import free_names, heads

HOME = Path(__file__).resolve().parents[2]
CORPORA = [HOME / "tests" / "corpus.toml", HOME.parent / "shared" / "corpus" / "equations.toml"]


def strings() -> Iterator[str]:
    for path in CORPORA:
        if path.exists():
            for groups in tomllib.loads(path.read_text(encoding="utf-8")).values():
                for group in groups:
                    yield from group.get("strings", [])
                    yield from (text for text in [group.get("text")] if isinstance(text, str))


EQUATIONS = list(dict.fromkeys(strings()))


def unit(*given: Tensor) -> tuple[Tensor, Tensor]:
    return given[0], torch.ones_like(given[0])


def factors() -> list[Distribution]:
    return [
        sd.Normal("q(z|x)", unit),
        sd.Normal("q(z|x,y)", unit),
        sd.Categorical("q(y|x)", nn.Linear(4, 3)),
        sd.Bernoulli("p(x|z)", nn.Linear(4, 4)),
        sd.Normal("p(x|z,y)", unit),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
        sd.Categorical("p(y)", probs=torch.ones(3) / 3),
        sd.Normal("r(y)", loc=0.0, scale=1.0),
        sd.Data("data(x)"),
    ]


def bindings(expression: object) -> Iterator[dict[str, object]]:
    """Nothing; every head a network and every other name a number."""
    taken = {"p", "q", "r", "data", "x", "y", "z"}
    applied = {spelled(h): nn.Linear(4, 4) for h in heads(expression)}  # type: ignore[arg-type]
    free = {spelled(n): 0.5 for n in free_names(expression)}  # type: ignore[arg-type]
    yield {}
    yield {k: v for k, v in {**free, **applied}.items() if k not in taken}


@pytest.mark.filterwarnings("ignore::symdgm.errors.SymdgmWarning")  # not all that is bound takes part
@pytest.mark.parametrize("text", EQUATIONS or ["x"])
def test_an_equation_is_bound_or_refused(text: str) -> None:
    started = time.thread_time()
    try:
        expression = sd.parse(text)
    except sd.SymdgmError:
        return
    for names in bindings(expression):
        for whole in (sd.Objective, sd.Model):
            try:
                built = whole(text, *factors(), **names)
            except sd.SymdgmError as error:
                assert str(error)
            else:
                assert repr(built)
    assert time.thread_time() - started < 20


def test_the_corpora_are_there() -> None:
    assert len(EQUATIONS) > 50 or not any(path.exists() for path in CORPORA)
