# One command each. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
PORT ?= 8080
FRESH ?= 0
SEED ?=
MINUTES ?= 3
GATEWAYS ?= 4
PYTEST_ARGS ?=
SOURCES := common edge_agent cloud deploy tests

# Where it is set, every program that a test starts compiles all of inMetter anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-long prove setup services check format bench screenshots requirements clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

demo: .venv/demo.stamp ## a whole site in simulation, with its cloud, on this machine (PORT=8080, FRESH=1)
	@exec $(BIN)/python -m deploy.demo --port $(PORT) $(if $(filter 1,$(FRESH)),--fresh)

test: setup services ## everything a test needs is installed, every test is run
	@$(BIN)/pytest -n 4 --dist loadgroup $(PYTEST_ARGS)

test-long: setup services ## further cases of what make test shows with one
	@$(BIN)/pytest -n 2 -m long $(PYTEST_ARGS)

prove: setup services ## a fleet in a storm of faults, and its books (SEED=n repeats one, MINUTES=3)
	@$(BIN)/python -m tests.prove --seed "$(SEED)" --minutes $(MINUTES) --gateways $(GATEWAYS)

setup: .venv/dev.stamp ## the development environment in .venv

services: ## the servers and programs that the tests run against
	@deploy/install-test-services

check: setup ## ruff, mypy, import-linter
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## ruff's formatter and its safe fixes
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

bench: setup services ## measure; prints a table and writes var/bench.json
	@$(BIN)/python -m tests.bench

screenshots: setup services ## a picture of every page under docs/screens
	@$(BIN)/python -m deploy.screenshots

requirements: setup ## pin what pyproject.toml asks for into requirements/*.txt
	@deploy/pin-requirements

clean: ## remove what the targets above made
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/%.stamp: requirements/%.txt pyproject.toml deploy/install-python
	@deploy/install-python $*
