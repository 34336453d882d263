import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import clusters, neighbors, spanning
from similarity.engine import vectors as vec
from similarity.engine.sweep import sweep


@st.composite
def datasets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, k = draw(st.integers(0, 60)), draw(st.integers(2, 6)), draw(st.integers(1, 6))
    vectors = (rng.random((k, d))[rng.integers(0, k, n)] + 0.05 * rng.normal(size=(n, d))).astype(np.float32)
    if n:
        vectors[rng.integers(0, n, n // 3)] = vectors[rng.integers(0, n)]
    return vectors


def result_of(labels):
    sizes = np.bincount(labels[labels >= 0])
    noise = int((labels == clusters.NOISE).sum())
    return len(sizes), len(sizes) + noise, len(labels) - len(sizes) - noise, noise, int(sizes.max(initial=0))


def agree(vectors, curve, eps):
    labels = clusters.dbscan(vectors, eps=eps, min_samples=curve.min_samples, metric=curve.metric)
    row = curve.at(eps)
    assert (row.clusters, row.kept, row.dropped, row.noise, row.largest) == result_of(labels), eps


@given(datasets(), st.integers(1, 6), st.sampled_from(vec.METRICS), st.sampled_from([3, 8, 2048]))
@settings(max_examples=150, deadline=None)
def test_sweep_equals_dbscan_at_each_eps(vectors, min_samples, metric, tile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "TILE", tile)
        patch.setattr(spanning, "_PENDING", 20)
        curve = sweep(vectors, min_samples=min_samples, metric=metric)
    steps = np.append(curve.eps, 2 * curve.eps[-1] + 1)
    for low, high in itertools.pairwise(steps):
        if high - low > 4e-6:
            agree(vectors, curve, (low + high) / 2)


def test_a_row_begins_at_its_eps_inclusive():
    vectors = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], dtype=np.float32)
    curve = sweep(vectors)
    assert curve.at(0.5).kept == 1
    assert curve.at(0.4999).kept == 3
    agree(vectors, curve, 0.5)


def test_the_first_row_drops_exact_copies_only():
    vectors = np.random.default_rng(0).random((20, 5))
    curve = sweep(np.vstack([vectors, vectors[:7]]))
    assert curve.at(1e-9).kept == 20
    assert curve.dropped[0] == 7


def test_arrays_ascend_and_reconcile():
    curve = sweep(np.random.default_rng(0).random((80, 4)))
    assert (np.diff(curve.eps) > 0).all()
    np.testing.assert_array_equal(curve.kept, curve.clusters + curve.noise)
    np.testing.assert_array_equal(curve.kept + curve.dropped, 80)


def test_beyond_eps_max_the_sweep_says_so():
    vectors = np.random.default_rng(0).random((30, 4))
    curve = sweep(vectors, eps_max=0.01)
    agree(vectors, curve, 0.009)
    with pytest.raises(ValueError, match=r"up to eps 0.01, got 0.2"):
        curve.at(0.2)


@pytest.mark.parametrize("n", [0, 1])
def test_sweep_of_none_and_one(n):
    for min_samples in (1, 2, 3):
        curve = sweep(np.ones((n, 3)), min_samples=min_samples)
        assert curve.at(0.1).kept == n


@given(
    datasets(),
    st.integers(1, 4),
    st.floats(-4, -0.5),
    st.sampled_from(vec.METRICS),
    st.sampled_from([3, 2048]),
)
@settings(max_examples=100, deadline=None)
def test_up_to_eps_max_the_sweep_is_the_whole_one(vectors, min_samples, exponent, metric, tile):
    whole = sweep(vectors, min_samples=min_samples, metric=metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "TILE", tile)
        patch.setattr(spanning, "_PENDING", 10)
        part = sweep(vectors, min_samples=min_samples, metric=metric, eps_max=10**exponent)
    inside = (whole.eps <= part.eps_max) | (np.arange(len(whole.eps)) == 0)
    for name in ("eps", "clusters", "kept", "dropped", "noise", "largest"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[inside], rtol=1e-9, atol=1e-15)


def test_min_samples_below_one_is_refused():
    with pytest.raises(ValueError, match="min_samples must be 1 or more, got 0"):
        sweep(np.ones((3, 3)), min_samples=0)


def test_cancelling_is_not_swallowed():
    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(np.random.default_rng(0).random((9, 4)), progress=cancel)
