PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
QUICK := tests/study tests/findings tests/publish tests/test_packaging.py \
	tests/hydropy/test_land.py tests/hydropy/test_routing.py tests/figures/test_drawings.py

.PHONY: help study test quick lint mutants install lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

study: $(READY) ## generate the Amazon twin, run every notebook, build the book
	$(BIN)/hybridlib twin --size default
	$(BIN)/hybridlib notebooks --params params/default.yml
	$(BIN)/hybridlib book

test: $(READY) lint ## lint, types, all tests, every notebook at the smoke preset, strict book
	$(BIN)/python -m pytest -n auto --dist loadfile --doctest-modules hybridlib tests
	$(BIN)/hybridlib twin --size smoke
	$(BIN)/hybridlib notebooks --params params/smoke.yml
	$(BIN)/hybridlib book --strict

quick: $(READY) lint ## lint, types, the tests that take seconds: before every commit
	$(BIN)/python -m pytest -n auto --dist loadfile -k "not reach_training" $(QUICK)

lint: $(READY) ## lint, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutants: $(READY) ## do the tests notice one changed operator or number? resumable, at most 90 minutes
	$(BIN)/python -m tests.mutants

install: $(READY) ## make the virtual environment

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v < (3, 14) else \
		"Python %d.%d found, 3.10 to 3.13 needed: make PYTHON=python3.12 ..." % v)'
	@echo "Installing into $(VENV): about 3.2 GB on disk, some minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@

lock: $(READY) ## choose the exact versions anew, within pyproject's bounds
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile pyproject.toml --extra test --universal --python-version 3.10 --upgrade \
		--generate-hashes --no-emit-index-url --custom-compile-command "make lock" --quiet -o requirements.lock

clean: ## remove what the targets made, but not the environment nor the cached data
	rm -rf build _build .pytest_cache .ruff_cache .hypothesis *.egg-info
