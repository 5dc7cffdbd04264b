# Two commands: `make demo` and `make test`. Each makes .venv and installs into it what is missing, nothing elsewhere.
# `make test ARGS="--slow tests/model"` passes arguments on; `make demo PYTHON=python3.12` chooses another Python.

BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO_USER := 196
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

.PHONY: demo test check clean

demo: $(INSTALLED)
	$(BIN)/isrf run --data movielens:100k --out demo --set reasoning.supplier=local --set reasoning.plan=single --set reasoning.budget=2min --set reasoning.domain=films
	$(BIN)/isrf recommend demo --user $(DEMO_USER) --top 5
	@echo
	@echo "The workspace is $(CURDIR)/demo. Try next:"
	@echo "  $(BIN)/isrf inspect demo --user $(DEMO_USER)"
	@echo "  $(BIN)/isrf recommend demo --history 50,181,172 --top 10"
	@echo "  $(BIN)/isrf audit movielens:100k"
	@echo "  $(BIN)/isrf run --data your-log.csv --items your-items.csv --out ws"

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src bench

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis src/isrf.egg-info
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: an install that was interrupted is taken up again. A .venv that already works is kept.
# pip compiles 17,000 files on one core; compileall all but the libraries' tests on all cores. It fails where a package
# holds templates that are no Python.
$(INSTALLED): pyproject.toml constraints.txt
	@usable='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	if ! { $(BIN)/python -c "$$usable" && $(BIN)/python -m pip --version; } >/dev/null 2>&1; then \
	  found=; \
	  for python in $(PYTHONS); do \
	    if $$python -c "$$usable" >/dev/null 2>&1; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "No usable Python among $(PYTHONS): install Python 3.11," \
	      "3.12 or 3.13 with its venv module (Debian, Ubuntu: python3-venv), or name one: PYTHON=/path/to/it" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making .venv with $$($$found --version)"; \
	  $$found -m venv --clear .venv; \
	fi
	@echo "Installing into .venv: a few minutes the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e ".[local,explanations,dev]"
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true
	@touch $@
