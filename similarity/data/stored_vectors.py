"""Vectors as the database stores them, and what they hold: NumPy files, compressed, or lists of numbers.

FiftyOne opens each as a file of its own, which takes four times as long as the decompression. The headers of a field's
vectors are equal byte by byte, so one is read for all of them.
"""

import functools
import io
import zlib
from typing import Any

import fiftyone.core.utils as fou
import numpy as np

_MAGIC = np.lib.format.magic(1, 0)
_LENGTH = len(_MAGIC) + 2  # of magic, and of the length of what follows


def decode(value: Any) -> np.ndarray | None:
    """What a raw value of a field of vectors holds: as FiftyOne's own reader, None for None. Not to be written to."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple):
        return np.array(value)
    content = zlib.decompress(value)
    end = _LENGTH + int.from_bytes(content[len(_MAGIC) : _LENGTH], "little")
    dtype = _dtype(content[:end])
    return fou.deserialize_numpy_array(value) if dtype is None else np.frombuffer(content, dtype, offset=end)


@functools.lru_cache(maxsize=256)
def _dtype(header: bytes) -> np.dtype | None:
    """The type of the values behind a header; None where they are not one row of numbers."""
    if not header.startswith(_MAGIC):
        return None
    shape, _, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header[len(_MAGIC) :]))
    return dtype if len(shape) == 1 and dtype.kind in "fiu" else None
