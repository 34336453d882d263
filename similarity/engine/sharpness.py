"""The sharpness of a picture: the variance of its Laplacian."""

import numpy as np
from numpy.typing import NDArray

SIDE = 512
"""Long side, in pixels, at which pictures of any size are compared."""


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (four neighbors, edges repeated) of a grey picture ``(h, w)``."""
    padded = np.pad(grey, 1, mode="edge").astype(np.int16)
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    laplacian -= 4 * padded[1:-1, 1:-1]
    return float(laplacian.astype(np.float32).var())
