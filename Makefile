# `make` alone lists the targets. Works with GNU make 3.81 and later.

PYTHON ?= python3
BIN := .venv/bin

# What a person may choose: make bench STACKS="aiohttp asyncio" SCENARIOS=async-32 ROUNDS=3 …
# Only what is given is passed on. Variables of these names in the environment are not meant.
STACKS =
SCENARIOS =
ROUNDS =
DURATION =
PRECISION =
BUDGET =
SEED =
OUT =
RESUME =
PROCESSES =
MANAGER =
RUN =
FORMAT =
TESTS =
PART =
UPGRADE =
VERBOSE =
QUESTIONS =
WORKERS =
PYTHONS =
BASE =
CANDIDATE =
LAYERS =
REDIS =
DATABASE =
CASES =
REQUESTS =
SAMPLE =
SLO =
AWAKE =
export OUT RUN BASE CANDIDATE REDIS DATABASE

# A choice that nobody knows would be passed over in silence, and something else measured.
CHOICES := PYTHON STACKS SCENARIOS ROUNDS DURATION PRECISION BUDGET SEED OUT RESUME PROCESSES MANAGER \
	RUN FORMAT TESTS PART UPGRADE VERBOSE QUESTIONS WORKERS PYTHONS BASE CANDIDATE LAYERS REDIS \
	DATABASE CASES REQUESTS SAMPLE SLO AWAKE
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
UNKNOWN := $(filter-out $(CHOICES) MAKEFLAGS MAKE% SHELL,$(GIVEN))
NEAR := $(foreach name,$(UNKNOWN),$(filter $(name)% $(name:%S=%),$(CHOICES)))
# An application has packages of its own, which this environment lacks.
OWN := an application of your own is measured from its own folder by `loopbench bench --app MODULE:NAME`; \
	see docs/your-own-application.md
$(if $(filter APP TARGET,$(UNKNOWN)),$(error $(OWN)))
$(if $(UNKNOWN),$(error $(UNKNOWN): no such choice; $(if $(NEAR),did you mean $(NEAR)? )there are $(CHOICES)))

$(if $(filter-out no,$(AWAKE)),$(error AWAKE=$(AWAKE): it may be `no`, and idle CPUs sleep; without it they are kept awake))

# STACKS=a,b is what some write, and there are no commas in names.
comma := ,
override STACKS := $(subst $(comma), ,$(STACKS))
override SCENARIOS := $(subst $(comma), ,$(SCENARIOS))

# The default interpreter is no wish: an environment that was made with another one may stay.
SET_UP := PYTHON='$(if $(filter file,$(origin PYTHON)),,$(PYTHON))' VERBOSE='$(VERBOSE)' sh .ci/setup

# Stacks beside the core ones have requirements of their own, and so has aiohttp's manager.
CORE := aiohttp quart-hypercorn asyncio
# `make why` counts applications beside them, which need no packages of their own.
TABLED = $(filter-out %-documented,$(STACKS))
SET_UP_BENCH = NAMED_STACKS='$(TABLED)' $(SET_UP) $(if $(filter-out $(CORE),$(TABLED))$(filter own,$(MANAGER)),stacks,run)

BENCH_OPTIONS = \
	$(foreach stack,$(STACKS),--stack '$(stack)') \
	$(foreach scenario,$(SCENARIOS),--scenario '$(scenario)') \
	$(if $(ROUNDS),--rounds '$(ROUNDS)') \
	$(if $(DURATION),--duration '$(DURATION)') \
	$(if $(PRECISION),--precision '$(PRECISION)') \
	$(if $(BUDGET),--budget '$(BUDGET)') \
	$(if $(SEED),--seed '$(SEED)') \
	$(if $(PROCESSES),--processes '$(PROCESSES)') \
	$(if $(MANAGER),--manager '$(MANAGER)') \
	$(if $(WORKERS),--workers '$(WORKERS)') \
	$(if $(AWAKE),--no-keep-awake) \
	$(if $(REDIS),--redis "$$REDIS") \
	$(if $(DATABASE),--database "$$DATABASE") \
	$(if $(OUT),--out "$$OUT") \
	$(if $(RESUME),--resume)

REGRESSION_OPTIONS = \
	$(if $(BASE),--base "$$BASE") \
	$(if $(CANDIDATE),--candidate "$$CANDIDATE") \
	$(foreach layer,$(LAYERS),--layer '$(layer)') \
	$(foreach stack,$(filter-out all,$(STACKS)),--stack '$(stack)') \
	$(foreach question,$(QUESTIONS),--question '$(question)') \
	$(if $(ROUNDS),--rounds '$(ROUNDS)') \
	$(if $(OUT),--out "$$OUT")

WHY_OPTIONS = \
	$(foreach stack,$(STACKS),--stack '$(stack)') \
	$(foreach case,$(CASES),--case '$(case)') \
	$(if $(REQUESTS),--requests '$(REQUESTS)') \
	$(if $(SAMPLE),--sample) \
	$(if $(OUT),--out "$$OUT")

CAPACITY_OPTIONS = \
	--slo '$(or $(SLO),p99<20ms)' \
	$(foreach stack,$(STACKS),--stack '$(stack)') \
	$(foreach case,$(CASES),--case '$(case)') \
	$(if $(BUDGET),--budget '$(BUDGET)') \
	$(if $(PRECISION),--precision '$(PRECISION)') \
	$(if $(PROCESSES),--processes '$(PROCESSES)') \
	$(if $(SEED),--seed '$(SEED)') \
	$(if $(OUT),--out "$$OUT")

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

.PHONY: help
help: ## List the targets
	@echo 'loopbench: benchmarks of asynchronous web servers. Targets:'
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Choices, as in make bench STACKS="aiohttp asyncio" ROUNDS=3:'
	@echo '  setup   PYTHON=python3.12, STACKS=all, VERBOSE=--verbose'
	@echo '  bench   STACKS, SCENARIOS, ROUNDS, DURATION (seconds), PRECISION=3%, BUDGET=120s,'
	@echo '          SEED, OUT (folder), RESUME=1,'
	@echo '          PROCESSES (of each server), MANAGER=own (they are kept by the server itself),'
	@echo '          WORKERS (load processes on this machine), AWAKE=no (idle CPUs may sleep),'
	@echo '          REDIS, DATABASE (URLs of stores that are there; see make services)'
	@echo '  behaviour   OUT (folder), QUESTIONS="disconnect.* stopping.*"'
	@echo '  capacity  SLO="p99<20ms", STACKS, CASES=async, BUDGET=60s (each stack), PRECISION=4%,'
	@echo '          PROCESSES, SEED, OUT (folder)'
	@echo '  why     STACKS, CASES="plain async", REQUESTS (in one count),'
	@echo '          SAMPLE=1 (CPU time by perf, too), OUT (folder)'
	@echo '  regression  BASE (git ref, or versions as in "aiohttp==3.13.2"), CANDIDATE (the same),'
	@echo '              LAYERS="facts behaviour instructions memory tails time", STACKS, ROUNDS,'
	@echo '              QUESTIONS="dispatch.*" (of behaviour), OUT (folder)'
	@echo '  bench-pythons  PYTHONS, STACKS, SCENARIOS, ROUNDS, DURATION, SEED'
	@echo '  report  RUN (folder), FORMAT (html or md)'
	@echo '  test, test-quick  TESTS (files or folders)'
	@echo '  faults  PART=2/3 (every third fault from the second on), PART=commit/3'
	@echo '  lock    UPGRADE=1'

.PHONY: setup
setup: ## Make .venv from requirements.lock, unless it is right already (STACKS=all: all stacks)
	@$(SET_UP_BENCH)

.PHONY: setup-dev
setup-dev: ## The same with the checks' packages, from requirements-dev.lock
	@$(SET_UP) dev

.PHONY: bench
bench: ## Run the default suite, write results/runs/<id>/ and show the table
	@$(SET_UP_BENCH)
	@$(BIN)/python -m loadtests bench $(BENCH_OPTIONS)

.PHONY: bench-full
bench-full: ROUNDS := $(or $(ROUNDS),10)
bench-full: SCENARIOS := $(or $(SCENARIOS),all)
bench-full: ## The same with every scenario and ten Rounds, for figures to publish
	@$(SET_UP_BENCH)
	@$(BIN)/python -m loadtests bench $(BENCH_OPTIONS)

.PHONY: bench-pythons
bench-pythons: ## The same on each of PYTHONS="python3.11 python3.13", and what differs between them
	@PYTHONS='$(PYTHONS)' VERBOSE='$(VERBOSE)' sh .ci/pythons $(filter-out --resume,$(BENCH_OPTIONS))

.PHONY: report
report: setup ## Write the report of the newest run, or of RUN=…
	@$(BIN)/python -m results report $(if $(FORMAT),--format '$(FORMAT)') $(if $(RUN),"$$RUN")

.PHONY: behaviour
behaviour: ## Ask by experiment what the stacks really do, and write down the answers
	@$(SET_UP) stacks
	@$(BIN)/python -m loadtests behaviour $(if $(OUT),--out "$$OUT") \
		$(foreach question,$(QUESTIONS),'$(question)')

.PHONY: why
why: ## Count the instructions of a request by function, and say what differs between stacks
	@$(SET_UP_BENCH)
	@$(BIN)/python -m loadtests why $(WHY_OPTIONS)

.PHONY: capacity
capacity: ## Find the highest arrival rate that keeps SLO='p99<20ms', of each stack
	@$(SET_UP_BENCH)
	@$(BIN)/python -m loadtests capacity $(CAPACITY_OPTIONS)

.PHONY: services
services: setup ## Run Redis and PostgreSQL on loopback until Ctrl-C, and print their URLs
	@$(BIN)/python -m loadtests services

.PHONY: regression
regression: setup ## Compare this tree with the baseline, or with BASE=…; exit 1 on a regression
	@$(BIN)/python -m loadtests regression $(REGRESSION_OPTIONS)

.PHONY: regression-selftest
regression-selftest: setup ## Check the regression check, with changes that it must see
	@$(BIN)/python -m loadtests regression-selftest $(if $(OUT),--out "$$OUT")

.PHONY: baseline
baseline: setup ## Write results/baseline anew, and show what changes
	@$(BIN)/python -m loadtests baseline

.PHONY: test
test: lint ## Run the checks and tests, but for long ones (TESTS=… picks some, long ones too)
	@sh .ci/test $(TESTS)

.PHONY: test-long
test-long: setup-dev ## Run the long tests alone, which CI runs after the others
	@sh .ci/test --long

.PHONY: test-quick
test-quick: setup-dev ## Run the quick tests alone, in less than a minute, for while you work
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q \
		--numprocesses 2 --dist worksteal -m quick $(TESTS)

.PHONY: coverage
coverage: setup-dev ## Print the share of the code that the tests reach, and what they do not (TESTS=…)
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/python -m coverage run -m pytest -q -p tests.house.saved_coverage \
		--numprocesses 2 --dist worksteal -m 'not alone' $(TESTS) || echo 'Tracing slows code down: a test of times or counts may fail of it.'
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

.PHONY: faults
faults: setup-dev ## Provoke faults at real benches, and print what came of each (PART=commit/3)
	@$(BIN)/python -m tests.faults $(PART)

.PHONY: lint
lint: setup-dev ## Run the checks that execute nothing: ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache

.PHONY: format
format: setup-dev ## Format the code, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: setup-dev ## Write the generated parts of the documentation and the golden files anew
	@$(BIN)/python -m results answers --write
	@$(BIN)/python -m pytest -q -m generated --write-generated

.PHONY: lock
lock: ## Resolve requirements*.in into the locks; UPGRADE=1 takes the newest versions
	@PYTHON='$(PYTHON)' sh .ci/lock $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove .venv and the caches; measured results stay
	@rm -rf .venv .venv-* build dist *.egg-info .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
