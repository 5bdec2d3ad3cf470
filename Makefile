# `make learn` opens the course, `make test` runs everything. Both work from a bare checkout.
# Set PYTHON to choose an interpreter (3.11 to 3.13), PORT and HEADLESS=1 for `make learn`.

PYTHON ?= python3
PORT ?= 8888
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 0

.DEFAULT_GOAL := help
.PHONY: help learn test test-jax lint format build clean

help:
	@echo "make learn      open the lessons in JupyterLab   (PORT=8888, HEADLESS=1 prints the address only)"
	@echo "make test       install what is missing and run every test"
	@echo "make test-jax   the unit tests of the VAE family with Keras on JAX"
	@echo "make build      rebuild the notebooks whose source changed"
	@echo "make lint       ruff, as CI runs it;  make format  applies it"

$(VENV)/ready:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and "Python 3.11 to 3.13 is needed; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 ..." % v)'
	@echo "Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# One stamp an extra: a second run installs nothing, an edited pin installs again.
$(VENV)/installed-%: $(VENV)/ready pyproject.toml constraints.txt
	@echo "Installing hvae_keras[$*] into $(VENV) (a few minutes the first time)"
	@$(PIP) -e ".[$*]"
	@touch $@

# In a container the user is often root, whom Jupyter turns away unless told.
JUPYTER := $(BIN)/jupyter lab --port=$(PORT) $(if $(filter 0,$(shell id -u 2>/dev/null)),--allow-root)

# The first lesson that has checks: a repository may hold another one only, and Jupyter's copies are no lessons.
LESSON := $(patsubst tests/lessons/test_%.py,lessons/%.ipynb,$(firstword $(sort $(wildcard tests/lessons/test_[0-9][0-9]_*.py))))

learn: $(VENV)/installed-lab
ifdef HEADLESS
	@echo "The address to open is printed below (Ctrl-C stops the server)."
	@$(JUPYTER) --no-browser --LabApp.default_url=/lab/tree/$(LESSON)
else
	@$(JUPYTER) $(LESSON)
endif

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

ifneq ($(wildcard solutions/*.py),)
test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal tests
	HVAE_PROGRESS=$$(mktemp -d) $(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 solutions
else
# A student's copy has no solutions: there, the student's own lessons are graded.
test: $(VENV)/installed-lab
	@for lesson in lessons/*.ipynb; do $(BIN)/hvae grade $$lesson || exit; done
endif

test-jax: $(VENV)/installed-jax $(VENV)/installed-dev
	KERAS_BACKEND=jax $(BIN)/python -m pytest tests/library

build: $(VENV)/installed-dev
	$(BIN)/hvae build

clean:
	rm -rf $(VENV) build dist *.egg-info
