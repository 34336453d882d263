"""FiftyOne's own vector databases work on the field that compute_embeddings writes."""

import pytest

from tests import support
from tests.vectors import declare_as_ours
from tools.bench import data

import fiftyone.brain as fob  # isort: skip

index = support.plugin("similarity.steps.index")
options = support.plugin("similarity.search_options")
exact = support.plugin("similarity.engine.exact")
vec = support.plugin("similarity.engine.vectors")


def test_a_large_index_points_to_the_databases(vector_dataset, monkeypatch):
    made = vector_dataset(data.vectors(40))
    assert "lancedb" not in index.index(made, options.IndexOptions()).summary()
    monkeypatch.setattr(index, "LARGE", 40)
    assert "backend='lancedb', metric='cosine'" in index.index(made, options.IndexOptions()).summary()


def test_lancedb_finds_the_same_neighbors(vector_dataset, tmp_path):
    pytest.importorskip("lancedb")
    vectors = data.vectors(300, copies=0)
    made = vector_dataset(vectors)
    declare_as_ours(made)
    fob.compute_similarity(
        made,
        embeddings="vgg16",
        brain_key="lance",
        backend="lancedb",
        metric="cosine",
        uri=str(tmp_path / "lance"),
    )
    ids = made.values("id")
    for row in (0, 17, 299):
        found = made.sort_by_similarity(ids[row], k=10, brain_key="lance").values("id")
        truth, _ = exact.nearest(vectors, vec.norms(vectors), vectors[row], 10)
        assert found == [ids[i] for i in truth]
