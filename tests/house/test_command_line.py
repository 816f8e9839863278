"""The command line, as a user runs it."""

from __future__ import annotations

import pytest
from repository import python

import symdgm
from symdgm import cli
from symdgm.expressions.notation import latex, unicode

ELBO = "E_q(z|x)[log p(x|z)] - beta KL[q||p]"


def symdgm_command(*arguments, stdin=b"", **environment):
    return python("-m", "symdgm.cli", *arguments, stdin=stdin, **environment)


def test_the_script_is_the_main_function():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="symdgm")
    assert script.load() is cli.main


def test_show_says_how_an_equation_was_read():
    done = symdgm_command("show", ELBO)
    assert (done.returncode, done.stderr) == (0, "")
    expression = symdgm.parse(ELBO)
    for line in (unicode(expression), latex(expression), str(expression), symdgm.signature(expression)):
        assert f"  {line}\n" in done.stdout
    assert "├── Expect  𝔼_q(z|x)[log p(x|z)]" in done.stdout


@pytest.mark.parametrize("view", cli.VIEWS)
def test_one_view_alone_is_that_view(view, capsys):
    assert cli.main(["show", ELBO, "--as", view]) == 0
    assert capsys.readouterr().out == cli.VIEWS[view](symdgm.parse(ELBO)) + "\n"


def test_an_equation_comes_from_the_standard_input():
    block = "p(z) = Normal(z; 0, 1)\nmaximize E_p(z)[f(z)]\n"
    done = symdgm_command("show", "-", "--as", "ascii", stdin=block.encode())
    assert done.returncode == 0
    assert symdgm.parse(done.stdout) == symdgm.parse(block)


def test_an_equation_may_begin_with_a_minus_sign(capsys):
    assert cli.main(["show", "--as", "unicode", "--", "-log p(x)"]) == 0
    assert capsys.readouterr().out == "−log p(x)\n"


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00", b"log p(x|z", b"", b"E_q(z|x)[log p(x|z) - KL[q||p]", b"\xe2\x80\xae"]
)
def test_what_cannot_be_read_is_printed_as_it_is(text):
    with pytest.raises(symdgm.SymdgmError) as caught:
        symdgm.parse(text.decode("utf-8", "replace"))
    done = symdgm_command("show", "-", stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{caught.value}\n")


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"symdgm {symdgm.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["shwo", "x"], "invalid choice: 'shwo'"),
        (["show"], "the following arguments are required: EQ"),
        (["show", "x", "--as", "ltx"], "invalid choice: 'ltx'"),
        (["show", "x", "y"], "unrecognized arguments: y"),
        (["demo", "--epoch", "many"], "invalid int value: 'many'"),
    ],
)
def test_an_unknown_word_is_refused(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    assert message in capsys.readouterr().err


def test_output_survives_a_terminal_that_has_no_greek():
    done = symdgm_command(
        "show", "beta KL[q||p]", "--as", "unicode", PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert (done.returncode, done.stdout) == (0, "\\u03b2 KL[q \\u2016 p]\n")
