"""Whether the installed build of Annoy can be trusted; the only module that imports it.

Annoy is compiled on installation. Builds by clang 17 and newer with its default flags return wrong
neighbors or crash, and a build made on one processor may not run on another. So nothing is called in
this process before a child process has run it without a crash and found the right neighbors. Run as a
script, this file is that child process.
"""

import importlib.util
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_PASSED = "passed"
_SECONDS = 60
_INSTALL = (
    "install it with: ANNOY_COMPILER_ARGS=-O3,-fpermissive,-std=c++14 pip install --no-binary annoy annoy"
)


@cache
def annoy_index() -> tuple[Any, str]:
    """Return Annoy's index class, or None and the reason why it must not be used; tested once in a process, in 0.3 s.

    Returns:
        ``(class, "")`` or ``(None, reason)``
    """
    if importlib.util.find_spec("annoy") is None:
        return None, f"Annoy is not installed; {_INSTALL}"
    verdict = _run_child()
    if verdict != _PASSED:
        return None, f"this build of Annoy failed its self-test ({verdict}); {_INSTALL}"
    from annoy import AnnoyIndex

    return AnnoyIndex, ""


def _run_child() -> str:
    """Run this file in a child process and return its verdict."""
    # -P: without it this folder would be searched first, and its modules found instead of the real ones.
    command = [sys.executable, "-P", str(Path(__file__).resolve())]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the child process did not answer: {error}"
    if child.returncode == 0 and child.stdout.strip() == _PASSED:
        return _PASSED
    last = (child.stderr.strip() or "no message").splitlines()[-1]
    return f"exit status {child.returncode}, {last}"


def _self_test() -> None:
    """Raise unless Annoy finds, in memory and from a file, the neighbors that brute force finds."""
    from annoy import AnnoyIndex

    points = np.random.default_rng(7).normal(size=(50, 16)).astype(np.float32)
    index = AnnoyIndex(16, "euclidean")
    index.set_seed(51)
    for row, point in enumerate(points):
        index.add_item(row, point)
    index.build(10, n_jobs=1)
    _compare(index, points)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "points.ann")
        index.save(path)
        loaded = AnnoyIndex(16, "euclidean")
        loaded.load(path)
        _compare(loaded, points)
        loaded.unload()
        index.unload()


def _compare(index: Any, points: Any) -> None:
    """Raise if one of the five nearest of any point is wrong."""
    for row, point in enumerate(points):
        expected = np.argsort(((points - point) ** 2).sum(axis=1))[:5].tolist()
        found = index.get_nns_by_item(row, 5, search_k=5000)
        if found != expected:
            raise RuntimeError(f"neighbors of point {row}: expected {expected}, found {found}")


if __name__ == "__main__":
    _self_test()
    sys.stdout.write(_PASSED)
