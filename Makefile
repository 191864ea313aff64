# Carnet's tasks. Everything is installed into .venv from the locks in requirements/; a second run installs nothing.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --disable-pip-version-check --no-input --quiet --progress-bar off
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE :=  # hundreds of short processes: what they import is compiled once

SHELL := /bin/bash

.PHONY: help demo test lint types elsewhere schedules bench explore fuzz model lock mutate coverage docs system clean

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp  ## run the issuer, four services and a shop, with sample users
	@carnet demo $(ARGS)

test: system $(VENV)/node.stamp lint types  ## run every check and every test
	@python -m pytest --numprocesses auto --hypothesis-profile ci $(ARGS)

lint: $(VENV)/test.stamp  ## check style and the direction of imports
	@ruff check --quiet
	@ruff format --check --quiet
	@lint-imports --no-cache | tail -n 3

types: $(VENV)/test.stamp  ## check types, strictly
	@mypy

elsewhere: $(VENV)/node.stamp  ## run the examples that verify tokens in Node, Go and Java
	@scripts/need go java
	@CARNET_TEST_ELSEWHERE="node go java" python -m pytest tests/issuer/test_verify_elsewhere.py $(ARGS)

schedules: system $(VENV)/test.stamp  ## hold the rotation of refresh tokens against its model, thousands of times on each store
	@CARNET_TEST_SCHEDULES=2500 nice python -m pytest tests/issuer/test_rotation_schedules.py $(ARGS)

bench: $(VENV)/bench.stamp  ## measure against peers, in one run
	@for program in benchmarks/*/*.py; do python $$program $(ARGS) || exit 1; done

fuzz: $(VENV)/fuzz.stamp  ## feed the token core with made-up input for five minutes
	@python tests/fuzz/fuzz_jose.py $(ARGS)

model: $(VENV)/test.stamp  ## run the revocation feed against its model, 100,000 times by chance
	@nice python tests/properties/test_feed.py $(ARGS)

explore: $(VENV)/test.stamp  ## send an issuer a hundred thousand requests that are made out of its description
	@CARNET_TEST_EXAMPLES=3000 nice python -m pytest tests/properties/test_issuer_requests.py
	@nice python tests/fuzz/explore_api.py $(ARGS)

mutate: $(VENV)/test.stamp  ## change the code of MODULES bit by bit and see whether a test notices
	@nice python scripts/mutate.py $(MODULES) $(ARGS)

coverage: $(VENV)/node.stamp  ## show that the token core's own tests take every branch of it
	@nice coverage run --branch --source=src/carnet/jose -m pytest --quiet tests/jose $(ARGS)
	@coverage report --show-missing --skip-covered --fail-under=100

docs: $(VENV)/test.stamp  ## write what is generated in docs/reference again
	@python scripts/specifications.py
	@python scripts/command_reference.py

lock: $(VENV)/bin/uv  ## resolve the dependencies again into requirements/
	@scripts/lock $(ARGS)

system:
	@scripts/need chromium postgresql libatomic nginx caddy mod-auth-openidc

clean:  ## remove what was installed and made here
	rm -rf $(VENV) tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz

$(PYTHON):
	@scripts/make-venv $(VENV)

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml | $(PYTHON)
	@echo "Installing Carnet and what the demo needs into $(VENV), a minute or so the first time"
	@scripts/install $(VENV) requirements/demo.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/demo.stamp
	@echo "Installing what the tests need into $(VENV), a minute or so the first time"
	@scripts/install $(VENV) requirements/test.txt
	@touch $@

$(VENV)/fuzz.stamp: requirements/fuzz.txt $(VENV)/test.stamp
	@echo "Installing the fuzzer into $(VENV)"
	@scripts/install $(VENV) requirements/fuzz.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt benchmarks/issuer/peer/package-lock.json $(VENV)/test.stamp
	@echo "Installing the peers that are measured into $(VENV)"
	@scripts/install $(VENV) requirements/bench.txt
	@scripts/link-node $(VENV)
	@cd benchmarks/issuer/peer && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

$(VENV)/node.stamp: tests/node/package-lock.json $(VENV)/test.stamp
	@echo "Installing the peers that run under Node"
	@scripts/link-node $(VENV)
	@cd tests/node && npm ci --loglevel=error --no-audit --no-fund || { echo "npm could not install tests/node: it says why above" >&2; exit 1; }
	@touch $@

$(VENV)/bin/uv: | $(PYTHON)
	@$(PIP) uv
