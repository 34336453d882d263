"""Environments of their own for the packages that are measured against: the project depends on none of them."""

import subprocess
import sys
from pathlib import Path

_SECONDS = 600  # for a package and all that it brings


def environment(cache: Path, name: str, requirement: str) -> Path:
    """Return the Python of an environment that has a package; made once.

    Args:
        cache: folder for environments; made if missing
        name: of the environment
        requirement: the package with its version

    Raises:
        OSError: if the package cannot be installed
    """
    home = cache / name
    python = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        print(f"  installing {requirement} into an environment of its own", flush=True)
        _call([sys.executable, "-m", "venv", home], requirement)
        _call(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
            requirement,
        )
        ready.touch()
    return python


def _call(command: list, requirement: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{requirement} cannot be installed in {_SECONDS // 60} minutes") from error
    if done.returncode:
        raise OSError(f"{requirement} cannot be installed: {done.stderr.strip()[-300:]}")
