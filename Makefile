# Each target does the set-up it needs: .venv and the pinned install happen once and again only when pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test coverage test-slow experiments-small clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cobrarec needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,hf,serve,ui]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/cobrarec demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The same tests with every line counted, in nearly twice the time; fails below the share that pyproject.toml names.
coverage: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --timeout=3600

# All of an experiment on a tenth of small generated sets; its records stay below runs/.
SMALL ?= runs/experiments-small
experiments-small: $(STAMP)
	$(BIN)/python examples/generated_sets.py $(SMALL)/data
	$(BIN)/cobrarec experiment table2 --scale 0.1 --data $(SMALL)/data --out $(SMALL)/runs --datasets beauty,toys --seeds 0 \
		--num-threads 1

clean:
	rm -rf $(VENV) build dist .coverage .mypy_cache .ruff_cache
