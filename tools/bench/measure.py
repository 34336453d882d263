"""One measurement is one process, so that its peak memory is its own; two are compared by taking turns."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
MARK = "MEASURED "


@dataclass(frozen=True)
class Task:
    """What to measure: a function of :mod:`tools.bench.tasks`, its arguments, and the Python that runs it."""

    function: str
    arguments: dict[str, Any]
    python: str = sys.executable
    module: str = "tools.bench.tasks"

    def run(self, seconds: float = 5400) -> dict[str, float]:
        """Run it once: what it reports, and its ``peak_mb``; ``failed`` with the reason if it cannot."""
        command = [self.python, "-m", self.module, self.function, json.dumps(self.arguments)]
        try:
            done = subprocess.run(
                command,
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=os.environ,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"took longer than {seconds:.0f} s"}
        lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
        if done.returncode or not lines:
            return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
        return json.loads(lines[-1][len(MARK) :])


def serve(functions: dict[str, Callable[..., dict[str, float]]]) -> None:
    """Be the process of one task: ``python -m MODULE FUNCTION ARGUMENTS``."""
    found = functions[sys.argv[1]](**json.loads(sys.argv[2]))
    found["peak_mb"] = _peak_mb()
    print(MARK + json.dumps(found))


def _peak_mb() -> float:
    """Return the most memory this process had, in MB; by ``getrusage``, a child has at least what its parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_turns(tasks: dict[str, Task], repeats: int) -> dict[str, dict[str, Any]]:
    """Run each task ``repeats`` times, taking turns; per task the median of every figure."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in tasks}
    for turn in range(repeats):
        for name, task in tasks.items():
            found = task.run()
            print(f"  {name} ({turn + 1}/{repeats}): {_short(found)}", flush=True)
            runs[name].append(found)
    return {name: _median(found) for name, found in runs.items()}


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    good = [run for run in runs if "failed" not in run]
    if not good:
        return runs[-1]
    medians = {key: statistics.median(run[key] for run in good) for key in good[0]}
    return {**medians, "runs": len(good)}


def _short(found: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float | int) else f"{key}: {value}"
        for key, value in found.items()
    )
