import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import evaluation as ev
from similarity.engine.clusters import dbscan
from similarity.engine.sweep import sweep


def counted(labels, groups):
    """Pairs and mixed clusters, one pair after the other."""
    joined = right = true = 0
    mixed = set()
    for i in range(len(labels)):
        for j in range(i):
            if ev.UNKNOWN in (groups[i], groups[j]):
                continue
            together, same = labels[i] == labels[j] != -1, groups[i] == groups[j]
            joined, right, true = joined + together, right + (together and same), true + same
            mixed |= {int(labels[i])} if together and not same else set()
    return ev.Pairs(joined, right, true), mixed


def clouds(seed, n=40, groups=6):
    """Vectors around the centres of their groups, near enough to be confused; with copies, and unknown groups."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, groups, n)
    vectors = np.abs(rng.normal(size=(groups + 1, 6)))[truth] + 0.15 * rng.normal(size=(n, 6))
    vectors[:4], truth[:4] = vectors[20:24], truth[20:24]
    return vectors.astype(np.float32), truth


def test_names_are_numbered_by_first_appearance_and_none_is_unknown():
    numbers, names = ev.number(["b", None, "a", "b"])
    assert (numbers.tolist(), names) == ([0, -1, 1, 0], ["b", "a"])


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_pairs_and_mixed_clusters_are_those_counted_one_by_one(seed):
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(-1, 5, (2, rng.integers(0, 40)))
    found, mixed = counted(labels, groups)
    assert ev.pairs(labels, groups) == found
    assert set(ev.mixed(labels, groups)) == mixed


def test_noise_samples_are_not_together():
    assert ev.pairs(np.array([-1, -1, -1]), np.zeros(3, int)) == ev.Pairs(0, 0, 3)


def test_precision_and_recall_are_perfect_where_there_is_nothing_to_find_and_nothing_was_found():
    none = ev.pairs(np.array([-1, -1]), np.array([0, 1]))
    assert (none.precision, none.recall, none.f1) == (1.0, 1.0, 1.0)


def test_precision_recall_and_f1_are_those_of_the_pairs():
    pairs = ev.Pairs(joined=4, right=3, true=6)
    assert (pairs.precision, pairs.recall, pairs.f1) == (0.75, 0.5, pytest.approx(0.6))


def test_mixed_clusters_come_largest_first_with_the_samples_of_each_group():
    labels, groups = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([3, 4, 3, 3, 4, 5, 5])
    assert ev.mixed(labels, groups) == {1: {3: 2, 4: 1}, 0: {3: 1, 4: 1}}


def test_pieces_count_clusters_and_noise_of_each_group():
    labels, groups = np.array([0, 0, 1, -1, -1, 2, 0]), np.array([0, 0, 0, 0, 0, 1, -1])
    assert ev.pieces(labels, groups).tolist() == [4, 1]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("min_samples", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_what_clustering_gives_at_every_eps(seed, min_samples, metric):
    vectors, groups = clouds(seed)
    swept = sweep(vectors, min_samples=min_samples, metric=metric)
    curve = ev.curve(ev.links(swept, vectors), groups, metric=metric)
    for row, eps in enumerate(curve.eps):
        beyond = curve.eps[row + 1] if row + 1 < len(curve.eps) else 2 * eps
        at = (eps + beyond) / 2 if eps > 0 else beyond / 2
        labels = dbscan(vectors, eps=at, min_samples=min_samples, metric=metric)
        assert curve.at(at) == ev.Point(eps, ev.pairs(labels, groups), len(ev.mixed(labels, groups)))


def test_the_columns_of_a_curve_agree_with_its_rows():
    vectors, groups = clouds(1)
    curve = ev.curve(ev.links(sweep(vectors), vectors), groups)
    rows = [curve.at(eps).pairs for eps in curve.eps]
    assert curve.precision.tolist() == [row.precision for row in rows]
    assert curve.recall.tolist() == [row.recall for row in rows]
    assert curve.f1 == pytest.approx([row.f1 for row in rows])


def test_the_best_eps_has_the_highest_f1_and_the_clean_one_the_highest_recall_without_a_mixed_cluster():
    vectors, groups = clouds(2)
    curve = ev.curve(ev.links(sweep(vectors), vectors), groups)
    points = [curve.at(eps) for eps in curve.eps]
    assert curve.best().pairs.f1 == max(point.pairs.f1 for point in points)
    assert (curve.clean().mixed, curve.clean().pairs.precision) == (0, 1)
    assert curve.clean().pairs.recall == max(point.pairs.recall for point in points if point.mixed == 0)


def test_copies_of_two_groups_leave_no_clean_eps():
    vectors = np.ones((2, 3))
    curve = ev.curve(ev.links(sweep(vectors), vectors), np.array([0, 1]))
    assert curve.clean() is None
    assert curve.mixed.tolist() == [1]


def test_without_the_wrong_links_no_cluster_is_mixed():
    vectors, groups = clouds(3)
    groups = np.where(groups == ev.UNKNOWN, 0, groups)
    found, eps = ev.links(sweep(vectors), vectors), 0.05
    wrong = ev.wrong_links(found, groups, eps)
    assert ev.mixed(dbscan(vectors, eps=eps), groups)
    removed = set(zip(wrong.left, wrong.right, strict=True))
    kept = [
        i
        for i, pair in enumerate(zip(found.left, found.right, strict=True))
        if pair not in removed and found.length[i] <= eps
    ]
    rest = ev.Links(found.left[kept], found.right[kept], found.length[kept])
    assert ev.curve(rest, groups).mixed.max() == 0


def test_an_unknown_group_is_never_wrong():
    vectors, groups = clouds(3)
    wrong = ev.wrong_links(ev.links(sweep(vectors), vectors), groups, eps=2.0)
    assert ev.UNKNOWN not in groups[wrong.left]
    assert ev.UNKNOWN not in groups[wrong.right]


def test_missing_links_are_the_shortest_that_make_each_group_whole():
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.5], [1, 0.55], [0, 1], [0.3, 1]], dtype=float)
    labels, groups = np.array([0, 0, 1, 1, -1, -1]), np.array([0, 0, 0, 0, 1, 2])
    missing = ev.missing_links(vectors, labels, groups)
    assert [set(pair) for pair in zip(missing.left, missing.right, strict=True)] == [{1, 2}]


def test_missing_links_of_whole_groups_are_none():
    assert len(ev.missing_links(np.eye(3), np.array([0, 0, -1]), np.array([5, 5, 6])).left) == 0


def test_no_samples_have_no_pairs():
    nothing = np.empty(0, dtype=np.int64)
    assert ev.pairs(nothing, nothing) == ev.Pairs(0, 0, 0)
    vectors = np.empty((0, 4))
    assert ev.curve(ev.links(sweep(vectors), vectors), nothing).at(0.1).pairs == ev.Pairs(0, 0, 0)


def test_the_inputs_are_not_modified():
    vectors, groups = clouds(4)
    labels = dbscan(vectors, eps=0.05)
    before = vectors.copy(), groups.copy(), labels.copy()
    ev.curve(ev.links(sweep(vectors), vectors), groups)
    ev.missing_links(vectors, labels, groups)
    for was, now in zip(before, (vectors, groups, labels), strict=True):
        np.testing.assert_array_equal(was, now)
