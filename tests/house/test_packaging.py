"""The package as others get it: as a wheel, and as an editable install; the grammar comes along."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from repository import ROOT, environment, python

LOOK = """
import sys, symdgm
from symdgm.parsing.grammar_files import grammar_folder
print(symdgm.parse("E_q(z|x)[log p(x|z)] - KL[q||p]"))
print(symdgm.__file__)
print(grammar_folder())
"""

TRAIN = """
import torch, symdgm as sd
model = sd.Model('''
    p(z) = Normal(z; 0, 1); q(z|x) = Normal(z; enc(x)); p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]
''', enc=lambda x: (x[:, :2], torch.ones(len(x), 2)), dec=torch.nn.Linear(2, 4), z=2)
print(len(model.fit(torch.ones(64, 4), epochs=2, progress=False)))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what git would deliver, so that a build leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("sources") / "checkout"
    ignored = shutil.ignore_patterns(
        ".*", "__pycache__", "build", "dist", "*.egg-info", "tests", "benchmarks"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--wheel-dir", str(folder), str(sources))
    (found,) = folder.glob("symdgm-*.whl")
    return found


def pip(command, *arguments):
    """Pip without a network: nothing is fetched, and the build takes the setuptools that is there."""
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    # Without this, pip would take the symdgm of the tests away.
    flags += ("--ignore-installed",) if command == "install" else ()
    subprocess.run(
        [sys.executable, "-m", "pip", command, *flags, *arguments],
        check=True, capture_output=True, env=environment(),
    )  # fmt: skip


def clean_environment(folder: Path) -> str:
    """An environment that sees the requirements of this one, but not this symdgm."""
    venv.create(folder, with_pip=False)
    executable = str(folder / "bin" / "python")
    inner = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A plain path is no site folder: the .pth file of an editable install in it is not obeyed.
    (inner / "requirements.pth").write_text("\n".join(site.getsitepackages()))
    return executable


def test_the_wheel_has_the_grammar_the_types_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"symdgm/grammar/objective.lark", "symdgm/grammar/lexical.lark", "symdgm/py.typed"} <= set(names)
    shipped = {p.relative_to(ROOT).as_posix() for p in (ROOT / "symdgm").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == shipped
    tops = {name.split("/")[0] for name in names}
    assert all(top.startswith("symdgm") for top in tops)


def test_the_wheel_reads_and_trains_in_a_clean_environment(wheel, tmp_path):
    executable = clean_environment(tmp_path / "venv")
    pip("install", "--prefix", str(tmp_path / "venv"), str(wheel))
    installed = str(tmp_path / "venv")
    done = python("-W", "error", "-c", LOOK, cwd=tmp_path, executable=executable)
    assert done.returncode == 0, done.stderr
    equation, module, grammar = done.stdout.splitlines()
    assert equation == "E_q(z|x)[log p(x|z)] - KL[q || p]"
    assert module.startswith(installed)
    assert grammar.startswith(installed)
    done = python("-c", TRAIN, cwd=tmp_path, executable=executable)
    assert done.stdout == "2\n", done.stderr
    script = str(tmp_path / "venv" / "bin" / "symdgm")
    done = python(script, "show", "KL[q||p]", "--as", "ascii", cwd=tmp_path, executable=executable)
    assert done.stdout == "KL[q || p]\n", done.stderr


def test_an_editable_install_reads_from_the_checkout(sources, tmp_path):
    executable = clean_environment(tmp_path / "venv")
    pip("install", "--prefix", str(tmp_path / "venv"), "--editable", str(sources))
    done = python("-c", LOOK, cwd=tmp_path, executable=executable)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[1]).is_relative_to(sources)
    assert Path(done.stdout.splitlines()[2]) == sources / "grammar"


def test_a_bare_checkout_reads_without_being_installed(sources):
    done = python("-c", LOOK, cwd=sources)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[2]) == sources / "grammar"
