# Every target sets up what it needs in .venv; only Python 3.11 or newer and make have to be there.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# The lock files are complete. Left to resolve, pip 23 takes an extra's newest release, which has no hash there.
LOCKED := install --require-hashes --no-deps -r
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
# The first that runs, is new enough, and can make a virtual environment.
PYTHON = $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell \
	$(p) -c 'import sys, ensurepip, venv; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))

.PHONY: demo test check long chart image cover soak fuzz bench lock clean servers

demo: $(VENV)/.run
	@$(BIN)/sidecar demo

test: check servers
	@$(BIN)/pytest

check: $(VENV)/.dev
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# What takes longer than the suite may: short-lived tokens under load for a minute, 20,000 races at idle time-outs,
# 9,500 idle connections; a gibibyte each way whose receiver stalls, a million chunks of one byte; keys that are swapped,
# clocks that jump, a process that is stopped, an hour's outage, reloads, processes that take each other's place. All
# files that look for the variable.
long: servers
	@SIDECAR_LONG=1 $(BIN)/pytest $$(grep -rl SIDECAR_LONG tests --include='test_*.py')

# The charts as Helm 3 and Helm 4 render them, each scenario for every Kubernetes whose schemas there are, the Kustomize
# component, and the dashboard and alerts before a real Prometheus.
chart: servers
	@$(BIN)/python -m tests.chart.install
	@$(BIN)/python -m tests.monitoring.install
	@SIDECAR_CHART=1 $(BIN)/pytest tests/chart tests/monitoring

cover: servers
	@$(BIN)/pytest --cov --cov-report=term

# Two million requests with leaving apps, resets and revoked tokens: 4 to 7 minutes on two cores.
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak

# Half an hour of coverage-guided fuzzing, FUZZ_S seconds for each target, two at a time; Linux, Python before 3.14.
fuzz: $(VENV)/.fuzz
	@$(BIN)/python -m tests.fuzz

bench: $(VENV)/.bench
	@$(BIN)/python -m bench.install
	@$(BIN)/python -m bench

# The container image: built without a registry or a daemon, and checked as a container and as a pod. Linux, root, Debian.
# LOCK=sign: with what the presets that sign need. BASE=...: from that image, not from one that is made here.
image: $(VENV)/.dev
	@$(BIN)/python -m image

# Rewrites requirements/ and the npm lock files: the newest versions allowed, with the hashes for every platform.
lock: $(VENV)/.dev
	@$(PIP) install uv
	@$(COMPILE) pyproject.toml --output-file requirements/run.txt
	@$(COMPILE) pyproject.toml --extra sign --constraint requirements/run.txt --output-file requirements/sign.txt
	@$(COMPILE) --group build --output-file requirements/build.txt
	@$(COMPILE) --group bench --output-file requirements/bench.txt
	@$(COMPILE) --group fuzz --output-file requirements/fuzz.txt
	@$(COMPILE) pyproject.toml --group dev --constraint requirements/run.txt --output-file requirements/dev.txt
	@$(BIN)/python -m tests.servers.install --lock
	@$(BIN)/python -m tests.chart.install --lock
	@$(BIN)/python -m tests.monitoring.install --lock

clean:
	@rm -rf $(VENV) tests/*/*/node_modules dist htmlcov .coverage .coverage.* .fuzz .image .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# The servers and clients that nobody here wrote and PyPI does not have: nginx, Prometheus, curl, Chromium and Java from
# Debian, an OpenID provider and a WebSocket library from npm.
servers: $(VENV)/.dev
	@$(BIN)/python -m tests.servers.install

$(VENV)/.run: pyproject.toml requirements/build.txt requirements/run.txt
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer with its venv module" >&2; exit 1; }
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) $(LOCKED) requirements/build.txt
	@$(PIP) $(LOCKED) requirements/run.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "adding what the checks and tests need"
	@$(PIP) $(LOCKED) requirements/dev.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.run requirements/bench.txt
	@echo "adding what the benchmark needs"
	@$(PIP) $(LOCKED) requirements/bench.txt
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev requirements/fuzz.txt
	@echo "adding what the fuzzer needs"
	@$(PIP) $(LOCKED) requirements/fuzz.txt
	@touch $@
