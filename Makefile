# Everything sets itself up: `make demo` and `make test` need only Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# In the order of the folders, which ends with the source's own doctests: xdist's own order is by number of tests, and
# ends with the files of one long test, beside which the other processes wait.
IN_PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all unit check docs format benchmarks clean

demo: $(VENV)/installed  ## the whole job on this machine's standard library
	$(BIN)/nearer demo

# What is compiled is kept: the tests start dozens of processes, which would compile the source again.
export PYTHONDONTWRITEBYTECODE :=

# One thread a process: on two cores the tests' small products otherwise wait for one another most of the time.
test: export OMP_NUM_THREADS := 1
test: $(VENV)/installed  ## a case of each mechanism, the real model's too
	$(BIN)/pytest $(IN_PARALLEL) -m "not exhaustive"

test-all: export OMP_NUM_THREADS := 1
test-all: $(VENV)/installed  ## every case: all kills, random ones, huge files; hypothesis draws anew
	$(BIN)/pytest $(IN_PARALLEL) --hypothesis-profile=full

unit: export OMP_NUM_THREADS := 1
unit: $(VENV)/installed  ## all but the end-to-end tests
	$(BIN)/pytest $(IN_PARALLEL) -m "not slow" --ignore=tests/flows

check: $(VENV)/installed  ## format, lint, types, layers
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed  ## write the generated pages of docs/reference
	$(BIN)/python tools/reference.py

format: $(VENV)/installed
	$(BIN)/ruff format src tests benchmarks tools
	$(BIN)/ruff check --fix src tests benchmarks tools

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
