# `make help` lists the targets. Nothing is needed but make and Python 3.11 to 3.13 with pip.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
SAMPLE ?= 0.2

# The first interpreter that will do; `make PYTHON=...` chooses another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && break; done)

# Compiled programs are kept from one run to the next: most of a short run is compilation.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.2
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1

.DEFAULT_GOAL := help
.PHONY: help setup lint format test mutation demo bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## a virtual environment in .venv with the pinned packages

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none is on the path;" \
		"install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup ## ruff, the type checker, the import contracts, dead code and duplicates
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/pylint ganno ganno_env systems benchmarks

format: setup ## rewrites the code as ruff would have it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: lint ## lint and all the tests
	$(BIN)/python -m pytest -n $(JOBS)

mutation: setup ## whether tests notice faults made on purpose (SAMPLE=1 for all of them: hours)
	$(BIN)/python -m pip install --quiet "mutmut>=3.8"
	$(BIN)/python -m tests.mutation --sample $(SAMPLE)

demo: setup ## trains agents on digits and runs them on a deeper network
	$(BIN)/python -m systems.demo

bench: setup ## gradient updates per second of every network (NETWORKS="cnn2 mlp": of these)
	$(BIN)/python -m benchmarks.inner_loop $(if $(NETWORKS),--networks $(NETWORKS))

lock: ## pins the newest versions that agree (needs uv)
	uv pip compile pyproject.toml --extra systems --extra dev --universal --fork-strategy fewest --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--upgrade --quiet --output-file requirements.lock

clean: ## removes the virtual environment, caches and builds; leaves results
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
