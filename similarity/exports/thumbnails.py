"""Small JPEGs of pictures, as text that a page can hold."""

import base64
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from ..engine import images

LONG_SIDE = 180  # pixels; twice the size on paper, and at most images.SIDE
_QUALITY = 80
_TURNED = range(5, 9)  # EXIF orientations that exchange width and height


def thumbnails(paths: Iterable[str], long_side: int = LONG_SIDE) -> dict[str, str]:
    """Return a ``data:`` URL for each picture that can be read.

    The pictures are decoded by the engine's one rule, so that a page shows them as the model saw them, but with their own
    aspect ratio.

    Args:
        long_side (LONG_SIDE): pixels
    """
    distinct = list(dict.fromkeys(paths))
    return {
        path: _data_url(picture.pixels, long_side, *_upright_size(path))
        for path, picture in zip(distinct, images.read_many(distinct), strict=True)
        if picture.pixels is not None
    }


def _upright_size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        turned = image.getexif().get(0x0112, 1) in _TURNED
        return (image.height, image.width) if turned else image.size


def _data_url(pixels: np.ndarray, long_side: int, width: int, height: int) -> str:
    scale = long_side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    encoded = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
