# Thin: each line is something a person could type.
PYTHON ?= python3
EXPERIMENT ?= demo
# Where jobs run: a folder of config/profiles. A cluster's profile says how many jobs, no cores.
PROFILE ?= $(if $(filter paper,$(MAKECMDGOALS)),gpu,local)
CORES ?= $(if $(filter local,$(PROFILE)),2,$(if $(filter gpu,$(PROFILE)),all))
DOMAIN ?= in-domain
PIP_OPTIONS ?=
BIN := .venv/bin
# The locks name all that is needed, with hashes. What has no wheel is built by the lock's own setuptools.
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps --no-build-isolation \
  --only-binary :all: --no-binary connection-pool,pyserini $(PIP_OPTIONS)
SNAKEMAKE = $(BIN)/python -m snakemake --logger distillery --profile config/profiles/$(PROFILE) $(addprefix --cores ,$(CORES))
# Whoever only checks an archive needs less.
ANALYSIS = $(if $(wildcard $(BIN)/snakemake),$(BIN),.analysis-venv/bin)
# Marks of tests that need more than Python and time; a cluster is started by machines that test alone, or by test-slurm.
SPECIAL := processors or chromium or standin$(if $(CI), or slurm)
# Files of an experiment: an overlay comes after the experiment that it changes. CONFIGS names those of EXPERIMENT.
configs = $(or $(if $(filter $(EXPERIMENT),$(1)),$(CONFIGS)),$(addprefix config/,$(if $(filter study rivals budgets,$(1)),demo.yaml) \
  $(if $(filter small-scratch small-seeds,$(1)),small.yaml) $(if $(filter large,$(1)),paper.yaml) $(1).yaml))

# Every target with a description is a command, no file.
.PHONY: $(shell awk -F : '/^[a-z-]+:.*\#\# / {print $$1}' $(MAKEFILE_LIST))

help:  ## these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s%s\n", $$1, $$2}' Makefile
	@echo "  with any: EXPERIMENT=demo (config/demo.yaml), PROFILE=local, gpu, slurm (config/profiles), CORES=2"
	@echo "  of an overlay of your own: EXPERIMENT=mine CONFIGS='config/paper.yaml config/mine.yaml'"

demo: venv  ## the whole study on a generated collection, on a laptop
	$(SNAKEMAKE) --configfile config/demo.yaml
	$(BIN)/python -m workflow_scripts.report.check_expected results/demo config/expected/demo.yaml
	@echo "open results/demo/report.html"

study: venv  ## the demo's world in full: ten seeds, three teachers, every level; two hours
	$(SNAKEMAKE) --configfile $(call configs,study)
	$(BIN)/python -m workflow_scripts.report.check_expected results/study config/expected/study.yaml
	@echo "open results/study/report.html"

rivals: venv  ## samplers and losses that newer work proposes, in the demo's world
	$(SNAKEMAKE) --configfile $(call configs,rivals)

budgets: venv  ## learning curves over the budget, by sampler, in the demo's world
	$(SNAKEMAKE) --configfile $(call configs,budgets)

PIPELINES := pipeline-1 pipeline-2 pipeline-3 pipeline-4
pipelines: $(PIPELINES)  ## the demo's grid from four more backbones and teachers: what a conclusion rests on
	$(SNAKEMAKE) --configfile config/demo.yaml config/pipelines.yaml -- results/demo/tables/pipelines.md results/demo/tables/main.md

$(PIPELINES): pipeline-%: venv
	$(SNAKEMAKE) --configfile config/demo.yaml config/pipeline.yaml --config experiment=$@ 'seeds=[$*]' 'backbones={mini: {seed: $*}}' \
	  'teachers={base: {seed: $*}}' 'systems={dense: {encoder: be/lce.bm25.none/seed$*}}' -- results/$@/metrics.parquet

# Asks for no target that ends with the check: what ships is written where that check would fail.
expected: venv  ## write what ships of an experiment's main table, from its results; of the demo after make pipelines: EXPERIMENT=demo
	$(BIN)/python -m workflow_scripts.report.check_expected results/$(EXPERIMENT) config/expected/$(EXPERIMENT).yaml --write \
	  $(if $(filter demo,$(EXPERIMENT)),--pipelines $(PIPELINES:%=results/%/metrics.parquet))

small: venv  ## real text, students from a pretrained MiniLM
	$(SNAKEMAKE) --configfile config/small.yaml

small-scratch: venv  ## real text, students from scratch: needs no model hub
	$(SNAKEMAKE) --configfile $(call configs,small-scratch)

small-seeds: venv  ## two samplers of small under one loss, six seeds: real text to judge by
	$(SNAKEMAKE) --configfile $(call configs,small-seeds)

paper: venv  ## the study as published, on this machine's GPUs, or a cluster with PROFILE=slurm; make plan EXPERIMENT=paper first
	$(SNAKEMAKE) --configfile config/paper.yaml

standin: venv  ## the whole of config/paper.yaml on tiny stand-ins for its downloads
	$(BIN)/python -m tests.standin

all: venv  ## a whole experiment, yours too: make all EXPERIMENT=mine [PROFILE=slurm]
	$(SNAKEMAKE) --configfile $(call configs,$(EXPERIMENT))

downloads: venv  ## what an experiment needs from a network, nothing else: EXPERIMENT=paper
	$(SNAKEMAKE) --configfile $(call configs,$(EXPERIMENT)) --forcerun fetch_archives -- downloads

list: venv  ## the cells and their state (done, stale and why, missing): make list [FILTER="stale be"]
	@$(BIN)/python -m workflow_scripts.daily.list_cells --configfile $(call configs,$(EXPERIMENT)) --filter '$(FILTER)'

cell: venv  ## one cell: make cell CELL=ce.marginmse.bm25.base.seed0 [DOMAIN=in-domain] [EXPERIMENT=demo]
	$(SNAKEMAKE) --configfile $(call configs,$(EXPERIMENT)) -- results/$(EXPERIMENT)/cells/$(CELL).$(DOMAIN).csv

table: venv  ## one table: make table TABLE=main [EXPERIMENT=demo]
	$(SNAKEMAKE) --configfile $(call configs,$(EXPERIMENT)) -- results/$(EXPERIMENT)/tables/$(TABLE).$(if $(filter first_stage,$(TABLE)),csv,md)

export: venv  ## one cell for other tools: make export CELL=... FORMAT=model (trec, datasets, sentence-transformers, tevatron, onnx)
	$(SNAKEMAKE) --configfile $(call configs,$(EXPERIMENT)) -- results/$(EXPERIMENT)/exports/$(CELL)/$(FORMAT)/manifest.json

report: venv  ## the page that shows an experiment: results/demo/report.html
	$(SNAKEMAKE) --configfile $(call configs,$(EXPERIMENT)) -- results/$(EXPERIMENT)/report.html

compare: venv  ## two cells, or two experiments, judged: make compare A=ce.kl.bm25.base B=ce.kl.random.base [MEASURE=AP]
	@$(BIN)/python -m workflow_scripts.daily.compare '$(A)' '$(B)' $(if $(MEASURE),--measure '$(MEASURE)') --configfile \
	  $(if $(findstring .,$(A)),$(call configs,$(EXPERIMENT)),$(call configs,$(A)) --against $(call configs,$(B)))

clean: venv  ## remove a cell, so that the next build makes it again: make clean CELL=ce.kl.bm25.base.seed0
	@$(BIN)/python -m workflow_scripts.daily.clean_cell '$(CELL)' --configfile $(call configs,$(EXPERIMENT))

plan: venv  ## the bill before anything runs: make plan EXPERIMENT=paper [BENCH=results/bench/gpu.csv] [PILOT=results/demo]
	$(BIN)/python -m workflow_scripts.plan.bill --configfile $(call configs,$(EXPERIMENT)) \
	  $(if $(BENCH),--bench $(BENCH)) $(if $(PILOT),--pilot $(PILOT)/analysis/power.parquet)

verify: venv  ## read every byte: what is missing, damaged or stale, and the command that makes it again: EXPERIMENT=demo
	$(BIN)/python -m workflow_scripts.daily.verify results/$(EXPERIMENT) $(call configs,$(EXPERIMENT))

compare-results: venv  ## two results, by stage and cell: make compare-results A=demo B=../other/results/demo [EXACT=1]
	$(BIN)/python -m workflow_scripts.report.compare_results $(A) $(B) $(if $(EXACT),--exact)
archive: venv  ## an experiment in one file, for others to check: EXPERIMENT=demo [MODELS=1] [TEXTS=1] [WITHOUT=runs/be]
	$(BIN)/python -m workflow_scripts.archive.pack $(call configs,$(EXPERIMENT)) \
	  --output $(or $(ARCHIVE),results/$(EXPERIMENT).tar) $(if $(MODELS),--models) $(if $(TEXTS),--texts) \
	  $(if $(WITHOUT),--without $(WITHOUT))

restore: analysis-venv  ## unpack an archive and rebuild its numbers, without torch, Java, a network: ARCHIVE=demo.tar
	$(ANALYSIS)/python -m workflow_scripts.archive.restore $(ARCHIVE) $(addprefix --cores ,$(CORES))

check-archive: analysis-venv  ## is every byte of an archive as it was packed? ARCHIVE=demo.tar
	$(ANALYSIS)/python -m workflow_scripts.archive.check $(ARCHIVE)

analysis-venv:  ## .analysis-venv, a quarter the size of .venv, for those who only check; where .venv is there, nothing
	@test -x $(BIN)/snakemake || cmp -s environment/analysis.txt .analysis-venv/analysis.txt || { \
	  $(call renewed,.analysis-venv,$(LOCKED_ANALYSIS)); }
LOCKED_ANALYSIS = sed -n '/^setuptools==/,/\# via/p' environment/analysis.txt > $(BIN)/build.txt && \
  $(INSTALL) -r $(BIN)/build.txt && $(INSTALL) -r environment/analysis.txt && cp environment/analysis.txt $(BIN)/..

audit-numbers: venv  ## every number of every table by a second path, from runs and judgements: EXPERIMENT=demo
	$(BIN)/python -m audit results/$(EXPERIMENT)

describe: venv  ## config/schema.json and docs/configuration.md from the settings' descriptions
	$(BIN)/python -m workflow_scripts.experiment.describe

check: lint  ## lint and the fast unit tests, about a minute
	$(BIN)/python -m pytest -q -m "not slow" tests/unit

test: venv  ## unit and workflow tests, side by side
	$(MAKE) --jobs 2 --output-sync=target test-unit test-workflow

test-unit test-workflow: test-%: venv
	$(BIN)/python -m pytest -m "not ($(SPECIAL) or long)" tests/$*

test-all: test  ## every test: also long ones, the demo end to end, and what needs emulated processors, a cluster, a browser
	$(MAKE) --jobs 2 --output-sync=target test-special test-long

# Beside the long ones, since a cluster's test mostly waits.
test-special: venv  ## what needs emulated processors, a browser, the stand-in's data, and with CI=true a cluster
	$(BIN)/python -m pytest -m "$(SPECIAL)"

test-long: venv  ## the demo end to end, and experiments built again in some other way
	$(BIN)/python -m pytest -m "not ($(SPECIAL))" tests/end_to_end
	$(BIN)/python -m pytest -m "long and not ($(SPECIAL))"

chaos: venv  ## half an hour of kills, damage and want, each mended and compared; appends to docs/chaos.md: SEED=1
	$(BIN)/python -m tests.chaos results/chaos --seed $(or $(SEED),1)

test-slurm: venv slurm  ## an experiment on a Slurm cluster of three nodes, started on this machine as root
	$(BIN)/python -m pytest -m slurm tests/slurm

slurm:  ## Debian's Slurm, where it is not installed, for test-slurm: needs root
	command -v slurmctld >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; }

lint: venv  ## style, spelling and types; Snakemake's own lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/codespell
	$(BIN)/hadolint environment/Dockerfile
	$(BIN)/snakemake --configfile config/demo.yaml --lint
	$(BIN)/mypy

format: venv  ## rewrite Python and Snakemake files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

hooks: venv  ## let git run the checks of .pre-commit-config.yaml at every commit
	$(BIN)/pre-commit install

# What stood there comes back where the new one cannot be made.
renewed = rm -rf $(1).old && { test ! -e $(1) || mv $(1) $(1).old; } && \
  if $(PYTHON) -m venv $(1) && $(subst $(BIN),$(1)/bin,$(2)); then rm -rf $(1).old; \
  else rm -rf $(1); test ! -e $(1).old || mv $(1).old $(1); exit 1; fi
LOCKED = sed -n '/^setuptools==/,/\# via/p' requirements.txt > $(BIN)/build.txt && \
  $(INSTALL) -r $(BIN)/build.txt && { $(INSTALL) -r environment/torch-cpu.txt 2>/dev/null || true; } && \
  $(INSTALL) -r requirements-dev.txt && \
  { $(BIN)/pip check >/dev/null || { $(INSTALL) -r requirements-cuda.txt && $(BIN)/pip check; }; } && \
  cat requirements*.txt > $(BIN)/../locks.txt

venv:  ## .venv from the locks, every file held to its hash; other targets make it, this one renews it too
	@if cat requirements*.txt | cmp -s - .venv/locks.txt; then :; \
	elif test -f .venv/locks.txt && test -z '$(filter venv,$(MAKECMDGOALS))'; then \
	  echo ".venv is not of these locks: make venv renews it" >&2; \
	else $(call renewed,.venv,$(LOCKED)); fi

lock:  ## renew the locks from pyproject.toml; versions stay where they fit: make lock [UPGRADE="numpy torch" or all]
	@test -x $(BIN)/uv || $(MAKE) venv
	$(BIN)/python -m environment.lock --upgrade $(UPGRADE)

audit: venv  ## known vulnerabilities of what is locked, as PyPI lists them
	$(BIN)/pip-audit --disable-pip --require-hashes $(foreach lock,$(wildcard requirements-*.txt),-r $(lock))

licences: venv  ## the licence of every package that is locked
	$(BIN)/python -m environment.licences

bench: venv bench-venv  ## speed beside the peers on this CPU: results/bench/bench.{csv,md,png,pdf}; one to two hours
	$(BIN)/python -m bench.compare

gpu-check:  ## one GPU in eight minutes: the CPU's results, speed, a small distillation; needs torch, transformers, numpy alone
	$(PYTHON) -m bench.gpu

bench-memory: venv  ## peak memory of every stage at 10k, 100k and 1M documents
	$(BIN)/python -m bench.memory

bench-search: venv  ## batch search by threads
	$(BIN)/python -m bench.search

bench-dag: venv  ## dry runs of the paper with five seeds, the start of a cell's jobs
	$(BIN)/python -m bench.dag

bench-growth: venv  ## planning, check and tables of the paper with 1, 5 and 20 seeds, over made-up metrics; an hour
	$(BIN)/python -m bench.growth

bench-look-ups: venv  ## look-ups among millions of ids and pairs
	$(BIN)/python -m bench.look_ups

bench-venv:  ## the peers' own environments
	@cmp -s bench/requirements.txt .bench-venv/requirements.txt || { \
	  rm -rf .bench-venv && $(PYTHON) -m venv .bench-venv && \
	  .bench-venv/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) -r bench/requirements.txt && \
	  cp bench/requirements.txt .bench-venv/requirements.txt; }
	@cmp -s bench/requirements-openvino.txt .bench-openvino/requirements.txt || { \
	  rm -rf .bench-openvino && $(PYTHON) -m venv .bench-openvino && \
	  .bench-openvino/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) --no-deps -r bench/requirements-openvino.txt && \
	  cp bench/requirements-openvino.txt .bench-openvino/requirements.txt; }
