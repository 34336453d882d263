"""The demo's pictures, and that its result does not hang on the luck of one seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from similarity.engine import clusters, images, keepers, suggest, sweep, vgg16
from tools import scenes


def test_there_are_28_scenes_and_no_two_are_the_same():
    found = scenes.scenes()

    assert len(found) == 28
    assert len({picture.resize((16, 16)).tobytes() for picture in found.values()}) == 28
    assert all(picture.mode == "RGB" and max(picture.size) <= scenes.SIDE for picture in found.values())


def test_halves_do_not_overlap():
    picture = scenes.photograph("china.jpg")

    left, right = scenes.halves(picture)

    joined = np.hstack([np.asarray(left), np.asarray(right)])
    assert np.array_equal(joined, np.asarray(picture)[:, : joined.shape[1]])


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(tmp_path):
    for folder, seed in (("a", 51), ("b", 51), ("c", 52)):
        scenes.make_pictures(tmp_path / folder, n=6, seed=seed)

    def content(folder):
        return [path.read_bytes() for path in sorted((tmp_path / folder).iterdir())]

    assert content("a") == content("b")
    assert content("a") != content("c")


def test_every_scene_is_pictured_and_the_truth_says_where(tmp_path):
    names = scenes.make_pictures(tmp_path / "pictures", n=112, truth=tmp_path / "truth.csv")

    assert set(names) == set(scenes.scenes())
    assert scenes.read_truth(tmp_path / "truth.csv") == {f"{i:03d}.jpg": name for i, name in enumerate(names)}


def test_a_picture_is_its_scene_shifted_by_little_and_lighter_or_darker_by_little():
    scene = scenes.scenes()["camera"]
    rng = np.random.default_rng(51)
    plain = np.asarray(scene, float)

    for _ in range(20):
        picture = np.asarray(scenes.jittered(scene, rng), float)
        lost = plain.shape[0] - picture.shape[0]
        assert 0 < lost <= plain.shape[0] * scenes.SHIFT + 1
        assert abs(picture.mean() / plain.mean() - 1) < scenes.LIGHT + 0.02


@pytest.fixture(scope="module")
def model():
    return vgg16.load(weights="untrained")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_every_scene_is_kept_exactly_once_whatever_the_jitter(model, tmp_path, seed):
    names = scenes.make_pictures(tmp_path, seed=seed)
    files = sorted(Path(tmp_path).iterdir())
    vectors = np.stack([vector for _, vector in vgg16.embed_stream(images.read_many(files), model)])

    eps = suggest.suggest(sweep.sweep(vectors)).eps
    kept = keepers.keep(vectors, clusters.dbscan(vectors, eps=eps), eps=eps).kept

    assert Counter(np.array(names)[kept]) == dict.fromkeys(scenes.scenes(), 1)
