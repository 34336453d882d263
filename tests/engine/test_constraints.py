"""What may be neighbors at all: groups, times and a reference, against scikit-learn on the distances that are left."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from similarity.engine import blocks, neighbors, tiles
from similarity.engine import vectors as vec
from similarity.engine.clusters import NOISE, dbscan
from similarity.engine.constraints import Constraints
from similarity.engine.keepers import keep
from tests.engine.test_tiles import elsewhere

FAR = 9.0


@st.composite
def cases(draw):
    """Clumps with copies, of a few groups and times, some in the reference; and the distances of allowed pairs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, metric = draw(st.integers(1, 70)), draw(st.sampled_from(vec.METRICS))
    vectors = (rng.random((4, 4))[rng.integers(0, 4, n)] + 0.05 * rng.normal(size=(n, 4))).astype(np.float32)
    vectors[rng.integers(0, n, n // 3)] = vectors[rng.integers(0, n)]
    unit = draw(st.sampled_from([0.1, 1]))
    constraints = Constraints(
        groups=rng.integers(0, draw(st.integers(1, 5)), n),
        times=rng.integers(0, 10, n) * unit,
        reference=rng.random(n) < draw(st.sampled_from([0, 0.3, 1])),
        max_gap=draw(st.sampled_from([0, 2 * unit, np.inf])),
    )
    distances = np.zeros((n, n))
    rows, cols = np.triu_indices(n, 1)
    distances[rows, cols] = distances[cols, rows] = vec.between(vectors, rows, cols, metric=metric)
    eps = 10 ** draw(st.floats(-4, -0.5))
    assume(not (np.abs(distances - eps) < 1e-6).any())
    for i in range(n):
        for j in range(n):
            if i != j and not _allowed(constraints, i, j):
                distances[i, j] = FAR
    return vectors, constraints, distances, eps, metric


def _allowed(of, i, j):
    near = abs(of.times[i] - of.times[j]) <= of.max_gap
    return of.groups[i] == of.groups[j] and near and not (of.reference[i] and of.reference[j])


@given(cases(), st.sampled_from([(8192, 2048), (9, 4), (5, 2)]))
@settings(max_examples=200, deadline=None)
def test_pairs_are_the_allowed_ones_each_once(case, sizes):
    vectors, constraints, distances, eps, metric = case
    order = constraints.order()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SIZE", sizes[0])
        patch.setattr(neighbors, "_TILE", sizes[1])
        cut = blocks.Blocks(vectors, metric, order, constraints.take(order))
        rows, cols = tiles.joined(list(tiles.compare(cut, tiles.near, lambda _: (eps, 10**9))))
    found = np.sort(np.column_stack([order[rows], order[cols]]), axis=1).tolist()
    near = np.argwhere(np.triu(distances <= eps, 1)).tolist()
    assert sorted(found) == near


@given(
    cases(),
    st.integers(1, 4),
    st.sampled_from([2**30, 0]),
    st.booleans(),
    st.sampled_from([(8192, 2048), (9, 4)]),
)
@settings(max_examples=200, deadline=None)
def test_labels_equal_scikit_learns_on_the_distances_of_allowed_pairs(
    case, min_samples, memory, remote, sizes
):
    vectors, constraints, distances, eps, metric = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SIZE", sizes[0])
        patch.setattr(neighbors, "_TILE", sizes[1])
        labels = dbscan(
            vectors,
            eps=eps,
            min_samples=min_samples,
            metric=metric,
            constraints=constraints,
            memory=memory,
            run=elsewhere(3) if remote else tiles.here,
        )
    truth = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit(distances)
    np.testing.assert_array_equal(labels, truth.labels_)


@given(cases(), st.integers(1, 4), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_kept_ones_are_those_of_a_plain_search(case, min_samples, cover, guarded):
    vectors, constraints, distances, eps, metric = case
    n = len(vectors)
    protected = np.arange(n) % 5 == 0 if guarded else np.zeros(n, dtype=bool)
    labels = dbscan(vectors, eps=eps, min_samples=min_samples, metric=metric, constraints=constraints)
    found = keep(
        vectors, labels, eps=eps, metric=metric, protected=protected, cover=cover, constraints=constraints
    )
    kept, settled = _plain(labels, distances, eps, protected, constraints.reference, cover)
    assert set(np.flatnonzero(found.kept)) == kept
    for i, index in enumerate(found.kept_index):
        if i in kept or constraints.reference[i]:
            assert index == i
        elif i in settled:
            assert distances[i, index] == pytest.approx(settled[i])
            assert constraints.reference[index]
        else:
            assert index in kept
            assert labels[index] == labels[i]
            assert not cover or distances[i, index] <= eps
            possible = [distances[i, k] for k in kept if labels[k] == labels[i] and distances[i, k] < FAR]
            assert not possible or distances[i, index] == pytest.approx(min(possible))


def _plain(labels, distances, eps, protected, reference, cover):
    """The kept ones, and the distance of each sample that is dropped for the reference, by the rules word by word."""
    new = np.flatnonzero(~reference)
    settled = {}
    for i in new:
        near = distances[i, reference & (labels == labels[i]) & (labels[i] != NOISE)]
        if not protected[i] and near.min(initial=FAR) <= eps:
            settled[i] = near.min()
    rest = [i for i in new if i not in settled]
    firsts = {labels[i]: i for i in reversed(rest)}
    kept = {i for i in rest if labels[i] == NOISE or protected[i] or firsts[labels[i]] == i}
    for i in rest:
        if cover and not any(distances[i, k] <= eps for k in kept if labels[k] == labels[i]):
            kept.add(i)
    return kept, settled


def test_pairs_that_are_not_allowed_cost_nothing(monkeypatch):
    asked = []
    plain = neighbors._candidates
    monkeypatch.setattr(
        neighbors,
        "_candidates",
        lambda left, rows, right, cols, *more: (
            asked.append((rows.stop - rows.start) * (cols.stop - cols.start)),
            plain(left, rows, right, cols, *more),
        )[1],
    )
    monkeypatch.setattr(neighbors, "_TILE", 50)
    monkeypatch.setattr(blocks, "SIZE", 200)
    rng = np.random.default_rng(0)
    n, new = 2000, np.arange(2000) < 200
    vectors = rng.random((n, 4)).astype(np.float32)

    def compared(**what):
        asked.clear()
        free = {"groups": np.zeros(n, int), "times": np.zeros(n), "reference": np.zeros(n, bool)}
        dbscan(vectors, eps=1e-6, constraints=Constraints(**{**free, **what}))
        return sum(asked) / (n * n / 2)

    assert 1 <= compared() < 1.05
    assert compared(groups=rng.integers(0, 20, n)) < 2 / 20
    assert compared(times=rng.random(n), max_gap=0.01) < 0.08
    assert compared(reference=~new) < 1.1 * (200 * 200 / 2 + 200 * 1800) / (n * n / 2)
