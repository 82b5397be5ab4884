# make demo   a small study, from derivatives to HDF5
# make test   every test that this machine has the programs for (REQUIRE_TOOLS=1: all of them)
# make check  style, types and import rules
# make docs   the documentation, warnings as errors
# make benchmark   how fast and in how much memory, beside the predecessor: ten minutes
#                  (BENCHMARK_ARGS='voxels-2mm-400 --runs 5'; BENCHMARK_ARGS=--help)
PYTHON ?= python3
VENV ?= .venv
IMAGE ?= modelarrayio-bids
DEMO ?= demo
BENCHMARK ?= benchmark

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check docs benchmark image test-image clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp per set of dependencies: installed again when they change.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[$*]'
	@touch $@

demo: $(VENV)/.installed  ## a small study, from derivatives to HDF5 (in demo/)
	@rm -rf $(DEMO)
	$(BIN)/python tests/trees.py $(DEMO)/study --subjects 24
	$(BIN)/modelarrayio-bids $(DEMO)/study $(DEMO)/out group

test: $(VENV)/.installed-test  ## all tests but those of the image
	$(BIN)/python -m pytest --ignore=tests/container

check: $(VENV)/.installed-check  ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Warnings are errors, and so is a reference that leads nowhere.
docs: $(VENV)/.installed-docs  ## the documentation (in docs/_build/html)
	$(BIN)/sphinx-build -W -n --keep-going -q docs docs/_build/html

benchmark: $(VENV)/.installed  ## measure beside the predecessor, in ten minutes (in benchmark/)
	$(BIN)/python tests/benchmarks --folder $(BENCHMARK) $(BENCHMARK_ARGS)

image:  ## the container image
	docker build --build-arg CONTAINER_TAG=$(IMAGE) --tag $(IMAGE) .

test-image: image $(VENV)/.installed-test  ## run the image as its users do
	MODELARRAYIO_IMAGE=$(IMAGE) $(BIN)/python -m pytest tests/container

clean:  ## what the targets above made
	rm -rf $(VENV) $(DEMO) $(BENCHMARK) docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
