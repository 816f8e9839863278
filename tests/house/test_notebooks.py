"""The notebooks: they run from top to bottom in a fresh kernel, and what they store is what they give."""

from __future__ import annotations

import re
import runpy

import nbformat
import pytest
from repository import ROOT, python

from symdgm import parse
from symdgm.expressions.notation import latex

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSON = ROOT / "notebooks" / "01_an_equation_that_trains.ipynb"
SEQUENCES = ROOT / "notebooks" / "02_sequences.ipynb"


def outputs(notebook, kind):
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text", "")})
            found += [data[kind]] if kind in data else []
    return found


def values(notebook):
    """The ELBO by epoch, on training and on other images, as the lesson prints it."""
    text = "".join(outputs(notebook, "text/plain"))
    return [
        (float(a), float(b))
        for a, b in re.findall(r"ELBO (-[\d.]+), on images not trained on (-[\d.]+)", text)
    ]


def executed(source, folder):
    """A notebook after a run in a fresh kernel, in another folder and without the folder of the data."""
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    path = folder / source.name
    nbformat.write(notebook, path)
    done = python(str(ROOT / "notebooks" / "execute.py"), str(path), cwd=folder, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """The one on sequences, on its stand-in for the chorales."""
    return executed(SEQUENCES, tmp_path_factory.mktemp("sequences"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return executed(LESSON, tmp_path_factory.mktemp("lesson"))


def test_every_notebook_has_its_tests():
    assert NOTEBOOKS == [LESSON, SEQUENCES]


@pytest.mark.parametrize("notebook", ["run", "sequences"])
def test_it_runs_without_a_word_on_stderr(notebook, request):
    cells = request.getfixturevalue(notebook).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [
        o for cell in code for o in cell.outputs if o.get("name") == "stderr" or o.output_type == "error"
    ]


def test_sequences_are_learned_and_continued(sequences):
    """The stand-in is learned too; equations and code do not depend on the data, so they are as stored."""
    text = "".join(outputs(sequences, "text/plain"))
    found = [float(v) for v in re.findall(r"epoch \d+: ([\d.]+) nats a step", text)]
    assert len(found) == 5 and found[-1] < 0.8 * found[0]
    one, twenty = (float(v) for v in re.findall(r"paths?: ([\d.]+) nats a step", text))
    assert twenty < one
    assert len(outputs(sequences, "image/png")) == 3
    stored = nbformat.read(SEQUENCES, as_version=4)
    nbformat.validate(stored)
    assert SEQUENCES.stat().st_size < 450_000
    assert outputs(stored, "text/latex") == outputs(sequences, "text/latex"), "run `make notebooks`"
    programs = [[o for o in outputs(n, "text/plain") if "def objective" in o] for n in (stored, sequences)]
    assert programs[0] == programs[1] and len(programs[0]) == 1


def test_equations_come_as_latex(run):
    found = outputs(run, "text/latex")
    assert len(found) >= 4
    equation = latex(parse("E_q(z|x)[log p(x|z)] - beta KL[q || p]"))
    assert found[0] == f"$\\displaystyle {equation}$"
    assert any("aligned" in text and r"\sigma_{q}" in text for text in found)


def test_pictures_come_as_png(run):
    assert len(outputs(run, "image/png")) == 4


def test_the_bound_rises_and_holds_on_other_images(run):
    epochs = values(run)
    assert len(epochs) == 5
    training, other = zip(*epochs, strict=True)
    assert list(training) == sorted(training)
    # Independent pixels reach -26.8; see the tests of the demonstration.
    assert other[-1] > -24.5
    assert training[-1] - other[-1] < 1.5


def test_what_is_stored_is_what_it_gives(run):
    stored = nbformat.read(LESSON, as_version=4)
    nbformat.validate(stored)
    assert LESSON.stat().st_size < 300_000
    assert outputs(stored, "text/latex") == outputs(run, "text/latex"), "run `make notebooks`"
    for ours, theirs in zip(values(stored), values(run), strict=True):
        assert ours == pytest.approx(theirs, abs=0.3)
    assert [cell.get("execution_count") for cell in stored.cells] == [
        c.get("execution_count") for c in run.cells
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_lesson_uses_only_what_the_readme_shows(path):
    readme = (ROOT / "README.md").read_text("utf-8")
    source = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    for name in set(re.findall(r"\bsd\.(\w+)", source)) | set(re.findall(r"\bmodel\.(\w+)", source)):
        assert re.search(rf"\b{name}\b", readme), name


@pytest.mark.parametrize(("missing", "hint"), [("jupyter", "pip install"), ("chromium", "apt install")])
def test_the_script_for_screenshots_says_what_is_missing(missing, hint, tmp_path):
    other = {"jupyter": "chromium", "chromium": "jupyter"}[missing]
    script = str(ROOT / "notebooks" / "screenshot.py")
    arguments = [f"--{missing}", "no-such-command", f"--{other}", "true", "--out", str(tmp_path)]
    done = python(script, *arguments)
    assert done.returncode == 1
    assert f"`no-such-command` is not there: {hint}" in done.stderr


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"errors": 0, "outputs": [1, 2], "raw": False}, []),
        ({"errors": 2, "outputs": [1], "raw": False}, ["2 equations have errors"]),
        (
            {"errors": 0, "outputs": [1, 0, 0], "raw": True},
            ["2 outputs are not typeset", "LaTeX source is shown"],
        ),
    ],
)
def test_the_script_for_screenshots_complains_of_a_page_that_is_not_typeset(state, found):
    complaints = runpy.run_path(str(ROOT / "notebooks" / "screenshot.py"))["complaints"]
    assert complaints(state) == found
