# Everything a person or CI runs. Each target makes the environment that it needs: .venv-demo without torch, .venv with
# everything. PYTHON chooses the interpreter (3.10 or later).
PYTHON ?= python3
# Processes that tests run in; the tests of one file share one, and with it what they have set up together. One thread
# each: where there are more threads than cores they wait for each other, and all takes twice as long.
TEST_WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(FULL)/bin/python -m pytest -q -n $(TEST_WORKERS) --dist loadfile --durations=15
DEMO := .venv-demo
FULL := .venv

.PHONY: help demo test test-slow test-browser lint docs bench clean

help:
	@echo "make demo       emotions of the thirteen clips that come with the package (no torch)"
	@echo "make test       the tests; make test-slow: those that take longer"
	@echo "make test-browser   the page in a headless Chromium (Debian: apt-get install chromium)"
	@echo "make lint       ruff and mypy"
	@echo "make docs       write docs/commands.md from the commands' own help"
	@echo "make bench      speed and memory beside the peers, in one run"
	@echo "make clean      remove the environments and caches"

demo: $(DEMO)/installed
	@$(DEMO)/bin/m3ser demo

test: $(FULL)/installed
	$(PYTEST) -m "not slow and not browser"

test-slow: $(FULL)/installed
	$(PYTEST) -m "slow and not browser"

test-browser: $(FULL)/installed
	$(FULL)/bin/python -m pytest -q -m browser

lint: $(FULL)/installed
	$(FULL)/bin/ruff check .
	$(FULL)/bin/ruff format --check .
	$(FULL)/bin/mypy

docs: $(FULL)/installed
	$(FULL)/bin/python -m m3ser.cli.reference

bench: $(FULL)/installed
	$(FULL)/bin/m3ser bench

clean:
	rm -rf $(DEMO) $(FULL) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(DEMO)/installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[asr]"
	@touch $@

# torch goes first and alone: asked for by name and version it comes as the build for this machine.
$(FULL)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(FULL)
	$(FULL)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(FULL)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	@touch $@
