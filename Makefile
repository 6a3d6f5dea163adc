# Vantixs Signals. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= var
STAMP := $(VENV)/.installed
WHEEL := build/wheel/.built
TESTED := build/test-wheel
TESTS ?=
PYTEST := python -m pytest -m "not long" -n 4 --dist loadfile --no-loadscope-reorder
SOURCES := $(shell find libs services -type f -not -path '*/__pycache__/*' -not -path '*.egg-info/*')

.DEFAULT_GOAL := help
.PHONY: help setup up demo test test-wheel test-image test-fault check fmt bench wheel protos docs lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment from the lock

# Half of an installation's time went into bytecode of modules that nothing here imports: Python writes what it needs.
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected python3 >= 3.11 (make PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

up: setup ## start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/vantixs up --home $(HOME_DIR)

demo: setup ## start a throw-away system, send the demo alerts, show what became of them
	@dir=$$(mktemp -d) && $(BIN)/vantixs up --home $$dir --http-port 0 --demo; code=$$?; rm -rf $$dir; exit $$code

# Four workers on two cores: a part of the tests is waiting. Files in the order of tests/conftest.py: by number of tests, the
# longest would come last and one worker would wait.
test: setup ## run the tests (the long fault tests are in test-fault)
	$(BIN)/$(PYTEST) $(TESTS)

# No checkout is in this environment: what tests import and start is the wheel, compiled modules included.
test-wheel: $(WHEEL) ## run the tests on the wheel, in an environment of its own; TESTS=tests/e2e for some of them
	$(PYTHON) -m venv --clear $(TESTED)
	$(TESTED)/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/dev.txt
	$(TESTED)/bin/pip install --quiet --disable-pip-version-check --no-deps build/wheel/*.whl
	$(TESTED)/bin/$(PYTEST) $(TESTS)

test-image: ## run the tests in the image, with docker; TESTS=tests/e2e for some of them
	docker build --tag vantixs-signals .
	docker build --tag vantixs-signals-test --file deploy/test.Dockerfile requirements
	docker run --rm --init --sysctl net.ipv6.conf.all.disable_ipv6=0 --tmpfs /dev/shm:exec,size=5g --volume "$(CURDIR):/checkout:ro" vantixs-signals-test $(PYTEST) $(TESTS)

test-fault: setup ## kill and freeze every process for minutes, and check what is left
	$(BIN)/python -m pytest -m long tests --timeout 3600 -s

check: setup ## lint, types, walls, contracts, generated files, lock
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/check.py

fmt: setup ## format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

wheel: $(WHEEL) ## build build/wheel/*.whl, with the hot modules compiled: needs a C compiler, takes minutes

# What is left of an earlier build would go into the wheel, modules that were deleted since too.
$(WHEEL): $(STAMP) setup.py pyproject.toml $(SOURCES)
	rm -rf build
	VANTIXS_COMPILE=1 $(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .
	@touch $@

bench: setup ## measure compiled and plain, and print the ratios of the design
	$(BIN)/python bench/run.py

protos: setup ## generate the stubs
	$(BIN)/python docs/generate.py --only protos

docs: setup ## generate stubs, reason enum and reference tables
	$(BIN)/python docs/generate.py

LOCK := ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header -c main.txt

lock: setup ## lock the requirements, with hashes
	cd requirements && $(LOCK) main.in -o main.txt && $(LOCK) main.in dev.in -o dev.txt

clean: ## remove the environment, what was built and the data of `make up`
	rm -rf $(VENV) build var
