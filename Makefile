# The two commands that matter are `make demo` and `make test`; each installs what it needs once.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
# Test files that run at once, in their order: those with few tests, which start services, are slow,
# and would be last, on one core, by their number of tests.
JOBS ?= 2
EXTRAS := server,trainer,minilm,postgres,png,dev

# make demo TRAIN=train.csv TEST=test.csv TEXT=text LABEL=category
DEMO_FLAGS := $(if $(TRAIN),--train '$(TRAIN)') $(if $(TEST),--test '$(TEST)') \
              $(if $(TEXT),--text '$(TEXT)') $(if $(LABEL),--label '$(LABEL)')

# Where Python may not keep what it has compiled, each process compiles its imports anew, for seconds;
# a sealed child never may, so that pip compiles what it installs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test chaos bench lint openapi

demo: $(STAMP)
	@$(VENV)/bin/python tests/demo/demo.py $(DEMO_FLAGS)

test: $(STAMP)
	@$(VENV)/bin/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not chaos and not cuda" tests

chaos: $(STAMP)
	@$(VENV)/bin/python -m pytest -q -s -m chaos tests/chaos

bench: $(STAMP)
	@$(VENV)/bin/python tests/bench/run.py
	@$(VENV)/bin/python tests/bench/serving.py
	@$(VENV)/bin/python tests/bench/peers.py

lint: $(STAMP)
	@$(VENV)/bin/ruff check -q .
	@$(VENV)/bin/ruff format -q --check .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

openapi: $(STAMP)
	@$(VENV)/bin/python -m tunery_server openapi > openapi/openapi.json.new
	@mv openapi/openapi.json.new openapi/openapi.json

# torch comes first and alone: resolved with the rest, pip may pick another build of it.
$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV); this happens once"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq -c constraints.txt torch==2.13.0
	@$(PIP) install -qq -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
