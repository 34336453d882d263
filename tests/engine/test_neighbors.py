import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import gpu, neighbors, sketch
from similarity.engine import vectors as vec


def clustered(n, d=8, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.random((5, d))
    return (centres[rng.integers(0, 5, n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


def brute_force(vectors, eps, metric):
    rows, cols = np.triu_indices(len(vectors), 1)
    distances = vec.between(vectors, rows, cols, metric=metric)
    near = distances <= eps
    return dict(
        zip(zip(rows[near].tolist(), cols[near].tolist(), strict=True), distances[near], strict=False)
    )


def found(vectors, **options):
    blocks = neighbors.pairs(vectors, **options)
    return {
        (r, c): d
        for rows, cols, ds in blocks
        for r, c, d in zip(rows.tolist(), cols.tolist(), ds, strict=True)
    }


@pytest.fixture(params=[5, 64, 2048])
def tile(request, monkeypatch):
    monkeypatch.setattr(neighbors, "TILE", request.param)


@pytest.mark.parametrize("metric", vec.METRICS)
@pytest.mark.parametrize("eps", [1e-4, 0.01, 0.1])
@pytest.mark.usefixtures("tile")
def test_pairs_are_those_of_brute_force(metric, eps):
    vectors = clustered(130)
    truth = brute_force(vectors, eps, metric)
    pairs = found(vectors, eps=eps, metric=metric)
    assert pairs.keys() == truth.keys()
    np.testing.assert_allclose([pairs[pair] for pair in truth], list(truth.values()), atol=1e-5)


@pytest.mark.parametrize("metric", vec.METRICS)
@pytest.mark.parametrize("eps", [0.002, 0.01, 0.3])
def test_pairs_of_many_long_vectors_are_those_of_brute_force(monkeypatch, metric, eps):
    monkeypatch.setattr(neighbors, "TILE", 64)
    vectors = clustered(400, d=256, spread=0.02)
    truth = brute_force(vectors, eps, metric)
    assert found(vectors, eps=eps, metric=metric).keys() == truth.keys()


def test_a_sketch_never_says_farther_than_it_is():
    points = clustered(300, d=256, spread=0.3)
    left, right = sketch.minus_half_squares(*sketch.sketch(points))
    truth = -0.5 * np.square(points[:, None].astype(np.float64) - points[None]).sum(axis=2)
    assert (left @ right.T >= truth - 1e-4).all()


def test_a_compact_order_puts_clusters_together():
    centres = 10 * np.random.default_rng(0).random((8, 5))
    which = np.random.default_rng(1).integers(0, 8, 4000)
    points = (centres[which] + 0.01 * np.random.default_rng(2).normal(size=(4000, 5))).astype(np.float32)
    order = sketch.compact_order(points)
    np.testing.assert_array_equal(np.sort(order), np.arange(4000))
    assert (np.diff(which[order]) != 0).sum() < 40


@given(seed=st.integers(0, 99), place=st.integers(0, 300), metric=st.sampled_from(vec.METRICS))
@settings(max_examples=40, deadline=None)
def test_eps_is_inclusive_to_the_last_bit(seed, place, metric):
    vectors = clustered(30, seed=seed)
    distances = np.sort(list(brute_force(vectors, np.inf, metric).values()))
    eps = distances[place]
    assert len(found(vectors, eps=eps, metric=metric)) == np.searchsorted(distances, eps, side="right")
    below = np.nextafter(eps, 0)
    assert len(found(vectors, eps=below, metric=metric)) == np.searchsorted(distances, below, side="right")


def test_copies_are_stored_as_explicit_zeros():
    vectors = np.vstack([clustered(4, spread=1), clustered(4, spread=1)])
    graph = neighbors.graph(vectors, eps=1e-9)
    assert graph.nnz == 8 + 2 * 4
    assert (graph.data == 0).all()


def test_copies_that_differ_by_rounding_fall_together_at_any_eps():
    vectors = clustered(20, d=512)
    assert len(found(np.vstack([vectors, 1.7 * vectors]).astype(np.float32), eps=1e-12)) == 20


def test_euclidean_neighbors_are_exact_far_from_the_origin():
    vectors = clustered(60) + np.float32(1000)
    assert found(vectors, eps=0.1, metric="euclidean").keys() == brute_force(vectors, 0.1, "euclidean").keys()


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_euclidean_neighbors_stand_any_scale(factor):
    vectors = clustered(60).astype(np.float64)
    truth = brute_force(vectors, 0.1, "euclidean").keys()
    assert found(vectors * factor, eps=0.1 * factor, metric="euclidean").keys() == truth


def test_graph_is_symmetric_and_gives_up_beyond_its_budget():
    vectors = clustered(50)
    graph = neighbors.graph(vectors, eps=0.05)
    assert (graph != graph.T).nnz == 0
    assert neighbors.graph(vectors, eps=0.05, memory=1000) is None


def test_no_pairs_among_none_or_one():
    for n in (0, 1):
        for metric in vec.METRICS:
            assert found(np.ones((n, 3)), eps=0.1, metric=metric) == {}


@pytest.mark.parametrize("eps", [0, -0.1, float("nan"), float("inf")])
def test_an_eps_that_is_not_above_zero_is_refused(eps):
    with pytest.raises(ValueError, match="eps must be a number above 0"):
        found(np.ones((2, 2)), eps=eps)


def test_progress_ends_at_the_total_and_may_cancel():
    calls = []
    found(clustered(10), eps=0.1, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] > 0

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(clustered(10), eps=0.1, progress=cancel)


@pytest.fixture
def processor(monkeypatch):
    """TensorFlow's CPU in place of a GPU, in small tiles."""
    tensorflow = pytest.importorskip("tensorflow")
    device = gpu.Gpu(tensorflow, "/CPU:0")
    monkeypatch.setattr(gpu, "find", lambda: device)
    monkeypatch.setattr(gpu, "TILE", 50)
    monkeypatch.setattr(neighbors, "_GPU_FROM", 0)
    return device


@pytest.mark.parametrize("metric", vec.METRICS)
@pytest.mark.usefixtures("processor")
def test_the_product_on_a_gpu_finds_the_same_pairs(metric):
    vectors = clustered(130, d=64)
    assert found(vectors, eps=0.1, metric=metric).keys() == brute_force(vectors, 0.1, metric).keys()


def test_heads_are_tf32_and_the_three_products_suffice(processor):
    values = vec.normalise(clustered(40, d=512))
    head, tail = (part.numpy() for part in processor._split(values))
    assert (head.view(np.int32) & 0x1FFF == 0).all()
    np.testing.assert_array_equal(head + tail, values)
    rounded = (tail.view(np.int32) & -(2**13)).view(np.float32)
    left, right = np.hstack([head, head, rounded]), np.hstack([head, rounded, head])
    assert np.abs(left @ right.T - values.astype(np.float64) @ values.T.astype(np.float64)).max() < 2e-6
