# All that a developer needs. Everything goes into .venv, which is made on the first run; only Python 3.11+ and make must be there.
#   make demo             train the VAE from its equation on scikit-learn's digits
#   make demo DATA=DIR    the same on MNIST's IDX files in DIR
#   make test             lint, types, tests
#   make bench            measure the training steps beside hand-written PyTorch, Pyro and Pixyz (seven minutes)
PYTHON ?= python3
VENV ?= .venv
PIP_OPTIONS ?=
DATA ?=
DEMO_OPTIONS ?=
WORKERS ?= 2
BENCH_OPTIONS ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt
SOURCES := symdgm tests notebooks docs benchmarks

.PHONY: demo test lint types check bench notebooks screenshot figures clean help
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	$(BIN)/symdgm demo $(if $(DATA),--data "$(DATA)") $(DEMO_OPTIONS)

test: lint types check

lint: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.dev
	$(BIN)/mypy

# One thread a worker: two workers with two threads each would fight for two cores.
check: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --doctest-modules symdgm tests

# The peers have an environment of their own: what they require is no concern of the package.
bench:
	@$(MAKE) VENV=.venv-bench .venv-bench/.bench
	.venv-bench/bin/python -m benchmarks --json build/bench.json --table build/bench.md --plot build/bench.png $(BENCH_OPTIONS)

# Runs the notebooks anew and writes their outputs into them.
notebooks: $(VENV)/.dev
	$(BIN)/python notebooks/execute.py

# Draws the README's picture anew.
figures: $(VENV)/.dev
	$(BIN)/python docs/equation_to_run.py

# JupyterLab and a Chromium on the path are the developer's own.
screenshot: $(VENV)/.dev
	$(BIN)/python notebooks/screenshot.py --out build/screenshots

clean:
	rm -rf $(VENV) .venv-bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("symdgm needs Python 3.11 or later; say `make PYTHON=...`" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }

# The stamps: a second run installs nothing, unless the requirements changed.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[dev]'
	@touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[bench]'
	@touch $@
