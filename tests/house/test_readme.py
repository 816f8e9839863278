"""The README is run: its Python from top to bottom, its shell lines, and what it says that they print."""

from __future__ import annotations

import contextlib
import io
import re
import shlex

import pytest
import torch
from repository import ROOT

from symdgm import cli
from symdgm.distributions import __all__ as families

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:```text\n(?P<output>.*?)^```\n)?", re.DOTALL | re.MULTILINE
)


def printed(code, namespace):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), namespace)
    return out.getvalue()


def test_the_python_runs_and_prints_what_it_says(tmp_path, monkeypatch, update):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}

    def run(found):
        out = printed(found["code"], namespace)
        return f"```python\n{found['code']}```\n" + (f"```text\n{out}```\n" if out else "")

    with torch.random.fork_rng():
        after = BLOCK.sub(run, README)
    if update:
        (ROOT / "README.md").write_text(after, "utf-8")
    else:
        assert after == README, "if the README is right no more, run pytest with --update"
    assert namespace["draws"].shape == (64, 64)
    assert namespace["again"].shape == (8, 64)
    assert namespace["history"].last.value > namespace["history"].epochs[0].value
    assert {p.name for p in tmp_path.iterdir()} == {
        "vae.safetensors",
        "samples.png",
        "curves.png",
        "joint.svg",
    }


def test_the_shell_lines_print_what_they_say(capsys):
    blocks = [text for kind, text in BLOCKS if kind == "console"]
    assert blocks
    for text in blocks:
        command, expected = text.split("\n", 1)
        words = shlex.split(command.removeprefix("$ "))
        assert words[0] == "symdgm"
        assert cli.main(words[1:]) == 0
        assert capsys.readouterr().out == expected


def test_the_targets_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()


def test_every_room_is_described():
    rooms = {p.name for p in (ROOT / "symdgm").iterdir() if (p / "__init__.py").exists()}
    for room in rooms:
        assert f"{room}/`" in README


def test_every_requirement_earns_its_place():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for requirement in project["dependencies"]:
        assert f"| {re.split('[<>=]', requirement)[0]} |" in README


def test_the_families_are_named():
    for name in (
        "Normal",
        "Bernoulli",
        "Categorical",
        "OneHotCategorical",
        "Deterministic",
        "Empirical",
        "Data",
    ):
        assert name in families
        assert f"`{name}`" in README
