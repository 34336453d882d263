"""What ``make setup`` decides, without installing anything."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tools import mongod, setup

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def interpreter(tmp_path):
    """``interpreter("python3.12", says="3 12")``: a program that answers like a Python of that version."""

    def make(name: str, says: str, fails: bool = False) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {says}\nexit {int(fails)}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def only_these_on_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_this_python_is_of_its_own_version():
    assert setup.version_of(sys.executable) == sys.version_info[:2]


@pytest.mark.usefixtures("only_these_on_path")
def test_the_newest_supported_python_is_taken(interpreter):
    interpreter("python3.11", "3 11")
    interpreter("python3.12", "3 12")

    assert setup.find_interpreter(None) == "python3.12"


@pytest.mark.usefixtures("only_these_on_path")
def test_a_python_that_cannot_make_environments_or_does_not_run_is_passed_over(interpreter):
    interpreter("python3.13", "0 0")
    interpreter("python3.12", "3 12", fails=True)
    interpreter("python3.11", "3 11")

    assert setup.find_interpreter(None) == "python3.11"


@pytest.mark.usefixtures("only_these_on_path")
def test_without_a_suitable_python_the_error_says_what_is_there_and_what_to_do(interpreter):
    interpreter("python3", "3 9")

    with pytest.raises(setup.SetupError, match=r"python3 is 3\.9.*make setup PYTHON="):
        setup.find_interpreter(None)


def test_a_python_that_is_asked_for_is_taken_or_refused_but_never_replaced(interpreter):
    assert setup.find_interpreter(interpreter("mine", "3 13")).endswith("mine")
    with pytest.raises(setup.SetupError, match="other"):
        setup.find_interpreter(interpreter("other", "3 14"))


def test_the_fingerprint_changes_with_requirements_and_constraints(monkeypatch, tmp_path):
    requirements, constraints = tmp_path / "requirements.txt", tmp_path / "constraints.txt"
    requirements.write_text("annoy\n")
    constraints.write_text("annoy==1.17.3\n")
    monkeypatch.setattr(setup, "CONSTRAINTS", constraints)
    first = setup.fingerprint(requirements)

    constraints.write_text("annoy==1.17.2\n")
    second = setup.fingerprint(requirements)
    requirements.write_text("annoy<2\n")

    assert len({first, second, setup.fingerprint(requirements)}) == 3


def test_annoy_is_compiled_here_and_without_fast_math(monkeypatch):
    asked = {}
    monkeypatch.delenv("ANNOY_COMPILER_ARGS", raising=False)
    monkeypatch.setattr(setup, "installed_version", lambda package: None)
    monkeypatch.setattr(setup, "pip", lambda *words, env, failure: asked.update(words=words, env=env))
    setup.install_annoy()
    flags = asked["env"]["ANNOY_COMPILER_ARGS"].split(",")
    assert "-O3" in flags
    assert "-ffast-math" not in flags
    assert {"--no-cache-dir", "--no-binary"} < set(asked["words"])


def test_the_constraints_pin_every_requirement_within_its_bounds():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pinned = dict(line.split("==") for line in setup.CONSTRAINTS.read_text().splitlines())
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    for file in (setup.REQUIREMENTS, setup.REQUIREMENTS_DEV, setup.REQUIREMENTS_RAY):
        for requirement in map(Requirement, file.read_text().splitlines()):
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement
            assert {s.operator for s in requirement.specifier} == {">=", "<"}, requirement


def test_setup_runs_on_old_pythons():
    """It is started by whichever ``python3`` there is, before a suitable one is looked for."""
    subprocess.run(
        [sys.executable, "-c", "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))"],
        input=(ROOT / "tools" / "setup.py").read_text(),
        text=True,
        check=True,
    )


def test_every_command_is_listed_by_make_help():
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    run = subprocess.run(["make", "help"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))

    assert {line.split()[0] for line in run.stdout.splitlines()} == targets


def test_the_port_is_read_from_a_log_that_is_still_being_written(tmp_path):
    log = tmp_path / "mongod.log"
    log.write_text('{"msg":"Starting"}\n{"msg":"Waiting for conn')
    assert mongod.read_port(log) is None

    log.write_text(
        '{"msg":"Starting"}\n{"msg":"Waiting for connections","attr":{"port":41234,"ssl":"off"}}\n'
    )
    assert mongod.read_port(log) == 41234


def test_a_server_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "import os, sys, time, pathlib\n"
        "from tools.keeper import Server\n"
        f"Server(['sh', '-c', 'echo $$; exec sleep 600'], pathlib.Path({str(tmp_path / 'log')!r}))\n"
        f"while not pathlib.Path({str(tmp_path / 'log')!r}).read_text(): time.sleep(0.05)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)

    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int((tmp_path / "log").read_text())).wait(timeout=30)
