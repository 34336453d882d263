"""Generated data of stated size; the same each time."""

from pathlib import Path

import numpy as np
from PIL import Image

DIMENSION = 512


def vectors(n: int, dense: int = 0, copies: float = 0.02, seed: int = 51) -> np.ndarray:
    """Return ``(n, 512)`` float32: groups of about ten near-duplicates, some exact copies, and one dense cluster.

    Args:
        n: how many
        dense (0): size of one cluster whose members are all near one another
        copies (0.02): share of exact copies of other rows
        seed (51): of the random numbers
    """
    rng = np.random.default_rng(seed)
    groups = max(1, (n - dense) // 10)
    centers = rng.exponential(1.0, (groups + 1, DIMENSION)).astype(np.float32)
    group = np.concatenate([np.full(dense, groups), rng.integers(0, groups, n - dense)])
    made = centers[group]
    for start in range(0, n, 50_000):
        part = made[start : start + 50_000]
        part *= 1 + 0.05 * rng.standard_normal(part.shape, dtype=np.float32)
    chosen = rng.integers(0, n, int(copies * n))
    made[rng.integers(0, n, len(chosen))] = made[chosen]
    return made[rng.permutation(n)]


EPS = 0.02  # between members of a group about 0.0013, between groups about 0.5


SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(folder: Path, n: int, megapixels: float | None, seed: int = 51) -> list[str]:
    """Return ``n`` JPEG files of random, smooth pictures, made once; or, without a size, ``n`` of those in the folder."""
    if megapixels is None:
        found = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        return found[:: max(1, len(found) // n)][:n]
    folder.mkdir(parents=True, exist_ok=True)
    width = int((megapixels * 1e6 * 4 / 3) ** 0.5)
    size = (width, width * 3 // 4)
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(n):
        path = folder / f"{number:06d}.jpg"
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        if not path.exists():
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=85)
        paths.append(str(path))
    return paths
