# Needs make and Python 3.11 or newer; everything else goes into .venv here.
# PYTHON=/path/to/python make demo   chooses the interpreter
# PYTEST="-k grid -n 0" make test    chooses tests

VENV   := .venv
BIN    := $(VENV)/bin
PYTEST ?= -n auto --dist loadfile
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3 python,$(shell \
            $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# one thread per numerical library: the work is spread over members instead
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export MPLBACKEND := Agg

.PHONY: help demo test fuzz mutate bench clean

help:
	@echo "make demo    install into .venv, run models/demo.yaml, compare with the known truth"
	@echo "make test    install into .venv, run the tests, print the share of lines that they reach"
	@echo "make fuzz    search for inputs that break the property tests, MINUTES=10 long, at random"
	@echo "make mutate  put single faults into the numeric core; at most one in ten may pass the tests of its module"
	@echo "make bench   run benchmarks/*.py, tables in runs/benchmarks/"
	@echo "make clean   remove .venv, runs/ and caches"

demo: $(VENV)/stamp-run
	$(BIN)/aqqua-dist run demo
	$(BIN)/aqqua-dist compare demo
	@echo "The maps and the other figures:"
	@ls runs/demo/figures/*.png

test: $(VENV)/stamp-test
	$(BIN)/python -m pytest $(PYTEST) --cov --cov-report= --durations=15
	@echo "Lines of aqqua_dist that the tests reach: $$($(BIN)/coverage report --format=total) % (a figure, no gate)"

MINUTES ?= 10
fuzz: $(VENV)/stamp-test
	@end=$$(( $$(date +%s) + 60 * $(MINUTES) )); round=0; \
	while [ $$(date +%s) -lt $$end ]; do \
	  round=$$(( round + 1 )); echo "fuzz: round $$round"; \
	  HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest $(PYTEST) -q -m "hypothesis and not slow" || exit 1; \
	done; echo "fuzz: $$round rounds in $(MINUTES) minutes found nothing"

# MUTATE="maps/stocks --sample 100 --seed 2" make mutate   chooses modules, the number of faults of each, and the draw
mutate: $(VENV)/stamp-test
	nice -n 10 $(BIN)/python tests/mutate.py $(MUTATE)

bench: $(VENV)/stamp-test
	$(BIN)/python benchmarks/run_all.py

$(VENV)/stamp-python:
	@test -n "$(PYTHON)" || { echo "aqqua-dist needs Python 3.11 or newer, and none of python3.13, python3.12, python3.11, python3, python on the PATH is; install one, or give its path: PYTHON=/path/to/python make demo." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "aqqua-dist needs Python 3.11 or newer, but PYTHON=$(PYTHON) is older or does not run." >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV) || { echo "$(PYTHON) cannot make a virtual environment in $(VENV); on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/stamp-run: $(VENV)/stamp-python pyproject.toml constraints.txt
	@echo "Installing aqqua-dist and its libraries into $(VENV) (once, about a minute) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/stamp-test: $(VENV)/stamp-run
	@echo "Installing the test libraries into $(VENV) (once) ..."
	@$(PIP) --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .hypothesis
	find aqqua_dist tests benchmarks figures environmental_layers -name __pycache__ -type d -exec rm -rf {} +
