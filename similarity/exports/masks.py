"""Masks of objects, as annotation files write them, to pixels: FiftyOne's parser of COCO needs pycocotools for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from skimage import draw


def from_runs(runs: Sequence[int], width: int, height: int) -> np.ndarray:
    """Pixels from the lengths of runs of 0 and 1 in turn, row by row; ``(height, width)`` bool.

    Raises:
        ValueError: if they are not those of so many pixels
    """
    if sum(runs) != width * height:
        raise ValueError(f"a mask of {sum(runs):,} pixels, and its place has {width} x {height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def from_coco(segmentation: Any, box: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """Pixels of a segmentation of COCO's within its box, ``(h, w)`` bool.

    Args:
        segmentation: outlines, or runs over the whole picture, column by column
        box: left, top, width and height in pixels
        size: width and height of the picture
    """
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    right, bottom = min(size[0], round(box[0] + box[2])), min(size[1], round(box[1] + box[3]))
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        counts = _uncompressed(counts) if isinstance(counts, str) else counts
        return from_runs(counts, size[1], size[0]).T[top:bottom, left:right]
    pixels = np.zeros((bottom - top, right - left), bool)
    for outline in segmentation:
        # scikit-image counts from the centre of the first pixel, COCO from its corner.
        rows, columns = np.subtract(outline[1::2], top + 0.5), np.subtract(outline[::2], left + 0.5)
        pixels[draw.polygon(rows, columns, pixels.shape)] = True
    return pixels


def _uncompressed(text: str) -> list[int]:
    """Lengths of runs from COCO's text: five bits a character, the lowest first; from the fourth on, differences."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
