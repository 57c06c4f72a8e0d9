PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: demo test lint docs system clean

demo: .venv/ready
	$(BIN)/vrlprobe probe fixtures/walker_walk-learned.h5 --plot probe.png

test: lint system
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --fail-on-warning --quiet -c docs -d build/doctrees . build/site

system:
	$(PYTHON) tests/system_packages.py

clean:
	rm -rf .venv build dist docs/tutorials

.venv/ready: pyproject.toml constraints.txt
	@echo "setting up .venv: about 1 GB of pinned packages, one to three minutes" >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	touch $@
