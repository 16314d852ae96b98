# Permit on this machine. `make help` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Any CPython from 3.11 on runs the service here; 3.13, the Lambda's, builds and runs the artifacts.
PYTHON ?= python3
ARCH ?= arm64
# The table of samconfig.toml that is deployed with.
STAGE ?= default

BIN := .venv/bin
STACKS := stacks/network.yaml stacks/database.yaml stacks/observability.yaml stacks/pipeline.yaml
SAM := .venv-sam/bin/sam
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)
# One worker for each processor, four at most. A worker runs whole files of tests, on servers of its
# own; the longest file begins first.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
WORKING := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# .ci/run measures it.
COVERAGE ?=
# The integration tests of `make check`: every rule once, without the slow machinery.
CORE := check_verdicts check_seats check_terms database edge health isolation licences login migrate \
    products refresh release roles round_trips statements team vendor_access

export PYTHONPATH := $(CURDIR)/shared:$(CURDIR)
# Nothing here runs on AWS: look for no account, and report nothing.
export AWS_DEFAULT_REGION ?= eu-west-1
export AWS_EC2_METADATA_DISABLED := true
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

# ------------------------------------------------------------------------------- environments

# $(call environment,<folder>,<marker>=<requirements> ...)
# Asked each time, because a marker alone does not know whether its packages are still there.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo 'Permit needs Python 3.11 or newer: PYTHON=/path/to/python3 make ...' >&2; exit 1; }
	@$(PYTHON) tools/environment.py '$(PYTHON)' $(1) $(2)
endef

.PHONY: .venv/.installed-run .venv/.installed .venv-sam/.installed .venv-checkov/.installed \
    .venv-emulate/.installed

.venv/.installed-run:
	$(call environment,.venv,.installed-run=requirements.txt)

.venv/.installed:
	$(call environment,.venv,.installed=requirements-dev.txt .installed-run=requirements.txt)

.venv-sam/.installed:
	$(call environment,.venv-sam,.installed=requirements-sam.txt)

.venv-checkov/.installed:
	$(call environment,.venv-checkov,.installed=requirements-checkov.txt)

.venv-emulate/.installed:
	$(call environment,.venv-emulate,.installed=requirements-emulate.txt)

.PHONY: setup
setup: .venv/.installed .venv-sam/.installed ## Install what the other targets need

# ------------------------------------------------------------------------------- this machine

.PHONY: run
run: .venv/.installed-run ## Run the service on 127.0.0.1:8000; PORT and DATABASE_URL change the place
	@exec $(BIN)/python -m local run

.PHONY: operator
operator: .venv/.installed-run ## An operator command: ARGS='create-user tenant_id=... email=...'
	@$(BIN)/python -m local operator $(ARGS)

.PHONY: reset
reset: .venv/.installed-run ## Drop the data of `make run`
	@$(BIN)/python -m local reset

# -------------------------------------------------------------------------------------- tests

# The tests, and in parallel the checks that only read the code: each prints when it has ended.
sync = $(if $(filter output-sync,$(.FEATURES)),--output-sync=$(1))
BESIDE := $(MAKE) --no-print-directory --jobs 2 $(call sync,target)

.PHONY: check
check: .venv/.installed .venv-sam/.installed ## What to run every few minutes: lint, types, the core of the tests
	@$(BESIDE) test-core lint types

.PHONY: test
test: setup .venv-checkov/.installed ## All of the checks
	@$(BESIDE) test-suites lint types template policies
	@echo 'make test: everything passed; what was skipped is named above.'

.PHONY: test-suites
test-suites:
	@for suite in unit clients integration pgbouncer artifact; do \
	    $(MAKE) --no-print-directory $(call sync,none) test-$$suite || exit; \
	done

.PHONY: lint
lint: .venv/.installed ## Style, by ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: types
types: .venv/.installed ## Types, by pyright, which also rejects SQL that is not literal
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --project clients/python

.PHONY: template
template: .venv-sam/.installed ## The SAM template and its nested stacks, by cfn-lint
	$(SAM) validate --lint
	.venv-sam/bin/cfn-lint $(STACKS)

.PHONY: policies
policies: .venv-checkov/.installed .venv/.installed-run ## The same, by checkov; with the standard parameters and the frugal ones
	@scratch=$$(mktemp -d) && trap 'rm -r "$$scratch"' EXIT && mkdir "$$scratch/stacks" && \
	for engine in aurora instance; do \
	    for file in template.yaml $(STACKS); do \
	        sed "s/Default: aurora/Default: $$engine/" $$file | \
	            $(BIN)/python -m tools.written_out >"$$scratch/$${file%.yaml}.json" || exit 1; \
	    done; \
	    echo "checkov, Engine=$$engine"; \
	    .venv-checkov/bin/checkov --directory "$$scratch" --config-file .checkov.yaml || exit 1; \
	done

.PHONY: test-core
test-core: .venv/.installed .venv-sam/.installed
	$(PYTEST) $(WORKING) tests/unit tests/template $(CORE:%=tests/integration/test_%.py)

.PHONY: test-unit
test-unit: setup ## Tests without a database
	$(PYTEST) $(WORKING) $(COVERAGE) tests/unit tests/template

.PHONY: test-clients
test-clients: .venv/.installed ## Tests of what vendors ship, and all vectors
	cd clients/python && $(CURDIR)/$(PYTEST)

.PHONY: test-integration
test-integration: .venv/.installed ## Tests against a real Postgres
	$(PYTEST) $(WORKING) $(COVERAGE) tests/integration

.PHONY: test-pgbouncer
test-pgbouncer: .venv/.installed ## The same through PgBouncer on Postgres 15
	PERMIT_TEST_DATABASE=pgbouncer $(PYTEST) $(WORKING) $(COVERAGE) tests/integration \
	    --ignore=tests/integration/test_gateway.py --ignore=tests/integration/test_run.py \
	    --ignore=tests/integration/test_fuzz.py --ignore=tests/integration/test_setup.py

.PHONY: fuzz
fuzz: .venv/.installed ## Schemathesis against the local gateway, for a long time
	PERMIT_FUZZ=1 $(PYTEST) tests/integration/test_fuzz.py

.PHONY: test-artifact
test-artifact: setup ## The result of `sam build`, in the Lambda's own runtime
	$(PYTEST) $(WORKING) tests/artifact

# -------------------------------------------------------------------------------------- build

.PHONY: build
build: setup ## Build what is deployed; ARCH is arm64 or x86_64
	$(BIN)/python -m tools.written_out <template.yaml >.template.json
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SAM) build --template-file .template.json \
	    --parallel --parameter-overrides Architecture=$(ARCH)

.PHONY: sam
sam: setup ## Every event by `sam local invoke`; needs Docker
	@docker info >/dev/null 2>&1 || { echo 'sam local runs functions in Docker, which does not answer' >&2; exit 1; }
	$(PYTEST) tests/sam

.PHONY: emulate
emulate: ## The whole stack in an emulated AWS account; needs Docker
	@if docker info >/dev/null 2>&1; then $(MAKE) emulate-here; else \
	    echo 'SKIPPED make emulate: Docker does not answer, which its functions run in'; fi

.PHONY: emulate-here
emulate-here: setup .venv-emulate/.installed
	$(PYTEST) tests/emulated --exitfirst

.PHONY: openapi
openapi: .venv/.installed ## Write the API's description, docs/openapi.json, and its examples
	$(BIN)/python -m tests.support.scenario >/dev/null
	$(BIN)/python -m tools.openapi

.PHONY: vectors
vectors: .venv/.installed ## Write docs/vectors, which every client must agree on
	$(BIN)/python -m tools.vectors

.PHONY: migrations-hash
migrations-hash: .venv/.installed-run ## Write the hash of the migrations into template.yaml
	@hash=$$($(BIN)/python -c 'from permit.migrate import migrations_hash; print(migrations_hash())') && \
	    sed -E -i.old "s/^( +MigrationsHash: )\"[0-9a-f]+\"/\1\"$$hash\"/" template.yaml && rm template.yaml.old

.PHONY: deploy-check
deploy-check: lint types template policies ## All that can be checked before a deployment, after `make build`; STAGE=prod
	@test -f .aws-sam/build/template.yaml || { echo 'nothing is built: make build' >&2; exit 1; }
	@! grep -q 'Fn::ForEach' .aws-sam/build/template.yaml || { \
	    echo 'built by sam alone, which leaves loops to CloudFormation: make build' >&2; exit 1; }
	@changed=$$(find template.yaml stacks functions layers shared -newer .aws-sam/build/template.yaml \
	    -type f -not -path '*/__pycache__/*' | head -3); \
	    test -z "$$changed" || { echo "changed since it was built: $$changed: make build" >&2; exit 1; }
	@$(BIN)/python -m tools.architecture --stage $(STAGE) $(if $(filter file,$(origin ARCH)),,--arch $(ARCH))
	$(PYTEST) tests/template tests/unit/test_certificates.py tests/unit/test_rds_token.py \
	    tests/artifact/test_files.py
	@echo 'make deploy-check: ready; what only an account can prove is listed in docs/deploy.md.'

.PHONY: drift
drift: .venv/.installed-run ## Find what was changed by hand in a deployed stack: STACK=permit
	@$(BIN)/python -m tools.drift $(STACK)

.PHONY: restore-drill
restore-drill: setup ## Restore the newest snapshot of STACK into the new stack DRILL, check a licence, clear up
	@$(BIN)/python -m tools.restore_drill $(STACK) $(DRILL)

.PHONY: bench
bench: setup ## The figures of docs/performance.md
	$(BIN)/python -m tests.bench

.PHONY: bench-client
bench-client: .venv/.installed ## The figures of docs/client.md, and its plot
	$(BIN)/python clients/python/bench
	$(BIN)/python clients/python/bench/simulation.py docs/client-outage.svg

.PHONY: bench-large
bench-large: setup ## The check among 10,000,000 licences: 15 minutes, 25 GB of disk
	$(BIN)/python -m tests.bench.large

.PHONY: clean
clean: ## Remove what was built and installed; the data stays (`make reset`)
	rm -rf .venv .venv-sam .venv-checkov .venv-emulate .aws-sam .template.json
	rm -rf .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
