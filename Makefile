# The same commands that CI runs. `make demo` is the whole product in one go; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# MNIST by name is downloaded; a folder of its files is taken where it is.
DATA ?= mnist
# The peers' libraries live apart: Ray and BentoML want other versions than we do.
PEERS := .venv-peers
DECODER ?= deploy/decoders/mnist
# How many stories `make simulate` plays; one takes a quarter of a second of a core.
SEEDS ?= 500
# Every process of a test would compile our own modules anew where an image sets this, a third of the time that it starts in.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo up test test-slow test-faults test-readers test-compose test-lowest lint format bench bench-peers chaos load fuzz train presets audit reference lock simulate clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.cpu ## install, make 10,000 digits, verify them, draw a contact sheet, stop
	$(BIN)/latentmill demo

up: $(VENV)/.cpu ## install and run everything on this machine until Ctrl-C
	$(BIN)/latentmill up

test: $(VENV)/.dev ## install and run every test that needs no server of its own
	$(BIN)/pytest -n 3 --dist loadfile

test-slow: $(VENV)/.dev ## the tests that train, kill, wait and run whole fleets (ten minutes on 2 cores)
	$(BIN)/pytest -n 3 --dist loadfile -m slow

test-faults: $(VENV)/.dev ## inject every fault of deploy/FAULTS.md (eight minutes on 2 cores; two need root and iproute2)
	$(BIN)/pytest -n 2 --dist loadfile -m "faults or not faults" $$($(BIN)/python -m tests.faults.page)

test-readers: $(VENV)/.readers .venv-client/.installed ## open archives with tools of others (apt-get install unzip), and use a client generated from OpenAPI
	$(BIN)/pytest -m readers tests/test_archives_elsewhere.py tests/test_generated_client.py

test-compose: $(VENV)/.dev ## run docker-compose.yml on a Docker engine: a job, a killed worker, two APIs, a lost Redis (ten minutes with its builds)
	$(BIN)/pytest -n 0 -s -m compose tests/compose

lint: $(VENV)/.dev ## ruff and mypy, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure every stage and the whole, as ratios to the bare decoder
	$(BIN)/python -m tests.bench --json deploy/bench/figures.json --plot deploy/bench/figures.svg --into README.md

bench-peers: $(PEERS)/.installed ## measure what else makes such archives: torch, ONNX Runtime, Ray Data, BentoML
	$(PEERS)/bin/python -m tests.bench.peers --decoder $(DECODER)

fuzz: $(VENV)/.fuzz ## Schemathesis on every route, then damaged bytes for every reader (EXAMPLES=2000 SECONDS=600 in full)
	$(BIN)/python -m tests.fuzz.api --examples $(or $(EXAMPLES),200)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

chaos: $(VENV)/.dev ## hurt a whole fleet at random and look that nothing is lost (SECONDS=600 SEED=1)
	$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

load: $(VENV)/.dev ## 200 submit at once, then 10,000 small jobs beside a giant (SUBMITTERS=200 SECONDS=300 JOBS=10000)
	$(BIN)/python -m tests.chaos.load --submitters $(or $(SUBMITTERS),200) --seconds $(or $(SECONDS),300) --jobs $(or $(JOBS),10000)

train: $(VENV)/.dev ## train, export and judge the committed MNIST decoder again (three quarters of an hour on 2 cores)
	$(BIN)/latentmill train --data $(DATA) --out checkpoints/mnist.pt
	$(BIN)/latentmill export checkpoints/mnist.pt --name mnist --out deploy/decoders/mnist --batch-size 256 \
	  --description "Handwritten digits: a dense decoder behind a learned prior, trained on MNIST."
	$(BIN)/latentmill evaluate deploy/decoders/mnist --data $(DATA) --checkpoint checkpoints/mnist.pt --to checkpoints/report
	$(BIN)/latentmill samples deploy/decoders/mnist --to deploy/decoders/mnist/samples.png

presets: $(VENV)/.dev ## train and judge every preset, and write README's table (three quarters of an hour on 2 cores)
	$(BIN)/latentmill compare --data $(DATA) --to checkpoints/presets --into README.md
	cp checkpoints/presets/comparison.json deploy/decoders/comparison.json

audit: $(VENV)/.audit ## known vulnerabilities of what is locked, and what each image holds (build/sbom)
	$(BIN)/python deploy/locks/sbom
	$(BIN)/python deploy/locks/audit .venv-audit/bin/pip-audit

reference: $(VENV)/.dev ## write deploy/API.md from the OpenAPI document
	$(BIN)/python deploy/reference/generate

lock: $(VENV)/.dev ## resolve the exact versions that images and CI install
	$(BIN)/python deploy/locks/generate

test-lowest: ## run the tests on the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet -c deploy/locks/lowest.txt -e '.[cpu,export,local,dev]'
	.venv-lowest/bin/pytest

simulate: $(VENV)/.dev ## jobs' lives in virtual time under SEEDS=500 seeds of faults, the scripts against their model, and every mutant
	LATENTMILL_MODEL_EXAMPLES=500 $(BIN)/pytest -q -n0 tests/test_model_ledger.py
	$(BIN)/python -m tests.model --seeds $(SEEDS)

clean: ## remove what the commands above made
	rm -rf $(VENV) .venv-lowest .venv-audit .venv-client $(PEERS) build dist *.egg-info latentmill-demo

# One marker per set of extras: installed again only when what is asked for changed.
$(VENV)/.cpu: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[cpu,local]'
	$(BIN)/latentmill compile
	@touch $@

$(VENV)/.dev: pyproject.toml deploy/locks/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c deploy/locks/dev.txt -e '.[cpu,export,local,dev]'
	$(BIN)/latentmill compile
	@touch $@ $(VENV)/.cpu

# Apart from the rest: pip-audit brings versions of its own.
$(VENV)/.audit: $(VENV)/.dev
	test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) -c deploy/locks/dev.txt -e '.[fuzz]'
	@touch $@

$(VENV)/.readers: $(VENV)/.dev
	$(PIP) -c deploy/locks/dev.txt -e '.[readers]'
	@touch $@

# Apart from the rest: a client that knows nothing of us, made by a tool with requirements of its own.
.venv-client/.installed:
	$(PYTHON) -m venv .venv-client
	.venv-client/bin/pip install --quiet --disable-pip-version-check 'openapi-python-client>=0.29,<1' python-dateutil
	@touch $@

$(PEERS)/.installed: deploy/locks/peers.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
