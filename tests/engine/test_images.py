"""Decoding: every kind of picture file gives the same array by one rule, or one readable reason."""

import os
import struct
import zlib
from hashlib import blake2b
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from similarity.engine import images

RAMP = np.arange(256, dtype=np.uint8)


def scene(width=320, height=240):
    """An asymmetric, smooth RGB picture."""
    y, x = np.mgrid[:height, :width]
    red, green, blue = x * 255 // width, y * 255 // height, (x + 2 * y) * 255 // (width + 2 * height)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def encoded(image, file_format="PNG", **options):
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def plain(color, mode="RGB", size=(40, 30)):
    return Image.new(mode, size, color)


def color_of(pixels):
    """The one colour of a uniform result."""
    assert (pixels == pixels[0, 0]).all()
    return tuple(int(value) for value in pixels[0, 0])


def reason(source, **options):
    with pytest.raises(images.UnreadableImage) as caught:
        images.decode(source, **options)
    return str(caught.value)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_every_common_format_gives_a_square_rgb_array(file_format):
    pixels = images.decode(encoded(scene(), file_format))
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    expected = images.decode(encoded(scene())).astype(int)
    assert np.abs(pixels - expected).mean() < 6


def test_a_path_a_string_and_the_bytes_give_the_same(tmp_path):
    file = tmp_path / "ünï #1.png"
    file.write_bytes(encoded(scene()))
    for source in (file, str(file)):
        np.testing.assert_array_equal(images.decode(source), images.decode(file.read_bytes()))


def test_the_content_decides_not_the_name(tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(encoded(scene(), "JPEG"))
    assert images.decode(file).shape == (224, 224, 3)


def test_shrinking_averages_instead_of_picking_pixels():
    checkers = np.indices((896, 896)).sum(0) % 2 * 255
    pixels = images.decode(encoded(Image.fromarray(checkers.astype(np.uint8))))
    assert np.abs(pixels[8:-8, 8:-8].astype(int) - 127).max() <= 2


def test_a_large_jpeg_is_shrunk_while_decoded_without_a_visible_difference():
    photo = scene(4000, 3000)
    from_jpeg = images.decode(encoded(photo, "JPEG", quality=95)).astype(int)
    assert np.abs(from_jpeg - images.decode(encoded(photo))).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_every_exif_orientation_gives_the_upright_picture(orientation, file_format):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that makes this orientation necessary
    stored = scene() if orientation == 1 else scene().transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = images.decode(encoded(stored, file_format, exif=exif))
    np.testing.assert_array_equal(pixels, images.decode(encoded(scene())))


def test_damaged_exif_costs_the_orientation_not_the_picture():
    jpeg = encoded(scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    np.testing.assert_array_equal(images.decode(jpeg), images.decode(encoded(scene(), "JPEG")))


def test_alpha_is_laid_over_white():
    assert color_of(images.decode(encoded(plain((200, 0, 0, 0), "RGBA")))) == (255, 255, 255)
    assert color_of(images.decode(encoded(plain((255, 0, 0, 51), "RGBA")))) == (255, 204, 204)
    assert color_of(images.decode(encoded(plain((0, 51), "LA")))) == (204, 204, 204)


def test_a_transparent_palette_entry_is_white():
    image = plain(1, "P")
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert color_of(images.decode(encoded(image))) == (10, 20, 30)
    assert color_of(images.decode(encoded(image, transparency=1))) == (255, 255, 255)
    assert color_of(images.decode(encoded(image, "GIF", transparency=1))) == (255, 255, 255)


def test_a_transparent_colour_of_an_rgb_picture_is_white():
    assert color_of(images.decode(encoded(plain((9, 8, 7)), transparency=(9, 8, 7)))) == (255, 255, 255)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_counts(file_format):
    frames = [plain("red"), plain("blue"), plain("lime")]
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    with Image.open(BytesIO(content)) as image:
        assert image.n_frames == 3
    assert color_of(images.decode(content)) == (255, 0, 0)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_by_exactly_257(file_format):
    wide = Image.fromarray(np.repeat((RAMP.astype(np.uint16) * 257)[None], 256, axis=0))
    narrow = Image.fromarray(np.repeat(RAMP[None], 256, axis=0))
    np.testing.assert_array_equal(images.decode(encoded(wide, file_format)), images.decode(encoded(narrow)))


def test_big_endian_16_bits_are_read_as_such():
    wide = Image.frombytes("I;16B", (40, 30), b"\x80\x80" * 1200)
    assert color_of(images.decode(encoded(wide, "TIFF"))) == (128, 128, 128)


def test_white_of_32_bits_is_65535_or_the_largest_value_beyond():
    assert color_of(images.decode(encoded(plain(0x8080, "I"), "TIFF"))) == (128, 128, 128)
    assert color_of(images.decode(encoded(plain(1 << 20, "I"), "TIFF"))) == (255, 255, 255)
    assert color_of(images.decode(encoded(plain(-5, "I"), "TIFF"))) == (0, 0, 0)


@pytest.mark.parametrize(
    ("value", "grey"), [(1.0, 255), (0.2, 51), (100.0, 100), (65535.0, 255), (np.nan, 0)]
)
def test_numbers_with_a_fraction_are_scaled_by_the_white_that_holds_them(value, grey):
    assert color_of(images.decode(encoded(plain(value, "F"), "TIFF"))) == (grey, grey, grey)


def test_one_bit_and_grey_become_rgb():
    assert color_of(images.decode(encoded(plain(1, "1")))) == (255, 255, 255)
    assert color_of(images.decode(encoded(plain(77, "L")))) == (77, 77, 77)


def test_cmyk_becomes_rgb():
    red, green, blue = color_of(images.decode(encoded(plain((0, 255, 255, 0), "CMYK"), "TIFF")))
    assert red > 200 > 50 > max(green, blue)
    assert images.decode(encoded(scene().convert("CMYK"), "JPEG")).std() > 30


def test_lab_becomes_rgb():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(scene(), *profiles, outputMode="LAB")
    difference = images.decode(encoded(lab, "TIFF")).astype(int) - images.decode(encoded(scene()))
    assert np.abs(difference).mean() < 3


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert reason(tmp_path / "empty.jpg") == "the file is empty"


def test_a_missing_file_and_a_directory_say_so(tmp_path):
    assert reason(tmp_path / "gone.jpg") == "the file does not exist"
    assert reason(tmp_path) == "a directory, not a file"
    assert reason("a\0b.jpg")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "not a regular file"


def test_text_and_git_lfs_pointers_are_named(tmp_path):
    assert "not a picture" in reason(b"hello, world" * 50)
    assert "git lfs pull" in reason(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_a_truncated_file_is_never_given_pixels(file_format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8))
    content = encoded(noise, file_format)
    message = reason(content[: len(content) // 2])
    assert message
    assert "BytesIO" not in message


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_gives_pixels_or_a_reason_and_no_other_error(seed):
    rng = np.random.default_rng(seed)
    file_format = ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"][seed % 6]
    content = bytearray(encoded(scene(64, 48), file_format))
    for place in rng.integers(0, min(len(content), 600), 6):
        content[place] = rng.integers(0, 256)
    picture = picture_of(bytes(content))
    assert (picture is None) or picture.shape == (224, 224, 3)


def picture_of(content):
    try:
        return images.decode(content)
    except images.UnreadableImage:
        return None


def png_header(width, height):
    """A PNG that ends where its pixels would begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 1 << 20) + b"IDAT"


def test_a_header_that_claims_a_huge_picture_is_refused_before_decoding():
    assert "more pixels" in reason(png_header(100_000, 100_000))
    assert "320 x 240 pixels, more than the limit of 1,000" in reason(encoded(scene()), max_pixels=1_000)


def test_a_picture_without_area_is_refused():
    assert reason(png_header(0, 10))
    assert reason(b"GIF89a\0\0\x05\0\0\0\0;")


def test_pillows_own_settings_are_neither_changed_nor_needed(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    assert "more than the limit" in reason(png_header(100_000, 100_000))
    images.decode(encoded(scene()))
    assert Image.MAX_IMAGE_PIXELS is None
    assert before == ImageFile.LOAD_TRUNCATED_IMAGES


def test_digest_is_blake2b_of_the_bytes(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    assert images.digest(tmp_path / "file") == blake2b(content, digest_size=16).hexdigest()
    with pytest.raises(images.UnreadableImage, match="does not exist"):
        images.digest(tmp_path / "gone")


def test_read_gives_pixels_or_an_error_and_a_digest_whenever_there_are_bytes(tmp_path):
    good, bad, gone = (tmp_path / name for name in ("good.png", "bad.png", "gone.png"))
    good.write_bytes(encoded(scene()))
    bad.write_bytes(b"nonsense")
    ok, damaged, missing = images.read(good), images.read(bad), images.read(gone)
    np.testing.assert_array_equal(ok.pixels, images.decode(good))
    assert (ok.digest, ok.error) == (images.digest(good), None)
    assert (damaged.pixels, damaged.digest) == (None, images.digest(bad))
    assert "not a picture" in damaged.error
    assert (missing.pixels, missing.digest, missing.error) == (None, None, "the file does not exist")


def test_an_array_is_fitted_as_the_file_of_it_would_be():
    array = np.asarray(scene())
    np.testing.assert_array_equal(images.fit(array), images.decode(encoded(scene())))
    assert color_of(images.fit(np.full((9, 9), 7, np.uint8))) == (7, 7, 7)
    assert color_of(images.fit(np.zeros((9, 9, 4), np.uint8))) == (255, 255, 255)


@pytest.mark.parametrize("array", [np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(3)])
def test_an_array_that_is_no_picture_is_refused(array):
    with pytest.raises(images.UnreadableImage):
        images.fit(array)
