# Every target sets itself up: it needs Python 3.11 or newer, make, and the package index that pip uses.
#   make demo ORDERS=my-orders.csv        make test ARGS="-k sandbox"        make demo PYTHON=python3.12

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
ORDERS ?=
PICTURE ?=
PICTURES ?=
ARGS ?=
CELLS ?=
SEEDS ?= 6 7 11
WAITS ?= 300
RUNS ?= 2000
SEED ?=
DIST ?= dist
TESTS ?=
WORKERS = $(shell '$(PYTHON)' -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
SPREAD = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
CODE := airflow_provider_trackingmore example_dags demo docs/examples noxfile.py
AIRFLOWS := 2.11.2 3.0.6 3.1.8 3.2.2

.DEFAULT_GOAL := help
.PHONY: help demo standalone test test-slow test-chaos test-scale test-page test-fab test-matrix forms coverage simulate lint lint-code lint-types lint-prose hooks docs linkcheck dist lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.demo ## a real Airflow closes 36 orders against the sandbox and loads them, in about 2 min (ORDERS=my-orders.csv)
	@ORDERS='$(ORDERS)' $(BIN)/python -m demo $(if $(PICTURE),--picture '$(PICTURE)')

standalone: $(VENV)/.demo ## Airflow's UI on a free port, with open waits, the sandbox and its webhooks
	@ORDERS='$(ORDERS)' $(BIN)/python -m demo standalone

test: $(VENV)/.test ## run the tests, in up to four processes
	@$(BIN)/python -m pytest $(SPREAD) -m 'not slow' $(ARGS)

test-slow: $(VENV)/.test ## run what make test leaves out: benchmarks, killed loads, outages, whole installations
	@$(BIN)/python -m pytest $(SPREAD) -m slow $(ARGS)

test-chaos: $(VENV)/.test ## kill loads, tasks, triggerer and scheduler at any moment (SEEDS="6 7 11" repeats them)
	@CHAOS_SEEDS='$(SEEDS)' $(BIN)/python -m pytest -s $(or $(TESTS),tests/chaos/loading_killed.py tests/chaos/killed_at_any_moment.py tests/chaos/changes_killed.py) $(ARGS)

test-scale: $(VENV)/.scale ## hundreds of waits: PostgreSQL, Celery with Redis, sizes, and what people do to them (WAITS=1000)
	@SCALE_WAITS='$(WAITS)' $(BIN)/python -m pytest -s \
		tests/scale/many_waits.py tests/scale/celery_waits.py tests/scale/sizes.py tests/scale/interventions.py $(ARGS)

test-page: $(VENV)/.page ## the page "Shipments" in Chromium, on a whole Airflow with PostgreSQL, in 4 min (PICTURES=docs/images)
	@PICTURES='$(PICTURES)' $(BIN)/python -m pytest -s tests/page/shipments_page.py $(ARGS)

test-matrix: $(VENV)/.matrix ## the tests on each Airflow and Python, or on CELLS="3.2.2:3.11 lowest" (hours)
	@$(index); PATH='$(abspath $(BIN))':"$$PATH" $(BIN)/nox $(if $(CELLS),--tags $(CELLS),--session tests) $(if $(TESTS),-- $(TESTS))

test-fab: $(VENV)/.matrix ## the permissions of the page "Shipments" with the FAB auth manager, in an environment of its own
	@$(index); PATH='$(abspath $(BIN))':"$$PATH" $(BIN)/nox --session fab

forms: $(VENV)/.matrix ## take the pictures of the connection form in docs/images, in the Chromium of the machine
	@$(index); PATH='$(abspath $(BIN))':"$$PATH" $(BIN)/nox --session forms

coverage: ## make test, and check how much of the code it reaches
	@$(MAKE) test ARGS='--cov --cov-report=term:skip-covered $(ARGS)'

simulate: $(VENV)/.test ## wait on virtual time, thousands of random runs (RUNS=20000), or one with its trace (SEED=17)
	@$(BIN)/python -m tests.simulation.run $(if $(SEED),--seed $(SEED),--runs $(RUNS)) $(ARGS)

lint: lint-code lint-types lint-prose ## check style (ruff), types (strict mypy) and prose (codespell, Harper)

lint-code: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types: $(VENV)/.lint
	$(BIN)/mypy --strict

# Harper's rules in grammar-rules-off.txt misread code, tables or our terms, or are a matter of taste.
lint-prose: $(VENV)/.lint
	$(BIN)/codespell --dictionary - --dictionary .ci/banned-words.txt --ignore-words-list asend,chek \
		$$(git ls-files -- '*.md' $(CODE))
	$(BIN)/harper lint --quiet --format compact --ignore $$(paste -sd, .ci/grammar-rules-off.txt) $$(git ls-files '*.md')
	$(BIN)/harper lint --quiet --format compact --ignore $$(paste -sd, .ci/grammar-rules-off.txt),LongSentences,OneOfTheSingular \
		$$(git ls-files -- $(CODE) | grep '\.py$$')

hooks: $(VENV)/.lint ## run `make lint` before each commit from now on (pre-commit)
	@$(BIN)/pre-commit install

docs: $(VENV)/.docs ## build the documentation into docs/_build/html, and check its links and its search
	@rm -rf docs/_build/html
	$(BIN)/sphinx-build -E -W --keep-going -q -b html docs docs/_build/html
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/docs/built_pages.py
	@echo "Built: docs/_build/html/index.html"

linkcheck: $(VENV)/.docs ## check the external links of the documentation (needs the internet)
	$(BIN)/sphinx-build -E -q -b linkcheck docs docs/_build/linkcheck

dist: $(VENV)/.release ## build wheel and sdist into dist/, and check what an index would show of them
	@rm -rf '$(DIST)'
	$(BIN)/python -m hatchling build -d '$(DIST)'
	$(BIN)/python -m twine check --strict '$(DIST)'/*

# Limits that Airflow itself found out later: it installs with newer versions, and fails tasks with them.
lock: $(VENV)/.uv ## choose new versions for constraints.txt and for the older Airflows
	@$(index); set -e; \
	compile="$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --extra sandbox \
		--no-header --no-annotate --no-emit-index-url pyproject.toml"; \
	$$compile --group dev --output-file constraints.txt; \
	for version in $(AIRFLOWS); do \
		{ printf '%s\n' "apache-airflow==$$version" apache-airflow-providers-sqlite; \
		case $$version in \
			3.0.6) printf '%s\n' 'fastapi<0.117' 'pyjwt<2.11' 'universal-pathlib<0.3';; \
			3.2.2) printf '%s\n' 'fastapi<0.137' 'pydantic<2.14' 'sqlalchemy<2.1' 'svcs<26';; \
		esac; } | \
		$$compile --extra redis --group test --output-file ".ci/constraints-airflow-$${version%.*}.txt" -; \
	done

clean: ## remove everything that make has created
	rm -rf $(VENV) .nox dist build docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- the environment: one, filled as far as the target at hand needs it -----------------------------------------------

$(VENV)/.uv:
	@[ -n '$(PYTHON)' ] && '$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed. Name one: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	@echo "Creating $(VENV) ..."
	@'$(PYTHON)' -m venv $(VENV)
	@PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip install -qq --disable-pip-version-check --no-warn-script-location uv
	@touch $@

# uv does not read pip's configuration: hand over what matters, so that a mirror set up for pip serves both.
define index
index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}"; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	if [ -n "$$PIP_CERT" ] && [ -z "$$SSL_CERT_FILE" ]; then export SSL_CERT_FILE="$$PIP_CERT"; fi
endef

define install
	@echo "Installing $(1), once (about a minute) ..."
	@$(index); \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraints constraints.txt \
		--editable '.[sandbox]' $(2)
	@touch $@
endef

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow and the package,--group demo)

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow$(comma) the package and the test tools,--group demo --group test --group examples --group databases)

$(VENV)/.scale: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow$(comma) the package and PostgreSQL,--group demo --group test --group scale)

$(VENV)/.page: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow$(comma) the package$(comma) PostgreSQL and Playwright,--group demo --group test --group scale --group page)

$(VENV)/.lint: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow$(comma) the package$(comma) ruff$(comma) mypy and the prose checkers,--group demo --group test --group lint)

$(VENV)/.matrix: pyproject.toml constraints.txt | $(VENV)/.uv
	@echo "Installing nox ..."
	@$(index); $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --group matrix
	@touch $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow$(comma) the package and Sphinx,--group demo --group test --group docs)

$(VENV)/.release: pyproject.toml constraints.txt | $(VENV)/.uv
	$(call install,Airflow$(comma) the package and what a release needs,--group demo --group test --group release)

comma := ,
