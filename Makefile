# make demo      set up, begin a season of your own, play its first hole on the practice course, publish it
# make example   publish the season that ships with the harness
# make test      set up, lint, type-check, run every test
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SEASON ?= my_season

.PHONY: setup demo example test test-fast lowest lint clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'error: Python 3.11 or newer is needed; try make PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# A second `make demo` is a second attempt of the same hole, so --repeat.
demo: $(READY)
	@test -d "$(SEASON)/runs" || $(BIN)/harness season init "$(SEASON)"
	$(BIN)/harness run round_001_first_tee --title "First Tee" --repeat --runs "$(SEASON)/runs"
	$(BIN)/harness publish --runs "$(SEASON)/runs" --theme "$(SEASON)/theme" --out _site
	@echo "look at it: open _site/index.html. Your season is $(SEASON): cd $(SEASON) && $(abspath $(BIN))/harness ls"

example: $(READY)
	$(BIN)/harness publish --runs runs --out _example
	@echo "look at it: open _example/index.html"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2

test-fast: $(READY)
	$(BIN)/pytest -n 2 -m 'not slow'

# The fast suite with the lowest versions that pyproject.toml allows, in an environment of its own: by hand, or
# weekly where a machine has time. torch stays the one of constraints.txt.
LOW := .venv-lowest
lowest:
	$(PYTHON) -m venv --clear $(LOW)
	$(PYTHON) tests/lowest.py > $(LOW)/constraints.txt
	PIP_CONSTRAINT="$(LOW)/constraints.txt constraints.txt" $(LOW)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(LOW)/bin/python -m pytest -n 2 -m 'not slow'

clean:
	rm -rf $(VENV) $(LOW) _site _example build dist .pytest_cache .mypy_cache .ruff_cache
