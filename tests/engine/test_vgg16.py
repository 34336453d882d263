"""The network: right values, equal vectors for equal pictures, and nothing else in the process touched."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pytest

from similarity.engine import untrained, vgg16

HAS_BFLOAT16 = vgg16.provenance(weights="untrained")["precision"] == "bfloat16"


def pictures(count, seed=0):
    """``(count, 224, 224, 3)`` blown-up mosaics, different from one another."""
    rng = np.random.default_rng(seed)
    mosaics = rng.integers(0, 256, (count, 14, 14, 3), dtype=np.uint8)
    return mosaics.repeat(16, axis=1).repeat(16, axis=2)


def cosine_distances(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return 1 - unit @ unit.T


@pytest.fixture(scope="module")
def model():
    return vgg16.Vgg16(weights="untrained", batch_size=2)


@pytest.fixture(scope="module")
def exact_model():
    return vgg16.Vgg16(weights="untrained", precision="float32", batch_size=2)


@pytest.fixture(scope="module")
def keras_outputs():
    """What Keras's own VGG16 with top, filled with the untrained weights, puts out of two pictures, by layer."""
    import keras

    network = keras.applications.VGG16(weights=None)
    filled = [layer for layer in network.layers if layer.name.startswith(("block", "fc")) and layer.weights]
    for layer, arrays in zip(filled, untrained.generate(dense=2), strict=True):
        layer.set_weights(arrays)
    stops = ("block4_pool", "block5_conv1", "block5_pool", "fc1", "fc2")
    outputs = {name: network.get_layer(name).output for name in stops}
    images = keras.applications.vgg16.preprocess_input(pictures(2).astype(np.float32))
    return keras.Model(network.input, outputs).predict(images, verbose=0)


@pytest.mark.parametrize("layer", vgg16.LAYERS)
def test_each_layer_equals_kerass_own_network(layer, keras_outputs):
    stops = {"block4": "block4_pool", "block5_conv1": "block5_conv1", "fc1": "fc1", "fc2": "fc2"}
    expected = keras_outputs[stops.get(layer, "block5_pool")]
    if layer in ("block4", "block5_conv1", "block5"):
        expected = expected / np.linalg.norm(expected, axis=-1, keepdims=True)
    if layer.startswith("block"):
        expected = expected.max((1, 2)) if layer == "block5_max" else expected.mean((1, 2))
    if layer == "block5":
        expected = np.sqrt(expected)
    ours = vgg16.Vgg16(layer=layer, weights="untrained", precision="float32", batch_size=2)
    vectors = ours.embed(pictures(2))
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, ours.dimension) == (2, vgg16.LAYERS[layer])
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_a_vector_depends_on_neither_batch_nor_position(model):
    images = pictures(5)
    together = model.embed(images)
    np.testing.assert_array_equal(model.embed(images[::-1]), together[::-1])
    for image, vector in zip(images, together, strict=True):
        np.testing.assert_array_equal(model.embed(image[None])[0], vector)


def test_a_vector_hardly_depends_on_the_batch_size(exact_model):
    images = pictures(3)
    other = vgg16.Vgg16(weights="untrained", precision="float32", batch_size=3)
    np.testing.assert_allclose(other.embed(images), exact_model.embed(images), rtol=1e-4, atol=1e-4)


def test_no_pictures_give_no_vectors(model):
    assert model.embed(pictures(0)).shape == (0, 512)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 224, 224, 3)), np.zeros((1, 224, 200, 3), np.uint8), np.zeros((224, 224, 3), np.uint8)],
)
def test_arrays_of_another_shape_or_type_are_refused(model, images):
    with pytest.raises(ValueError, match=re.escape(f"{images.shape} {images.dtype}")):
        model.embed(images)


@pytest.mark.skipif(not HAS_BFLOAT16, reason="this CPU has no bfloat16 instructions")
def test_bfloat16_changes_similarities_by_less_than_a_thousandth(model, exact_model):
    images = pictures(4)
    fast, exact = model.embed(images), exact_model.embed(images)
    assert not np.array_equal(fast, exact)
    assert np.abs(cosine_distances(fast) - cosine_distances(exact)).max() < 1e-3


def test_other_models_of_the_process_are_not_changed(model):
    import keras

    x = np.random.default_rng(0).random((4, 32, 32, 8), dtype=np.float32)
    other = keras.Sequential([keras.Input((32, 32, 8)), keras.layers.Conv2D(32, 3), keras.layers.Dense(16)])
    before = other.predict(x, verbose=0)
    model.embed(pictures(2))
    np.testing.assert_array_equal(other.predict(x, verbose=0), before)
    built_after = keras.models.clone_model(other)
    built_after.set_weights(other.get_weights())
    np.testing.assert_array_equal(built_after.predict(x, verbose=0), before)


def in_new_process(code):
    """What the code prints as JSON, run without anything of this process."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_another_process_computes_the_same_vectors(model):
    code = """
import json, numpy as np
from similarity.engine import vgg16
images = np.arange(2 * 224 * 224 * 3, dtype=np.uint32).reshape(2, 224, 224, 3) // 7 % 256
vectors = vgg16.Vgg16(weights="untrained", batch_size=2).embed(images.astype(np.uint8))
print(json.dumps(vectors.tobytes().hex()))
"""
    images = np.arange(2 * 224 * 224 * 3, dtype=np.uint32).reshape(2, 224, 224, 3) // 7 % 256
    assert in_new_process(code) == model.embed(images.astype(np.uint8)).tobytes().hex()


def test_provenance_is_told_without_tensorflow():
    code = """
import json, sys
from similarity.engine import vgg16
told = vgg16.provenance(weights="imagenet"), vgg16.provenance(layer="fc2", weights="untrained")
print(json.dumps([sorted({"tensorflow", "keras"} & set(sys.modules)), told]))
"""
    imported, (imagenet, fc2) = in_new_process(code)
    assert imported == []
    assert imagenet == vgg16.provenance(weights="imagenet")
    assert fc2 == vgg16.provenance(layer="fc2", weights="untrained")
    keys = {"model", "layer", "weights", "weights_digest", "precision", "preprocessing", "version"}
    assert keys == set(imagenet)


def test_a_model_carries_the_provenance_it_was_asked_for(model):
    assert model.provenance == vgg16.provenance(weights="untrained")
    assert vgg16.provenance(weights="untrained", precision="float32")["precision"] == "float32"


def test_bfloat16_is_refused_where_the_cpu_has_none(monkeypatch):
    monkeypatch.setattr(vgg16, "_cpu_has_bfloat16", lambda: False)
    assert vgg16.provenance(weights="untrained")["precision"] == "float32"
    with pytest.raises(ValueError, match="bfloat16"):
        vgg16.provenance(weights="untrained", precision="bfloat16")


def test_load_gives_the_same_model_for_the_same_options(monkeypatch):
    vgg16._load.cache_clear()
    monkeypatch.setattr(vgg16, "Vgg16", lambda **options: dict(options))
    first = vgg16.load(weights="untrained", batch_size=1)
    second = vgg16.load(weights="untrained", batch_size=2)
    assert first is not second
    assert vgg16.load(weights="untrained", batch_size=1) is first
    vgg16.load(layer="block5_max", weights="untrained", batch_size=1)
    assert vgg16.load(weights="untrained", batch_size=1) is first
    assert vgg16.load(weights="untrained", batch_size=2) is not second


@dataclass(frozen=True, eq=False)
class Shown:
    pixels: np.ndarray | None
    digest: str | None


class Counting:
    """A model that says how many pictures went through it."""

    def __init__(self, model):
        self.model, self.dimension, self.batch_size, self.passed = model, model.dimension, model.batch_size, 0

    def embed(self, images):
        self.passed += len(images)
        return self.model.embed(images)


def test_a_stream_is_answered_in_order_and_byte_identical_pictures_once(model):
    images = pictures(6)
    order = [0, 0, 1, None, 2, 1, 3, 4, 0, 5, None, 5]
    stream = [Shown(None, None) if i is None else Shown(images[i], str(i)) for i in order]
    counting = Counting(model)
    answers = list(vgg16.embed_stream(iter(stream), counting))
    assert [picture for picture, _ in answers] == stream
    expected = model.embed(images)
    for i, (_, vector) in zip(order, answers, strict=True):
        assert vector is None if i is None else np.array_equal(vector, expected[i])
    assert counting.passed == 6


def test_an_endless_stream_is_answered_as_it_comes(model):
    repeated = vgg16.embed_stream(repeat(Shown(pictures(1)[0], "same")), model)
    broken = vgg16.embed_stream(repeat(Shown(None, None)), model)
    assert next(repeated)[1].shape == (512,)
    assert next(broken)[1] is None


def test_an_empty_stream_gives_nothing(model):
    assert list(vgg16.embed_stream(iter([]), model)) == []
