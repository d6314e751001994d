# make demo   shows lamps and pickup on four real SIP phones, in half a minute
# make test   passes the tests
# make fuzz   sends changed messages for ten minutes, other ones each time
# make soak   is an office at work for ten minutes
# All make .venv first, with Python 3.11 or 3.12.

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint bench fuzz soak clean

demo: $(READY)
	$(BIN)/blfd demo

# Tests wait more than they compute, so three at a time suit two cores; long modules come first in the alphabet.
test: $(READY)
	$(BIN)/pytest -q -n 3 --dist loadscope --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python bench/run.py

fuzz: $(READY)
	FUZZ_SECONDS=200 $(BIN)/pytest -q tests/e2e/test_fuzz.py

soak: $(READY)
	SOAK_SECONDS=600 $(BIN)/pytest -q tests/e2e/test_soak.py

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: install one, or give PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
