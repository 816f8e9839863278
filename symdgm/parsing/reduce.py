"""The LALR automaton that Lark computes from the grammar, run without recursion and without detours.

Lark's own loop looks each rule up by its hash and calls back for every rule that only passes a value on; a
formula is mostly such rules, and takes a third of the time here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from sys import intern
from typing import Any

from lark import Lark

from symdgm.parsing.words import Word, after

Reduction = tuple[int, str, Callable[[list[Any]], Any] | None]
"""How many values a rule takes, its name, and what makes its value (None: the one value is passed on)."""


class UnexpectedWord(Exception):
    """No rule allows a word; never leaves the package: `explain` makes a `GrammarError` of it."""

    def __init__(self, word: Word, state: int) -> None:
        super().__init__(word)
        self.word = word
        self.state = state


@dataclass(frozen=True, slots=True)
class Automaton:
    """States of the automaton: what to do at which kind of word, and where a rule leads."""

    actions: list[dict[str, int | Reduction]]
    gotos: list[dict[str, int]]
    first: int
    last: int

    def run(self, words: Iterable[Word]) -> Any:
        """The value of the whole text, or None if there are no words.

        Raises:
            UnexpectedWord: a word that no rule allows.
        """
        states = [self.first]
        values: list[Any] = []
        word: Word | None = None
        for word in words:
            self._take(word, states, values)
        if word is None:
            return None
        self._take(after(word, "$END"), states, values)
        return values[-1]

    def _take(self, word: Word, states: list[int], values: list[Any]) -> None:
        """All reductions that the word calls for, and its shift."""
        actions, gotos, kind = self.actions, self.gotos, word.type
        while True:
            action = actions[states[-1]].get(kind)
            if action is None:
                raise UnexpectedWord(word, states[-1])
            if isinstance(action, int):
                states.append(action)
                values.append(word)
                return
            size, rule, make = action
            if make is None:
                states.pop()
            else:
                children = values[-size:]
                del values[-size:], states[-size:]
                values.append(make(children))
            states.append(gotos[states[-1]][rule])
            if states[-1] == self.last:
                return


def automaton(lark: Lark) -> Automaton:
    """The automaton of a compiled grammar."""
    conf = lark.parse_interactive("").parser_state.parse_conf
    size = max(conf.states) + 1
    actions: list[dict[str, int | Reduction]] = [{} for _ in range(size)]
    gotos: list[dict[str, int]] = [{} for _ in range(size)]
    for state, row in conf.states.items():
        for token, (action, target) in row.items():
            symbol = intern(str(token))
            if str(action) == "Reduce":
                actions[state][symbol] = _reduction(target, conf.callbacks)
            else:
                (actions if symbol.isupper() or symbol == "$END" else gotos)[state][symbol] = target
    return Automaton(actions, gotos, conf.start_state, conf.end_state)


def _reduction(rule: Any, callbacks: Any) -> Reduction:
    passes_on = rule.options.expand1 and rule.alias is None and len(rule.expansion) == 1
    return len(rule.expansion), intern(str(rule.origin.name)), None if passes_on else callbacks[rule]
