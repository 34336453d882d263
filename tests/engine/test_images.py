"""Decoding: every kind of picture file gives the same array by one rule, or one readable reason."""

import os
import struct
import zlib
from hashlib import blake2b
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFile, ImageFilter

from similarity.engine import images
from tools import scenes
from tools.quality import decoding

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


def half(color, other="black", mode="RGB", size=(40, 30)):
    """A picture whose left half has a colour, and whose right half another one."""
    image = Image.new(mode, size, other)
    image.paste(color, (0, 0, size[0] // 2, size[1]))
    return image


def levels(value, *others, kind=np.uint16):
    """The left half of one value, the right half in stripes of others."""
    return Image.fromarray(
        np.repeat(np.repeat([value, *others], [20] + [4] * len(others))[None], 30, axis=0).astype(kind)
    )


def color_of(pixels):
    """The one colour of a result's left third."""
    left = pixels[:, : images.SIDE // 3]
    assert (left == left[0, 0]).all()
    return tuple(int(value) for value in left[0, 0])


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
    checkers[:, 448:] = 0
    pixels = images.decode(encoded(Image.fromarray(checkers.astype(np.uint8))))
    assert np.abs(pixels[8:-8, 8:104].astype(int) - 127).max() <= 2


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
    ink = (0, 0, 0, 255)
    assert color_of(images.decode(encoded(half((200, 0, 0, 0), ink, "RGBA")))) == (255, 255, 255)
    assert color_of(images.decode(encoded(half((255, 0, 0, 51), ink, "RGBA")))) == (255, 204, 204)
    assert color_of(images.decode(encoded(half((0, 51), (0, 255), "LA")))) == (204, 204, 204)


def test_a_transparent_palette_entry_is_white():
    image = half(1, 0, "P")
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert color_of(images.decode(encoded(image))) == (10, 20, 30)
    assert color_of(images.decode(encoded(image, transparency=1))) == (255, 255, 255)
    assert color_of(images.decode(encoded(image, "GIF", transparency=1))) == (255, 255, 255)


def test_a_transparent_colour_of_an_rgb_picture_is_white():
    assert color_of(images.decode(encoded(half((9, 8, 7)), transparency=(9, 8, 7)))) == (255, 255, 255)


def drawn(ink, mode="RGBA", width=6):
    """A ring and a bar of one ink on a transparent ground."""
    alpha = Image.new("L", (200, 160))
    pen = ImageDraw.Draw(alpha)
    pen.ellipse((20, 20, 120, 120), outline=255, width=width)
    pen.rectangle((140, 30, 180, 140), fill=255)
    image = Image.new("RGB", alpha.size, (ink,) * 3)
    image.putalpha(alpha)
    return image.convert(mode)


def opaque(image, ground):
    """The picture as it looks on a ground."""
    sheet = Image.new("RGBA", image.size, ground)
    sheet.alpha_composite(image.convert("RGBA"))
    return sheet.convert("RGB")


@pytest.mark.parametrize("ink", [255, 250])
@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TGA"), ("RGBA", "TIFF")],
)
def test_a_white_drawing_is_laid_over_black(ink, mode, file_format):
    image = drawn(ink, mode)
    options = {"WEBP": {"lossless": True}}.get(file_format, {})
    decoded = images.decode(encoded(image, file_format, **options))
    np.testing.assert_array_equal(decoded, images.decode(encoded(opaque(image, "black"))))


def test_a_white_drawing_of_a_palette_is_laid_over_black():
    image = Image.new("P", (40, 30), 0)
    image.putpalette([255, 255, 255, 255, 255, 255])
    image.paste(1, (10, 10, 20, 25))
    decoded = images.decode(encoded(image, transparency=0))
    assert (decoded[112, 80].tolist(), decoded[112, 200].tolist()) == ([255] * 3, [0] * 3)


@pytest.mark.parametrize("ink", [0, 100, 200])
def test_any_other_drawing_is_laid_over_white(ink):
    image = drawn(ink)
    decoded = images.decode(encoded(image))
    np.testing.assert_array_equal(decoded, images.decode(encoded(opaque(image, "white"))))


@pytest.mark.parametrize(("ink", "ground"), [(0, "white"), (255, "black")])
def test_a_soft_shadow_is_seen_over_the_ground_that_shows_it(ink, ground):
    image = drawn(ink)
    image.putalpha(image.getchannel("A").filter(ImageFilter.GaussianBlur(12)).point(lambda a: a // 9))
    decoded = images.decode(encoded(image))
    np.testing.assert_array_equal(decoded, images.decode(encoded(opaque(image, ground))))


def test_a_few_dark_pixels_do_not_hide_a_white_drawing():
    image = drawn(255)
    image.putpixel((100, 150), (0, 0, 0, 255))
    assert images.decode(encoded(image)).mean() < 128


@pytest.mark.parametrize("alpha", [0, 3])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TGA", "TIFF", "BMP"])
def test_where_alpha_is_alike_everywhere_and_hides_the_picture_the_colours_are_shown(alpha, file_format):
    image = scene()
    image.putalpha(alpha)
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    content = decoding.bitmap(image) if file_format == "BMP" else encoded(image, file_format, **options)
    with Image.open(BytesIO(content)) as opened:
        assert opened.mode == "RGBA"
    np.testing.assert_array_equal(images.decode(content), images.decode(encoded(scene())))


@pytest.mark.parametrize("mode", ["P", "LA"])
def test_a_picture_whose_every_colour_is_transparent_is_shown_without_transparency(mode):
    image = scene().convert("L")
    if mode == "LA":
        content = encoded(Image.merge("LA", (image, Image.new("L", image.size, 0))))
    else:
        content = encoded(image.convert("P"), transparency=bytes(256))
    np.testing.assert_array_equal(images.decode(content), images.decode(encoded(image)))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_counts(file_format):
    frames = [half("red"), half("blue"), half("lime")]
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
    wide = Image.frombytes("I;16B", (40, 3), (b"\x80\x80" * 20 + b"\0\0" * 10 + b"\xff\xff" * 10) * 3)
    assert color_of(images.decode(encoded(wide, "TIFF"))) == (128, 128, 128)


def test_float_pictures_of_a_usual_range_are_scaled_by_it():
    photograph = np.asarray(scenes.photograph("camera.png").convert("L"))
    expected = images.decode(encoded(Image.fromarray(photograph)))
    for values in (photograph / 255, photograph, photograph * 257.0):
        wide = Image.fromarray(values.astype(np.float32))
        np.testing.assert_array_equal(images.decode(encoded(wide, "TIFF")), expected)


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (273.0, 320.0, np.float32),  # kelvin
        (-20.0, 40.0, np.float32),  # Celsius
        (-0.9, 0.2, np.float32),  # an index of vegetation, over water
        (-9.5e4, -1.5e4, np.float32),
        (0, 1023, np.uint16),
        (0, 4095, np.uint16),
        (0, 16383, np.uint16),
        (7200, 8400, np.uint16),  # counts of a thermal camera
        (100_000, 900_000, np.int32),
        (-5000, -200, np.int32),
    ],
)
def test_other_numbers_are_scaled_by_the_range_that_they_use(low, high, kind):
    values = low + RAMP / 255 * (high - low)
    wide = Image.fromarray(np.repeat(values[None], 256, axis=0).astype(kind))
    pixels = images.decode(encoded(wide, "TIFF")).astype(int)
    expected = images.decode(encoded(Image.fromarray(np.repeat(RAMP[None], 256, axis=0))))
    assert np.abs(pixels - expected).max() <= 1


def test_big_endian_counts_are_scaled_like_little_endian_ones():
    counts = np.linspace(7200, 8400, 1200, dtype=np.uint16).reshape(30, 40)
    big = Image.frombytes("I;16B", (40, 30), counts.astype(">u2").tobytes())
    np.testing.assert_array_equal(
        images.decode(encoded(big, "TIFF")), images.decode(encoded(Image.fromarray(counts), "TIFF"))
    )


@pytest.mark.parametrize("mark", [np.nan, np.inf, -np.inf, -9999, -32768, 3.4028235e38, -3.4028235e38])
def test_a_mark_for_no_data_does_not_decide_the_tones_of_the_rest(mark):
    values = np.linspace(100, 2500, 256 * 256, dtype=np.float32).reshape(256, 256)
    values[:64] = mark
    ground = images.decode(encoded(Image.fromarray(values), "TIFF"))[80:, :, 0]
    assert int(ground.max()) - int(ground.min()) > 120
    assert (np.diff(ground.mean(axis=1)) >= 0).all()


@pytest.mark.parametrize("pixels", [1, 20])
def test_dead_pixels_do_not_decide_the_tones_of_the_rest(pixels):
    counts = np.linspace(7200, 8400, 256 * 256).reshape(256, 256).astype(np.uint16)
    before = images.decode(encoded(Image.fromarray(counts))).astype(int)
    places = np.random.default_rng(51).choice(counts.size, pixels, replace=False)
    counts.flat[places] = np.resize([65535, 0, 40000], pixels)
    changed = np.abs(images.decode(encoded(Image.fromarray(counts))) - before) > 3
    assert changed.mean() < 0.001 * pixels


def test_two_drawings_of_three_tones_do_not_become_two_of_two():
    for tones in ([0, 60_000, 65_535], [7, 8, 40_000], [0, 1, 65_535]):
        pixels = images.decode(encoded(levels(*tones)))[:, :, 0]
        assert len(set(np.unique(pixels[:, [60, 176, 208]]))) == 3


def test_frames_of_one_camera_never_fall_on_two_sides_of_a_step():
    photograph = np.asarray(scenes.photograph("coffee.png").convert("L").resize((224, 224))) / 255
    frames = [photograph * 65535 * exposure for exposure in np.linspace(1, 0.1, 91)]
    decoded = np.array([images.decode(encoded(Image.fromarray(f.astype(np.uint16)))) for f in frames], int)
    assert np.abs(np.diff(decoded, axis=0)).mean(axis=(1, 2, 3)).max() < 6
    assert decoded[-1].std() > 0.9 * decoded[0].std()


def test_a_float_picture_that_varies_by_rounding_only_is_without_contrast():
    values = np.full((30, 40), 300, np.float32)
    values[:, ::3] = np.nextafter(np.float32(300), np.float32(301))
    assert reason(encoded(Image.fromarray(values), "TIFF")).startswith("without contrast")


def test_one_bit_and_grey_become_rgb():
    assert color_of(images.decode(encoded(half(1, 0, "1")))) == (255, 255, 255)
    assert color_of(images.decode(encoded(half(77, 0, "L")))) == (77, 77, 77)


def test_cmyk_becomes_rgb():
    red, green, blue = color_of(
        images.decode(encoded(half((0, 255, 255, 0), (0, 0, 0, 255), "CMYK"), "TIFF"))
    )
    assert red > 200 > 50 > max(green, blue)
    assert images.decode(encoded(scene().convert("CMYK"), "JPEG")).std() > 30


def test_lab_becomes_rgb():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(scene(), *profiles, outputMode="LAB")
    difference = images.decode(encoded(lab, "TIFF")).astype(int) - images.decode(encoded(scene()))
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (40, 30), "blue"),
        Image.new("RGB", (40, 30), "white"),
        Image.new("RGBA", (40, 30), (200, 0, 0, 0)),
        Image.new("RGBA", (40, 30), (0, 0, 0, 5)),
        Image.fromarray(np.full((30, 40), 7200, np.uint16)),
        half((100, 100, 100), (108, 108, 108)),
        half((255, 255, 255, 255), (255, 255, 255, 245), "RGBA"),
    ],
)
def test_a_picture_without_contrast_has_nothing_to_compare(image):
    assert reason(encoded(image)).startswith("without contrast")


def test_from_twelve_grey_levels_on_there_is_something_to_compare():
    assert images.decode(encoded(half((100, 100, 100), (112, 112, 112)))).std() > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.0, -9999, 0])
def test_a_float_picture_of_one_value_is_without_contrast(value):
    assert reason(encoded(Image.new("F", (40, 30), value), "TIFF")).startswith("without contrast")


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert "empty" in reason(tmp_path / "empty.jpg")


def test_a_missing_file_and_a_directory_say_so(tmp_path):
    assert "not exist" in reason(tmp_path / "gone.jpg")
    assert "directory" in reason(tmp_path)
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
    assert "BytesIO" not in message  # Pillow's own words name an object in memory


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
    assert "100000 x 100000" in reason(png_header(100_000, 100_000))
    told = reason(encoded(scene()), max_pixels=1_000)
    assert "320 x 240" in told
    assert "1,000" in told


def test_a_picture_without_area_is_refused():
    assert reason(png_header(0, 10))
    assert reason(b"GIF89a\0\0\x05\0\0\0\0;")


def test_pillows_own_settings_are_neither_changed_nor_needed(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    assert "100000 x 100000" in reason(png_header(100_000, 100_000))
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
    assert (missing.pixels, missing.digest) == (None, None)
    assert "not exist" in missing.error
