"""Pictures of any mode as square RGB: transparency, more than 8 bits, and the colour spaces that Pillow knows.

Transparency is laid over white. Where a picture vanishes there (a white drawing, alpha 0 everywhere), it is laid over
black instead, or shown without its alpha: decided from the picture alone.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from .tones import LEAST_CONTRAST, contrast, grey

_VISIBLE = (
    32  # contrast over white, of 255, that shows a picture; a thousandth of its pixels at either end apart
)
_TAIL = 0.001
_TIFF_BITS_PER_SAMPLE = 258


def square(image: Image.Image, side: int, white: int) -> NDArray[np.uint8]:
    """The picture as ``(side, side, 3)`` RGB, stretched with antialiasing.

    Args:
        white: value of white where the picture has 16 bits
    """
    if _is_wide(image) or not image.has_transparency_data:
        return _resized(_to_rgb(image, white), side)
    rgba = image.convert("RGBA")
    shown = [_resized(_composite(rgba, "white"), side)]
    if contrast(shown[0], _TAIL) < _VISIBLE:
        shown.append(_resized(_composite(rgba, "black"), side))
        least, most = cast(tuple[tuple[int, int], ...], rgba.getextrema())[3]
        if most - least < LEAST_CONTRAST:  # where alpha varies, the colours that it hides may be anything
            shown.append(_resized(rgba.convert("RGB"), side))
    return max(shown, key=lambda pixels: (contrast(pixels, _TAIL), contrast(pixels)))


def white_level(image: Image.Image) -> int:
    """Value of white in a 16-bit picture: 65,535, or less in a TIFF of fewer bits (Pillow leaves them)."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(_TIFF_BITS_PER_SAMPLE, (16,))[0]
    return int(2**bits - 1) if 8 < bits < 16 else 65_535


def _resized(image: Image.Image, side: int) -> NDArray[np.uint8]:
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)


def _composite(image: Image.Image, ground: str) -> Image.Image:
    opaque = Image.new("RGBA", image.size, ground)
    opaque.alpha_composite(image)
    return opaque.convert("RGB")


def _is_wide(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _to_rgb(image: Image.Image, white: int) -> Image.Image:
    if _is_wide(image):  # Pillow's own conversion makes everything above 255 white
        whites = (1, 255, white) if image.mode == "F" else (white,)
        return Image.fromarray(grey(np.asarray(image), whites)).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    return image.convert("RGB")
