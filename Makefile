# Everything runs in its own virtual environment, with the exact versions of constraints.txt.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

# `make demo TORCH=cpu` takes torch from here: what the usual index has for Linux is built for CUDA.
CPU_TORCH = https://download.pytorch.org/whl/cpu

.PHONY: demo test test-ray test-all fuzz lint format clean

demo: $(VENV)/runs
	$(BIN)/sweettok roundtrip examples/mdn+shared-assets__000.mp4 -o demo --force

test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not gpu"

# Ray, 300 MB that nothing else needs, is installed for these alone.
test-ray: $(VENV)/ready
	$(PIP) -e ".[ray]"
	$(BIN)/python -m pytest -q tests/pipeline/test_ray.py tests/pipeline/test_ray_cluster.py

test-all: $(VENV)/ready
	$(BIN)/python -m pytest -q

# Damaged and hostile files of every kind, these many; FUZZ="--media 100 --seed 7" for others.
FUZZ ?= --tokens 10000 --packed 5000 --media 2000 --models 900 --pickles 1000 --shards 1000
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

$(VENV)/runs: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "Installing sweettok and torch into $(VENV), which takes minutes. On Linux, torch for CUDA is fetched (5.7 GB)"
	@echo "unless torch is there already; without a GPU, use: make $(MAKECMDGOALS) TORCH=cpu  (from $(CPU_TORCH))"
	$(if $(filter cpu,$(TORCH)),$(PIP) torch --index-url $(CPU_TORCH))
	$(PIP) -e .
	touch $@

$(VENV)/ready: $(VENV)/runs
	$(PIP) -e ".[train,track,codebook,generate,eval,shards,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
