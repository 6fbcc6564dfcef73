# Every target sets up what it needs in .venv. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.meterlink-installed

.PHONY: demo test check bench format clean setup

demo: setup
	$(BIN)/meterlink demo

test: setup check
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m tests.benchmarks

format: setup
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

setup: $(STAMP)

$(STAMP): pyproject.toml .ci/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh .ci/setup.sh
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis meterlink-demo
