"""VGG16 weights without training, for tests and trials offline.

Random kernels, then layer by layer every channel scaled and shifted so that its outputs have mean 0 and
variance 1 on generated pictures (data-dependent initialisation: Mishkin & Matas 2016; Krähenbühl et al. 2016).
Without it the channels' means dominate, and all pictures look alike to the cosine.

Every machine gets the same numbers, to the bit: kernels come from integers, the statistics are computed in
float64 and then rounded far above the differences between one machine's sums and another's.
"""

from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and their output channels, block by block; each block ends with 2 x 2 max pooling."""

DENSE_UNITS = 4096
DENSE_INPUTS = 7 * 7 * 512
"""Values of the last pooling for a 224 x 224 picture, which ``fc1`` takes."""

IMAGENET_MEAN = (103.939, 116.779, 123.68)
"""Means that VGG16 subtracts from blue, green and red (Simonyan & Zisserman 2015; keras.applications.vgg16)."""

DIGEST = "d0b632ea6e19433b8878fe69b262f4ef"
"""Digest of the generated weights, by :func:`fingerprint`; a test compares the two."""

_SEED = 51
_PICTURES, _SIDE = 16, 64
_DISCS = 60
_RECTIFIED_VARIANCE = 0.5 - 0.5 / np.pi  # of max(x, 0), for x of a standard normal distribution

Arrays = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def generate(dense: int = 0) -> Arrays:
    """Generate ``(kernel, bias)`` of the convolutions and of the first ``dense`` of ``fc1`` and ``fc2``.

    Takes about a second, and as long again for the dense layers.
    """
    rng = np.random.default_rng(_SEED)
    x = dead_leaves(rng)[..., ::-1] - np.array(IMAGENET_MEAN)
    arrays: Arrays = []
    for count, channels in BLOCKS:
        for _ in range(count):
            kernel = _random(rng, (3, 3, x.shape[-1], channels))
            y = _convolve(x, kernel)
            mean, deviation = y.mean((0, 1, 2)), y.std((0, 1, 2))
            scale, shift = _round(1 / deviation), _round(-mean / deviation)  # to mean 0 and variance 1
            arrays.append((kernel * scale, shift))
            x = np.maximum(y * scale + shift, 0)
        x = np.maximum.reduce([x[:, i::2, j::2] for i, j in np.ndindex(2, 2)])
    return arrays + _dense(rng, dense, float(_round(x.var())))


def fingerprint(arrays: Arrays) -> str:
    """Return the hex digest of the weights' exact values."""
    state = blake2b(digest_size=16)
    for kernel, bias in arrays:
        state.update(kernel.astype("<f4").tobytes())
        state.update(bias.astype("<f4").tobytes())
    return state.hexdigest()


def kernel_shapes(dense: int) -> list[tuple[int, ...]]:
    """Return the shapes of VGG16's kernels in order, with the first ``dense`` of ``fc1`` and ``fc2``."""
    channels = [3] + [width for count, width in BLOCKS for _ in range(count)]
    shapes: list[tuple[int, ...]] = [(3, 3, *pair) for pair in pairwise(channels)]
    return shapes + [(DENSE_INPUTS, DENSE_UNITS), (DENSE_UNITS, DENSE_UNITS)][:dense]


def dead_leaves(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``(16, 64, 64, 3)`` pictures of overlapping discs, of every size and colour.

    Occlusion gives them the edges and the scale invariance of photographs (Lee, Mumford & Huang 2001).
    """
    pictures = np.empty((_PICTURES, _SIDE, _SIDE, 3), np.uint8)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    for picture in pictures:
        picture[:] = rng.integers(0, 256, 3)
        for _ in range(_DISCS):
            radius = _SIDE // (2 * int(rng.integers(1, 17))) + 1
            row, column = rng.integers(0, _SIDE, 2)
            inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
            picture[inside] = rng.integers(0, 256, 3)
    return pictures


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    # Uniform, not normal: it comes from the generator's integers without the machine's exp and log.
    return rng.random(shape, dtype=np.float32) - np.float32(0.5)


def _convolve(x: NDArray[np.float64], kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Convolve ``(n, h, w, in)``, same-padded, 3 x 3: one matrix product for each place in the kernel."""
    n, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((n * height * width, kernel.shape[-1]))
    for row, column in np.ndindex(3, 3):
        window = padded[:, row : row + height, column : column + width]
        y += window.reshape(-1, channels) @ kernel[row, column].astype(np.float64)
    return y.reshape(n, height, width, -1)


def _round(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to 12 binary digits: 1e-4, where machines differ by 1e-13."""
    mantissa, exponent = np.frexp(values)
    rounded: NDArray[np.float64] = np.ldexp(np.rint(mantissa * 4096) / 4096, exponent)
    return rounded.astype(np.float32)


def _dense(rng: np.random.Generator, count: int, variance: float) -> Arrays:
    """Return dense layers scaled by calculation: a pass of large pictures through ``fc1`` would take too long.

    Weights that add up to zero for each unit remove the inputs' common mean.
    """
    arrays: Arrays = []
    for inputs in (DENSE_INPUTS, DENSE_UNITS)[:count]:
        kernel = _random(rng, (inputs, DENSE_UNITS))
        kernel -= kernel.mean(0)
        kernel *= np.float32(np.sqrt(12 / (inputs * variance)))
        arrays.append((kernel, np.zeros(DENSE_UNITS, np.float32)))
        variance = _RECTIFIED_VARIANCE
    return arrays
