"""Long statements of generated code: what they mean stays, and every line fits."""

import ast

import pytest

from symdgm.lowering.layout import WIDTH, comment, laid_out, quoted

NAMES = [f"quite_a_long_name_{i}" for i in range(30)]
STATEMENTS = [
    "value = " + " + ".join(NAMES),
    "value = " + " - ".join(NAMES),
    "value = " + " * ".join(NAMES),
    "value = -" + " * -".join(NAMES),
    "value = f(" + ", ".join(NAMES) + ")",
    "value = f(" + ", ".join(NAMES) + ").sum(-1).mean(0)",
    "value = torch.zeros(2)[" + ", ".join([":"] * 60) + "]",
    "value = (" + " + ".join(NAMES) + ") * (" + " - ".join(NAMES) + ").exp() + 1",
    "terms = {\n" + "".join(f"    {'long name ' * 20 + n!r}: {n}.mean(),\n" for n in NAMES) + "}",
    "value = " + " + ".join(f"terms[{'E[(a + b) * c] ' * 12 + str(i)!r}]" for i in range(4)),
    "value = f(lambda x: x * " + " * ".join(NAMES) + ")",
    ", ".join(NAMES) + " = f(x)",
]  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_long_statement_means_the_same_in_lines_that_fit(statement):
    lines = laid_out(statement, 4)
    assert max(map(len, lines)) <= WIDTH
    source = "if True:\n" + "\n".join(lines)
    assert ast.dump(ast.parse(source).body[0].body[0]) == ast.dump(ast.parse(statement).body[0])


def test_the_head_of_a_function():
    lines = laid_out(f"def objective({', '.join(NAMES)}, *, beta):", 0)
    assert max(map(len, lines)) <= WIDTH and len(lines) > 3
    (function,) = ast.parse("\n".join([*lines, "    return 1"])).body
    assert [a.arg for a in function.args.args] == NAMES
    assert [a.arg for a in function.args.kwonlyargs] == ["beta"]


@pytest.mark.parametrize("statement", ["x = 1", "terms = {\n    'a': b,\n}", "a, b = f(x)"])
def test_a_short_statement_stays(statement):
    assert laid_out(statement, 0) == statement.split("\n")


def test_comments_and_docstrings_fit():
    text = 'E_q(z|x)[log p(x|z)] "quoted" \\beta ' * 10
    assert max(map(len, comment(text, 4))) <= WIDTH
    lines = quoted(text, 4)
    assert max(map(len, lines)) <= WIDTH
    assert ast.literal_eval("\n".join(lines).strip()).split() == text.split()
