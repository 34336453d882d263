import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from similarity.engine import clusters, neighbors
from similarity.engine import vectors as vec

STORED, STREAMED = 2**30, 0


def scikit_learn(vectors, eps, min_samples=2, metric="cosine"):
    model = DBSCAN(eps=eps, min_samples=min_samples, metric=metric)
    return model.fit(vectors.astype(np.float64)).labels_


@st.composite
def datasets(draw):
    """Random clusters with copies and, sometimes, zero distances between vectors of different length."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, k = draw(st.integers(1, 60)), draw(st.integers(2, 8)), draw(st.integers(1, 6))
    vectors = rng.random((k, d))[rng.integers(0, k, n)] + 0.05 * rng.normal(size=(n, d))
    vectors[rng.integers(0, n, n // 3)] = vectors[rng.integers(0, n)]
    vectors[rng.integers(0, n, n // 5)] = 2 * vectors[rng.integers(0, n)]
    return vectors.astype(np.float32)


@given(datasets(), st.floats(-4, -0.5), st.integers(1, 5), st.sampled_from(vec.METRICS))
@settings(max_examples=100, deadline=None)
def test_labels_equal_scikit_learns_stored_and_streamed(vectors, exponent, min_samples, metric):
    eps = 10**exponent
    rows, cols = np.triu_indices(len(vectors), 1)
    assume((np.abs(vec.between(vectors, rows, cols, metric=metric) - eps) >= 1e-6).all())
    truth = scikit_learn(vectors, eps, min_samples, metric)
    for memory in (STORED, STREAMED):
        labels = clusters.dbscan(vectors, eps=eps, min_samples=min_samples, metric=metric, memory=memory)
        np.testing.assert_array_equal(labels, truth)
        assert labels.dtype == np.int64


@given(datasets(), st.floats(-4, -0.5), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_streaming_in_small_tiles_gives_the_stored_labels(vectors, exponent, min_samples):
    options = {"eps": 10**exponent, "min_samples": min_samples}
    whole = clusters.dbscan(vectors, memory=STORED, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "TILE", 7)
        np.testing.assert_array_equal(clusters.dbscan(vectors, memory=STREAMED, **options), whole)


@given(datasets(), st.floats(-12, -0.5), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_exact_duplicates_share_a_label(vectors, exponent, min_samples):
    labels = clusters.dbscan(vectors, eps=10**exponent, min_samples=min_samples)
    _, group = vec.copies(vectors)
    for copies in (np.flatnonzero(group == number) for number in range(group.max() + 1)):
        assert len(set(labels[copies].tolist())) == 1
        if len(copies) >= min_samples:
            assert labels[copies[0]] != clusters.NOISE


@pytest.mark.parametrize("memory", [STORED, STREAMED])
@pytest.mark.parametrize("min_samples", [1, 2, 3])
def test_a_tie_with_eps_is_a_neighbor(memory, min_samples):
    vectors = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, 1, -1, -1], [0, 0, 0, 1]], dtype=np.float32)
    labels = clusters.dbscan(vectors, eps=0.5, min_samples=min_samples, memory=memory)
    np.testing.assert_array_equal(labels, scikit_learn(vectors, 0.5, min_samples))
    assert labels.max() == 0


@pytest.mark.parametrize("memory", [STORED, STREAMED])
def test_a_border_sample_takes_the_smallest_adjacent_number(memory):
    angles = np.radians([0, 1, 2, 11, 20, 21, 22])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)])
    eps = 1 - np.cos(np.radians(9.5))
    for order in (np.arange(7), np.arange(7)[::-1]):
        labels = clusters.dbscan(vectors[order], eps=eps, min_samples=4, memory=memory)
        np.testing.assert_array_equal(labels, scikit_learn(vectors[order], eps, 4))
        assert labels[3] == 0


@given(datasets(), st.floats(-4, -0.5), st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_clusters_do_not_depend_on_the_order(vectors, exponent, random):
    order = np.array(random.sample(range(len(vectors)), len(vectors)))
    one = clusters.dbscan(vectors, eps=10**exponent)
    other = np.empty_like(one)
    other[order] = clusters.dbscan(vectors[order], eps=10**exponent)
    together = one[:, None] == one[None, :]
    np.testing.assert_array_equal(together, other[:, None] == other[None, :])


def test_no_and_one_sample_work():
    assert clusters.dbscan(np.empty((0, 4)), eps=0.1).tolist() == []
    assert clusters.dbscan(np.ones((1, 4)), eps=0.1).tolist() == [-1]
    assert clusters.dbscan(np.ones((1, 4)), eps=0.1, min_samples=1).tolist() == [0]


def test_all_identical_are_one_cluster():
    assert set(clusters.dbscan(np.ones((30, 4)), eps=1e-9).tolist()) == {0}


def test_the_input_is_not_modified():
    vectors = np.random.default_rng(0).random((40, 4)).astype(np.float32)
    vectors.flags.writeable = False
    clusters.dbscan(vectors, eps=0.01)
    clusters.dbscan(vectors, eps=0.01, memory=STREAMED, metric="euclidean")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0}, "eps must be a number above 0, got 0"),
        ({"eps": -1}, "eps must be a number above 0, got -1"),
        ({"eps": 0.1, "min_samples": 0}, "min_samples must be 1 or more, got 0"),
        ({"eps": 0.1, "metric": "dot"}, "metric must be one of cosine, euclidean, got 'dot'"),
    ],
)
def test_an_option_out_of_bounds_is_refused_with_its_value(options, message):
    with pytest.raises(ValueError, match=message):
        clusters.dbscan(np.ones((2, 2)), **options)


def test_a_vector_that_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="number 1: it has length zero"):
        clusters.dbscan(np.array([[1.0, 1.0], [0.0, 0.0]]), eps=0.1)


@pytest.mark.parametrize("memory", [STORED, STREAMED])
def test_cancelling_is_not_swallowed(memory):
    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clusters.dbscan(np.random.default_rng(0).random((9, 4)), eps=0.1, memory=memory, progress=cancel)
