"""The threshold belongs to the vectors: looked up by their provenance, never read off the data."""

import numpy as np
import pytest

from similarity.engine import calibration, vgg16
from similarity.engine.weights import IMAGENET_DIGEST

OURS = vgg16.provenance(weights="imagenet", precision="float32")


@pytest.mark.parametrize("weights", ["imagenet", "untrained"])
@pytest.mark.parametrize("layer", vgg16.LAYERS)
def test_every_layer_has_a_threshold_but_imagenets_dense_ones(weights, layer):
    found = calibration.threshold(vgg16.provenance(weights=weights, layer=layer, precision="float32"))
    if weights == "imagenet" and layer.startswith("fc"):
        assert found is None
    else:
        assert found.measured
        assert 0 < found.eps < 0.3


def test_the_default_is_97_percent_similar():
    assert calibration.threshold(OURS) == calibration.Threshold(0.03, measured=True)


def test_other_weights_of_vgg16_take_imagenets_value_and_say_so():
    found = calibration.threshold({**OURS, "weights": "mine.h5", "weights_digest": "0" * 32})
    assert found == calibration.Threshold(0.03, measured=False)


def test_a_renamed_file_of_the_same_arrays_is_the_same():
    assert OURS["weights_digest"] == IMAGENET_DIGEST
    assert calibration.threshold({**OURS, "weights": "renamed.keras"}).measured


@pytest.mark.parametrize(
    "provenance", [{}, {**OURS, "model": "CLIP"}, {**OURS, "version": "1"}, {**OURS, "layer": "fc2"}]
)
def test_vectors_of_another_origin_have_none(provenance):
    assert calibration.threshold(provenance) is None


def test_the_usual_distance_is_the_median_of_pairs_and_the_same_each_time():
    vectors = np.random.default_rng(0).random((300, 16)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    every = (1 - unit @ unit.T)[np.triu_indices(300, 1)]
    found = calibration.usual_distance(vectors)
    assert found == pytest.approx(np.median(every), rel=0.02)
    assert found == calibration.usual_distance(vectors)
    assert calibration.usual_distance(vectors[:1]) == np.inf
