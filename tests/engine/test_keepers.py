import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import clusters, cover, keepers
from similarity.engine import vectors as vec
from similarity.engine.certificate import certify

PAN_EPS = 0.01


@pytest.fixture(scope="module")
def pan():
    """101 frames on an arc, each near the next only, as a slow camera pan gives."""
    angles = np.linspace(0, np.arccos(1 - 0.377), 101)
    noise = 0.001 * np.random.default_rng(0).normal(size=(101, 30))
    return np.column_stack([np.cos(angles), np.sin(angles), noise]).astype(np.float32)


def greedy(vectors, order, eps, metric="cosine", kept=()):
    """The plain greedy cover, by brute force."""
    kept = list(kept)
    for sample in order:
        near = (
            vec.between(vectors, np.full(len(kept), sample), np.array(kept, dtype=int), metric=metric) <= eps
        )
        if not near.any():
            kept.append(int(sample))
    return sorted(kept)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d = draw(st.integers(0, 60)), draw(st.integers(2, 6))
    vectors = (rng.random((4, d))[rng.integers(0, 4, n)] + 0.05 * rng.normal(size=(n, d))).astype(np.float32)
    if n:
        vectors[rng.integers(0, n, n // 4)] = vectors[rng.integers(0, n)]
    options = {
        "eps": 10 ** draw(st.floats(-4, -1)),
        "metric": draw(st.sampled_from(vec.METRICS)),
        "rank": rng.integers(0, 9, n) if draw(st.booleans()) else None,
        "protected": rng.random(n) < 0.1 if draw(st.booleans()) else None,
        "cover": draw(st.booleans()),
    }
    labels = clusters.dbscan(
        vectors, eps=options["eps"], min_samples=draw(st.integers(1, 4)), metric=options["metric"]
    )
    return vectors, labels, options


@given(cases())
@settings(max_examples=200, deadline=None)
def test_each_dropped_sample_names_the_nearest_kept_one_of_its_cluster(case):
    vectors, labels, options = case
    result = keepers.keep(vectors, labels, **options)
    n = len(vectors)
    rank = np.arange(n) if options["rank"] is None else options["rank"]
    order = sorted(range(n), key=lambda i: (rank[i], i))
    for sample in range(n):
        if result.kept[sample]:
            assert result.kept_index[sample] == sample
            continue
        mine = np.array([i for i in order if result.kept[i] and labels[i] == labels[sample]])
        distances = vec.between(vectors, np.full(len(mine), sample), mine, metric=options["metric"])
        assert result.kept_index[sample] == mine[distances.argmin()]
        assert result.distance[sample] == distances.min()


@given(cases())
@settings(max_examples=200, deadline=None)
def test_noise_and_protected_stay_and_every_cluster_keeps_one(case):
    vectors, labels, options = case
    result = keepers.keep(vectors, labels, **options)
    assert result.kept[labels == clusters.NOISE].all()
    if options["protected"] is not None:
        assert result.kept[options["protected"]].all()
    assert set(labels[result.kept]) == set(labels)
    if options["cover"]:
        assert (result.distance <= max(options["eps"], 1e-6)).all()
    again = keepers.keep(vectors, labels, **options)
    np.testing.assert_array_equal(again.kept_index, result.kept_index)
    np.testing.assert_array_equal(again.similarity, result.similarity)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_cover_is_the_greedy_cover_in_keep_order(case):
    vectors, labels, options = case
    options |= {"cover": True, "protected": None}
    rank = np.arange(len(vectors)) if options["rank"] is None else options["rank"]
    order = np.lexsort((np.arange(len(vectors)), rank))
    result = keepers.keep(vectors, labels, **options)
    for label in set(labels.tolist()) - {clusters.NOISE}:
        members = order[labels[order] == label]
        truth = greedy(vectors, members, max(options["eps"], 1e-6), options["metric"])
        assert np.flatnonzero(result.kept & (labels == label)).tolist() == truth


def test_without_cover_the_first_of_each_cluster_is_kept():
    vectors = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    labels = clusters.dbscan(vectors, eps=0.01)
    result = keepers.keep(vectors, labels, eps=0.01)
    assert result.kept.tolist() == [True, True, False, False, True]
    assert result.kept_index.tolist() == [0, 1, 0, 1, 4]
    assert result.similarity.tolist() == [100.0] * 5


def test_rank_decides_and_ties_go_by_index():
    vectors = np.ones((4, 2))
    labels = np.zeros(4, dtype=np.int64)
    for rank, first in (([3, 1, 1, 2], 1), ([0, 0, 0, 0], 0), ([2, 2, 2, 1], 3)):
        kept = keepers.keep(vectors, labels, eps=0.1, rank=np.array(rank)).kept
        assert np.flatnonzero(kept).tolist() == [first]


def test_a_slow_pan_is_one_cluster_of_which_cover_keeps_a_greedy_cover(pan):
    labels = clusters.dbscan(pan, eps=PAN_EPS)
    assert set(labels.tolist()) == {0}
    without = keepers.keep(pan, labels, eps=PAN_EPS)
    assert without.kept.sum() == 1
    with_cover = keepers.keep(pan, labels, eps=PAN_EPS, cover=True)
    assert np.flatnonzero(with_cover.kept).tolist() == greedy(pan, range(101), PAN_EPS)
    assert with_cover.kept.sum() == 7


def test_cover_in_blocks_equals_cover_at_once(pan, monkeypatch):
    labels = np.zeros(101, dtype=np.int64)
    whole = keepers.keep(pan, labels, eps=1e-4, cover=True)
    monkeypatch.setattr(cover, "_ROWS", 9)
    monkeypatch.setattr(cover, "_COLUMNS", 5)
    monkeypatch.setattr(keepers, "_COLUMNS", 4)
    parts = keepers.keep(pan, labels, eps=1e-4, cover=True)
    np.testing.assert_array_equal(parts.kept_index, whole.kept_index)


@pytest.mark.parametrize("metric", vec.METRICS)
def test_medoid_rank_is_the_total_distance_within_the_cluster(metric):
    rng = np.random.default_rng(0)
    vectors, labels = rng.random((40, 5)), rng.integers(-1, 4, 40)
    truth = [
        vec.between(vectors, np.full(len(mine), i), mine, metric=metric).sum() if labels[i] >= 0 else 0.0
        for i in range(40)
        for mine in [np.flatnonzero(labels == labels[i])]
    ]
    np.testing.assert_allclose(keepers.medoid_rank(vectors, labels, metric=metric), truth, atol=1e-8)


def test_the_two_of_a_pair_are_equally_central():
    vectors = np.random.default_rng(0).random((2, 512))
    rank = keepers.medoid_rank(vectors, np.zeros(2, dtype=np.int64))
    assert rank[0] == rank[1] > 0


@pytest.mark.parametrize("name", ["rank", "protected"])
def test_a_list_of_another_length_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name} .*\b3\b.*\(2,\)"):
        keepers.keep(np.ones((3, 2)), np.zeros(3, dtype=np.int64), eps=0.1, **{name: np.zeros(2)})


def test_a_rank_of_nan_is_refused():
    with pytest.raises(ValueError, match=r"rank .*NaN"):
        keepers.keep(np.ones((1, 2)), np.zeros(1, dtype=np.int64), eps=0.1, rank=np.array([np.nan]))


def test_the_certificate_shows_the_chain_and_cover_resolves_it(pan):
    labels = clusters.dbscan(pan, eps=PAN_EPS)
    chained = certify(labels, keepers.keep(pan, labels, eps=PAN_EPS), eps=PAN_EPS)
    assert chained.beyond_eps > 50
    assert chained.worst_similarity == pytest.approx(62.3, abs=0.1)
    assert (chained.alarm, chained.largest_share) == (True, 1.0)
    covered = certify(labels, keepers.keep(pan, labels, eps=PAN_EPS, cover=True), eps=PAN_EPS)
    assert covered.beyond_eps == 0


@given(cases())
@settings(max_examples=100, deadline=None)
def test_the_certificate_counts_what_the_keepers_say(case):
    vectors, labels, options = case
    result = keepers.keep(vectors, labels, **options)
    proof = certify(labels, result, eps=options["eps"], metric=options["metric"])
    assert proof.worst_similarity == min(result.similarity, default=100.0)
    assert proof.beyond_eps == sum(
        result.distance > max(options["eps"], 1e-6 * (options["metric"] == "cosine"))
    )
    sizes = np.bincount(labels[labels >= 0])
    assert proof.largest_share == max(sizes, default=0) / max(1, len(labels))
    assert proof.alarm == (proof.largest_share > 0.5)


def test_an_empty_dataset_has_a_certificate():
    nothing = np.empty((0, 3))
    labels = np.empty(0, dtype=np.int64)
    proof = certify(labels, keepers.keep(nothing, labels, eps=0.1), eps=0.1)
    assert (proof.worst_similarity, proof.largest_share, proof.alarm) == (100.0, 0.0, False)
