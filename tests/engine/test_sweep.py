import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import blocks, clusters, neighbors, spanning
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


@given(datasets(), st.integers(1, 2), st.sampled_from(vec.METRICS), st.sampled_from([3, 8, 1024]))
@settings(max_examples=150, deadline=None)
def test_sweep_equals_dbscan_at_each_eps(vectors, min_samples, metric, tile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SIZE", 2 * tile)
        patch.setattr(neighbors, "_TILE", tile)
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
    assert curve.at(curve.eps[0]).dropped == 7


def test_eps_ascends_and_the_numbers_kept_and_noise_descend():
    curve = sweep(np.random.default_rng(0).random((80, 4)))
    assert (np.diff(curve.eps) > 0).all()
    assert (np.diff(curve.kept) < 0).all()
    assert (np.diff(curve.noise) <= 0).all()
    assert (curve.noise <= curve.kept).all()


@pytest.mark.parametrize("n", [0, 1])
def test_sweep_of_none_and_one(n):
    for min_samples in (1, 2):
        curve = sweep(np.ones((n, 3)), min_samples=min_samples)
        assert curve.at(0.1).kept == n


def single_linkage(vectors, metric):
    """The lengths at which clusters merge, by Prim's algorithm over all distances."""
    n = len(vectors)
    rows, cols = (part.reshape(-1) for part in np.indices((n, n)))
    distances = vec.between(vectors, rows, cols, metric=metric).reshape(n, n)
    near, found = distances[0].copy(), []
    near[0] = np.inf
    for _ in range(n - 1):
        new = int(near.argmin())
        found.append(near[new])
        near = np.where(np.isinf(near), np.inf, np.minimum(near, distances[new]))
        near[new] = np.inf
    return np.sort(found)


@pytest.mark.parametrize("metric", vec.METRICS)
@pytest.mark.parametrize("size", [16, 64, 8192])
def test_the_pairs_are_those_of_single_linkage(monkeypatch, metric, size):
    monkeypatch.setattr(blocks, "SIZE", size)
    monkeypatch.setattr(neighbors, "_TILE", 11)
    vectors = np.random.default_rng(0).random((150, 6)).astype(np.float32)
    curve = sweep(vectors, metric=metric)
    np.testing.assert_allclose(curve.length, single_linkage(vectors, metric), atol=1e-6)
    assert (curve.length == vec.between(vectors, curve.left, curve.right, metric=metric)).all()
    assert (curve.left < curve.right).all()


@pytest.mark.parametrize("min_samples", [0, 3])
def test_min_samples_other_than_1_and_2_is_refused(min_samples):
    with pytest.raises(ValueError, match=rf"min_samples is {min_samples}: .* eps"):
        sweep(np.ones((3, 3)), min_samples=min_samples)
