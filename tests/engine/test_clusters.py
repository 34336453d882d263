import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from similarity.engine import clusters
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


@given(datasets(), st.floats(-4, -0.5), st.sampled_from([1, 2, 3, 4, 8]), st.sampled_from(vec.METRICS))
@settings(max_examples=100, deadline=None)
def test_labels_equal_scikit_learns_stored_and_streamed(vectors, exponent, min_samples, metric):
    eps = 10**exponent
    distances = vec.between(vectors, *np.triu_indices(len(vectors), 1), metric=metric)
    assume(not (np.abs(distances - eps) < 1e-6).any())
    truth = scikit_learn(vectors, eps, min_samples, metric)
    for memory in (STORED, STREAMED):
        labels = clusters.dbscan(vectors, eps=eps, min_samples=min_samples, metric=metric, memory=memory)
        np.testing.assert_array_equal(labels, truth)
        assert labels.dtype == np.int64


@given(datasets(), st.floats(-12, -0.5), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_exact_duplicates_share_a_label(vectors, exponent, min_samples):
    labels = clusters.dbscan(vectors, eps=10**exponent, min_samples=min_samples)
    _, group = vec.copies(vectors)
    for copies in (np.flatnonzero(group == number) for number in range(group.max() + 1)):
        assert len(set(labels[copies].tolist())) == 1
        if len(copies) >= min_samples:
            assert labels[copies[0]] != clusters.NOISE


def test_copies_that_differ_by_rounding_share_a_label_at_any_eps():
    vectors = np.random.default_rng(0).random((20, 512)).astype(np.float32)
    labels = clusters.dbscan(np.vstack([vectors, np.float32(1.7) * vectors]), eps=1e-12)
    assert labels.tolist() == [*range(20), *range(20)]


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


def test_no_and_one_sample_work():
    for min_samples, alone in ((1, 0), (2, -1), (3, -1)):
        assert clusters.dbscan(np.empty((0, 4)), eps=0.1, min_samples=min_samples).tolist() == []
        assert clusters.dbscan(np.ones((1, 4)), eps=0.1, min_samples=min_samples).tolist() == [alone]


def test_all_identical_are_one_cluster():
    for min_samples in (1, 2, 30):
        assert set(clusters.dbscan(np.ones((30, 4)), eps=1e-9, min_samples=min_samples).tolist()) == {0}


def test_the_input_is_not_modified():
    vectors = np.random.default_rng(0).random((40, 4)).astype(np.float32)
    vectors.flags.writeable = False
    clusters.dbscan(vectors, eps=0.01)
    clusters.dbscan(vectors, eps=0.01, min_samples=3, memory=STREAMED, metric="euclidean")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0}, "eps .* 0"),
        ({"eps": -1}, "eps .* -1"),
        ({"eps": float("nan")}, "eps .* nan"),
        ({"eps": float("inf")}, "eps .* inf"),
        ({"eps": 0.1, "min_samples": 0}, "min_samples .* 0"),
        ({"eps": 0.1, "metric": "dot"}, "metric .* 'dot'"),
    ],
)
def test_an_option_out_of_bounds_is_refused_with_its_value(options, message):
    with pytest.raises(ValueError, match=message):
        clusters.dbscan(np.ones((2, 2)), **options)


def test_a_vector_that_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"\b1 of 2 .* number 1\b"):
        clusters.dbscan(np.array([[1.0, 1.0], [0.0, 0.0]]), eps=0.1)
