"""What is said of a word that no rule allows: learnt from the examples of ``mistakes.toml``."""

from __future__ import annotations

from functools import lru_cache

from symdgm.errors import GrammarError
from symdgm.parsing.grammar import grammar
from symdgm.parsing.passes import run_passes
from symdgm.parsing.reduce import UnexpectedWord
from symdgm.parsing.refusals import mistakes, refusal


def explain(error: UnexpectedWord) -> GrammarError:
    """The refusal of a word that no rule allows.

    By its kind and what came before it, else by its kind alone.
    """
    exact, loose = _lessons()
    word = error.word
    label = exact.get((error.state, word.type)) or loose.get(word.type) or "stray-word"
    return refusal(label, word, word=word.text)


@lru_cache(maxsize=1)
def _lessons() -> tuple[dict[tuple[int, str], str], dict[str, str]]:
    """State and kind of word, and kind alone → label of the mistake whose example leads there first."""
    exact: dict[tuple[int, str], str] = {}
    loose: dict[str, str] = {}
    for label, mistake in mistakes().items():
        for text in mistake.examples:
            found = _where_refused(text)
            if found is not None:
                exact.setdefault((found.state, found.word.type), label)
                loose.setdefault(found.word.type, label)
    return exact, loose


def _where_refused(text: str) -> UnexpectedWord | None:
    """The word of an example that no rule allows; None if a pass refuses the example."""
    language = grammar()
    try:
        language.automaton.run(run_passes(list(language.words(text)), text))
    except UnexpectedWord as error:
        return error
    except GrammarError:
        pass
    return None
