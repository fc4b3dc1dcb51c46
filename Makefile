# make bench   measure the default workloads and write a report
# make test    the tests that tell within minutes whether a change is right
# make test-all  every test
# make prove   what takes longer, on a quiet machine; its output goes to docs/evidence
# make check   formatting, lint, types, which room imports which
# Each makes .venv and fills it where that is needed; only Python and make must be there.

PYTHON ?= python3
BENCH ?=
# Two parts at once, each with cores of its own. `make test TEST=` runs one test after the other.
TEST ?= -n auto --maxprocesses=2 --dist=loadfile --no-loadscope-reorder

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: bench test test-all prove check clean

bench: $(READY)
	$(BIN)/python -m pytest --benchmark-only $(BENCH)

test: $(READY)
	$(BIN)/python -m pytest tests $(TEST) -m "not slow and not install and not prove"

test-all: $(READY)
	$(BIN)/python -m pytest tests $(TEST) -m "not prove"

prove: $(READY)
	$(BIN)/python -m tools.prove

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One pip call for everything: a second one might take another build of a framework.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "rnnbench needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable ".[all,dev]" --constraint constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .benchmarks build *.egg-info
