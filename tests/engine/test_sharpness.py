"""The sharpness of pictures against its definition, and its independence of size, mode and format."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import laplace

from similarity.engine import images
from similarity.engine.modes import sharpness


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 50)])
def test_it_is_the_variance_of_the_laplacian(shape):
    grey = np.random.default_rng(51).integers(0, 256, shape, dtype=np.uint8)
    assert sharpness(grey) == pytest.approx(laplace(grey.astype(float), mode="nearest").var(), rel=1e-5)


def test_a_blurred_picture_is_less_sharp_in_every_mode_and_at_every_size(tmp_path):
    noise = np.random.default_rng(51).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    scene = Image.fromarray(noise).resize((1536, 1024), Image.Resampling.BICUBIC)
    soft = scene.filter(ImageFilter.GaussianBlur(12))
    values = {}
    for name, one in (("sharp", scene), ("soft", soft)):
        turned = Image.Exif()
        turned[0x0112] = 6
        one.save(tmp_path / f"{name}.png")
        one.save(tmp_path / f"{name}.jpg", quality=95, exif=turned)
        one.resize((768, 512), Image.Resampling.LANCZOS).save(tmp_path / f"{name}-half.png")
        wide = Image.fromarray(np.asarray(one.convert("L")).astype(np.uint16) * 257)
        wide.save(tmp_path / f"{name}-16.png")
        values[name] = [
            images.read(tmp_path / f"{name}{rest}").sharpness
            for rest in (".png", ".jpg", "-half.png", "-16.png")
        ]
    assert min(values["sharp"]) > 2 * max(values["soft"])
    assert values["sharp"] == pytest.approx([values["sharp"][0]] * 4, rel=0.35)


def test_a_picture_that_cannot_be_read_has_none(tmp_path):
    assert images.read(tmp_path / "missing.png").sharpness is None
