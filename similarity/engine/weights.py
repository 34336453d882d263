"""Where VGG16's numbers come from: Keras's ImageNet file, a file of one's own, or generated ones.

Weights are a list of ``(kernel, bias)`` float32 arrays in the order of the network: thirteen convolutions
``(3, 3, in, out)``, then as many of ``fc1`` and ``fc2`` ``(in, out)`` as are asked for.
"""

import os
from collections.abc import Iterable
from functools import lru_cache, partial
from hashlib import blake2b, file_digest, md5
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray

from . import untrained

Weights = list[tuple[NDArray[np.float32], NDArray[np.float32]]]

IMAGENET = "imagenet"
UNTRAINED = "untrained"

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
# Name and MD5 as Keras publishes them in keras/src/applications/vgg16.py.
_WITHOUT_TOP = ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc")
_WITH_TOP = ("vgg16_weights_tf_dim_ordering_tf_kernels.h5", "64373286793e3c8b2b4e3219cbf3544b")
_REACH_SECONDS = 5

_CONVOLUTIONS = tuple(
    f"block{block}_conv{number}"
    for block, (count, _) in enumerate(untrained.BLOCKS, start=1)
    for number in range(1, count + 1)
)


class WeightsUnavailable(RuntimeError):
    """The weights asked for are not on this machine; the message says how to get them there."""


def digest(weights: str | Path, dense: int) -> str:
    """Hex digest that names the weights' content, without TensorFlow and without loading them.

    A file's digest is kept until its size or modification time changes.

    Args:
        weights: ``imagenet``, ``untrained`` or a path
        dense: how many of ``fc1`` and ``fc2`` are needed; ImageNet's come in another file

    Raises:
        WeightsUnavailable: if the path names no file
    """
    if weights == IMAGENET:
        return _imagenet_file(dense)[1]
    if weights == UNTRAINED:
        return untrained.DIGEST
    path = _existing(weights)
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


def load(weights: str | Path, dense: int) -> Weights:
    """The arrays themselves.

    Args:
        weights: ``imagenet`` (downloaded once and checked), ``untrained``, or the path of a file that Keras
            saved of a VGG16: ``.weights.h5``, ``.h5`` or ``.keras``
        dense: how many of ``fc1`` and ``fc2`` to append

    Raises:
        WeightsUnavailable: if the path names no file, or the ImageNet file is missing and out of reach
        ValueError: if the file holds no VGG16 or lacks its top where that is needed
    """
    if weights == UNTRAINED:
        return untrained.generate(dense)
    path = _download(*_imagenet_file(dense)) if weights == IMAGENET else _existing(weights)
    return _read(path, dense)


def _imagenet_file(dense: int) -> tuple[str, str]:
    return _WITH_TOP if dense else _WITHOUT_TOP


def _existing(weights: str | Path) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsUnavailable(
            f"There is no weights file {str(path)!r}. Give the path of a VGG16 that Keras saved "
            f"(.weights.h5, .h5 or .keras), {IMAGENET!r} or {UNTRAINED!r}."
        )
    return path


@lru_cache(maxsize=8)
def _file_digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, partial(blake2b, digest_size=16)).hexdigest()


def _download(name: str, expected_md5: str) -> Path:
    """Keras's file in Keras's cache; the network is touched only where the right file is not there yet."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    path = home / "models" / name
    if _has_md5(path, expected_md5):
        return path
    try:
        # Keras waits as long as the system does, for minutes where packets vanish: so ask first.
        with urlopen(Request(_URL + name, method="HEAD"), timeout=_REACH_SECONDS):
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        _keras().utils.get_file(
            name, _URL + name, cache_subdir="models", cache_dir=str(home), file_hash=expected_md5
        )
    except ImportError:
        raise
    except Exception as error:  # Keras raises a bare Exception where its download fails
        raise WeightsUnavailable(_how_to_get(path, error)) from error
    return path


def _has_md5(path: Path, expected: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file_digest(file, md5).hexdigest() == expected


def _how_to_get(path: Path, error: Exception) -> str:
    return (
        f"The ImageNet weights are not on this machine and could not be downloaded ({error}). Either "
        f"download {_URL}{path.name} elsewhere and put it at {path}; or set weights to the path of a VGG16 "
        f"weights file; or set weights to {UNTRAINED!r}, which works at once, with poorer similarities."
    )


def _read(path: Path, dense: int) -> Weights:
    model = _saved_model(path) if path.suffix == ".keras" else _loaded_model(path, dense)
    found = {layer.name: layer.get_weights() for layer in model.layers}
    missing = [name for name in _needed(dense) if len(found.get(name, ())) != 2]
    if missing:
        raise ValueError(f"{path.name} holds no VGG16 that fits: it lacks the layers {', '.join(missing)}.")
    return _checked(path, (found[name] for name in _needed(dense)))


def _needed(dense: int) -> tuple[str, ...]:
    return (*_CONVOLUTIONS, *("fc1", "fc2")[:dense])


def _saved_model(path: Path) -> Any:
    try:
        return _keras().models.load_model(path, compile=False)
    except Exception as error:  # whatever the file's content provokes in Keras
        raise ValueError(f"Keras cannot load a model from {path.name}: {_first_line(error)}") from error


def _loaded_model(path: Path, dense: int) -> Any:
    """VGG16 filled from a weights file, without the top where the file has none and none is needed."""
    failures = []
    for top in (False, True)[bool(dense) :]:
        model = _keras().applications.VGG16(include_top=top, weights=None)
        try:
            model.load_weights(path)
        except Exception as error:  # whatever the file's content provokes in Keras and HDF5
            failures.append(f"{'with' if top else 'without'} top: {_first_line(error)}")
        else:
            return model
    raise ValueError(f"{path.name} does not fit VGG16 as Keras defines it ({'; '.join(failures)}).")


def _checked(path: Path, pairs: Iterable[Any]) -> Weights:
    """The pairs, if their shapes are VGG16's: a saved model may use these names for anything."""
    weights = [(np.asarray(kernel, np.float32), np.asarray(bias, np.float32)) for kernel, bias in pairs]
    shapes = [kernel.shape for kernel, _ in weights]
    expected = untrained.kernel_shapes(len(weights) - len(_CONVOLUTIONS))
    if shapes != expected:
        raise ValueError(f"{path.name} holds no VGG16: its kernels are {shapes} instead of {expected}.")
    return weights


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def _keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
    except ImportError as error:
        raise ImportError("Reading weights needs Keras: install it with `pip install tensorflow`.") from error
    return keras
