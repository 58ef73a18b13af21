# `make train` and `make test` work on a fresh machine: they install what they need into .venv first.
# With PYTHON=... they use that interpreter as it is and install nothing.

VENV := .venv
BASE_PYTHON ?= python3
PYTHON ?= $(VENV)/bin/python
INSTALLED := $(if $(filter $(VENV)/bin/python,$(PYTHON)),$(VENV)/.installed)
ARGS ?=

.PHONY: help install train test lint format faces bench clean

help:  ## show this page
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18
	@echo "  ARGS='loss.lambda=10' adds settings to make train, PYTHON=... uses an interpreter of your own"

install: $(INSTALLED)  ## make .venv with the tested versions (constraints.txt)

$(VENV)/.installed: pyproject.toml constraints.txt
	$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agegender needs Python 3.11 or newer")'
	$(BASE_PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: $(INSTALLED)  ## train on the embedded faces, print the figures and where the report is
	$(PYTHON) -m agegender.cli.train $(ARGS)

test: $(INSTALLED)  ## run the test suite
	$(PYTHON) -m pytest -n auto $(ARGS)

lint: $(INSTALLED)  ## ruff (style, formatting) and mypy (types)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: $(INSTALLED)  ## let ruff mend style and formatting
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

faces: $(INSTALLED)  ## draw a contact sheet of the embedded faces: outputs/faces.png
	$(PYTHON) scripts/draw_faces.py outputs/faces.png

bench: $(INSTALLED)  ## a notebook's loop against our engine, short form: below 15 minutes
	$(PYTHON) scripts/benchmark.py $(ARGS)

clean:  ## remove .venv and caches; outputs stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
