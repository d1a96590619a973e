# Everything runs in .venv, which is made anew when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
TESTABLE := $(VENV)/.testable
CONVERT := .venv-convert
TESTS ?=
# Tests wait for servers and engines: on two cores three at once took 9:11, two 10:31.
JOBS ?= 3

.PHONY: demo test test-deps test-convert lint bench soak clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(TESTABLE): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: $(STAMP)  ## drawn scenes, the model that ships with Pixmill, answers checked
	$(BIN)/pixmill demo

test: $(TESTABLE) test-deps
	$(BIN)/python -m pytest -m 'not soak' -n $(JOBS) --dist worksteal $(TESTS)

$(CONVERT)/.made: pyproject.toml
	$(PYTHON) -m venv $(CONVERT)
	$(CONVERT)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[convert,test]'
	touch $@

test-convert: $(CONVERT)/.made  ## training and conversion, which need torch
	$(CONVERT)/bin/python -m pytest tests/convert

test-deps:  ## the servers that tests talk to
	tests/setup

lint: $(TESTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(TESTABLE)
	$(BIN)/python -m tests.benchmarks

soak: $(TESTABLE) test-deps  ## full sizes: hours
	$(BIN)/python -m pytest -m soak --timeout=0 $(TESTS)

clean:
	rm -rf $(VENV) $(CONVERT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
