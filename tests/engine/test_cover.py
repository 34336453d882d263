import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import clusters, cover
from similarity.engine import vectors as vec
from similarity.engine.cover import kept_with_cover
from similarity.engine.keepers import keep
from similarity.engine.sweep import sweep


@st.composite
def datasets(draw):
    """Clumps, a slow pan, copies, and strays, in any order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, k = draw(st.integers(0, 60)), draw(st.integers(2, 6)), draw(st.integers(1, 6))
    vectors = (rng.random((k, d))[rng.integers(0, k, n)] + 0.05 * rng.normal(size=(n, d))).astype(np.float32)
    pan = np.linspace(0, draw(st.floats(0.1, 3)), n // 3)
    vectors[: n // 3, :2] = np.stack([np.cos(pan), np.sin(pan)], axis=1)
    if n:
        vectors[rng.integers(0, n, n // 4)] = vectors[rng.integers(0, n)]
    return vectors[rng.permutation(n)] if draw(st.booleans()) else vectors


def one_by_one(vectors, grid, min_samples, metric):
    """What clustering and keeping with cover give at each eps."""
    kept = []
    for eps in grid:
        labels = clusters.dbscan(vectors, eps=eps, min_samples=min_samples, metric=metric)
        kept.append(keep(vectors, labels, eps=eps, metric=metric, cover=True).kept.sum())
    return kept


@given(datasets(), st.integers(1, 2), st.sampled_from(vec.METRICS), st.sampled_from([1, 5, 512]))
@settings(max_examples=120, deadline=None)
def test_it_equals_clustering_and_keeping_with_cover_at_each_eps(vectors, min_samples, metric, rows):
    swept = sweep(vectors, min_samples=min_samples, metric=metric)
    steps = np.append(swept.eps, 2 * swept.eps[-1] + 1)
    apart = np.diff(steps) > 4e-6
    grid = np.concatenate([((steps[:-1] + steps[1:]) / 2)[apart], np.geomspace(1e-5, 1, 12)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cover, "_ROWS", rows)
        patch.setattr(cover, "_COLUMNS", 3 * rows)
        found = kept_with_cover(vectors, swept, grid)
    assert found.tolist() == one_by_one(vectors, grid, min_samples, metric)


@pytest.mark.parametrize("metric", vec.METRICS)
def test_it_agrees_exactly_where_two_samples_come_into_reach(metric):
    vectors = np.random.default_rng(51).random((40, 3))
    rows, cols = np.triu_indices(40, 1)
    grid = np.sort(vec.between(vectors, rows, cols, metric=metric))[::9]
    found = kept_with_cover(vectors, sweep(vectors, metric=metric), grid)
    assert found.tolist() == one_by_one(vectors, grid, 2, metric)


def test_a_slow_pan_is_one_cluster_of_which_cover_keeps_every_ninth():
    angles = np.radians(np.arange(101))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    swept = sweep(vectors)
    assert swept.at(0.01).kept == 1
    assert kept_with_cover(vectors, swept, [0.01]).tolist() == [len(range(0, 101, 9))]


def test_at_zero_only_copies_go():
    vectors = np.random.default_rng(0).random((20, 5))
    vectors = np.vstack([vectors, vectors[:7]])
    for metric in vec.METRICS:
        assert kept_with_cover(vectors, sweep(vectors, metric=metric), [0.0]).tolist() == [20]


def test_vectors_and_grid_are_not_modified():
    vectors, grid = np.random.default_rng(0).random((30, 4)), np.array([0.0, 0.1])
    before = vectors.copy(), grid.copy()
    kept_with_cover(vectors, sweep(vectors), grid)
    np.testing.assert_array_equal(vectors, before[0])
    np.testing.assert_array_equal(grid, before[1])


@pytest.mark.parametrize("min_samples", [1, 2])
@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one(n, min_samples):
    vectors = np.ones((n, 3))
    assert kept_with_cover(vectors, sweep(vectors, min_samples=min_samples), [0.1, 0.2]).tolist() == [n, n]


def test_cancelling_is_not_swallowed():
    def cancel(done, total):
        raise KeyboardInterrupt

    vectors = np.random.default_rng(0).random((9, 4))
    with pytest.raises(KeyboardInterrupt):
        kept_with_cover(vectors, sweep(vectors), [0.1], progress=cancel)
