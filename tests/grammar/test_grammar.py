"""The grammar files: no conflict, no collision, nothing unused, found in every kind of installation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from symdgm.expressions.applications import FUNCTIONS
from symdgm.parsing.grammar import RULES, Kept, Words, compiled
from symdgm.parsing.grammar_files import grammar_folder, grammar_text, known_commands
from symdgm.parsing.words import CLOSER_OF, CLOSERS, OPENERS

RULE = re.compile(r"^\??([a-z_]+):", re.MULTILINE)
ALIAS = re.compile(r"->\s*([a-z_]+)")


def test_the_rules_have_no_conflict_and_the_words_no_collision() -> None:
    """Lark's strict mode refuses conflicts of rules, and collisions of terminals of one priority."""
    compiled(strict=True, lexer="basic", transformer=None)


def test_every_rule_has_its_function_and_every_function_its_rule() -> None:
    rules = grammar_text("objective.lark").split("// ---- words")[0]
    named = set(RULE.findall(rules)) | set(ALIAS.findall(rules))
    only_aliases = {
        "statement",
        "objective",
        "assertion",
        "signed",
        "atom",
        "script",
        "position",
        "argument",
        "entry",
    }
    only_aliases |= {"drawn", "variable", "index", "condition", "parameters"}
    assert named - only_aliases == set(RULES)


def test_every_word_is_imported_and_every_import_is_a_word() -> None:
    imported = set(
        re.findall(
            r"[A-Z_]{2,}", "".join(re.findall(r"^%import.*$", grammar_text("objective.lark"), re.MULTILINE))
        )
    )
    assert imported == set(Kept().always_accept)


def test_the_last_word_takes_any_character() -> None:
    words = Words(compiled().lexer_conf)
    assert [word.type for word in words.words("@\ud800\x00")] == ["UNKNOWN"] * 3


def test_brackets_come_in_pairs() -> None:
    assert set(CLOSER_OF) == OPENERS and set(CLOSER_OF.values()) == CLOSERS


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"max", "min", "sum", "prod"}))
def test_every_function_of_the_language_is_a_word(function: str) -> None:
    assert next(Words(compiled().lexer_conf).words(f"{function}(x)")).type == "FUNCTION"


def test_the_folder_is_found_beside_the_checkout_or_in_the_package() -> None:
    root = Path(__file__).resolve().parents[2]
    assert grammar_folder() in (root / "grammar", root / "symdgm" / "grammar")
    assert {path.name for path in grammar_folder().iterdir()} >= {
        "objective.lark",
        "lexical.lark",
        "mistakes.toml",
        "README.md",
    }


def test_the_mistakes_are_complete() -> None:
    for label, entry in tomllib.loads(grammar_text("mistakes.toml")).items():
        assert set(entry) == {"problem", "hint", "examples"}, label
        assert entry["hint"], label
        assert re.fullmatch(r"[a-z-]+", label)


def test_every_label_is_used_and_every_use_has_a_label() -> None:
    """Passes name their labels; the others are found by the states that their examples lead to."""
    from symdgm.parsing import explain
    from symdgm.parsing.refusals import mistakes

    source = "".join(path.read_text() for path in Path(explain.__file__).parent.glob("*.py"))
    named = set(re.findall(r'refusal\(\s*"([a-z-]+)"', source))
    exact, loose = explain._lessons()
    assert named | set(exact.values()) | set(loose.values()) | {"stray-word"} == set(mistakes())


def test_commands_are_known_for_suggestions() -> None:
    assert {"frac", "mathbb", "nabla", "sum", "log"} <= set(known_commands())
