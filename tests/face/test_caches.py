"""What is remembered between calls: bounded, counted, cleared, shared by threads, freed with its owner."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

import symdgm as sd
from symdgm.caches import CacheInfo, Table, remembered
from symdgm.runtime.programs import MAX_PROGRAMS

X = torch.zeros(4, 6)


def elbo(text="E_q(z|x)[log p(x|z)] - KL[q||p]", **options):
    net = nn.Linear(6, 2)
    q = sd.Normal("q(z|x)", lambda x: (net(x), torch.ones(len(x), 2)))
    p, prior = sd.Bernoulli("p(x|z)", nn.Linear(2, 6)), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    return sd.Objective(text, q, p, prior, **options)


def test_a_cache_is_bounded_counted_and_cleared():
    calls = []

    @remembered(3)
    def half(number):
        calls.append(number)
        return number / 2

    name = next(n for n in sd.cache_info() if n.endswith("test_caches.half"))
    assert [half(n) for n in (2, 2, 4, 6, 8, 2)] == [1, 1, 2, 3, 4, 1] and calls == [2, 4, 6, 8, 2]
    assert sd.cache_info()[name] == CacheInfo(hits=1, misses=5, maxsize=3, currsize=3)
    sd.cache_clear()
    assert sd.cache_info()[name] == CacheInfo(0, 0, 3, 0)


def test_a_table_starts_anew_when_it_is_full():
    known = Table("a table of a test", 3)
    for number in range(4):
        assert known.get(number) is None
        known.keep(number, number / 2)
    assert known.get(3) == 1.5 and known.get(0) is None
    assert sd.cache_info()["a table of a test"] == CacheInfo(hits=1, misses=4, maxsize=3, currsize=1)
    sd.cache_clear()
    assert sd.cache_info()["a table of a test"] == CacheInfo(0, 0, 3, 0) and known.get(3) is None


def test_every_cache_is_bounded_and_stays_within():
    for i in range(400):
        sd.parse(f"a_{i} + KL[q||p]")
    elbo()(x=X)
    info = sd.cache_info()
    assert {"runtime.programs", "parsing.reading.reduced"} <= set(info)
    assert all(0 <= c.currsize <= c.maxsize for c in info.values())
    assert info["parsing.reading.reduced"].currsize == info["parsing.reading.reduced"].maxsize


def test_an_equal_text_is_read_once():
    sd.cache_clear()
    elbo(), elbo()
    reading = sd.cache_info()["parsing.reading.reduced"]
    assert reading.hits >= reading.misses


def test_programs_are_counted_and_made_anew_after_they_were_cleared():
    gc.collect()
    sd.cache_clear()
    objective = elbo()
    torch.manual_seed(0)
    value = objective(x=X)
    objective(x=X), objective(x=X[:2])
    counted = sd.cache_info()["runtime.programs"]
    assert (counted.hits, counted.misses, counted.currsize) == (2, 1, 1)
    assert counted.maxsize % MAX_PROGRAMS == 0
    sd.cache_clear()
    assert not objective.runner.programs
    torch.manual_seed(0)
    assert torch.equal(objective(x=X), value) and len(objective.runner.programs) == 1


def test_threads_share_objectives_and_caches_while_these_are_cleared():
    objective, texts = elbo(analytic=False), [f"KL[q||p] + a_{i}" for i in range(8)]
    trees = [sd.parse(t) for t in texts]

    def work(i):
        if i % 5 == 0:
            sd.cache_clear()
        assert sd.parse(texts[i % 8]) == trees[i % 8]
        sd.cache_info()
        size = 1 + i % 3
        value = objective.per_example(x=X[:size])
        assert value.shape == (size,) and bool(value.isfinite().all())
        return elbo(f"E_q(z|x)[log p(x|z)] - {1 + i % 3} KL[q||p]").terms(x=X)["KL[q || p]"].item()

    with ThreadPoolExecutor(8) as pool:
        assert all(value >= 0 for value in pool.map(work, range(64)))


def test_a_thousand_objectives_leave_nothing_behind():
    """Each is evaluated and differentiated."""
    elbo()(x=X).backward()
    gc.collect()
    sizes, refs = [], []
    for i in range(1000):
        net = nn.Linear(2, 6)
        p, prior = sd.Bernoulli("p(x|z)", net), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
        objective = sd.Objective("E_p(z)[log p(x|z)]", p, prior)
        objective(x=X).backward()
        refs += [weakref.ref(objective), weakref.ref(net), weakref.ref(objective.runner.programs)]
        if i % 250 == 249:
            del objective, net, p, prior
            gc.collect()
            sizes.append(sum(type(o) is torch.Tensor for o in gc.get_objects()))
    assert not any(ref() is not None for ref in refs)
    assert sizes[-1] <= sizes[0]


KEYS = """
import torch
from torch import nn
import symdgm as sd
from symdgm import zoo
q = sd.Bernoulli("q(y|x)", nn.Linear(6, 3))
p, prior = sd.Bernoulli("p(x|y)", nn.Linear(3, 6)), sd.Bernoulli("p(y)", probs=0.5, event_shape=3)
one = sd.Objective("E_q(y|x)[log p(x|y)] - beta KL[q||p]", q, p, prior, beta=1.0)
x = torch.zeros(4, 6)
print(one.key(x=x))
print(zoo.iwae(6, latent=2, hidden=5).objective.key(x=x))
print(zoo.m2(6, 3, latent=2, hidden=5).objective.key(x=x, y=torch.eye(3)[[0, 1, 2, 0]], x_u=x))
"""


def test_a_key_survives_processes():
    found = {
        subprocess.run(
            [sys.executable, "-c", KEYS],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1 and len(set(found.pop().split())) == 3


def test_a_key_tells_apart_what_runs_differently_and_nothing_else():
    one = elbo()
    key = one.key(x=X)
    assert len(key) == 64 and key == elbo().key(x=X[:2]) == one.key({"x": X})
    one(x=X)
    assert one.key(x=X) == key
    others = [
        elbo("E_q(z|x)[log p(x|z)] - 2 KL[q||p]").key(x=X),
        elbo(analytic=False).key(x=X),
        elbo(samples=3).key(x=X),
        elbo(sharing=False).key(x=X),
        elbo(estimators={"z": "score function"}).key(x=X),
    ]
    assert len({key, *others}) == 1 + len(others)
