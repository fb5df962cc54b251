# The two commands of the README: make demo, make test. What each needs, deploy/setup.sh installs.
VENV := .venv
BIN  := $(VENV)/bin
DEMO := demo

.PHONY: setup setup-tests demo test check format docs clean

$(VENV)/.installed: setup.cfg pyproject.toml deploy/setup.sh
	@sh deploy/setup.sh $(VENV)
	@touch $@

$(VENV)/.installed-tests: setup.cfg pyproject.toml deploy/setup.sh
	@sh deploy/setup.sh $(VENV) test
	@touch $(VENV)/.installed $@

setup: $(VENV)/.installed

setup-tests: $(VENV)/.installed-tests

demo: setup
	@$(BIN)/python -m sim.demo $(DEMO)

test: setup-tests check
	@$(BIN)/pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sim.web.labels

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info
