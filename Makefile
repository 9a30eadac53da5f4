# Everyday commands; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATASET ?=
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ATTREC_DATA_DIR

.DEFAULT_GOAL := help
.PHONY: help env reproduce results results-cil results-sequences results-playlists results-tuning readme paper bench bench-sequences bench-changes bench-scale bench-playlists bench-export bench-first-hour bench-processors bench-serving break test mutate audit lint experiments ui worker clean

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# torch comes first and exactly: any other version pulls gigabytes of CUDA libraries.
$(BIN)/.locked: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check "$$(grep -E '^torch==' requirements.lock)"
	$(BIN)/pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/pip check
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	# DVC would keep its index where every user of the machine can write, and read pickles from it.
	mkdir -p -m 700 .attrec
	$(BIN)/dvc config --local core.site_cache_dir "$(CURDIR)/.attrec/dvc"
	@touch $@

env: $(BIN)/.locked  ## create the environment from the lock file

reproduce: env  ## rebuild everything and print the leaderboard (DATASET=ml-100k for MovieLens)
	@attrec reproduce $(if $(DATASET),--dataset $(DATASET))

results: env  ## measure results/ml-100k/ again: u1 with five seeds, u2 ... u5, ablation (hours)
	@attrec results ml-100k
	@python -m cli.readme_tables

results-cil: env  ## measure results/cil/ again: ten folds of the ETH CIL data (hours)
	@attrec results cil
	@python -m cli.readme_tables

results-sequences: env  ## measure results/ml-1m-sequences/, ml-1m-papers/ and ml-latest-small/ again (hours)
	@attrec results ml-1m-sequences
	@attrec results ml-1m-papers
	@attrec results ml-latest-small
	@python -m cli.readme_tables

results-playlists: env  ## measure results/spotify-playlists/ again: songs and liked films for playlists (two hours and a half)
	@attrec results spotify-playlists
	@python -m cli.readme_tables

results-tuning: env  ## measure results/tuning/ again: what searches gain on validation and on test (two hours)
	@attrec results tuning
	@python -m cli.readme_tables

readme: env  ## write the tables of results/ and those of parameters into README and docs/
	@python -m cli.readme_tables

.PHONY: docs
docs: readme  ## build the documentation as a site: site/index.html
	@NO_MKDOCS_2_WARNING=1 mkdocs build --quiet
	@echo "Site: site/index.html"

paper: env  ## rebuild the paper's Fig. 4A, Fig. 4B and Table II (DATASET=ml-100k)
	@attrec paper $(if $(DATASET),--dataset $(DATASET))

bench: env  ## measure the pipeline itself: benchmarks/results.md
	@python -m benchmarks.pipeline

bench-sequences: env benchmarks/.rectools/.made  ## measure the sequence models beside RecTools (SEEDS=3: three runs of its own too): benchmarks/sequences.md
	@OMP_NUM_THREADS=1 python -m benchmarks.sequences --rival benchmarks/.rectools/bin/python $(if $(SEEDS),--seeds $(SEEDS))

bench-changes: env  ## measure what each change to how SASRec learns gives: benchmarks/sequence_changes.md
	@OMP_NUM_THREADS=1 python -m benchmarks.sequence_changes

bench-scale: env  ## measure how they grow with length, width and catalogue: benchmarks/sequence_scale.md
	@OMP_NUM_THREADS=1 python -m benchmarks.sequence_scale

bench-playlists: env  ## measure what the playlist models need as the catalogue grows: benchmarks/playlist_scale.md
	@OMP_NUM_THREADS=1 python -m benchmarks.playlist_scale

bench-first-hour: env  ## walk a new user's hour, from a strange file to a served model: benchmarks/first_hour.md
	@python -m benchmarks.first_hour

bench-processors: env  ## rebuild the default run with the instructions of other processors: benchmarks/processors.md
	@python -m benchmarks.processors

bench-export: env  ## measure answers in bulk, 138,000 users and 27,000 items: benchmarks/export.md
	@python -m benchmarks.export

bench-serving: env benchmarks/.locust/.made  ## ask served models of each family as fast as they answer, beside MLflow's server: benchmarks/serving.md
	@python -m benchmarks.serving --locust benchmarks/.locust/bin/locust

benchmarks/.locust/.made:
	$(PYTHON) -m venv benchmarks/.locust
	benchmarks/.locust/bin/pip install --quiet --disable-pip-version-check locust==2.47.0
	@touch $@

# Of an older numpy and pandas, so it cannot share our environment.
benchmarks/.rectools/.made:
	$(PYTHON) -m venv benchmarks/.rectools
	benchmarks/.rectools/bin/pip install --quiet --disable-pip-version-check "$$(grep -E '^torch==' requirements.lock)"
	benchmarks/.rectools/bin/pip install --quiet --disable-pip-version-check "rectools[torch]==0.19.0"
	@touch $@

break: env  ## kill, damage and confuse it at random (ROUNDS=20 draws of each kind; SEED=1: others): benchmarks/faults.md
	@python -m benchmarks.faults $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED))

# One more than there are cores: what runs pipelines waits for servers now and then.
test: env  ## run the tests
	@python -m pytest --numprocesses "$$(python -c 'import os; print(min(os.cpu_count() + 1, 4))')" --dist loadfile --no-loadscope-reorder

audit: env .audit/.made  ## ask the advisories of PyPI about each version of the lock file (needs the network)
	@.audit/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip --progress-spinner off

.audit/.made:
	$(PYTHON) -m venv .audit
	.audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	@touch $@

mutate: env .mutmut/.made  ## break metrics, splits, losses and training in small ways: what does no test see? (hours; JOBS=2)
	@PYTHONPATH=.mutmut OMP_NUM_THREADS=1 python -m mutmut run --max-children $(or $(JOBS),1) $(MUTANTS)
	@python -m benchmarks.mutation $(MUTANTS)

# Beside the environment and not in it: it comes with a terminal interface that nothing else needs.
.mutmut/.made:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .mutmut mutmut==3.8.1
	@touch $@

lint: env  ## ruff, mypy and import-linter
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports --no-cache > /dev/null || lint-imports --no-cache

experiments: env  ## what `dvc exp run` has varied, and what came of it
	@attrec experiments

ui: env  ## MLflow UI on the run store
	@attrec ui

worker: env  ## Prefect server, process work pool, worker and the scheduled deployment of `rebuild`
	@attrec worker

clean:  ## remove the environment, the run store and the caches; nothing that git tracks
	rm -rf $(VENV) .attrec .dvc/cache .dvc/tmp
