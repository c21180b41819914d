PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null

setup: ## make .venv from requirements.lock (quick when nothing changed)
	@.ci/setup
