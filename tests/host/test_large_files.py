"""Pictures that a process may die of: they cost nothing but themselves."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import support

import fiftyone as fo  # isort: skip

step = support.plugin("similarity.steps.embed")
options = support.plugin("similarity.options")
sources = support.plugin("similarity.engine.sources")

KILLED = """
import importlib, os, signal, sys
import fiftyone as fo, fiftyone.operators as foo
foo.list_operators()
plugin = lambda name: importlib.import_module(f"{sys.argv[2]}.similarity.{name}")
plugin("engine.sources").LARGE_PIXELS = 2_000
images = plugin("engine.images")
decode = images._to_pixels

def die_of_wide_ones(image):
    if image.width > 100:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(image)

images._to_pixels = die_of_wide_ones
plugin("steps.embed").embed(fo.load_dataset(sys.argv[1]), plugin("options").EmbedOptions(weights="untrained"))
"""


def embed(samples, progress=None, **given):
    asked = options.EmbedOptions(**{"weights": "untrained", **given})
    return step.embed(samples, asked, *([progress] if progress else []))


def killed(made):
    """Embed in another process, and tell whether it died of the widest picture."""
    command = [sys.executable, "-c", KILLED, made.name, support.PACKAGE]
    code = subprocess.run(command, check=False).returncode
    made.reload()
    return code == -signal.SIGKILL


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Five small pictures, a large one, the one that kills, and another large one, in turns."""
    rng, folder = np.random.default_rng(51), tmp_path_factory.mktemp("large")
    sides = [16, 64, 16, 120, 16, 16, 64, 16]
    for number, side in enumerate(sides):
        noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def files(originals, tmp_path):
    """The same, which a test may change."""
    return [Path(shutil.copy2(path, tmp_path)) for path in originals]


@pytest.fixture(scope="module")
def killed_once(originals):
    """The dataset of all files after the first process has died."""
    made = fo.Dataset()
    made.add_samples([fo.Sample(filepath=str(path)) for path in originals])
    assert killed(made)
    yield made
    made.delete()


@pytest.fixture
def left_behind(killed_once, files):
    """A copy of it, of files that a test may change."""
    made = killed_once.clone()
    made.set_values("filepath", [str(path) for path in files])
    yield made
    made.delete()


def test_a_file_that_kills_the_process_is_left_out_next_time_with_the_reason(left_behind, files):
    made = left_behind
    has_vector = [vector is not None for vector in made.values("vgg16")]
    assert has_vector == [True, True, True, False, True, True, False, True]
    result = embed(made)
    assert [path for path, vector in zip(files, made.values("vgg16"), strict=True) if vector is None] == [
        files[3]
    ]
    reason = made[str(files[3])].vgg16_error
    assert "recompute=True" in reason
    assert made.exists("vgg16_error").count() == 1
    assert list(result.skipped.values()) == [reason]
    assert embed(made).skipped == result.skipped
    assert (embed(made, recompute=True).embedded, made.exists("vgg16_error").count()) == (8, 0)


def test_a_file_that_killed_the_process_is_read_again_once_it_has_changed(left_behind, files):
    made = left_behind
    Image.open(files[0]).save(files[3])
    result = embed(made)
    assert (result.embedded, result.skipped) == (2, {})
    assert made[str(files[3])].vgg16_error is None


def test_a_vector_of_earlier_content_does_not_survive_the_file_that_kills(dataset, files):
    made = dataset(files[2:5])
    Image.open(files[0]).rotate(90).save(files[3])
    embed(made)
    Image.effect_noise((120, 120), 60).save(files[3])
    assert killed(made)
    embed(made)
    assert made[str(files[3])].vgg16 is None
    assert embed(made, recompute=True).embedded == 3


def test_a_run_that_is_cancelled_among_large_files_accuses_none(dataset, files, monkeypatch):
    monkeypatch.setattr(sources, "LARGE_PIXELS", 2_000)
    made = dataset(files)

    def cancel(what, done, total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(made, cancel)
    assert made.exists("vgg16").count() == 6
    assert made.exists("vgg16_error").count() == 0
    assert (embed(made).up_to_date, made.exists("vgg16").count()) == (6, 8)


def test_max_pixels_decides_which_pictures_are_decoded(dataset, files):
    made = dataset(files[2:5])
    result = embed(made, max_pixels=10_000)
    assert (result.embedded, len(result.skipped)) == (2, 1)
    assert "10,000" in made[str(files[3])].vgg16_error
    assert embed(made).embedded == 1
