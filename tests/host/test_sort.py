"""Searching for a picture that is not in the dataset."""

import pytest

from tests import support
from tests.vectors import directions

import fiftyone as fo  # isort: skip


def test_a_picture_is_refused_where_the_weights_are_not_those_of_the_vectors(vector_dataset, pictures):
    made = vector_dataset(directions(0, 1))
    embed = support.plugin("similarity.engine.vgg16").provenance
    info = {
        **embed(layer="block5", weights="untrained"),
        "weights_source": "untrained",
        "weights_digest": "another",
    }
    support.plugin("similarity.samples").declare_field(made, "vgg16", fo.VectorField, "vectors", info)
    support.foo.get_operator(support.uri("build_similarity_index"))(made)

    with pytest.raises(ValueError, match=r"made with weights_digest 'another'.*recompute=True"):
        support.foo.get_operator(support.uri("sort_by_similarity"))(made, picture=str(pictures(1, 1)[0]))
