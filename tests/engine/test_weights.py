"""Weights: the generated ones are the same everywhere, files give what they hold, and nothing falls back."""

import inspect
import os
import subprocess
import sys
from hashlib import md5

import numpy as np
import pytest

from similarity.engine import untrained, vgg16, weights

CONVOLUTIONS = 13


@pytest.fixture(scope="module")
def generated():
    return untrained.generate()


@pytest.fixture(scope="module")
def files(tmp_path_factory, generated):
    """A VGG16 without top as Keras saves it, in each of its formats."""
    import keras

    folder = tmp_path_factory.mktemp("weights")
    network = keras.applications.VGG16(include_top=False, weights=None)
    for layer, arrays in zip((x for x in network.layers if x.weights), generated, strict=True):
        layer.set_weights(arrays)
    network.save_weights(folder / "mine.weights.h5")
    network.save(folder / "mine.h5")
    network.save(folder / "mine.keras")
    whole = keras.Sequential(
        [keras.Input((32, 32, 3)), network, keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    whole.compile("adam", "mse")
    whole.fit(np.zeros((1, 32, 32, 3)), np.zeros((1, 3)), verbose=0, epochs=0)
    for name in ("whole.h5", "whole.keras", "whole.weights.h5"):
        whole.save_weights(folder / name) if "weights" in name else whole.save(folder / name)
    return folder


def assert_same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_untrained_weights_are_those_their_digest_was_taken_of(generated):
    assert untrained.fingerprint(generated) == untrained.DIGEST
    assert weights.digests("untrained", 0) == {"weights_digest": untrained.DIGEST}


def test_untrained_weights_have_vgg16s_shapes_and_the_dense_layers_follow(generated):
    with_top = untrained.generate(dense=2)
    assert_same(with_top[:CONVOLUTIONS], generated)
    assert [kernel.shape for kernel, _ in with_top] == untrained.kernel_shapes(2)
    assert all(kernel.dtype == bias.dtype == np.float32 for kernel, bias in with_top)


def test_untrained_channels_are_alive_and_balanced_on_pictures_they_were_not_made_from(generated):
    vectors = vgg16.Vgg16(weights="untrained", layer="block5_mean", batch_size=4).embed(other_pictures())
    assert (vectors > 0).mean() > 0.95
    assert 0.5 < vectors.mean() < 5


def other_pictures(down=0, right=0):
    """Six pictures of discs from another seed, at the network's own size, seen a little beside."""
    leaves = untrained.dead_leaves(np.random.default_rng(7))[:6]
    blown_up = leaves.repeat(4, axis=1).repeat(4, axis=2)
    return np.ascontiguousarray(blown_up[:, 16 + down : 240 + down, 16 + right : 240 + right])


def test_untrained_weights_tell_scenes_from_small_changes_of_one_scene():
    scenes = other_pictures()
    moved = np.clip(other_pictures(down=4, right=-2) * 1.05, 0, 255).astype(np.uint8)
    vectors = vgg16.Vgg16(weights="untrained", batch_size=4).embed(np.concatenate([scenes, moved]))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    count = len(scenes)
    same = distances[np.arange(count), np.arange(count) + count]
    different = distances[:count, :count][~np.eye(count, dtype=bool)]
    assert same.max() < different.min()
    assert np.median(different) > 2 * np.median(same)


KINDS = ("mine.weights.h5", "mine.h5", "mine.keras", "whole.weights.h5", "whole.h5", "whole.keras")


@pytest.mark.parametrize("name", KINDS)
def test_a_file_gives_exactly_the_weights_it_holds_and_has_their_digest(files, generated, name):
    assert_same(weights.load(files / name, 0), generated)
    assert_same(weights.load(str(files / name), 0), generated)
    assert weights.digests(files / name, 0) == {"weights_digest": untrained.DIGEST}


def test_a_file_is_read_without_the_names_that_early_keras_3_did_not_write(files, generated, tmp_path):
    import h5py

    path = tmp_path / "early.weights.h5"
    path.write_bytes((files / "mine.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.visititems(lambda _, item: item.attrs.pop("name", None))
    assert_same(weights.load(path, 0), generated)


def test_files_are_read_where_keras_has_no_backend(files):
    code = f"from similarity.engine import weights; print(weights.digests({str(files / 'mine.keras')!r}, 0))"
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert untrained.DIGEST in done.stdout


def test_vectors_from_a_file_equal_those_from_the_same_weights_in_memory(files):
    image = other_pictures()[:1]
    from_file = vgg16.Vgg16(weights=files / "mine.weights.h5", batch_size=1)
    in_memory = vgg16.Vgg16(weights="untrained", batch_size=1)
    np.testing.assert_array_equal(from_file.embed(image), in_memory.embed(image))
    assert from_file.provenance["weights"] == "mine.weights.h5"
    assert from_file.provenance["weights_digest"] == in_memory.provenance["weights_digest"]


def test_replaced_weights_have_another_digest(files, tmp_path):
    import h5py

    path = tmp_path / "mine.weights.h5"
    path.write_bytes((files / "mine.weights.h5").read_bytes())
    first = weights.digests(path, 0)
    assert weights.digests(path, 0) == first
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/1"][0] += 1
    assert weights.digests(path, 0) != first


def test_a_missing_file_is_named():
    for ask in (weights.digests, weights.load):
        with pytest.raises(weights.WeightsUnavailable, match=r"/gone/x\.h5"):
            ask("/gone/x.h5", 0)


@pytest.mark.parametrize("name", ["bad.weights.h5", "bad.h5", "bad.keras", "bad.txt"])
def test_a_file_that_is_no_model_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no model at all")
    with pytest.raises(ValueError, match=name):
        weights.load(tmp_path / name, 0)


def test_another_network_is_refused_by_what_it_lacks(tmp_path):
    import keras

    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="block1_conv1")])
    other.save(tmp_path / "other.keras")
    other.save_weights(tmp_path / "other.weights.h5")
    for name in ("other.keras", "other.weights.h5"):
        with pytest.raises(ValueError, match="block1_conv2"):
            weights.load(tmp_path / name, 0)


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.keras"])
def test_dense_layers_are_refused_from_a_file_without_top(files, name):
    with pytest.raises(ValueError, match="fc1"):
        weights.load(files / name, 1)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network, and an empty Keras folder."""
    for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "models"


@pytest.mark.parametrize("layer", ["block5_conv1", "fc2"])
def test_offline_the_message_says_where_to_put_which_file_and_what_else_works(offline, layer):
    with pytest.raises(vgg16.WeightsUnavailable) as caught:
        vgg16.Vgg16(layer=layer)
    name = "vgg16_weights_tf_dim_ordering_tf_kernels" + (".h5" if layer == "fc2" else "_notop.h5")
    message = str(caught.value)
    assert str(offline / name) in message
    assert f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{name}" in message
    assert "'untrained'" in message
    assert not (offline / name).exists()


def test_imagenet_weights_that_are_there_are_used_without_the_network(offline, files, generated, monkeypatch):
    content = (files / "mine.h5").read_bytes()
    offline.mkdir()
    (offline / "published.h5").write_bytes(content)
    monkeypatch.setattr(weights, "_WITHOUT_TOP", ("published.h5", md5(content).hexdigest()))
    assert_same(weights.load("imagenet", 0), generated)
    (offline / "published.h5").write_bytes(content[:-1])
    with pytest.raises(weights.WeightsUnavailable, match=r"published\.h5"):
        weights.load("imagenet", 0)


def test_names_and_hashes_are_those_keras_publishes():
    from keras.src.applications import vgg16 as published

    source = inspect.getsource(published)
    assert weights._URL + weights._WITHOUT_TOP[0] == published.WEIGHTS_PATH_NO_TOP
    assert weights._URL + weights._WITH_TOP[0] == published.WEIGHTS_PATH
    for _, expected in (weights._WITHOUT_TOP, weights._WITH_TOP):
        assert f'file_hash="{expected}"' in source
