PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: demo test lint clean

demo: .venv/ready
	$(BIN)/vrlprobe probe fixtures/walker_walk-learned.h5 --plot probe.png

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	touch $@
