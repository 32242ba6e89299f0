# Every target installs what it needs into .venv and can be called on a fresh clone.
# Another Python: make PYTHON=python3.12 …

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SHELL  := /bin/bash
.DEFAULT_GOAL := help

# Installed sets of packages, each marked by a file; a set is installed again when what it depends on changes.
$(VENV)/%.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'
	touch $@

.PHONY: help demo test check bench docs lab clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/demo.installed ## the main job on real images; writes demo-report.html
	$(BIN)/nbtransfer demo

check: $(VENV)/dev.installed ## format, lint, types, import order, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: check docs ## all checks and all tests
	$(BIN)/python -m pytest

bench: $(VENV)/dev.installed ## measure; writes benchmarks/results/
	$(BIN)/python -m benchmarks

docs: $(VENV)/docs.installed ## build the documentation into site/
	$(BIN)/zensical build --strict

lab: $(VENV)/lab.installed $(VENV)/demo.installed ## open JupyterLab in this environment
	$(BIN)/jupyter lab

clean: ## remove what make made
	rm -rf $(VENV) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
