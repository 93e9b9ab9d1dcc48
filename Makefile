# `make demo` and `make test` each do all their set-up on a fresh machine: only Python ≥ 3.11 with venv must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check audit format docs bench clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/python:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/train: pyproject.toml $(VENV)/python
	$(BIN)/pip install --quiet --editable '.[train]'
	touch $@

$(VENV)/dev: pyproject.toml $(VENV)/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/train

demo: $(VENV)/train ## train on the digits that ship with scikit-learn, and write the report
	$(BIN)/foveal train digits

test: $(VENV)/dev ## all tests; those marked real need FOVEAL_DATA
	$(BIN)/pytest

check: $(VENV)/dev ## lint, format, types, floors, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -q tests/architecture
	$(BIN)/python docs/generate.py --check
	$(BIN)/zensical build --clean --strict

audit: $(VENV)/dev ## known vulnerabilities of what is installed; needs PyPI itself
	$(BIN)/python .ci/audit.py

format: $(VENV)/dev ## put imports and layout in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev ## regenerate figures and reference pages, build the site into site/
	$(BIN)/python docs/generate.py
	$(BIN)/zensical build --clean --strict

bench: $(VENV)/train ## us and Keras side by side, a short version (5 minutes); needs FOVEAL_DATA
	$(BIN)/python benchmarks/time_to_accuracy.py --only ours keras-tf --repeats 1 --epochs 3
	$(BIN)/python benchmarks/step_throughput.py --only ours keras-tf --repeats 1 --batch 64 --images 8192

clean: ## remove everything that make made
	rm -rf $(VENV) site dist build .pytest_cache .ruff_cache .hypothesis
