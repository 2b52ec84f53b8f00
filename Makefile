# Every target sets up what it needs; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TOOLS := .venv/.tools

# $(call as-root,why): end there, and say so, where nobody is root.
as-root = [ "$$(id -u)" -eq 0 ] || { echo '$(1): run it as root (sudo make $@)'; exit 1; }

# A Python of 32 bits on a kernel of 64 asks for the wrong wheels, unless uname says what Python is; and uv ends where it
# cannot make its cache, as nobody and the users of services cannot.
sync = $$($(BIN)/python -c 'import sys; print("" if sys.maxsize >> 32 else "setarch linux32")') \
	env $$([ -w "$${HOME-}" ] || echo UV_NO_CACHE=true) VIRTUAL_ENV= UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true $(BIN)/uv sync --quiet --locked --inexact

.PHONY: help install demo test check fix bench bench-floor bench-outbound bench-badlink prove seed-tour clean

help:
	@echo 'make demo     a pull over a link that breaks, from start to end (no root, under a minute)'
	@echo 'make test     the tests (root; it installs the peers they need from Debian)'
	@echo 'make check    formatting, types and the direction of imports'
	@echo 'make fix      let ruff mend what it can'
	@echo 'make bench    Headway beside four engines (root; an hour; QUICK=1: beside dockerd in under 3 minutes)'
	@echo 'make bench-floor  Headway beside what this machine cannot do without (root)'
	@echo 'make bench-outbound  load, save, push, import and commit beside dockerd, unpack beside umoci (root; QUICK=1: one round; ONLY=push: that alone)'
	@echo 'make bench-badlink  Headway beside four engines over links that break (root; under 20 minutes)'
	@echo 'make prove    every figure the docs claim; ONLY=name for one'
	@echo 'make seed-tour  each part of the seed, shown by the docker command (root; writes docs/seed.md)'
	@echo 'make install  only .venv/bin/headway'

install: $(READY)

# What Headway runs on, which is there for more kinds of machines than what tests and benchmarks want besides.
$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Headway needs Python 3.11 or newer: apt install python3 python3-venv (or make PYTHON=/path/to/python3.11)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: apt install python3-venv"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@$(sync) --no-dev || { echo "If msgspec was being built, which has no wheel for this machine: apt install gcc python3-dev"; exit 1; }
	@touch $@

$(TOOLS): $(READY)
	@$(sync)
	@touch $@

demo: $(READY)
	@$(BIN)/python -m demo

test: $(TOOLS)
	@tests/peers
	@$(call as-root,the tests mount file systems and give files away)
	$(BIN)/python -m pytest -q

check: $(TOOLS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(TOOLS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(TOOLS)
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(IMAGES),--images "$(IMAGES)")

bench-floor: $(TOOLS)
	@$(BIN)/python -m bench.floor

bench-outbound: $(TOOLS)
	@$(BIN)/python -m bench.outbound $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only "$(ONLY)")

bench-badlink: $(TOOLS)
	@$(BIN)/python -m bench.badlink

prove: $(TOOLS)
	@tests/peers prove
	@$(BIN)/python -m tests.prove $(ONLY)

seed-tour: $(TOOLS)
	@$(call as-root,the tour runs a daemon that mounts)
	@tests/peers prove
	@$(BIN)/python -m demo.seed_tour

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
