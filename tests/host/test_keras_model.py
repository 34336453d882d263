"""VGG16 as a FiftyOne model: FiftyOne's own functions accept it and get the plugin's vectors."""

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest


@pytest.fixture(scope="module")
def keras_model(plugin):
    return plugin("similarity.keras_model")


@pytest.fixture(scope="module")
def model(keras_model):
    return keras_model.Vgg16Model(weights="untrained")


def test_compute_embeddings_stores_the_plugins_own_vectors(plugin, pictures, dataset, model):
    paths = pictures(scenes=2, each=2)
    samples = dataset(paths)
    samples.compute_embeddings(model, embeddings_field="vectors", batch_size=3)
    images, vgg16 = plugin("similarity.engine.images"), plugin("similarity.engine.vgg16")
    pixels = np.stack([images.decode(path) for path in paths])
    expected = vgg16.load(weights="untrained").embed(pixels)
    np.testing.assert_array_equal(np.stack(samples.values("vectors")), expected)


def test_one_at_a_time_gives_the_same_as_a_batch(pictures, dataset, model):
    samples = dataset(pictures(scenes=2, each=1))
    one_by_one = samples.compute_embeddings(model)
    together = samples.compute_embeddings(model, batch_size=2)
    np.testing.assert_array_equal(one_by_one, together)


def test_compute_patch_embeddings_embeds_what_is_inside_the_boxes(pictures, dataset, model):
    samples = dataset(pictures(scenes=1, each=1))
    sample = samples.first()
    halves = [fo.Detection(bounding_box=[x, 0, 0.5, 1]) for x in (0, 0.5)]
    whole = fo.Detection(bounding_box=[0, 0, 1, 1])
    sample["boxes"] = fo.Detections(detections=[*halves, whole])
    sample.save()
    vectors = samples.compute_patch_embeddings(model, "boxes")[sample.id]
    assert vectors.shape == (3, 512)
    np.testing.assert_array_equal(vectors[2], samples.compute_embeddings(model)[0])
    assert not np.allclose(vectors[0], vectors[1])


def test_compute_similarity_takes_the_instance(pictures, dataset, model):
    samples = dataset(pictures(scenes=3, each=2))
    fob.compute_similarity(samples, model=model, brain_key="plain", backend="sklearn", batch_size=6)
    first = samples.first()
    nearest = samples.sort_by_similarity(first.id, k=2, brain_key="plain")
    assert [path.rsplit("/", 1)[1] for path in nearest.values("filepath")] == [
        "scene00-00.png",
        "scene00-01.png",
    ]


def test_it_says_what_decides_its_vectors(plugin, model):
    assert model.provenance == plugin("similarity.engine.vgg16").provenance(weights="untrained")


def test_nothing_embedded_is_an_error(keras_model):
    with pytest.raises(ValueError, match="call embed"):
        keras_model.Vgg16Model(weights="untrained").get_embeddings()
