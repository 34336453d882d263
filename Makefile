# Everything runs from .venv, which the first command makes. See `make help`.

PY := .venv/bin/python
PYTHON ?=
APP ?= 1
REQUIRE_BROWSER ?= 0
REQUIRE_FFMPEG ?= 0
QUICK ?= 0
RAY ?= 0
SETUP = $(or $(PYTHON),python3) tools/setup.py $(if $(filter 1,$(RAY)),--ray)
export PYTHON APP REQUIRE_BROWSER REQUIRE_FFMPEG

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo open quality test torture bench lint fix clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' Makefile | expand -t 12

setup:  ## make .venv with everything the plugin needs (PYTHON=... names the Python to use, RAY=1: Ray too)
	@$(SETUP)

setup-dev:  ## the same, and what the tests need
	@$(SETUP) --dev

demo: setup  ## 500 pictures become 28, then the App opens on them (APP=0: without the App, WEIGHTS=a weights file)
	@$(PY) -m tools.demo $(if $(filter 0,$(APP)),--no-app) $(if $(WEIGHTS),--weights "$(WEIGHTS)")

open: setup  ## open the App on the demo's dataset again
	@$(PY) -m tools.demo --open

quality: setup  ## measure on real pictures, write docs/quality.md (DATA=folder, WEIGHTS=imagenet or untrained, PEERS=1)
	@$(PY) -m tools.quality --data "$(DATA)" --weights "$(or $(WEIGHTS),untrained)" $(if $(filter 1,$(PEERS)),--peers)

test: lint  ## every check and test (REQUIRE_BROWSER=1, REQUIRE_FFMPEG=1: fail where there is no Chromium or ffmpeg)
	$(PY) -m pytest

torture: setup-dev  ## kill every step at fifty moments each, let two processes meet 1,000 times, try nine demos; takes long
	MOMENTS=50 INTERLEAVINGS=1000 SEEDS=9 $(PY) -m pytest tests/host/test_kill.py tests/host/test_two_homes.py tests/engine/test_scenes.py

bench: setup  ## measure side by side, and write docs/benchmarks.md (QUICK=1, DATA=folder, ONLY=sections)
	$(PY) -m tools.bench $(if $(filter 1,$(QUICK)),--quick) $(if $(DATA),--data "$(DATA)") $(if $(ONLY),--only $(ONLY))

lint: setup-dev  ## check style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

fix: setup-dev  ## mend what can be mended by itself
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:  ## remove .venv and every cache; the demo's dataset stays
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
