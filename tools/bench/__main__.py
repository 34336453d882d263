"""Run the benchmark and write ``docs/benchmarks.md`` and ``docs/benchmarks.json``.

Ratios come from runs that took turns on the same machine; absolute figures are this machine's.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from tools import sandbox
from tools.bench import report
from tools.bench.measure import CHECKOUT, Task
from tools.bench.sections import FULL, QUICK, SECTIONS

PAGE = CHECKOUT / "docs" / "benchmarks.md"
FIGURES = CHECKOUT / "docs" / "benchmarks.json"


def main() -> int:
    """Measure, print and write; each section as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, under three minutes; writes nothing"
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with real pictures, measured beside the generated ones"
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help="measure these again")
    arguments = parser.parse_args()
    home = Path(os.environ.get("BENCH_HOME", Path(tempfile.gettempdir()) / "onlyone-bench"))
    home.mkdir(parents=True, exist_ok=True)
    found = (
        _known()
        if arguments.only and not arguments.quick
        else {"sections": {}, "seconds": {}, "measured": {}}
    )
    server = sandbox.enter(home)
    try:
        found["machine"] = machine()
        for name in arguments.only or SECTIONS:
            print(report.TITLES[name], flush=True)
            started = time.monotonic()
            section = SECTIONS[name](QUICK if arguments.quick else FULL, home, arguments.data)
            found["sections"][name] = section
            found["seconds"][name] = round(time.monotonic() - started)
            found["measured"][name] = {"date": f"{date.today():%Y-%m-%d}", "cpu": found["machine"]["cpu"]}
            if not arguments.quick:
                FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                PAGE.write_text(report.page(found), encoding="utf-8")
    finally:
        server.stop()
    print(report.page(found))
    return 0


def _known() -> dict[str, Any]:
    if not FIGURES.exists():
        return {"sections": {}, "seconds": {}, "measured": {}}
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def machine() -> dict[str, Any]:
    """Return the machine that the figures are measured on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "python": platform.python_version(),
        "gpus": int(Task("gpus", {}).run().get("gpus", 0)),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
