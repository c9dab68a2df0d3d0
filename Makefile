# The commands a person needs. Everything is also a `python manage.py …` command inside .venv.

PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
SPEED ?= 1
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: demo run test sequences lint words bench lock clean

demo: $(READY)  ## set up, make the demonstration depot, start everything (SPEED=60: a day in 24 minutes)
	@$(BIN)/python manage.py demo --speed $(SPEED)

run: $(READY)  ## start everything on the existing database
	@$(BIN)/python manage.py run --speed $(SPEED)

test: $(READY_DEV)  ## every test that can run on this machine; says what it skipped and why
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

sequences: $(READY_DEV)  ## 10,000 telemetry streams in any order, split and repeated: the same state (ten minutes)
	@DEPOT_TEST_SEQUENCES=10000 $(BIN)/python -m pytest -q tests/fleet/test_telemetry.py -k any_order

lint: $(READY_DEV)  ## style, types, import contracts, migrations, deployment checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy depot fleet billing charging
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@DEPOT_HTTPS=1 DEPOT_ALLOWED_HOSTS=depot.example $(BIN)/python manage.py check --deploy --fail-level WARNING
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

words: $(READY_DEV)  ## find what is to be translated, and make the catalogues that are read (needs gettext's xgettext)
	@$(BIN)/python manage.py makemessages --locale de --no-location --no-obsolete --ignore .venv --ignore var --ignore tests --ignore node_modules
	@$(BIN)/python -c 'import polib; polib.pofile("depot/locale/de/LC_MESSAGES/django.po").save_as_mofile("depot/locale/de/LC_MESSAGES/django.mo")'

bench: $(READY)  ## measure planner and billing
	@$(BIN)/python manage.py benchmark planner
	@$(BIN)/python manage.py benchmark billing

lock: $(READY_DEV)  ## pin versions and hashes again
	@$(BIN)/uv pip compile pyproject.toml --group dev --python-version 3.11 --no-header --no-annotate --no-emit-index-url --generate-hashes --upgrade -q -o requirements-dev.lock
	@$(BIN)/uv pip compile pyproject.toml --python-version 3.11 --no-header --no-annotate --no-emit-index-url --generate-hashes -c requirements-dev.lock -q -o requirements.lock
	@printf 'paho-mqtt\npymodbus\n' | $(BIN)/uv pip compile - --python-version 3.11 --no-header --no-annotate --no-emit-index-url --generate-hashes -c requirements-dev.lock -q -o requirements-meters.lock
	@printf 'entsoe-py\npynordpool\n' | $(BIN)/uv pip compile - --python-version 3.11 --no-header --no-annotate --no-emit-index-url --generate-hashes -c requirements-dev.lock -q -o requirements-prices.lock

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info[:2] == (3, 11) or sys.exit("Python 3.11 is needed: make PYTHON=/path/to/python3.11 …")'
	@test -d $(VENV) || { echo "Making the virtual environment …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing packages (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@touch $@

$(READY_DEV): requirements-dev.lock $(READY)
	@echo "Installing test packages (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* htmlcov
