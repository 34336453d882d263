"""Picture files to ``(224, 224, 3)`` arrays, by one rule for every picture.

The rule: upright by EXIF, transparency over white, first frame of an animation, grey of more than 8 bits scaled by the
range that it uses (of colour Pillow keeps the upper 8 bits), any colour mode to RGB (colour profiles are not applied),
stretched to a square with antialiasing.
A picture that vanishes over white is laid over black, or shown without its transparency. A file that cannot be read, or
has no contrast, is one lost picture, never a failed run: a failure is an :class:`UnreadableImage`, its message the reason.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b, file_digest
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import modes, sources
from .sources import UnreadableImage as UnreadableImage
from .tones import LEAST_CONTRAST, contrast

SIDE = 224
"""Height and width of every decoded picture, in pixels: the size that VGG16 was trained on."""

MAX_PIXELS = 178_956_970
"""Default size of the largest decoded picture, in pixels of the file; by default Pillow, too, refuses larger ones."""

LARGE_BYTES = 1 << 28
"""A file of more bytes is large, as a picture of more than ``sources.LARGE_PIXELS`` is."""

NOT_THERE = "the file does not exist"

Pixels = NDArray[np.uint8]

_digest = partial(blake2b, digest_size=16)

# At once, in all threads: the bytes of files that are held, and the pixels that are decoded (four bytes each).
_BYTES = sources.Budget(4 * LARGE_BYTES)
_PIXELS = sources.Budget(4 * sources.LARGE_PIXELS)

_BYTES_PER_PIXEL = 8  # of a file without compression: four channels of 16 bits

# Some formats shrink a picture while it is decoded, by a power of two. Twice the final size is left, so that the
# resampling that follows still has enough to average.
_LEAST_DECODED = 2 * SIDE

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Postponed(UnreadableImage):
    """A large picture, left undecoded as asked; the message is its size."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The result of reading one file: exactly one of ``pixels`` and ``error`` is set.

    Attributes:
        pixels: the decoded ``(224, 224, 3)`` uint8 RGB array, or None
        digest: hex digest of the file's bytes, by :func:`digest`; None where they were not read
        error: the reason why there are no pixels, or None
        postponed: whether the reason is that the picture is large
        sharpness: by :func:`~similarity.engine.modes.square`; None without pixels
        vector: its embedding, if the process that read the file made it; there are no pixels then
    """

    pixels: Pixels | None
    digest: str | None
    error: str | None
    postponed: bool = False
    sharpness: float | None = None
    vector: NDArray[np.float32] | None = None


def file_mark(path: str | Path) -> str | None:
    """Return the size and modification time of a file, as text; None if there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"


def digest(path: str | Path) -> str:
    """Return the hex BLAKE2b digest (16 bytes) of a file's content, read in pieces.

    Raises:
        UnreadableImage: if the file cannot be read
    """
    try:
        with sources.opened(path) as (file, _):
            return file_digest(file, _digest).hexdigest()
    except (OSError, ValueError, RuntimeError) as error:
        raise UnreadableImage(_reason(error)) from error


def decode(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a picture as a ``(224, 224, 3)`` uint8 RGB array.

    Args:
        source: a path, or the bytes of a picture file
        max_pixels (MAX_PIXELS): decode nothing whose header claims more pixels than this, and read no file of more bytes
            than a picture of so many pixels needs

    Raises:
        UnreadableImage: if it cannot be read or decoded completely, is too large, or has no contrast
    """
    picture = read(source, max_pixels=max_pixels)
    if picture.pixels is None:
        raise UnreadableImage(picture.error)
    return picture.pixels


def read(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, postpone: bool = False) -> Picture:
    """Read digest and pixels of one file, from the same bytes; a failure is reported in the result, not raised.

    Args:
        source: the file, or its bytes
        max_pixels (MAX_PIXELS): as :func:`decode`
        postpone (False): whether to leave a large picture undecoded
    """
    content_digest = None
    try:
        held = nullcontext(source) if isinstance(source, bytes) else content(source, max_pixels, postpone)
        with held as found:
            content_digest = _digest(found).hexdigest()
            pixels, sharpness = _decoded(found, max_pixels, postpone)
    except UnreadableImage as error:
        return Picture(None, content_digest, str(error), postponed=isinstance(error, Postponed))
    return Picture(pixels, content_digest, None, sharpness=sharpness)


def read_many(
    paths: Iterable[str | Path | bytes],
    *,
    workers: int | None = None,
    ahead: int = 64,
    max_pixels: int = MAX_PIXELS,
    postpone: bool = False,
) -> Iterator[Picture]:
    """Read pictures in threads, ahead of the consumer, and yield them in the order of the paths.

    Closing the iterator cancels reads that have not begun and waits for the others, so no thread outlives it.

    Args:
        paths: the files, or their bytes, consumed only as far as pictures are read ahead
        workers (None): number of threads; None means one for each CPU core this process may use
        ahead (64): most pictures decoded or waiting at any time, 150 kB each when decoded
        max_pixels (MAX_PIXELS): as :func:`decode`
        postpone (False): whether to leave large pictures undecoded; else each is decoded while no other is

    """
    # A container may have far fewer cores than the machine; only Linux tells.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pool = ThreadPoolExecutor(workers or cores, thread_name_prefix="onlyone-decode")
    read_one = partial(read, max_pixels=max_pixels, postpone=postpone)
    coming, waiting = iter(paths), deque[Future[Picture]]()
    try:
        waiting.extend(pool.submit(read_one, path) for path in islice(coming, ahead))
        while waiting:
            picture = waiting.popleft().result()
            waiting.extend(pool.submit(read_one, path) for path in islice(coming, 1))
            yield picture
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def content(path: str | Path, max_pixels: int, postpone: bool) -> Iterator[bytes]:
    """Hold the bytes of a file that :func:`read` would read, counted in the budget inside the block.

    Raises:
        UnreadableImage: if it cannot be read, or is too large
    """
    most = max(LARGE_BYTES, _BYTES_PER_PIXEL * max_pixels)
    try:
        with sources.opened(path) as (file, size):
            if size > most:
                raise UnreadableImage(
                    f"{size:,} bytes, more than the limit of {most:,} for {max_pixels:,} pixels"
                )
            if postpone and size > LARGE_BYTES:
                raise Postponed(f"{size:,} bytes")
            with _BYTES.hold(size):
                yield file.read(size)
    except UnreadableImage:
        raise
    except (
        OSError,
        ValueError,
        MemoryError,
        RuntimeError,
    ) as error:  # RuntimeError: links that lead to each other
        raise UnreadableImage(_reason(error)) from error


def _decoded(content: bytes, max_pixels: int, postpone: bool) -> tuple[Pixels, float]:
    try:
        with sources.identify(content) as image:
            if not image.width or not image.height:
                raise UnreadableImage("a picture without area")
            if image.width * image.height > max_pixels:
                raise UnreadableImage(
                    f"{image.width} x {image.height} pixels, more than the limit of {max_pixels:,} pixels"
                )
            weight = sources.shrink_while_decoding(image, _LEAST_DECODED)
            if postpone and weight > sources.LARGE_PIXELS:
                raise Postponed(f"{image.width} x {image.height} pixels")
            with _PIXELS.hold(weight):
                pixels, sharpness = _to_pixels(image)
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's plugins let nearly every type escape on a damaged file
        raise UnreadableImage(_reason(error)) from error
    if contrast(pixels) < LEAST_CONTRAST:
        raise UnreadableImage("without contrast: all pixels are alike, so there is nothing to compare")
    return pixels, sharpness


def _to_pixels(image: Image.Image) -> tuple[Pixels, float]:
    image.load()
    # The orientation is read after loading: TIFF is turned, and forgets it, while loading.
    turn = None
    with suppress(Exception):  # a damaged EXIF lets nearly every type escape; the picture itself may be fine
        turn = _UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    return modes.square(image, SIDE, modes.white_level(image), turn)


def _reason(error: Exception) -> str:
    """Return an error's reason in plain words: without the path, and without Pillow's name for a buffer."""
    if isinstance(error, UnreadableImage):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return NOT_THERE
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "more pixels than Pillow's limit allows (a decompression bomb?)"
    if isinstance(error, OSError) and error.strerror:
        return f"the file cannot be read: {error.strerror}"
    return f"damaged or incomplete: {error or type(error).__name__}"
