"""Vectors of another encoder: whatever FiftyOne's own ``compute_embeddings`` wrote."""

import numpy as np
import pytest

from tests import support

import fiftyone.core.models as fom  # isort: skip


class Encoder(fom.Model, fom.EmbeddingsMixin):
    """The mean of each channel in each quarter of the picture, as a zoo model would be asked for it."""

    media_type, has_embeddings, ragged_batches, transforms, preprocess = "image", True, False, None, True

    def __init__(self, kind):
        self.kind = kind

    def embed(self, arg):
        rows, columns = np.array(arg.shape[:2]) // 2
        quarters = (arg[:rows, :columns], arg[:rows, columns:], arg[rows:, :columns], arg[rows:, columns:])
        return np.concatenate([quarter.mean(axis=(0, 1)) for quarter in quarters]).astype(self.kind)

    predict = embed


def call(name, made, **options):
    return support.foo.get_operator(support.uri(name))(made, **options)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_field_that_fiftyones_compute_embeddings_wrote_is_taken_everywhere(dataset, pictures, kind):
    made = dataset(pictures(scenes=3, each=2))
    made.compute_embeddings(Encoder(kind), embeddings_field="zoo", progress=False)
    first, twin, other, *_ = made.values("id")

    built = call("build_similarity_index", made, embeddings_field="zoo", brain_key="zoo_annoy")
    nearest = call("sort_by_similarity", made, brain_key="zoo_annoy", selected=[first], k=2)
    compared = call("compare_samples", made, embeddings_field="zoo", selected=[first, twin, other])
    clustered = call("cluster_duplicates", made, embeddings_field="zoo", eps=0.01)
    swept = call("sweep_thresholds", made, embeddings_field="zoo")

    assert (built.indexed, clustered.clusters, swept.samples) == (6, 3, 6)
    assert list(nearest.neighbors) == [first, twin]
    assert max(compared.pairs, key=lambda pair: pair.similarity).other_id == twin
