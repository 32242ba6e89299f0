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

# Node's packages, marked in the same way. None of them needs to run anything to be installed.
node_modules/.installed: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: help demo test test-all check js bundle browser soak bench docs notebooks lab clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 11

demo: $(VENV)/demo.installed ## the main job on real images; writes demo-report.html
	$(BIN)/nbtransfer demo

check: $(VENV)/dev.installed js ## format, lint, types, import order, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Who works on the Python side alone needs no Node; CI has to have it.
ifneq ($(shell command -v npm),)
js: node_modules/.installed ## check the front end: format, lint, types, unit tests, bundles
	npm run --silent check
else
js:
	@echo "no Node here: the front end is not checked"; test -z "$$CI"
endif

bundle: node_modules/.installed ## join the modules of each widget into nbtransfer/ui/static/dist
	npm run --silent bundle

# Two processes; each takes over tests of the other once it has none left. CONTRIBUTING says what each tier holds.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal --durations 20

test: check docs browser ## all checks, and every behaviour once: what CI runs
	$(PYTEST)

test-all: check docs browser ## every family, front end, document and tutorial, and the soak; before a release
	$(PYTEST) -m 'not soak'
	$(MAKE) soak

browser: ## a browser for the tests, where there is none and this user may install one
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name && exit 0; done; \
	test -n "$$CHROMIUM" && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get -qq update && apt-get -qq install -y chromium fonts-dejavu-core >/dev/null; \
	else echo "no chromium here, and no right to install one: tests in a browser will be skipped"; fi

soak: $(VENV)/test.installed ## kill and command real runs for ten minutes; writes benchmarks/results/soak.md
	$(BIN)/python -m pytest -m soak tests/soak

notebooks: $(VENV)/test.installed ## run the tutorials anew and store what they print
	$(BIN)/python notebooks/execute.py

bench: $(VENV)/dev.installed ## measure; writes benchmarks/results/
	$(BIN)/python -m benchmarks

docs: $(VENV)/docs.installed ## build the documentation into site/
	$(BIN)/zensical build --strict

lab: $(VENV)/lab.installed ## open the tutorial in JupyterLab
	$(BIN)/jupyter lab notebooks/01_first_transfer.ipynb

clean: ## remove what make made
	rm -rf $(VENV) node_modules site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
