# Each target sets up .venv by itself (demo, docs and slug without what only tests need), and is quick the second time.
#   make demo    radiographs -> images -> labels -> a trained network -> report.html, on drawn hands
#   make test    every test (make test ARGS="-m 'not slow'" for the quick ones)
#   make bench   speed as ratios, measured side by side (real images where BONEAGE_REAL_DATA names them)
#   make faults  every stage, every fault (kills, full disks, ...), and the table of docs/faults.md (half an hour; as root for all)
#   make long-run  the stages for two hours with faults at random (make long-run ARGS="--minutes 10")
#   make lint    ruff over code and notebooks, mypy over the modules that pyproject.toml lists
#   make docs    the numbers in README.md and results/README.md from the records, docs/verbs.md and docs/tables.md from the code
#   make lock    what is installed, to the hash, from pyproject.toml and constraints.txt; and docs/licences.md
#   make audit   known vulnerabilities of what is locked (asks the package index)
#   make slug NAME=owner/repository    sets the repository's name in badges, clone cells and links

.PHONY: demo test bench faults long-run lint docs lock audit slug
.DEFAULT_GOAL := demo

# The first Python on this machine that the pinned packages have builds for.
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11; do \
	$$one -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { command -v $$one; break; }; done)
# Every process would compile the packages anew (TensorFlow alone for ten seconds) where they were installed
# without it and this, which images for containers often set, keeps Python from writing it down.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
RUN := $(VENV)/bin/python
# Python compiles a module when it is first imported; most never are.
PIP := $(RUN) -m pip install -q --disable-pip-version-check --no-compile
# Colab has ipywidgets 7, other notebooks have 8: the board is tested on both, on this one from a folder of
# its own. What it needs besides `comm` is there already.
IPYWIDGETS_8 := ipywidgets==8.1.7 comm==0.2.3

# Makes the locks; another resolver could write others.
UV := $(VENV)/uv/bin/uv
COMPILE := pip compile pyproject.toml -c constraints.txt --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet

$(VENV)/.ready: pyproject.toml constraints.txt requirements.lock
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed (found: $$(python3 --version 2>&1)); install one of them and run make again."; exit 1; }
	@test -x $(RUN) && $(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
		|| { echo "Python's venv module is missing; on Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "Installing the packages into $(VENV) (about 2 minutes, once) ..."
	@$(PIP) --only-binary :all: --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	@$(PIP) --only-binary :all: --no-binary solara-assets --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps --upgrade --target $(VENV)/ipywidgets8 $(IPYWIDGETS_8)
	@touch $@

demo: $(VENV)/.ready
	@$(RUN) -m boneage run --preset demo --source phantom --work work/demo

test: $(VENV)/.ready-dev
	@$(RUN) -m pytest -n 2 --dist loadfile $(ARGS)

bench: $(VENV)/.ready-dev
	@$(RUN) benchmarks/bench.py $(ARGS)

faults: $(VENV)/.ready-dev
	@$(RUN) tests/faults/matrix.py --out results/faults.csv $(ARGS)
	@$(RUN) tools/results.py

long-run: $(VENV)/.ready-dev
	@$(RUN) tests/faults/long_run.py --out results/long_run.csv $(ARGS)
	@$(RUN) tools/results.py

lint: $(VENV)/.ready-dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

docs: $(VENV)/.ready
	@$(RUN) tools/results.py
	@$(RUN) tools/verbs.py
	@$(RUN) tools/tables.py

$(UV): $(VENV)/.ready
	@$(PIP) --target $(VENV)/uv uv==0.13.9

lock: $(UV)
	@$(UV) $(COMPILE) --all-extras -o requirements-dev.lock
	@$(UV) $(COMPILE) -c requirements-dev.lock -o requirements.lock
	@$(PIP) --only-binary :all: --no-binary solara-assets --require-hashes -r requirements-dev.lock
	@$(RUN) tools/licences.py

audit: $(UV)
	@$(UV) tool run pip-audit==2.10.1 --require-hashes --disable-pip -r requirements-dev.lock

slug: $(VENV)/.ready
	@$(RUN) tools/slug.py "$(NAME)"
