"""VGG16 (Simonyan & Zisserman 2015) on TensorFlow: pictures to vectors.

TensorFlow is imported when the first model is built, not before.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import weights as weights_files
from .images import Picture
from .network import SHAPE, build
from .weights import WeightsUnavailable as WeightsUnavailable

Vectors = NDArray[np.float32]
P = TypeVar("P", bound=Picture)

LAYERS = {
    "block5_conv1": 512,
    "block4": 512,
    "block5": 512,
    "block5_mean": 512,
    "block5_max": 512,
    "fc1": 4096,
    "fc2": 4096,
}
"""Layers that give vectors, with their numbers of values.

- ``block5_conv1``, ``block4``: the mean over the 14 x 14 places of Keras's ``block5_conv1`` or ``block4_pool``, each
  place scaled to length 1 before. Its cosine measures the common structure of two pictures, at any position.
- ``block5``: the square root of the same mean over the 7 x 7 places of ``block5_pool``. Its cosine is the Hellinger
  kernel (Arandjelović & Zisserman, CVPR 2012), so that a few strong channels do not dominate.
- ``block5_mean``, ``block5_max``: the plain mean and the maximum over the places of ``block5_pool``.
- ``fc1``, ``fc2``: the dense layers after their ReLU.
"""

PRECISIONS = ("auto", "float32")
"""Values of the option; ``auto`` is ``bfloat16`` where the CPU computes with it and no GPU does the work."""

DEFAULT_LAYER = "block5_conv1"
MODEL = "VGG16"

_DENSE = {"fc1": 1, "fc2": 2}
_CONVOLUTIONS = {"block4": 10, "block5_conv1": 11}  # that are computed; of the other layers all thirteen
VERSION = "2"  # to be raised with every change of this module that changes vectors
_PREPROCESSING = "stretched to 224x224, BGR, ImageNet mean subtracted"
_REMEMBERED_BYTES = 256 << 20


def resolve(precision: str) -> str:
    """Return ``bfloat16`` or ``float32``.

    Args:
        precision: one of :data:`PRECISIONS`, or ``bfloat16`` to require the precision that ``auto`` gave before

    Raises:
        ValueError: if this CPU has no bfloat16 and it is required
    """
    if precision == "auto":
        return "bfloat16" if _cpu_has_bfloat16() and not _gpu_visible() else "float32"
    if precision == "bfloat16" and not _cpu_has_bfloat16():
        raise ValueError("These vectors are bfloat16, and this CPU cannot compute with it: embed again here.")
    return precision


@lru_cache(maxsize=1)
def _cpu_has_bfloat16() -> bool:
    """Return whether oneDNN computes with bfloat16 in hardware; emulated, it would be slower than float32."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return False
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def _gpu_visible() -> bool:
    """Return whether there is an NVIDIA GPU that the process may use, without TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


def provenance(
    *, layer: str = DEFAULT_LAYER, weights: str | Path = "imagenet", precision: str = "auto"
) -> dict[str, str]:
    """Return all that decides a vector, apart from the picture; equal provenance means comparable vectors.

    Does not import TensorFlow, and reads a weights file once for as long as it does not change.

    Args:
        layer (DEFAULT_LAYER): one of :data:`LAYERS`
        weights ("imagenet"): ``imagenet``, ``untrained``, or the path of a weights file
        precision ("auto"): one of :data:`PRECISIONS`, or ``bfloat16`` to require the precision that ``auto`` gave before

    Raises:
        ValueError: if this CPU has no bfloat16 and it is required
        WeightsUnavailable: if the path names no file
    """
    named = weights in (weights_files.IMAGENET, weights_files.UNTRAINED)
    return {
        "model": MODEL,
        "layer": layer,
        "weights": str(weights) if named else Path(weights).name,
        **weights_files.digests(weights, _DENSE.get(layer, 0)),
        "precision": resolve(precision),
        "preprocessing": _PREPROCESSING,
        "version": VERSION,
    }


class Vgg16:
    """The network up to one layer, ready to embed; may be used from several threads.

    Args:
        layer (DEFAULT_LAYER): one of :data:`LAYERS`
        weights ("imagenet"): ``imagenet``, ``untrained``, or the path of a weights file
        precision ("auto"): as for :func:`provenance`
        batch_size (16): pictures embedded at once; vectors do not depend on it
        ready (None): provenance and :func:`arrays` of a network in another process, in place of the first three

    Raises:
        ValueError: if the weights do not fit
        WeightsUnavailable: if the weights are not on this machine and cannot be downloaded
        ImportError: if TensorFlow is not installed
    """

    def __init__(
        self,
        *,
        layer: str = DEFAULT_LAYER,
        weights: str | Path = "imagenet",
        precision: str = "auto",
        batch_size: int = 16,
        ready: tuple[dict[str, str], weights_files.Weights] | None = None,
    ) -> None:
        told, parts = ready or (
            provenance(layer=layer, weights=weights, precision=precision),
            arrays(layer, weights),
        )
        resolve(told["precision"])
        self.provenance = told
        self.dimension = LAYERS[told["layer"]]
        self.batch_size = batch_size
        bfloat16 = told["precision"] == "bfloat16"
        self._session, self._pixels, self._vectors = build(told["layer"], parts, batch_size, bfloat16)

    @cached_property
    def probe(self) -> str:
        """The digest of one fixed picture's vector: two networks with the same probe give the same vectors."""
        picture = np.random.default_rng(51).integers(0, 256, (1, *SHAPE), dtype=np.uint8)
        return blake2b(self.embed(picture).tobytes(), digest_size=16).hexdigest()

    def embed(self, images: NDArray[np.uint8]) -> Vectors:
        """Return the vectors of pictures, ``(m, dimension)`` float32; the same for a picture in any batch and place.

        Args:
            images: ``(m, 224, 224, 3)`` uint8 RGB

        Raises:
            ValueError: if the array has another shape or type
        """
        if images.shape[1:] != SHAPE or images.dtype != np.uint8:
            raise ValueError(f"images must be (m, 224, 224, 3) uint8, got {images.shape} {images.dtype}.")
        vectors = np.empty((len(images), self.dimension), np.float32)
        # One shape serves for all: another batch size would mean another graph and other rounding.
        batch = np.zeros((self.batch_size, *SHAPE), np.uint8)
        for start in range(0, len(images), self.batch_size):
            part = images[start : start + self.batch_size]
            batch[: len(part)] = part
            computed = self._session.run(self._vectors, {self._pixels: batch})
            vectors[start : start + len(part)] = computed[: len(part)]
        return vectors


def arrays(layer: str, weights: str | Path) -> weights_files.Weights:
    """Return the kernels and biases of the network up to a layer."""
    return weights_files.load(weights, _DENSE.get(layer, 0))[: _CONVOLUTIONS.get(layer)]


_loading = threading.Lock()


def load(
    *,
    layer: str = DEFAULT_LAYER,
    weights: str | Path = "imagenet",
    precision: str = "auto",
    batch_size: int = 16,
) -> Vgg16:
    """Return ``Vgg16(...)``, the same model for the same arguments while it is one of the last two used.

    A weights file whose content has changed is loaded anew.
    """
    told = provenance(layer=layer, weights=weights, precision=precision)
    with _loading:
        return _load(layer, weights, precision, batch_size, tuple(told.items()))


@lru_cache(maxsize=2)
def _load(layer: str, weights: str | Path, precision: str, batch_size: int, _: tuple[Any, ...]) -> Vgg16:
    return Vgg16(layer=layer, weights=weights, precision=precision, batch_size=batch_size)


def embed_stream(pictures: Iterable[P], model: Vgg16) -> Iterator[tuple[P, Vectors | None]]:
    """Yield each picture with its vector, in order; None for a picture without pixels.

    Pictures of equal digest cost one pass: the last vectors, 256 MB of them, stay in memory.

    Args:
        pictures: from :func:`images.read_many`

    Yields:
        the picture and its ``(dimension,)`` float32 vector
    """
    known: OrderedDict[str | None, Vectors] = OrderedDict()
    waiting: list[P] = []
    fresh: dict[str | None, NDArray[np.uint8]] = {}

    def answers() -> Iterator[tuple[P, Vectors | None]]:
        if fresh:
            known.update(zip(fresh, model.embed(np.stack(list(fresh.values()))), strict=True))
        for picture in waiting:
            yield picture, None if picture.pixels is None else known[picture.digest]
        waiting.clear()
        fresh.clear()
        while len(known) > _REMEMBERED_BYTES // (4 * model.dimension):
            known.popitem(last=False)

    for picture in pictures:
        waiting.append(picture)
        if picture.pixels is not None and picture.digest not in known:
            fresh[picture.digest] = picture.pixels
        # Long sequences of pictures that need no pass are yielded too, to limit memory.
        if len(fresh) == model.batch_size or len(waiting) == 8 * model.batch_size:
            yield from answers()
    yield from answers()
