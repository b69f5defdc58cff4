# make demo: a model from the embedded recording.  make test: the tests.  make check: the linters.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]' -c constraints.txt
	@touch $@

demo: $(STAMP)  ## train the A2 pack on the embedded recording and export model.nam
	@WANDB_MODE=$${WANDB_MODE:-offline} $(BIN)/python -m namexp.train experiment=demo

test: $(STAMP)  ## unit, config, parity and end-to-end tests on the CPU
	WANDB_MODE=offline $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

check: $(STAMP)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
