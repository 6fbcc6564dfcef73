# Every target sets up what it needs in .venv. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test check bench storm fuzz coverage format clean setup setup-test

demo: setup
	$(BIN)/meterlink demo

test: setup-test check
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Speed, as ratios against other implementations in one run. BENCH="hdlc mbus" runs some of them.
bench: setup-test
	$(BIN)/python -m tests.benchmarks $(BENCH)

# Ten thousand broken connections on every transport; the test suite runs a small part of it.
storm: setup-test
	$(BIN)/python -m hil.transport_storm --rounds 10000

# Coverage-guided fuzzing of every reader, FUZZ_SECONDS each.
FUZZ_SECONDS ?= 60
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	for file in tests/fuzz/fuzz_*.py; do \
		$(BIN)/python -m tests.fuzz.$$(basename $$file .py) $(FUZZ_SECONDS) || exit 1; \
	done

coverage: setup-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	-$(BIN)/coverage combine --quiet # what the tests kill leaves a torn file behind, which is no news
	$(BIN)/coverage report

format: setup
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

setup: $(VENV)/.made-run
setup-test: $(VENV)/.made-run $(VENV)/.made-test

$(VENV)/.made-run: pyproject.toml .ci/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh .ci/setup.sh run
	touch $@

$(VENV)/.made-test: pyproject.toml .ci/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh .ci/setup.sh test
	touch $@

clean:
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache meterlink-demo
