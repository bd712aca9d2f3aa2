# Two commands: `make demo` and `make test`. `make check` is what a contributor runs before a commit.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Where this is set every process compiles all that it imports, those of the tests by the dozen. Nothing else compiles it:
# pip would all that it installs, in twice the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test torture check setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV), once: a minute or two ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[bench,hub,report,dev]"
	touch $@

# One thread, here and below: with more, a small network's threads wait for one another, the longer the busier the machine.
demo: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/narrows run permuted-digits --method ibm --reference --out runs/demo

# Two processes of one thread each.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2

# The long form of tests/torture (docs/torture.md). atheris cannot be installed for every Python, and is then left out.
torture: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torture]" || true
	mkdir -p runs
	OMP_NUM_THREADS=1 NARROWS_TORTURE=long NARROWS_TORTURE_TABLE=runs/torture.json $(BIN)/pytest tests/torture -v -n 2

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

clean:
	rm -rf $(VENV) runs
