"""What becomes of pictures that are easily decoded to nothing: n different ones of each kind in, how many are kept.

The pictures are made of photographs that come inside scikit-image and scikit-learn.
"""

import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from similarity.engine import images, vgg16
from similarity.engine.clusters import dbscan
from similarity.engine.keepers import keep

from ..scenes import scenes
from .page_peers import table

Write = Callable[[Image.Image, Path], None]
"""Writes a photograph, RGB, as a file of some kind; the name has no suffix."""


@dataclass(frozen=True)
class DecodingRow:
    """What becomes of one kind of picture: how many different ones go in, are kept, and are skipped with a reason."""

    kind: str
    pictures: int
    kept: int
    skipped: int


def decoding_rows(weights: str, layer: str, eps: float) -> list[DecodingRow]:
    """Make pictures of each kind, embed and cluster them, and count.

    Args:
        weights: as the option of that name
        layer: a layer of VGG16
        eps: distance within which two pictures are neighbors
    """
    model = vgg16.load(layer=layer, weights=weights)
    photographs = list(scenes().values())
    with tempfile.TemporaryDirectory() as folder:
        return [_row(kind, write, photographs, Path(folder), model, eps) for kind, write in KINDS.items()]


def decoding_table(rows: list[DecodingRow]) -> list[str]:
    """Return the rows as lines of a Markdown table."""
    head = ("kind of picture", "different ones in", "kept", "skipped, without contrast")
    return table(
        head, [[row.kind, str(row.pictures), str(row.kept), str(row.skipped)] for row in rows]
    ).splitlines()


def _row(
    kind: str, write: Write, photographs: list[Image.Image], folder: Path, model: vgg16.Vgg16, eps: float
) -> DecodingRow:
    files = [folder / str(number) for number in range(len(photographs))]
    for photograph, file in zip(photographs, files, strict=True):
        write(photograph, file)
    stream = vgg16.embed_stream(images.read_many(files), model)
    vectors = [vector for _, vector in stream if vector is not None]
    kept = 0
    if vectors:
        matrix = np.stack(vectors)
        kept = int(keep(matrix, dbscan(matrix, eps=eps), eps=eps).kept.sum())
    return DecodingRow(kind, len(files), kept, len(files) - len(vectors))


def outline(photograph: Image.Image) -> Image.Image:
    """Return the edges of a photograph as a drawing: 255 on its lines, 0 beside them."""
    grey = np.asarray(photograph.convert("L").filter(ImageFilter.GaussianBlur(2)), float)
    down, right = np.gradient(grey)
    steep = np.hypot(down, right)
    return Image.fromarray(np.where(steep > np.quantile(steep, 0.9), 255, 0).astype(np.uint8))


def bitmap(image: Image.Image) -> bytes:
    """Return a BMP file with alpha: Pillow reads such files and writes none."""
    red, green, blue, alpha = image.convert("RGBA").transpose(Image.Transpose.FLIP_TOP_BOTTOM).split()
    pixels = Image.merge("RGBA", (blue, green, red, alpha)).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    size = (image.width, image.height, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header = struct.pack("<IiiHHIIiiII", 108, *size) + masks + bytes(52)
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels
    )


def _drawing(ink: int, file_format: str, alpha: Callable[[Image.Image], Image.Image] = outline) -> Write:
    def write(photograph: Image.Image, path: Path) -> None:
        image = Image.new("RGB", photograph.size, (ink,) * 3)
        image.putalpha(alpha(photograph))
        image.save(path, file_format, **({"lossless": True} if file_format == "WEBP" else {}))

    return write


def _palette(photograph: Image.Image, path: Path) -> None:
    """Return white lines on a transparent ground, in a palette of two whites."""
    image = outline(photograph).point(lambda value: value // 255)
    image.putpalette([255] * 6)
    image.save(path, "PNG", transparency=0)


def _shadow(photograph: Image.Image) -> Image.Image:
    return outline(photograph).filter(ImageFilter.GaussianBlur(3)).point(lambda value: value // 2)


def _hidden(file_format: str) -> Write:
    """Return the photograph with alpha 0 everywhere."""

    def write(photograph: Image.Image, path: Path) -> None:
        image = photograph.copy()
        image.putalpha(0)
        if file_format == "BMP":
            path.write_bytes(bitmap(image))
        else:
            image.save(
                path, file_format, **({"lossless": True, "exact": True} if file_format == "WEBP" else {})
            )

    return write


def _numbers(low: float, high: float, kind: type = np.uint16, mark: float | None = None) -> Write:
    """Return the photograph's grey as numbers of a range, with a corner marked as without data where asked for."""

    def write(photograph: Image.Image, path: Path) -> None:
        grey = np.asarray(photograph.convert("L"), float) / 255
        values = (low + grey * (high - low)).astype(kind)
        if mark is not None:
            values[: values.shape[0] // 4, : values.shape[1] // 4] = mark
        Image.fromarray(values).save(path, "TIFF" if kind is np.float32 else "PNG")

    return write


def _flat(photograph: Image.Image, path: Path) -> None:
    """Write a sheet of the photograph's mean colour."""
    photograph.resize((1, 1), Image.Resampling.BOX).resize(photograph.size).save(path, "PNG")


def _faint(photograph: Image.Image, path: Path) -> None:
    photograph.convert("L").point(lambda value: 245 + value // 25).save(path, "PNG")


KINDS: dict[str, Write] = {
    "white drawings, transparent PNG": _drawing(255, "PNG"),
    "white drawings, transparent WebP": _drawing(255, "WEBP"),
    "white drawings, PNG with a transparent palette entry": _palette,
    "nearly white drawings (250), transparent PNG": _drawing(250, "PNG"),
    "soft white shadows, transparent PNG": _drawing(255, "PNG", _shadow),
    "black drawings, transparent PNG": _drawing(0, "PNG"),
    "photographs with alpha 0 everywhere, PNG": _hidden("PNG"),
    "the same, WebP": _hidden("WEBP"),
    "the same, TGA": _hidden("TGA"),
    "the same, TIFF": _hidden("TIFF"),
    "the same, BMP": _hidden("BMP"),
    "float, kelvin (273 to 320)": _numbers(273, 320, np.float32),
    "float, Celsius (-20 to 40)": _numbers(-20, 40, np.float32),
    "float, vegetation index (-0.2 to 0.9)": _numbers(-0.2, 0.9, np.float32),
    "float, elevation (100 to 2,500), no data = -9999": _numbers(100, 2500, np.float32, -9999),
    "float, elevation, no data = NaN": _numbers(100, 2500, np.float32, np.nan),
    "float, elevation, no data = -3.4e38": _numbers(100, 2500, np.float32, -3.4028235e38),
    "10 bits in 16": _numbers(0, 1023),
    "12 bits in 16": _numbers(0, 4095),
    "14 bits in 16": _numbers(0, 16383),
    "thermal counts (7,200 to 8,400) in 16 bits": _numbers(7200, 8400),
    "thermal counts, border of 0": _numbers(7200, 8400, mark=0),
    "16 bits, full": _numbers(0, 65535),
    "sheets of one colour": _flat,
    "photographs reduced to 11 levels of nearly white": _faint,
}
