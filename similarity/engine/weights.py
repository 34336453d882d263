"""The sources of VGG16's weights: Keras's ImageNet file, a file of one's own, or generated ones.

Weights are a list of ``(kernel, bias)`` float32 arrays in the order of the network: thirteen convolutions
``(3, 3, in, out)``, then as many of ``fc1`` and ``fc2`` ``(in, out)`` as requested. Files are read as HDF5: no
Keras backend is needed, and no code of a model is run.
"""

import io
import os
import re
import shutil
import zipfile
from functools import lru_cache
from hashlib import file_digest, md5
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray

from . import untrained

Weights = list[tuple[NDArray[np.float32], NDArray[np.float32]]]

IMAGENET = "imagenet"
UNTRAINED = "untrained"

IMAGENET_DIGEST = "ac51411dc6e978715b2bfd07c256ec6b"
"""Digest of Keras's ImageNet convolutions, by :func:`~.untrained.fingerprint`."""

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
# Name and MD5 as Keras publishes them in keras/src/applications/vgg16.py.
_WITHOUT_TOP = ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc")
_WITH_TOP = ("vgg16_weights_tf_dim_ordering_tf_kernels.h5", "64373286793e3c8b2b4e3219cbf3544b")
_SECONDS = 5  # without a byte, after which the network counts as unreachable

_CONVOLUTIONS = tuple(
    f"block{block}_conv{number}"
    for block, (count, _) in enumerate(untrained.BLOCKS, start=1)
    for number in range(1, count + 1)
)
_DENSE = ("fc1", "fc2")

_NUMBERED = re.compile(r"/(conv2d|dense)(?:_(\d+))?/vars/[01]$")
_HOLDS_A_MODEL = "model.weights.h5"  # the member of a .keras archive


class WeightsUnavailable(RuntimeError):
    """The requested weights are not on this machine; the message says how to get them."""


def digests(weights: str | Path, dense: int) -> dict[str, str]:
    """Return digests of the weights' content: of the convolutions, and of ``fc1`` and ``fc2`` separately.

    The same arrays have the same digests in any kind of file. A file is read once until its size or modification time
    changes. ImageNet's dense layers are named by their published file.

    Args:
        weights: ``imagenet``, ``untrained`` or a path
        dense: how many of ``fc1`` and ``fc2`` are needed

    Returns:
        ``weights_digest``, and ``dense_digest`` where ``dense`` is not 0

    Raises:
        WeightsUnavailable: if the path names no file
        ValueError: if the file holds no VGG16
    """
    if weights == IMAGENET:
        found = (IMAGENET_DIGEST, _WITH_TOP[1])
    elif weights == UNTRAINED:
        found = (untrained.DIGEST, untrained.DIGEST)
    else:
        path = _existing(weights)
        status = path.stat()
        found = _file_digests(path, dense, status.st_size, status.st_mtime_ns)
    return dict(zip(("weights_digest", "dense_digest"), found[: 1 + bool(dense)], strict=False))


def load(weights: str | Path, dense: int) -> Weights:
    """Load the arrays.

    Args:
        weights: ``imagenet`` (downloaded once and checked), ``untrained``, or the path of a file that Keras saved of a
            VGG16, or of a model with one in it: ``.weights.h5``, ``.h5`` or ``.keras``
        dense: how many of ``fc1`` and ``fc2`` to append

    Raises:
        WeightsUnavailable: if the path names no file, or the ImageNet file is missing and unreachable
        ValueError: if the file holds no VGG16 or lacks its top where the top is needed
    """
    if weights == UNTRAINED:
        return untrained.generate(dense)
    if weights == IMAGENET:
        return _read(_download(*(_WITH_TOP if dense else _WITHOUT_TOP)), dense)
    return _read(_existing(weights), dense)


def _existing(weights: str | Path) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsUnavailable(
            f"There is no weights file {str(path)!r}. Give the path of a VGG16 that Keras saved "
            f"(.weights.h5, .h5 or .keras), {IMAGENET!r} or {UNTRAINED!r}."
        )
    return path


@lru_cache(maxsize=8)
def _file_digests(path: Path, dense: int, size: int, mtime_ns: int) -> tuple[str, str]:
    arrays = _read(path, dense)
    here = len(_CONVOLUTIONS)
    return untrained.fingerprint(arrays[:here]), untrained.fingerprint(arrays[here:])


def _download(name: str, expected_md5: str) -> Path:
    """Return Keras's file in Keras's cache; the network is used only if the right file is missing."""
    path = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models" / name
    if _has_md5(path, expected_md5):
        return path
    beside = path.with_name(f"{name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urlopen(Request(_URL + name), timeout=_SECONDS) as source, beside.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        if not _has_md5(beside, expected_md5):
            raise OSError("the file that was sent is not the published one")
        beside.replace(path)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: of an address that it was sent on to
        raise WeightsUnavailable(
            f"The ImageNet weights are not on this machine and could not be downloaded ({error}). Either "
            f"download {_URL}{name} elsewhere and put it at {path}; or set weights to the path of a VGG16 "
            f"weights file; or set weights to {UNTRAINED!r}, which works at once, with poorer similarities."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return path


def _has_md5(path: Path, expected: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file_digest(file, md5).hexdigest() == expected


def _read(path: Path, dense: int) -> Weights:
    names = (*_CONVOLUTIONS, *_DENSE[:dense])
    try:
        found = _layers(path)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise ValueError(f"{path.name} cannot be read as a file of Keras ({reason}).") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path.name} holds no VGG16 that fits: it lacks the layers {', '.join(missing)}.")
    weights = [found[name] for name in names]
    shapes, expected = [kernel.shape for kernel, _ in weights], untrained.kernel_shapes(dense)
    if shapes != expected or any(bias.shape != kernel.shape[-1:] for kernel, bias in weights):
        raise ValueError(f"{path.name} holds no VGG16: its kernels are {shapes} instead of {expected}.")
    return weights


def _layers(path: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return VGG16's layers in a file, by name, also those of a nested model."""
    import h5py

    source: Any = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read(_HOLDS_A_MODEL))
    with h5py.File(source, "r") as file:
        items: list[Any] = []
        file.visititems(lambda _, item: items.append(item))
        found: dict[str | None, dict[bool, Any]] = {}
        for item in items:
            if hasattr(item, "dtype") and not item.name.startswith("/optimizer"):
                found.setdefault(_layer_of(item), {}).setdefault(item.ndim > 1, item)
        return {
            name: (np.asarray(pair[True], np.float32), np.asarray(pair[False], np.float32))
            for name, pair in found.items()
            if name is not None and len(pair) == 2
        }


def _layer_of(item: Any) -> str | None:
    """Return the name of an array's layer: Keras 2 names groups after it; Keras 3 numbers them, the name an attribute."""
    named = (*item.name.split("/"), str(item.parent.attrs.get("name", "")))
    for name in reversed((*_CONVOLUTIONS, *_DENSE)):
        if name in named:
            return name
    numbered = _NUMBERED.search(item.name)  # its first versions noted nothing
    if numbered is None or named[-1]:
        return None
    names: tuple[str, ...] = _CONVOLUTIONS if numbered[1] == "conv2d" else _DENSE
    number = int(numbered[2] or 0)
    return names[number] if number < len(names) else None
