"""Hostile files: what is opened at all, and how much memory a picture may take."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from similarity.engine import images, modes, sources
from tools import scenes

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n{} loop\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def encoded(image, file_format="PNG", **options):
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def photograph(width, height, mode="RGB"):
    return scenes.photograph("coffee.png").resize((width, height)).convert(mode)


def reason(source, **options):
    with pytest.raises(images.UnreadableImage) as caught:
        images.decode(source, **options)
    return str(caught.value)


def test_a_program_in_a_pictures_clothes_is_not_run(tmp_path):
    (tmp_path / "x.jpg").write_bytes(EPS)
    assert reason(tmp_path / "x.jpg").startswith("not a picture")


def test_no_format_is_opened_that_runs_a_program_or_opens_another_picture():
    Image.init()
    assert {"EPS", "WMF", "IPTC", "MPEG"} <= set(Image.OPEN)
    assert not {"EPS", "WMF", "IPTC", "MPEG", "FITS", "HDF5", "GRIB", "BUFR"} & set(sources.FORMATS)
    assert set(sources.FORMATS) - {"AVIF", "HEIF"} <= set(Image.OPEN)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("/dev/zero", "regular"),
        ("/proc/self/maps", "regular"),
        ("/proc/self/mem", "regular"),
        ("/sys/kernel", "directory"),
    ],
)
def test_a_link_to_a_device_or_into_proc_is_not_opened(tmp_path, target, word):
    (tmp_path / "x.jpg").symlink_to(target)
    assert word in reason(tmp_path / "x.jpg")
    assert images.read(tmp_path / "x.jpg").digest is None


def test_a_link_to_a_picture_is_read_and_one_to_itself_is_not(tmp_path):
    (tmp_path / "picture.png").write_bytes(encoded(photograph(64, 48)))
    (tmp_path / "link.png").symlink_to(tmp_path / "picture.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert images.read(tmp_path / "link.png").error is None
    assert reason(tmp_path / "loop.png")


def test_a_file_of_twelve_gigabytes_is_refused_unread(tmp_path):
    with (tmp_path / "x.png").open("wb") as file:
        file.write(encoded(photograph(64, 48)))
        file.truncate(12 << 30)
    picture = images.read(tmp_path / "x.png")
    assert (picture.pixels, picture.digest) == (None, None)
    assert "12,884,901,888" in picture.error


def test_a_bomb_is_refused_by_its_header(tmp_path):
    row = Image.new("1", (30_000, 30_000))
    (tmp_path / "bomb.png").write_bytes(encoded(row))
    assert "30000 x 30000" in (told := reason(tmp_path / "bomb.png"))
    assert "178,956,970" in told


def test_more_pixels_than_pillows_limit_are_decoded_if_asked_for(monkeypatch):
    content = encoded(photograph(320, 240))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    assert images.decode(content, max_pixels=80_000).shape == (224, 224, 3)
    assert "70,000" in reason(content, max_pixels=70_000)


@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "CMYK", "I;16", "LA"])
def test_a_large_picture_is_reduced_in_strips_to_the_same_picture(monkeypatch, mode, turned):
    image = photograph(1300, 650, "L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x0112] = turned
    content = encoded(image, "TIFF" if mode == "CMYK" else "PNG", exif=exif)
    whole = images.decode(content).astype(int)
    monkeypatch.setattr(modes, "LARGE_PIXELS", 100_000)
    monkeypatch.setattr(modes, "_STRIP_PIXELS", 100_000)
    monkeypatch.setattr(modes, "_KEPT_SIDE", 448)
    reduced = images.decode(content)
    assert np.abs(reduced - whole).mean() < (4 if mode == "1" else 1)


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_large_white_drawing_is_still_laid_over_black(monkeypatch, alpha):
    image = photograph(1200, 900)
    image.putalpha(0)
    if alpha:
        image = Image.new("RGBA", (1200, 900), (255, 255, 255, 0))
        image.paste((255, 255, 255, 255), (300, 300, 900, 600))
    whole = images.decode(encoded(image)).astype(int)
    monkeypatch.setattr(modes, "LARGE_PIXELS", 100_000)
    monkeypatch.setattr(modes, "_KEPT_SIDE", 448)
    assert np.abs(images.decode(encoded(image)) - whole).mean() < 1


@pytest.mark.parametrize(("file_format", "options"), [("JPEG2000", {}), ("JPEG", {"quality": 95})])
def test_formats_that_can_are_reduced_while_they_are_decoded(monkeypatch, file_format, options):
    monkeypatch.setattr(sources, "LARGE_PIXELS", 100_000)
    image = photograph(1800, 1800)
    content = encoded(image, file_format, **options)
    opened = sources.identify(content)
    weight = sources.shrink_while_decoding(opened, 448)
    opened.load()
    assert weight == opened.width * opened.height == 1800 * 1800 // 16
    assert np.abs(images.decode(content).astype(int) - images.decode(encoded(image))).mean() < 3


def test_a_jpeg_2000_without_smaller_resolutions_is_decoded_whole(monkeypatch):
    monkeypatch.setattr(sources, "LARGE_PIXELS", 100_000)
    content = encoded(photograph(1200, 900), "JPEG2000", num_resolutions=1)
    assert sources.shrink_while_decoding(sources.identify(content), 448) == 1200 * 900
    assert images.decode(content).shape == (224, 224, 3)


def test_a_progressive_jpeg_weighs_what_its_coefficients_take():
    content = encoded(photograph(1800, 1350), "JPEG", progressive=True)
    assert sources.shrink_while_decoding(sources.identify(content), 448) == 1800 * 1350


def test_threads_never_hold_more_than_the_budget_and_who_wants_more_is_alone():
    budget, held, seen = sources.Budget(10), [], []
    changing = threading.Lock()

    def work(amount):
        with budget.hold(amount):
            with changing:
                held.append(amount)
                seen.append(list(held))
            threading.Event().wait(0.002)
            with changing:
                held.remove(amount)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 5, 1, 99, 2, 10, 3, 4, 99, 1, 6] * 4))
    assert len(seen) == 48
    assert all(sum(amounts) <= 10 or amounts == [99] for amounts in seen)
    assert any(len(amounts) > 1 for amounts in seen)


def test_large_pictures_are_postponed_if_asked_and_decoded_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LARGE_PIXELS", 10_000)
    monkeypatch.setattr(images, "LARGE_BYTES", 100_000)
    paths = [tmp_path / name for name in ("small.png", "wide.png", "long.png", "bad.png")]
    contents = [
        encoded(photograph(40, 30)),
        encoded(photograph(200, 150)),
        encoded(photograph(40, 30)),
        b"bad",
    ]
    contents[2] += bytes(100_000)
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    postponed = list(images.read_many(paths, postpone=True))
    assert [picture.postponed for picture in postponed] == [False, True, True, False]
    assert [picture.pixels is None for picture in postponed] == [False, True, True, True]
    assert all(picture.error for picture in postponed[1:])
    assert [picture.pixels is None for picture in images.read_many(paths)] == [False, False, False, True]


def test_heic_names_what_reads_it_and_is_read_once_that_is_installed(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(sources.importlib.util, "find_spec", lambda name: None)
        patched.delitem(Image.OPEN, "HEIF", raising=False)
        assert "pip install pillow-heif" in reason(HEIC)
    pytest.importorskip("pillow_heif")
    sources._register_heif()
    image = photograph(320, 240)
    decoded = images.decode(encoded(image, "HEIF", quality=95)).astype(int)
    assert np.abs(decoded - images.decode(encoded(image))).mean() < 6


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read():
    image = photograph(320, 240)
    decoded = images.decode(encoded(image, "AVIF", quality=95)).astype(int)
    assert np.abs(decoded - images.decode(encoded(image))).mean() < 6


def test_where_pillow_reads_no_avif_the_reason_names_the_version(monkeypatch):
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    monkeypatch.setattr(Image, "init", lambda: None)
    assert "Pillow 11.3" in reason(b"\0\0\0\x1cftypavif" + bytes(100))


def test_a_pipe_is_not_waited_for_through_a_link(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x.jpg").symlink_to(tmp_path / "pipe")
    assert reason(tmp_path / "x.jpg") == "not a regular file"
