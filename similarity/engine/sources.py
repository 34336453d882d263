"""Picture files as bytes, and bytes as pictures that are not decoded yet.

A file's name is not trusted. Only regular files are read, up to the requested size. Only the formats listed here are
opened: Pillow alone would pass an EPS to Ghostscript, whatever the file's name.
"""

import importlib.util
import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, cast

from PIL import Image, ImageFile

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "AVIF", "HEIF", "JPEG2000"),
    *("PSD", "QOI", "DDS", "PCX", "SGI", "SUN", "XBM", "XPM"),
    "TGA",  # has no signature, so every other one is tried before
)
"""Pillow's names of the formats that are opened, HEIF as pillow-heif registers it. None starts another program."""

LARGE_PIXELS = 50_000_000
"""A picture that puts more pixels into memory is large: it is decoded while no other is, and converted in strips."""

_GIT_LFS = b"version https://git-lfs"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


class UnreadableImage(ValueError):
    """A picture that cannot be decoded, or has no contrast; the message is the reason, without the path."""


class Budget:
    """An amount that threads share: each holds a part of it while it works.

    A request for more than the whole gets the whole, once no other thread holds a part.

    Args:
        amount: the whole
    """

    def __init__(self, amount: int):
        self._amount = self._free = amount
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Wait until the amount is free, and hold it inside the block."""
        amount = min(amount, self._amount)
        with self._changed:
            self._changed.wait_for(lambda: amount <= self._free)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[BufferedReader, int]]:
    """Open a regular file; yield it and its size in bytes.

    Opening a pipe or a device could block forever, and a file below /proc can be the memory of a process.

    Raises:
        UnreadableImage: if the path is no regular file
        OSError: if the file cannot be opened
    """
    target = Path(path).resolve(strict=True)
    mode = target.stat().st_mode
    if stat.S_ISDIR(mode):
        raise UnreadableImage("a directory, not a file")
    if not stat.S_ISREG(mode) or target.parts[1:2] in (("proc",), ("sys",)):
        raise UnreadableImage("not a regular file")
    with target.open("rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def identify(content: bytes) -> ImageFile.ImageFile:
    """Return the picture in the bytes of a file, by its header alone.

    As ``Image.open(formats=FORMATS)``, but without Pillow's limit of pixels, which applies to the whole process.

    Raises:
        UnreadableImage: if there is none, or the library that reads it is not installed
        Exception: nearly any, of a damaged header
    """
    if not content:
        raise UnreadableImage("the file is empty")
    if content.startswith(_GIT_LFS):
        raise UnreadableImage("a Git LFS pointer instead of the picture: fetch it with `git lfs pull`")
    Image.init()
    brand = content[8:12] if content[4:8] == b"ftyp" else None
    if brand in _HEIF_BRANDS:
        _register_heif()
    for name in FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        fits = accept is None or accept(content[:16])
        if not fits or isinstance(fits, str):  # a text says which library Pillow was built without
            continue
        try:
            return factory(BytesIO(content), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # raised by a plugin for another format
            continue
    if brand in _AVIF_BRANDS:
        raise UnreadableImage("an AVIF picture: install Pillow 11.3 or newer (`pip install -U pillow`)")
    raise UnreadableImage("not a picture, or in a format that is not opened")


def _register_heif() -> None:
    if "HEIF" in Image.OPEN:
        return
    if importlib.util.find_spec("pillow_heif") is None:
        raise UnreadableImage("a HEIC picture: install pillow-heif (`pip install pillow-heif`)")
    import pillow_heif

    pillow_heif.register_heif_opener()


def shrink_while_decoding(image: ImageFile.ImageFile, least: int) -> int:
    """Have the format reduce a picture while it decodes it, where it can.

    Args:
        image: as :func:`identify` returns it
        least: neither side becomes smaller than this

    Returns:
        the number of pixels that decoding then holds in memory
    """
    whole = image.width * image.height
    if image.format == "JPEG2000":
        halvings = min(_halvings(image), (min(image.size) // least).bit_length() - 1)
        if whole <= LARGE_PIXELS or halvings < 1:
            return whole
        plugin: Any = image  # its attribute hides the method of the same name
        plugin.reduce = halvings
        return whole >> (2 * halvings)
    image.draft(None, (least, least))
    if image.info.get("progressive"):  # all its coefficients are kept until the last scan is read
        return whole
    return image.width * image.height


def _halvings(image: ImageFile.ImageFile) -> int:
    """Return how often a JPEG 2000 can be halved while decoding, from its COD segment (ISO 15444-1, A.6.1)."""
    content = cast(BytesIO, image.fp).getvalue()
    at = content.find(b"\xff\x4f\xff\x51") + 2
    while at > 1 and content[at : at + 1] == b"\xff":
        if content[at + 1] == 0x52:
            return content[at + 9]
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return 0
