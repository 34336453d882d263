"""The measuring of real pictures, on generated vectors: it needs no picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.quality import hashes, measure, page, sets

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("original", "near", "crop", "frame_static")


@pytest.fixture
def pictures():
    return [
        sets.Picture(f"photos/{group}-{kind}.jpg", f"group {group}", kind)
        for group in range(20)
        for kind in KINDS
    ]


@pytest.fixture
def vectors(pictures):
    rng = np.random.default_rng(51)
    centres = np.repeat(np.abs(rng.normal(size=(20, 64))), len(KINDS), axis=0)
    far = np.array([2.0 if picture.kind == "crop" else 0.02 for picture in pictures])[:, None]
    return (centres + far * rng.normal(size=centres.shape)).astype(np.float32)


def test_a_set_that_the_vectors_tell_apart_is_kept_once_each_and_its_crops_apart(pictures, vectors):
    found = measure.measure(pictures, vectors)
    assert (found.chosen.kept, found.chosen.mixed, found.chosen.recall, found.chosen.precision) == (
        40,
        0,
        1,
        1,
    )
    assert (found.found("near"), found.found("crop")) == ((20, 20), (0, 20))
    assert found.best.f1 == 1
    assert found.clean.recall == 1


def test_what_cannot_be_read_is_left_out(pictures, vectors):
    vectors[0] = np.nan
    assert len(measure.measure(pictures, vectors).pictures) == len(pictures) - 1


def test_hashes_are_as_far_apart_as_their_bits_differ():
    rows = np.array([hashes._signs("0" * 16), hashes._signs("0" * 15 + "7"), hashes._signs("f" * 16)])
    apart = np.linalg.norm(rows[0] - rows[1:], axis=1)
    assert apart == pytest.approx([hashes.distance(3), hashes.distance(64)], abs=1e-4)
    assert apart[0] > hashes.distance(2)


def test_every_picture_is_in_the_set_of_everything(pictures):
    assert all(sets.SETS[-1].holds(picture) for picture in pictures)


def test_the_page_names_every_set_and_says_that_weights_are_untrained(pictures, vectors):
    report = {"block5": measure.measure(pictures, vectors)}
    layers = dict.fromkeys((chosen.name for chosen in sets.SETS), report)
    told = page.render(page.Results(weights="untrained", layers=layers, hashes={}))
    assert all(f"### {chosen.title}" in told for chosen in sets.SETS)
    assert "These figures are for untrained weights" in told
    trained = page.render(page.Results(weights="imagenet", layers=layers, hashes={}))
    assert "untrained weights" not in trained


def test_without_a_data_folder_it_says_what_is_missing():
    command = [sys.executable, "-m", "tools.quality"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "DATA=path/to/data" in done.stdout
