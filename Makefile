# Everything runs in its own virtual environment, with the exact versions of constraints.txt.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin

.PHONY: demo test test-all fuzz lint format clean

demo: $(VENV)/ready
	$(BIN)/sweettok roundtrip examples/mdn+shared-assets__000.mp4 -o demo --force

test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not gpu"

test-all: $(VENV)/ready
	$(BIN)/python -m pytest -q

# Damaged and hostile files of every kind, these many; FUZZ="--media 100 --seed 7" for others.
FUZZ ?= --tokens 10000 --media 2000 --models 900 --pickles 1000
fuzz: $(VENV)/ready
	$(BIN)/python -m tests.fuzz $(FUZZ)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,codebook,eval,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
