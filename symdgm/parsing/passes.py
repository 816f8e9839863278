"""The passes in their order.

Each takes the words of a text and gives words back, in time linear in their number.
"""

from __future__ import annotations

from collections.abc import Iterator

from symdgm.parsing.classify_bars import classify_bars
from symdgm.parsing.find_heads import find_heads
from symdgm.parsing.join_names import join_names
from symdgm.parsing.join_partials import join_partials
from symdgm.parsing.mark_runs import mark_runs
from symdgm.parsing.match_brackets import match_brackets
from symdgm.parsing.order_scripts import order_scripts
from symdgm.parsing.split_statements import split_statements
from symdgm.parsing.unwrap_fonts import unwrap_fonts
from symdgm.parsing.words import Word


def run_passes(tokens: list[Word], text: str) -> Iterator[Word]:
    """The words as the rules of ``objective.lark`` want them."""
    tokens = match_brackets(tokens)  # first: every later pass may rely on partners
    tokens = unwrap_fonts(tokens)  # before names are looked at, so that there is one spelling of each
    tokens = split_statements(tokens)  # before names meet brackets across a line break
    tokens = order_scripts(tokens)  # needs plain words; gives every script its brackets
    tokens = join_names(tokens)  # needs the decorations that the scripts held
    tokens = join_partials(tokens)  # needs whole names; makes one head of a fraction of two signs
    tokens = find_heads(tokens)  # needs whole names and their scripts
    tokens = classify_bars(tokens)  # needs to know which brackets belong to divergences
    return mark_runs(tokens, text)  # last: needs every word's final kind
