# Everything is built in .venv (make demo: no PyTorch, under 700 MB; make test adds PyTorch and the tools) and in small
# environments of their own where an old runtime wants old libraries. Override the interpreter with PYTHON=python3.12.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-output
RELEASED := models/primus_models/released
DATA ?= ../shared/data/classyglass-1AB.tar.xz

# One thread for each numeric library: results do not depend on the machine's core count, and small arrays run faster.
export OMP_NUM_THREADS ?= 1
# How many processes share the tests: as many as there are cores, up to four, of a gigabyte or two each; 0 for none beside
# pytest's own, as a debugger wants it.
TEST_PROCESSES ?= logical
# What measures a time runs with nothing of ours beside it.
TIMED := tests/sdk/test_wall.py
# The SDK and every command turn ONNX Runtime's telemetry off themselves; this covers what imports it around them.
export ORT_DISABLE_TELEMETRY := 1
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Python compiles what it imports, once: compiling all that is installed costs a fifth of the space, and never keeping
# what was compiled costs every process that a test starts up to fifteen seconds.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --progress-bar off --no-compile

.PHONY: help demo test lint types check soak fuzz golden bench unseen model bundle runtimes clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "PRIMUS needs Python 3.11 to 3.13; name one with PYTHON=")'
	$(PYTHON) -m venv $(VENV)

# seglearn brings the demo's recordings. Only its data file is read, so its own dependencies stay out.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing the SDK and the exporters (no PyTorch) into $(VENV)"
	$(PIP) --editable '.[export]'
	$(PIP) --no-deps seglearn
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "Installing PyTorch and the test tools into $(VENV); this is the long one"
	$(PIP) --editable '.[export,prepare,pretrain,ray,evaluate,dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) --editable '.[bench,dev]'
	@touch $@

.venv-tflite214/.done:
	@echo "Installing tflite-runtime 2.14, the oldest runtime that the int8 file must run on, into .venv-tflite214"
	$(PYTHON) -m venv .venv-tflite214
	PIP_CONSTRAINT= .venv-tflite214/bin/python -m pip install --quiet --progress-bar off tflite-runtime==2.14.0 numpy==1.26.4 || \
		echo "no tflite-runtime 2.14 for this interpreter: its test will be skipped"
	@touch $@

.venv-tf216/.done:
	$(PYTHON) -m venv .venv-tf216
	PIP_CONSTRAINT= .venv-tf216/bin/python -m pip install --quiet --progress-bar off tensorflow-cpu==2.16.2
	@touch $@

demo: $(VENV)/.demo ## Export the released encoder, calibrate on a few shots, recognise people it has not seen
	$(BIN)/primus-export --format tflite --int8 -o $(OUT)/bundle
	$(BIN)/primus-stream --dataset watch --bundle $(OUT)/bundle --plot $(OUT)/watch.png

test: lint types check ## Lint, type-check and run every test

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

# A file's tests stay together, since they share what they made; files go out in order, and the slow ones come first.
check: $(VENV)/.test .venv-tflite214/.done
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder --ignore $(TIMED)
	$(BIN)/python -m pytest $(TIMED)

runtimes: $(VENV)/.test .venv-tflite214/.done .venv-tf216/.done ## Run the int8 TFLite file on TensorFlow 2.16 too (600 MB more)
	PRIMUS_TF216_PYTHON=$(CURDIR)/.venv-tf216/bin/python $(BIN)/python -m pytest tests/export -k "tflite and runtime"

soak: $(VENV)/.test ## A day of a faulty 200 Hz stream against the offline path, and 1000 kills during a save
	$(BIN)/python tests/soak.py
	$(BIN)/python tests/sdk/kill_saves.py 1000

fuzz: $(VENV)/.test ## A million broken inputs: typed errors only; flipped bytes of heads and bundles: refused
	$(BIN)/python tests/fuzz.py
	$(BIN)/python tests/flips.py
	PRIMUS_THOROUGH=1 $(BIN)/python -m pytest tests/sdk/test_windows.py

golden: $(VENV)/.test ## Check the golden vectors (tests/golden.py --write makes them anew: only when the contract changes)
	$(BIN)/python tests/golden.py --check

bench: $(VENV)/.bench ## Size, accuracy and speed beside the default converters, solvers and resamplers
	$(BIN)/python benchmarks/calibrate.py
	$(BIN)/python benchmarks/resampling.py
	$(BIN)/python benchmarks/stream.py
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/export.py
	$(BIN)/python benchmarks/encoders.py

unseen: $(VENV)/.bench ## Ours beside handcrafted features, on people and places not trained on (an hour; goes on where it stopped)
	$(BIN)/python benchmarks/unseen.py --data $(DATA) -o $(OUT)/unseen

model: $(VENV)/.test ## Train the released checkpoints again (DATA=the ClassyGlass archive or folder; goes on where it stopped)
	test -f $(OUT)/prepared/prepared.json || \
		$(BIN)/primus-prepare classyglass $(DATA) -o $(OUT)/prepared --hop 1 --text-tower minilm --set captions=labels
	$(BIN)/primus-pretrain $(OUT)/prepared -o $(OUT)/primus --config docs/classyglass.yaml --threads 2
	$(BIN)/python -m primus_models.finishing $(OUT)/primus/checkpoint.safetensors --data $(DATA) -o $(RELEASED)/primus.safetensors
	$(BIN)/python -m primus_models.train --architecture tempo --data $(DATA) -o $(RELEASED)/tempo.safetensors

bundle: $(VENV)/.demo ## Rebuild the bundle that the wheel carries
	$(BIN)/primus-export --format onnx --format tflite --int8 -o sdk/python/primus_sdk/released

clean: ## Remove the environments and what the demo wrote
	rm -rf $(VENV) .venv-tflite214 .venv-tf216 $(OUT)
