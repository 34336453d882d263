"""Other tools that find duplicates, each installed into an environment of its own where ``PEERS=1`` asks for it.

imagededup brings PyTorch; fastdup is closed and not free for commercial use, and is told to report nothing home.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tools.environments import environment

from .hashes import distance, signs
from .vectors import digests

_IMAGEDEDUP = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from imagededup.methods import CNN, AHash, DHash, PHash, WHash
paths, found, failed = json.load(sys.stdin), {}, {}
for method in (PHash, DHash, AHash, WHash, CNN):
    name = "imagededup " + method.__name__
    try:
        encoder = method(verbose=False)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
        continue
    found[name] = []
    for path in paths:
        try:
            value = encoder.encode_image(image_file=path)
        except Exception:
            value = None
        if hasattr(value, "tolist"):
            value = [round(float(number), 6) for number in value.reshape(-1)]
        found[name].append(value)
json.dump({"found": found, "failed": failed}, open(sys.argv[1], "w"))
"""

_FASTDUP = """
import json, sys
import fastdup
paths = json.load(sys.stdin)
made = fastdup.create(work_dir="work", input_dir=paths)
made.run(overwrite=True, num_threads=2, verbose=False)
names, vectors = fastdup.load_binary_feature("work/atrain_features.dat", d=576)
known = {name: [round(float(number), 6) for number in row] for name, row in zip(names, vectors)}
json.dump({"found": {"fastdup": [known.get(path) for path in paths]}, "failed": {}}, open(sys.argv[1], "w"))
"""

_TOOLS = {
    "imagededup": ("imagededup==0.3.3.post2", _IMAGEDEDUP),
    "fastdup": ("fastdup==2.54", _FASTDUP),
}


@dataclass(frozen=True)
class Peer:
    """One way of another tool.

    Attributes:
        rows: ``(n, d)``, NaN for a file that it cannot read
        metric: by which two rows are as far apart as the tool says
        own: the threshold that the tool uses unless told otherwise, as a distance
        told: that threshold in the tool's words
    """

    rows: np.ndarray
    metric: str
    own: float
    told: str


@dataclass(frozen=True)
class Peers:
    """What other tools make of the pictures.

    Attributes:
        found: name -> what it makes of them
        failed: name -> why it could not be measured, as it said itself
    """

    found: dict[str, Peer] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def measure_peers(paths: Sequence[Path], cache: Path) -> Peers:
    """Run every peer on picture files; what is known of them by content is not asked for again.

    Args:
        paths: picture files
        cache: folder for the environments and for what is known already; made if missing
    """
    peers, keys = Peers(), digests(paths)
    for tool, (requirement, script) in _TOOLS.items():
        try:
            known = _known(tool, requirement, script, dict(zip(keys, paths, strict=True)), cache)
        except OSError as error:
            peers.failed[tool] = short(str(error))
            continue
        peers.failed.update({name: short(why) for name, why in known["failed"].items()})
        for name, values in known["found"].items():
            peers.found[name] = _peer(name, [values.get(key) for key in keys])
    return peers


def short(error: str) -> str:
    """Return the last line of an error message, without the addresses and paths of the machine that it was seen on."""
    line = error.strip().splitlines()[-1] if error.strip() else "no message"
    return re.sub(r"[^\s'\"(]*/[^\s'\")]*", "...", line)[:200]


def _peer(name: str, values: list) -> Peer:
    if all(value is None or isinstance(value, str) for value in values):
        rows = np.array([signs(value) for value in values], np.float32)
        return Peer(rows, "euclidean", distance(10), "10 of 64 bits")
    size = max(len(value) for value in values if value is not None)
    rows = np.array([[np.nan] * size if value is None else value for value in values], np.float32)
    least = 0.96 if name == "fastdup" else 0.9  # of its connected components; of pairs
    return Peer(rows, "cosine", 1 - least, f"{100 * least:g} % similar")


def _known(tool: str, requirement: str, script: str, files: dict[str, Path], cache: Path) -> dict:
    """Return ``{"found": {name: {digest: value}}, "failed": {name: why}}`` of all files, from the last run or a new one."""
    store = cache / f"{requirement}.json"
    keys = [key for key in files if key]
    if store.exists():
        known = json.loads(store.read_text())
        if set(keys) <= set(known["digests"]) and not known["failed"]:
            return known
    print(f"  {tool}: {len(keys)} pictures", flush=True)
    made = _run(environment(cache, tool, requirement), script, [str(files[key].absolute()) for key in keys])
    found = {name: dict(zip(keys, values, strict=True)) for name, values in made["found"].items()}
    known = {"digests": keys, "found": found, "failed": made["failed"]}
    store.write_text(json.dumps(known))
    return known


def _run(python: Path, script: str, names: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        done = subprocess.run(
            [python, "-c", script, result],
            input=json.dumps(names),
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=os.environ | {"SENTRY_OPT_OUT": "1"},
        )
        if not result.exists():
            raise OSError(done.stderr.strip() or f"exit status {done.returncode}")
        return json.loads(result.read_text())
