"""Perceptual hashes from the ImageHash package, which is installed into an environment of its own.

The project does not depend on it: it is measured against.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.environments import environment

from .vectors import digests

HASHES = {"phash": "pHash", "dhash": "dHash"}
BITS = 64
DISTANCES = (0, 2, 4, 6, 8, 10, 12, 16)
"""Hamming distances that are reported; peers use 0 to 10 of 64 bits."""

_REQUIREMENT = "ImageHash==4.3.2"
_SCRIPT = """
import json, sys
import imagehash
from PIL import Image
for path in json.load(sys.stdin):
    try:
        with Image.open(path) as image:
            found = {name: str(getattr(imagehash, name)(image)) for name in sys.argv[1:]}
    except Exception:
        found = {}
    print(json.dumps(found), flush=True)
"""


def hash_files(paths: Sequence[Path], cache: Path) -> dict[str, np.ndarray]:
    """Hash picture files; those hashed before are remembered by content.

    Args:
        paths: picture files
        cache: folder for the environment and for what is known already; made if missing

    Returns:
        name -> ``(n, 64)`` of -1 and 1, NaN for a file that the package cannot read. Two rows whose hashes differ in
        ``h`` bits are :func:`distance` ``(h)`` apart, so that the same clustering serves for hashes too

    Raises:
        OSError: if the package cannot be installed
    """
    file = cache / "hashes.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    keys = digests(paths)
    missing = {key: str(path) for key, path in zip(keys, paths, strict=True) if key and key not in known}
    if missing:
        known |= zip(missing, _hash(list(missing.values()), cache), strict=True)
        file.write_text(json.dumps(known))
    return {
        title: np.array([signs(known.get(key, {}).get(name)) for key in keys], dtype=np.float32)
        for name, title in HASHES.items()
    }


def _hash(names: list[str], cache: Path) -> list[dict[str, str]]:
    print(f"  hashing {len(names)} pictures", flush=True)
    command = [environment(cache, "imagehash", _REQUIREMENT), "-c", _SCRIPT, *HASHES]
    done = subprocess.run(command, input=json.dumps(names), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def distance(hamming: float) -> float:
    """Return the Euclidean distance of two rows of :func:`hash_files` that differ in ``hamming`` bits."""
    return 2 * float(np.sqrt(hamming)) + 1e-6


def signs(digits: str | None) -> list[float]:
    """Return the bits of a hash in hexadecimal digits as -1 and 1; NaN for None."""
    if digits is None:
        return [float("nan")] * BITS
    return [1.0 if bit == "1" else -1.0 for bit in f"{int(digits, 16):0{BITS}b}"]
