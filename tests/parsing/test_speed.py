"""Reading is fast enough to be called at every keystroke, and its time grows with the length of the text."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from symdgm.parsing import parse

TERM = "E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)] + 1/2 ||x - f(z)||^2 + "
LATEX = r"\mathbb{E}_{q_\phi(z|x)}\left[\log p_\theta(x|z)\right] - \frac{1}{2} \sum_{j=1}^{d} \sigma_j^2 + "


def text(term: str, length: int) -> str:
    return term * (length // len(term)) + "x"


def seconds(source: str, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        begin = time.thread_time()
        parse(source)
        times.append(time.thread_time() - begin)
    return min(times)


@pytest.mark.parametrize("term", [TERM, LATEX], ids=["ascii", "latex"])
def test_four_thousand_characters_take_no_time(term: str) -> None:
    assert seconds(text(term, 4_000)) < 0.25


@pytest.mark.parametrize("term", [TERM, LATEX], ids=["ascii", "latex"])
def test_the_time_grows_with_the_length(term: str) -> None:
    """Ten times the text may take 30 times the time (10 if it were exact); a square would take 100 times."""
    assert seconds(text(term, 32_000), 2) < 30 * max(seconds(text(term, 3_200)), 0.02)


def test_the_grammar_is_compiled_quickly_and_once() -> None:
    """In a process of its own, with the imports done."""
    program = (
        "import time; from symdgm.parsing import parse; a = time.thread_time(); parse('x'); "
        "b = time.thread_time(); parse('x'); print(b - a, time.thread_time() - b)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert first < 3 and second < 0.05


def test_reading_loads_no_torch() -> None:
    program = "import sys, symdgm.parsing as p; p.parse('log p(x|z)'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
