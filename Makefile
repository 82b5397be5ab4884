# make hooks  everything a contributor needs: an environment, and the checks before each commit
# make demo   a study of 24 brains, from derivatives to maps of an effect
# make test   all tests that can run on this machine, on all cores (REQUIRE_TOOLS=1: a missing program
#             fails its tests; PARALLEL= for one core)
# make check  style, types and import rules
# make docs   the documentation, warnings as errors
# make benchmark   how fast and in how much memory, beside the predecessor: a quarter of an hour
#                  (BENCHMARK_ARGS='voxels-2mm-400 --runs 5'; BENCHMARK_ARGS=--help)
PYTHON ?= python3
VENV ?= .venv
IMAGE ?= modelarrayio-bids
# How tests are shared out to all cores; those of one file mostly stay together, with what they share.
PARALLEL = --numprocesses auto --dist worksteal
# What outputs say they were made by.
CONTAINER_TAG ?= $(IMAGE)
DEMO ?= demo
BENCHMARK ?= benchmark
# Where a run leaves what a person may want to see: coverage, reports, HDF5 files of the image.
ARTIFACTS ?= artifacts

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
VERSION = $(shell sed -n "s/^__version__ = '\(.*\)'/\1/p" modelarrayio_bids/__about__.py)
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BUILD = docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)
# pyenv hides its interpreters from nox unless they are named.
NOX = PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd: -)" $(BIN)/nox
LOCK = $(BIN)/uv pip compile --quiet --upgrade --no-annotate --custom-compile-command 'make lock'
# That of the image's distribution.
LOCK_IMAGE = $(LOCK) --generate-hashes --python-version 3.13 --python-platform linux

.PHONY: demo demo-models figures oracles browser test fuzz test-coverage test-versions test-lowest check descriptor docs hooks lock benchmark \
    image image-test test-image test-in-image outputs dist release-check check-tag publish-image publish-package \
    clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp per set of dependencies: installed again when they change.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo 'Installing into $(VENV): about a minute.'
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[$*]'
	@touch $@

hooks: $(VENV)/.installed-dev $(VENV)/.installed-test $(VENV)/.installed-check  ## set up a clone for development
	$(BIN)/pre-commit install

demo: $(VENV)/.installed  ## a study of 24 brains, from derivatives to maps of an effect (in demo/)
	@rm -rf $(DEMO)
	$(BIN)/python docs/demo/demo_study.py $(DEMO)/study
	$(BIN)/modelarrayio-bids $(DEMO)/study $(DEMO)/out group model export --formula '~ age + sex + site'

demo-models:  ## of that study: a curve, a permutation test, and two visits of each person
	@[ -d $(DEMO)/out ] || $(MAKE) demo
	$(BIN)/modelarrayio-bids $(DEMO)/study $(DEMO)/models/curve group model export --scalars cbf \
	    --formula '~ s(age, k = 4, fx = TRUE) + sex + site'
	$(BIN)/modelarrayio-bids $(DEMO)/study $(DEMO)/models/permuted group model export --scalars cbf \
	    --formula '~ age + sex + site' --permutations 1000
	@rm -rf $(DEMO)/visits
	$(BIN)/python docs/demo/demo_study.py $(DEMO)/visits --visits
	$(BIN)/modelarrayio-bids $(DEMO)/visits $(DEMO)/models/repeated group model export \
	    --formula '~ age + sex + site + (1 | participant_id)'

figures: $(VENV)/.installed-test  ## the figures of README and docs, of what the demo wrote (in docs/images)
	@[ -d $(DEMO)/out ] || $(MAKE) demo
	$(BIN)/python docs/demo/make_figures.py $(DEMO)/out

# Nothing is asked, and nothing else is installed.
oracles:  ## the programs users use on the same files, from Debian or Ubuntu
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    mrtrix3 connectome-workbench r-base-core r-bioc-hdf5array r-bioc-rhdf5 \
	    r-cran-broom r-cran-car r-cran-lmertest r-cran-mgcv charliecloud gcc libc6-dev > /dev/null
	$(MAKE) browser

# Ubuntu's package only points to a snap, which containers cannot install: there, Playwright's own.
browser:
	@{ command -v chromium || command -v google-chrome; } > /dev/null || $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium > /dev/null \
	    || { $(MAKE) $(VENV)/.installed-test && $(BIN)/playwright install --with-deps chromium; }

test: $(VENV)/.installed-test  ## all tests but those of the image (PYTEST_ARGS=..., PARALLEL=)
	$(BIN)/python -m pytest --ignore=tests/container $(PARALLEL) $(PYTEST_ARGS)

fuzz: $(VENV)/.installed-test  ## inputs of every kind spoilt in any way, for hours (PYTEST_ARGS=...)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/fuzz $(PYTEST_ARGS)

test-coverage: $(VENV)/.installed-test  ## the same, with a report of coverage (in artifacts/)
	$(MAKE) test PYTEST_ARGS='--cov --cov-report=term --cov-report=xml:$(ARTIFACTS)/coverage.xml \
	    --junitxml=$(ARTIFACTS)/tests.xml'

test-versions: $(VENV)/.installed-dev  ## the tests on Python 3.11, 3.12, 3.13 and with the oldest packages
	$(NOX)

test-lowest: $(VENV)/.installed-dev  ## the tests with the oldest packages
	$(NOX) --session lowest

check: $(VENV)/.installed-check  ## style, types, import rules, and what continuous integration runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry . --no-ansi
	$(BIN)/yamllint --strict .circleci .pre-commit-config.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.circle-ci .circleci/config.yml
	$(BIN)/python .circleci/check.py

lock: $(VENV)/.installed-dev  ## choose the packages of the image and of test-lowest anew
	$(LOCK_IMAGE) requirements/build.in -o requirements/build.txt
	$(LOCK_IMAGE) pyproject.toml --extra s3 -o requirements/lock.txt
	$(LOCK_IMAGE) pyproject.toml --extra test -c requirements/lock.txt -o requirements/test.txt
	$(LOCK) pyproject.toml --extra test --resolution lowest-direct --python-version 3.11 \
	    --universal -o requirements/lowest.txt

descriptor: $(VENV)/.installed  ## what --bids-exec-spec prints, and the pages of the options, from the parser
	$(BIN)/python docs/_ext/boutiques_descriptor.py
	$(BIN)/python docs/_ext/help_texts.py

# Warnings are errors, and so is a reference that leads nowhere.
docs: $(VENV)/.installed-docs descriptor  ## the documentation (in docs/_build/html)
	$(BIN)/sphinx-build -W -n --keep-going -q docs docs/_build/html

benchmark: $(VENV)/.installed  ## measure beside the predecessor, in a quarter of an hour (in benchmark/)
	$(BIN)/python tests/benchmarks --folder $(BENCHMARK) $(BENCHMARK_ARGS)

image:  ## the container image
	$(BUILD) --build-arg CONTAINER_TAG=$(CONTAINER_TAG) --tag $(IMAGE) .

image-test:  ## the image with pytest
	$(BUILD) --target test --tag $(IMAGE)-test .

test-in-image: image-test  ## the tests inside that image, as a user it does not know
	docker run --rm --user 4242:4242 $(IMAGE)-test

test-image: image $(VENV)/.installed-test  ## run the image as its users do
	MODELARRAYIO_IMAGE=$(IMAGE) MODELARRAYIO_ARTIFACTS=$(ARTIFACTS) \
	    $(BIN)/python -m pytest tests/container

outputs: image $(VENV)/.installed-test  ## accept what the image writes and holds (tests/container/outputs.txt, docs/licences.md)
	MODELARRAYIO_IMAGE=$(IMAGE) MODELARRAYIO_ACCEPT=1 \
	    $(BIN)/python -m pytest tests/container -k 'outputs or licences'

dist: $(VENV)/.installed-dev  ## what PyPI gets (in dist/)
	rm -rf dist
	$(BIN)/uv build --quiet
	$(BIN)/uvx --quiet twine check --strict dist/*

# The demo from the wheel on every Python, known vulnerabilities, and the image with its licences.
release-check: dist  ## everything a release has to pass beside the tests
	$(NOX) --session wheel audit
	$(MAKE) test-image

check-tag:  ## whether TAG is the version
	@[ '$(TAG)' = '$(VERSION)' ] || { echo "The tag is '$(TAG)', the version $(VERSION)."; exit 1; }

publish-package: dist  ## to PyPI (UV_PUBLISH_TOKEN)
	$(BIN)/uv publish

publish-image: CONTAINER_TAG = $(REGISTRY)/$(IMAGE):$(VERSION)
publish-image: image  ## to a registry (REGISTRY=docker.io/name)
	docker tag $(IMAGE) $(REGISTRY)/$(IMAGE):$(VERSION)
	docker tag $(IMAGE) $(REGISTRY)/$(IMAGE):latest
	docker push $(REGISTRY)/$(IMAGE):$(VERSION)
	docker push $(REGISTRY)/$(IMAGE):latest

clean:  ## what the targets above made
	rm -rf $(VENV) $(DEMO) $(BENCHMARK) $(ARTIFACTS) dist docs/_build .nox .pytest_cache .mypy_cache \
	    .ruff_cache .hypothesis
