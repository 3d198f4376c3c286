# make demo   segment a sample and open it in napari        make test   run every check
# Both need Python 3.11 or newer and nothing else; PYTHON=... chooses another interpreter.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint docs pictures notebooks format catalogues build compare structure floors clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

# Windows of the tests, and of the demo where there is no screen, go to a virtual one.
XVFB = $(if $(shell command -v xvfb-run),xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24")
ANOTHER_XVFB = $(if $(XVFB),$(XVFB) --server-num=150)
SCREEN = $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname))

help:
	@echo "make demo       segment a sample image and open it in napari"
	@echo "make test       linters, types, manifest and tests: what CI runs"
	@echo "make lint       linters, types and manifest only"
	@echo "make docs       the documentation as a site, in site/"
	@echo "make pictures   the pictures and drawings of README and docs, from real runs; ONLY=\"run window\" for some"
	@echo "make notebooks  run the notebooks, and keep what they show"
	@echo "make format     let ruff mend and format the code"
	@echo "make catalogues collect the texts to translate, and compile the translations"
	@echo "make build      sdist and wheel in dist/"
	@echo "make compare    BASE=DIR  labels and times of this checkout against another one's"
	@echo "make structure  rooms, arrows and names counted; BASE=DIR for another checkout beside it"
	@echo "make floors     the lowest versions in pyproject.toml, installed and used in groups; 7 GB for a while"
	@echo "make clean      remove what was built, and .venv"

$(INSTALLED): constraints.txt pyproject.toml .ci/system-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python")'
	@.ci/system-packages $(PYTHON)
	@echo "Setting up .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --upgrade --constraint constraints.txt pip
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --build-constraint constraints.txt \
		--editable ".[train,server,client,distributed,formats,parquet,url]" --group dev
	@touch $@

demo: $(INSTALLED)
	$(if $(SCREEN),,$(XVFB)) $(BIN)/napari-unetseg demo --output demo $(if $(SCREEN),,$(if $(XVFB),--screenshot demo/window.png))

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/npe2 validate --imports napari-unetseg

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

pictures: $(INSTALLED)
	$(XVFB) $(BIN)/python tools/pictures $(ONLY)
	$(if $(ONLY),,$(BIN)/python tools/drawings.py)
	$(if $(ONLY),,$(BIN)/python tools/model_pictures.py)

notebooks: $(INSTALLED)
	$(XVFB) $(BIN)/python tools/run_notebooks.py

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

catalogues: $(INSTALLED)
	$(BIN)/python .ci/catalogues.py

# Two halves side by side, on a screen each: on two cores that takes two thirds of the time. Some of the window's
# tests go with the others, so that both halves take as long.
LONG := tests/plugin/test_window_states.py tests/plugin/fixing
test: export OMP_NUM_THREADS = 1
test: lint
	@($(XVFB) $(BIN)/python -m pytest -q --ignore tests/plugin; first=$$?; \
	$(XVFB) $(BIN)/python -m pytest -q $(LONG) && exit $$first) & others=$$!; \
	$(ANOTHER_XVFB) $(BIN)/python -m pytest -q tests/plugin $(LONG:%=--ignore %); window=$$?; \
	wait $$others && exit $$window

build: $(INSTALLED)
	$(BIN)/python -m build

compare: $(INSTALLED)
	$(if $(SCREEN),,$(XVFB)) $(BIN)/python benchmarks/compare_checkouts.py $(BASE) .

structure: $(INSTALLED)
	$(BIN)/python benchmarks/structure.py $(BASE) .

floors:
	$(XVFB) $(PYTHON) .ci/floors.py

clean:
	rm -rf .venv build dist demo site .pytest_cache .mypy_cache .ruff_cache .hypothesis
