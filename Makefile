# What a person and CI do with this repository; the same targets for both.

PYTHON ?= python3
SECONDS ?= 60
TESTS ?= tests/unit tests/socket tests/house
VENV := .venv
BIN := $(VENV)/bin
# bash sets SECONDS itself; the shells of this file are plain ones.
SHELL := /bin/sh

.DEFAULT_GOAL := help
.PHONY: help venv test format lint types units pytest demo lab lab-thirty lab-bus lab-failing-disk fuzz \
	bench-deploy bench-start bench-registry bench-handlers bench-bus bench-bus-long clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/made ## the virtual environment with the tools of development (.venv)

$(VENV)/made: setup.cfg pyproject.toml .ci/need
	@PYTHON=$(PYTHON) .ci/need git python3 python3-venv
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --editable '.[dev,orchestrator]'
	@touch $@

test: lint types units pytest ## everything that needs no root: linters, types, unit, socket and house tests

format: venv ## write the code as `make lint` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: venv ## ruff, import-linter, ansible-lint (production profile), shellcheck
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports
	cd playbooks && PATH="$(CURDIR)/$(BIN):$$PATH" $(CURDIR)/$(BIN)/ansible-lint --offline --profile production
	$(BIN)/shellcheck .ci/need .ci/run .ci/verify-units

types: venv ## mypy --strict
	$(BIN)/mypy --strict fleet_agent

units: ## systemd-analyze verify on the unit files (where systemd is)
	@if command -v systemd-analyze >/dev/null; then \
		.ci/verify-units; \
	else \
		echo "units: not looked at, this machine has no systemd-analyze (apt-get install systemd)"; \
	fi

pytest: venv ## unit, socket and house tests (TESTS=tests/unit/node: only these)
	$(BIN)/pytest $(TESTS)

demo: venv ## three wizards on this machine without root: deploy, break, way back (DEMO_ONCE=1 ends by itself)
	$(BIN)/python -m fleet_agent.setup.demo

lab: venv ## real systemd machines in namespaces: the end-to-end tests (root)
	$(BIN)/pytest --timeout=900 tests/lab --ignore=tests/lab/test_thirty.py --ignore=tests/lab/test_failing_disk.py

lab-thirty: venv ## the same pipeline over thirty machines (root)
	$(BIN)/pytest --timeout=1800 tests/lab/test_thirty.py

lab-failing-disk: venv ## a daemon whose fsync fails (root)
	$(BIN)/pytest --timeout=900 tests/lab/test_failing_disk.py

lab-bus: venv ## the proof of no loss on three machines (root); BUS='--messages 9000 --seed 1 --faults kill,cut --bug NAME'
	$(BIN)/python -m tests.lab.bus $(BUS)

fuzz: venv ## hostile bytes against the parsers for SECONDS=60 in all; prints its executions
	$(BIN)/python -m tests.fuzz $(SECONDS)

bench-deploy: venv ## tag push to verified on three and thirty nodes, beside others (root)
	$(BIN)/pip install -qq --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m tests.bench.bench_deploy

bench-start: venv ## from exec to the first answered /health, and idle memory
	$(BIN)/python -m tests.bench.bench_start

bench-registry: venv ## 10,000 wizards: checked by the operator, loaded on a node
	$(BIN)/python -m tests.bench.bench_registry

bench-handlers: venv ## a request answered by a program, end to end: latency, answers a second
	$(BIN)/python -m tests.bench.bench_handlers

bench-bus: venv ## messages a second, beside FastAPI, Redis and NATS (BENCH="--rounds 3 --seconds 4")
	@.ci/need wrk
	@.ci/need redis-server nats-server || true
	$(BIN)/pip install -qq --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m tests.bench.bench_bus $(BENCH)

bench-bus-long: venv ## a million messages in, a million waiting, random ids, /health in a burst
	@.ci/need wrk
	$(BIN)/python -m tests.bench.bench_bus_long $(BENCH)

clean: ## remove what the targets made here (.venv, .demo, caches, artifacts)
	rm -rf $(VENV) .demo build dist *.egg-info artifacts
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
