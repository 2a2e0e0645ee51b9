# Every chore has one name. The first use of one sets up what it needs in .venv.

.DEFAULT_GOAL := help
.PHONY: help ask test lint types layers unit format bench-engine bench-orchestration bench-search bench-retrieval results clean

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
TEST_MODEL := smollm2-135m
BENCH_MODEL := qwen2.5-coder-1.5b
BENCH_PEERS := xllamacpp
COMMA := ,
# Reading documents takes packages that plain questions do without.
ASK_EXTRAS = local$(if $(findstring --docs,$(ARGS)),$(COMMA)retrieval)

# Taken as it is: a dollar or a quote in a question is text.
export QUESTION := $(value Q)
unexport Q

help:  ## show this list
	@echo 'Usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile \
	| awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

ask:  ## answer a question: make ask Q="..." [S=strategy] [M=model] [ARGS="..."]
	@test -n "$$QUESTION" || { echo 'Give a question: make ask Q="How many ...?"' >&2; exit 2; }
	@scripts/setup $(ASK_EXTRAS) '$(M)'
	@$(BIN)/ponder ask "$$QUESTION" $(if $(S),--strategy '$(S)') $(if $(M),--model '$(M)') $(ARGS)

test:  ## everything that CI runs: format, lint, types, layers, unit
	@scripts/setup local,evals,dev $(TEST_MODEL)
	@scripts/check format lint types layers unit

lint:  ## look for mistakes, without running anything
	@scripts/setup local,evals,dev
	@scripts/check format lint layers

types:  ## check the types
	@scripts/setup local,evals,dev
	@scripts/check types

layers:  ## check that imports point downwards
	@scripts/setup local,evals,dev
	@scripts/check layers

unit:  ## run the tests: make unit [ARGS="-k name"]
	@scripts/setup local,evals,dev $(TEST_MODEL)
	@$(BIN)/python -m pytest $(ARGS)

format:  ## let ruff rewrite the code
	@scripts/setup local,evals,dev
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench-engine:  ## speed of the local engine against its peers: [ARGS="..."]
	@scripts/setup local,evals,dev $(BENCH_MODEL)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BENCH_PEERS)
	@$(BIN)/python -m benchmarks.engine $(ARGS)

bench-orchestration:  ## cost of many calls at once, simulated model: [ARGS="..."]
	@scripts/setup local,evals,dev
	@$(BIN)/python -m benchmarks.orchestration $(ARGS)

bench-search:  ## time of the search policies, beside treequest: [ARGS="..."]
	@scripts/setup evals,dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check treequest
	@$(BIN)/python -m benchmarks.search $(ARGS)

bench-retrieval:  ## search of passages, beside bm25s and numpy: [ARGS="..."]
	@scripts/setup retrieval,dev
	@$(BIN)/python -m benchmarks.retrieval $(ARGS)

results:  ## measure a page of docs/results, and write it: make results NAME=search [ARGS="--only trip"]
	@test -n '$(NAME)' || { echo 'Give a page: make results NAME=search' >&2; exit 2; }
	@scripts/setup local,evals,retrieval,dev $(BENCH_MODEL)
	@$(BIN)/python -m benchmarks.results '$(NAME)' $(ARGS)

clean:  ## remove .venv and caches; models and pip's compiled packages stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf .coverage build dist
	find ponder tests -name __pycache__ -type d -prune -exec rm -rf {} +
