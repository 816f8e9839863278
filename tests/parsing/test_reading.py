"""`read` tells where each part is written; `parse` is safe to call from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from corpora import formulas

from symdgm.expressions.names import Name, Subscripted
from symdgm.expressions.node import Node, walk
from symdgm.parsing import Reading, parse, read
from symdgm.parsing.ellipses import DOTS


def test_each_part_has_its_place() -> None:
    text = r"\mathbb{E}_{q(z|x)}\left[\log p(x|z)\right] - \beta D_{KL}[q \| \hat{p}_t]"
    reading = read(text)
    places = {str(node): text[slice(*span)] for node, span in reading.spans.items()}
    assert places["p(x|z)"] == "p(x|z)"
    assert places["q(z|x)"] == "q(z|x)"
    assert places["log p(x|z)"] == r"\log p(x|z)"
    assert places["beta"] == r"\beta"
    assert places["KL[q || p_hat_t]"] == r"D_{KL}[q \| \hat{p}_t]"
    assert places["E_q(z|x)[log p(x|z)]"] == r"\mathbb{E}_{q(z|x)}\left[\log p(x|z)\right]"
    assert reading.source == text and reading.expression == parse(text)


def test_a_part_that_is_written_twice_is_found_where_it_stands_first() -> None:
    reading = read("a + b_t + a b_t")
    assert reading.spans[Name("a")] == (0, 1)
    assert reading.spans[Subscripted(Name("b"), Name("t"))] == (4, 7)


def test_every_expression_of_a_tree_has_a_place() -> None:
    """Signs that the parser adds (the minus of ``a - b``) and parts of names have none of their own."""
    for text in formulas():
        reading = read(text)
        assert isinstance(reading, Reading) and isinstance(reading.expression, Node)
        assert reading.spans[reading.expression][0] >= 0
        for start, end in reading.spans.values():
            assert 0 <= start <= end <= len(text)


def test_the_dots_of_a_list_are_gone() -> None:
    for text in formulas():
        walk(parse(text), lambda node: None if node != DOTS else 1 / 0)  # type: ignore[arg-type,return-value]


def test_threads_share_one_grammar() -> None:
    texts = formulas()
    alone = [parse(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(parse, texts)) == alone
