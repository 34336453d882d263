"""Pictures of any mode as square RGB: transparency, more than 8 bits, and the colour spaces that Pillow knows.

Transparency is laid over white. Where a picture vanishes there (a white drawing, alpha 0 everywhere), it is laid over
black instead, or shown without its alpha: decided from the picture alone.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from .sources import LARGE_PIXELS
from .tones import LEAST_CONTRAST, contrast, grey

_STRIP_PIXELS = 1 << 22
_KEPT_SIDE = 1024  # pixels left of a large picture's side, up to twice as many: the resampling still averages

_SHARP_SIDE = 512  # long side, in pixels, at which the sharpness of pictures of any size is measured
# Contrast over white, of 255, that shows a picture; a thousandth of its pixels at either end apart.
_VISIBLE = 32
_TAIL = 0.001
_TIFF_BITS_PER_SAMPLE = 258


def square(
    image: Image.Image, side: int, white: int, turn: Image.Transpose | None = None
) -> tuple[NDArray[np.uint8], float]:
    """Return the picture as ``(side, side, 3)`` RGB, stretched with antialiasing, and its sharpness.

    The sharpness is measured at a long side of 512 pixels.

    Args:
        white: value of white in a picture of 16 bits
        turn (None): transposition applied first
    """
    if image.mode.startswith(("I", "F")):  # Pillow's own conversion makes everything above 255 white
        whites = (1, 255, white) if image.mode == "F" else (white,)
        image = Image.fromarray(grey(np.asarray(image), whites))

    def fitted(to_rgb: Callable[[Image.Image], Image.Image]) -> tuple[NDArray[np.uint8], float]:
        small = _averaged(image, to_rgb)
        upright = small if turn is None else small.transpose(turn)
        pixels = np.asarray(upright.resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)
        # At one size for all.
        size = [max(1, round(length * _SHARP_SIDE / max(small.size))) for length in small.size]
        return pixels, sharpness(np.asarray(small.convert("L").resize(size, Image.Resampling.BILINEAR)))

    if not image.has_transparency_data:
        return fitted(_to_rgb)
    shown = [fitted(partial(_composite, ground="white"))]
    if contrast(shown[0][0], _TAIL) < _VISIBLE:
        shown.append(fitted(partial(_composite, ground="black")))
        least, most = _alpha_range(image)
        if most - least < LEAST_CONTRAST:  # where alpha varies, the hidden colours are arbitrary
            shown.append(fitted(lambda strip: strip.convert("RGBA").convert("RGB")))
    return max(shown, key=lambda one: (contrast(one[0], _TAIL), contrast(one[0])))


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (four neighbors, edges repeated) of a grey picture ``(h, w)``."""
    padded = np.pad(grey, 1, mode="edge").astype(np.int16)
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    laplacian -= 4 * padded[1:-1, 1:-1]
    return float(laplacian.astype(np.float32).var())


def white_level(image: Image.Image) -> int:
    """Return the value of white in a 16-bit picture: 65,535, or less in a TIFF of fewer bits (Pillow leaves them)."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(_TIFF_BITS_PER_SAMPLE, (16,))[0]
    return int(2**bits - 1) if 8 < bits < 16 else 65_535


def _averaged(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return the picture as RGB; a large one averaged down to some thousand pixels a side.

    It is converted strip by strip, since conversions of the whole would take several times its memory.
    """
    if image.width * image.height <= LARGE_PIXELS:
        return to_rgb(image)
    across, down = (max(1, length // _KEPT_SIDE) for length in image.size)
    small = Image.new("RGB", (-(-image.width // across), -(-image.height // down)))
    for top, strip in _strips(image, down):
        small.paste(to_rgb(strip).reduce((across, down)), (0, top // down))
    return small


def _strips(image: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield the top and the pixels of full-width strips, whose heights but the last are multiples of a number."""
    rows = multiple * max(1, _STRIP_PIXELS // (image.width * multiple))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _alpha_range(image: Image.Image) -> tuple[int, int]:
    ranges = [strip.convert("RGBA").getchannel("A").getextrema() for _, strip in _strips(image, 1)]
    least, most = zip(*cast(list[tuple[int, int]], ranges), strict=True)
    return min(least), max(most)


def _composite(image: Image.Image, ground: str) -> Image.Image:
    opaque = Image.new("RGBA", image.size, ground)
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque.convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    return image.convert("RGB")
