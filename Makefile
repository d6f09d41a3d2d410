# Everything runs in .venv, which `setup` makes from pyproject.toml and constraints.txt.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo web test check docs bench gpu-check clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

# compresses the bundled nuclei data; go on with it after an interruption by calling it again
demo: setup
	$(BIN)/pocketgan run demo --out runs/demo --yes
	@echo 'play with it: $(BIN)/pocketgan demo runs/demo'

# the browser's runtime for the page, from npm as web/package-lock.json pins it; what it makes is part of the repository
web:
	cd web && npm ci
	$(PYTHON) web/build.py

# one thread a worker: two workers on two cores
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the pages of docs/ as a site in site/, to be read without a network; warnings are errors
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo 'open site/index.html; its search needs a server: python -m http.server --directory site'

# the short form of every benchmark, as one table in runs/bench.md; under ten minutes on two cores
bench: setup
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py

# what needs an NVIDIA GPU, with one tiny run of every method; without a GPU all of it is skipped
gpu-check: setup
	$(BIN)/python -m pytest -m cuda -rs tests/cuda

clean:
	rm -rf .venv runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis
