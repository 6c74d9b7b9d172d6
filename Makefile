# `make` alone lists the targets. Works with GNU make 3.81, which macOS has.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check install api mlflow postgres ray s3 dev format lint type contracts bench container lock clean distclean

BOOTSTRAP := sh tools/bootstrap.sh
BIN := .venv/bin
PYTEST_ARGS ?= -n 2 --dist loadgroup
CHECK_ARGS ?= tests/unit -n 2 -m "not slow and not browser and not postgres and not training"
BENCH_ARGS ?= --split u1 --models report,default,svd,svdpp,knn,ease,popular --seeds 3

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

run: ## set everything up and open the dashboard (PORT=8501, PYTHON=…)
	@$(BOOTSTRAP) run

test: dev lint type contracts ## set everything up, then check format, lint, types, imports and run the tests
	@# two processes with one thread each: more threads only fight over two cores
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

check: dev lint type contracts ## format, lint, types, imports and the quick unit tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(CHECK_ARGS)

install: ## install what the dashboard and the commands need into .venv
	@$(BOOTSTRAP) install

api: ## install what `movierec serve` needs, the REST API
	@$(BOOTSTRAP) api

mlflow: ## install what writes versions into an MLflow tracking store
	@$(BOOTSTRAP) mlflow

postgres: ## install the driver of PostgreSQL, the shared database of several machines
	@$(BOOTSTRAP) postgres

ray: ## install what trains and searches over several workers or machines
	@$(BOOTSTRAP) ray

s3: ## install what keeps versions in S3, the shared place of several machines
	@$(BOOTSTRAP) s3

dev: ## install what the tests need too, Chromium and PostgreSQL included
	@$(BOOTSTRAP) dev

format: dev ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: dev
	$(BIN)/mypy

contracts: dev
	$(BIN)/lint-imports

bench: ## compare the models on one split (BENCH_ARGS=…)
	@$(BOOTSTRAP) bench
	$(BIN)/movierec benchmark $(BENCH_ARGS)

container: ## build and run Dockerfile and compose.yaml without a registry (root on Debian, 25 GiB)
	@tools/container.sh

lock: ## lock again after a change of the dependencies in pyproject.toml
	@$(BOOTSTRAP) poetry lock

clean: ## remove caches; the environment, data and models stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results
	find src tests tools pages scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the environment and Poetry too; data and models stay
	rm -rf .venv .poetry .cache
