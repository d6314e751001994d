# make demo   shows lamps and pickup on four real SIP phones, in half a minute
# make test   passes the tests
# make quick  passes those tests that take a minute in all
# make coverage  shows how much of each file these tests cover
# make fuzz   sends changed messages for ten minutes, different ones each time
# make soak   runs an office at work for ten minutes
# All make .venv first, with Python 3.11 to 3.14.

PYTHON ?= $(shell for p in python3.12 python3.11 python3 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
QUICK := --ignore tests/core/test_interleavings.py tests/core tests/transport tests/test_store*.py \
	tests/test_pjsip_wheel.py tests/e2e/test_demo.py
TYPED := $(addprefix tests/,core dialog_info e2e pjsip provisioning sip transport)  # one by one: names of modules repeat
READY := $(VENV)/ready

.PHONY: demo test quick coverage lint bench fuzz soak clean

demo: $(READY)
	$(BIN)/blfd demo

# Tests wait as much as they compute, so four at a time suit two cores. They run in the order of their names: those that wait
# a minute (test_demo, test_session_timer, test_soak) begin long before the end, and the last modules are short.
test: $(READY)
	$(BIN)/pytest -q -n 4 --dist loadscope --no-loadscope-reorder

# The tests that take a minute; for another Python: make quick VENV=.venv-3.13 PYTHON=python3.13
quick: $(READY)
	$(BIN)/pytest -q -n 2 $(QUICK)

# The servers of end-to-end tests are processes of their own, which are not counted.
coverage: $(READY)
	$(BIN)/pytest -q -n 2 --cov --cov-report=term $(QUICK)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@for tests in "tests/*.py" $(TYPED); do echo "mypy $$tests"; $(BIN)/mypy $$tests || exit 1; done

bench: $(READY)
	$(BIN)/python bench/run.py

fuzz: $(READY)
	FUZZ_SECONDS=200 $(BIN)/pytest -q tests/e2e/test_fuzz.py

soak: $(READY)
	SOAK_SECONDS=600 $(BIN)/pytest -q tests/e2e/test_soak.py

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.14 is needed: install one, or give PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	$(BIN)/blfd pjsip install --if-missing
	@touch $@

clean:
	rm -rf .coverage .venv .venv-* build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
