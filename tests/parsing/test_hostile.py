"""No text raises anything but a `SymdgmError`, hangs, or runs code."""

from __future__ import annotations

import random
import time

import pytest
from corpora import cases, formulas

from symdgm.errors import SymdgmError
from symdgm.parsing import parse
from symdgm.parsing.bounds import MAX_CHARACTERS
from symdgm.parsing.refusals import mistakes

SECONDS = 1.0
"""Processor time that one text may take in this thread; a busy machine and other threads do not count."""

TRIES = 3
"""A garbage collection of everything the test process holds may fall into one try, not into three."""

MUTATIONS = 20_000

SCRAPS = [
    *" _^{}()[]|\\*/+-~=:;,.<>#%$&'\n\t", "||", "...", "..", "\\\\", "E_", "KL", "log ", "sum_", "int ",
    "dx", "\\frac", "\\hat",
    "\\mathbb", "\\text", "\\left", "\\right", "\\begin{align}", "\u200f", "\u202e", "\x00", "\x7f",
    "\ud800", "\U000e0001",
    "9" * 70, "1e999", "z_t", "\\partial", "where", "max", "min_", "over", "\\{", "\\}", "grad_", "1[",
    "Uniform{", "H", "I", "D_",
    "W", "\\underset", "\\sqrt", "𝔼", "²", "ₜ", "x̂", "‖", "∑", "\\prime", "maximize", "in", "propto",
    "\\langle", "\\rangle",
    "\\label{", "__import__('os')", "{{7*7}}", "${x}", "lambda:", "é", "ŷ", "²²", "^2", "_2", "9^9^9",
    "𝟙", "\u0302", "é́",
]  # fmt: skip

REPEATED = [
    "'", "-", "^", "|", "||", "x'", "x^", "2^", "9^9^", "(", "[", "{", "<", "_", "E_", "E_q ", "E_{x} ",
    "E_q_", "x_{", "x_a",
    "\\hat", "\\hat{", "\\frac", "\\frac{", "\\frac1", "\\sqrt[", "\\left", "\\label{", "\\begin{a",
    "\\mathbb{", "\\text{a}",
    "\\underset{a}{b}", "\\langle ", "\\partial", "∂/∂x ", "sum_k ", "sum_{k", "log ", "grad_x ", "int ",
    "int x dx ", "a/", "a/b*",
    "a\n", "a=b\n", "a;", "where a=", "max_D ", "...", "x,", "f(", "f(x", "1[", "1[k=", "1..", "KL[",
    "KL[q||p] ", "D_{a}[", "H[",
    "$", "#", "\x00", "\ud800", "é", "x̂", "²", "x^*", "x^{(i)}", "x^{\\text{o}}", "{{7*7}}", "q(z|x)",
    "a b ", "(a,", "&", "\\\\",
]  # fmt: skip


def attempt(text: str) -> None:
    for _ in range(TRIES):
        begin = time.thread_time()
        try:
            parse(text)
        except SymdgmError as error:
            assert str(error)
        if (seconds := time.thread_time() - begin) < SECONDS:
            return
    pytest.fail(f"{seconds:.2f} s for {text[:80]!r}")


def mutated(rng: random.Random, text: str, texts: list[str]) -> str:
    for _ in range(rng.randrange(1, 6)):
        i = rng.randrange(len(text) + 1)
        j = min(len(text), i + rng.randrange(1, 8))
        other = rng.choice(texts)
        piece = other[rng.randrange(len(other) + 1) :][: rng.randrange(1, 20)]
        middle = rng.choice(
            ["", rng.choice(SCRAPS), rng.choice(SCRAPS) + text[i:j], piece + text[i:j], text[i:j] * 2]
        )
        text = text[:i] + middle + text[j:]
    return text


def test_mutations_of_what_people_write() -> None:
    rng = random.Random(20)
    texts = formulas() + [case["text"] for case in cases("refused")]
    texts += [text for mistake in mistakes().values() for text in mistake.examples]
    for _ in range(MUTATIONS):
        attempt(mutated(rng, rng.choice(texts), texts))


def test_random_characters() -> None:
    rng = random.Random(21)
    for _ in range(1_000):
        attempt("".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(1, 40))))
        attempt("".join(rng.choice(SCRAPS) for _ in range(rng.randrange(1, 40))))


@pytest.mark.parametrize("part", REPEATED)
def test_repetition(part: str) -> None:
    for length in (2_000, MAX_CHARACTERS, 1_000_000):
        attempt((part * (length // len(part) + 1))[:length])
        attempt((part * (length // len(part)))[: length - 1] + "x")


@pytest.mark.parametrize("count", [500, 20_000])
def test_many_different_indices(count: int) -> None:
    attempt("".join(f"sum_a{i} " for i in range(count))[:MAX_CHARACTERS])
    attempt(" + ".join(f"x_{i}" for i in range(count))[:MAX_CHARACTERS])


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "exec('raise SystemExit')",
        "(lambda: 0)()",
        "().__class__.__bases__[0].__subclasses__()",
        "{{config}} ${jndi:ldap://x} `id` $(id)",
        "eval(compile('1', '', 'eval'))",
        "%s%n%x",
    ],
)
def test_code_is_no_mathematics(text: str) -> None:
    with pytest.raises(SymdgmError):
        parse(text)
