"""Tiles know nothing of each other: what they answer, sent anywhere and in any order, gives the whole."""

import itertools
import pickle
import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import bins, blocks, clusters, distant, exact, keepers, neighbors, tiles
from similarity.engine import elsewhere as other_process
from similarity.engine import vectors as vec
from similarity.engine.blocks import Block, Blocks, Frame
from similarity.engine.clusters import dbscan
from similarity.engine.constraints import Constraints
from similarity.engine.pieces import Pieces
from similarity.engine.sweep import sweep


def clustered(n, d=8, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.random((5, d))
    return (centres[rng.integers(0, 5, n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


def brute_force(vectors, eps, metric):
    rows, cols = np.triu_indices(len(vectors), 1)
    distances = vec.between(vectors, rows, cols, metric=metric)
    return set(zip(rows[distances <= eps].tolist(), cols[distances <= eps].tolist(), strict=True))


def found(vectors, eps, metric="cosine", run=tiles.here, sketch=True):
    """All pairs within ``eps``; each must come once."""
    cut = Blocks(vectors, metric, np.arange(len(vectors)), sketch=sketch)
    answers = list(tiles.compare(cut, tiles.near, lambda _: (eps, 10**9), run=run))
    rows, cols = tiles.joined(answers)
    pairs = list(zip(np.minimum(rows, cols).tolist(), np.maximum(rows, cols).tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    return set(pairs)


@pytest.fixture(params=[(7, 3), (64, 64), (8192, 1024)], ids=str)
def sizes(request, monkeypatch):
    """Of blocks, and of the products in them."""
    monkeypatch.setattr(blocks, "SIZE", request.param[0])
    monkeypatch.setattr(neighbors, "_TILE", request.param[1])


def elsewhere(seed):
    """Carry out jobs as another machine might: from pickles, each twice, in any order, some late."""

    def run(jobs, cut):
        sent = [pickle.dumps((job, cut[job.left], cut[job.right])) for job in jobs]
        order = random.Random(seed).sample(range(2 * len(sent)), 2 * len(sent))
        for place in order:
            job, left, right = pickle.loads(sent[place % len(sent)])
            yield (job.left, job.right), job.answer(left, right)

    return run


def in_batches(jobs, cut):
    """Carry out jobs five at a time: what each is told is out of date by then."""
    jobs = iter(jobs)
    while batch := list(itertools.islice(jobs, 5)):
        yield from tiles.here(reversed(batch), cut)


def in_pieces(vectors, size=5):
    """Vectors as they are kept elsewhere, of which this process holds no more than it asks for."""
    parts = [vectors[start : start + size] for start in range(0, len(vectors), size)]
    store = SimpleNamespace(
        take=lambda wanted: [parts[number][rows] for number, rows in wanted], run=sent_by_name(0, parts)
    )
    pieces = Pieces(range(len(parts)), [vec.digests(part) for part in parts], vectors.shape[1], store)
    return pieces, parts


def sent_by_name(seed, parts):
    """Carry out jobs on distant blocks: what is sent is bytes that name functions; twice, in any order, some late."""

    def run(jobs, cut):
        shipped = other_process.Shipped(lambda recipe: recipe, cut)

        def answer(job):
            job_, keys, left, right, *numbers = shipped.arguments(job)
            pieces = [parts[number] for number in numbers]
            return (job.left, job.right), other_process.answer(job_, keys, left, right, *pieces)

        jobs = list(jobs)
        for place in random.Random(seed).sample(range(2 * len(jobs)), 2 * len(jobs)):
            yield answer(jobs[place % len(jobs)])

    return run


@pytest.mark.parametrize("metric", vec.METRICS)
@pytest.mark.parametrize("eps", [1e-4, 0.01, 0.1])
@pytest.mark.usefixtures("sizes")
def test_pairs_are_those_of_brute_force(metric, eps):
    vectors = clustered(130)
    assert found(vectors, eps, metric) == brute_force(vectors, eps, metric)


@pytest.mark.parametrize("metric", vec.METRICS)
@pytest.mark.parametrize("eps", [0.002, 0.01, 0.3])
def test_pairs_of_many_long_vectors_are_those_of_brute_force(monkeypatch, metric, eps):
    monkeypatch.setattr(blocks, "_MANY", 64)
    monkeypatch.setattr(blocks, "SIZE", 100)
    monkeypatch.setattr(neighbors, "_TILE", 64)
    vectors = clustered(400, d=256, spread=0.02)
    assert found(vectors, eps, metric) == brute_force(vectors, eps, metric)


@given(seed=st.integers(0, 99), place=st.integers(0, 300), metric=st.sampled_from(vec.METRICS))
@settings(max_examples=40, deadline=None)
def test_eps_is_inclusive_to_the_last_bit(seed, place, metric):
    vectors = clustered(30, seed=seed)
    distances = np.sort(vec.between(vectors, *np.triu_indices(30, 1), metric=metric))
    for eps in (distances[place], np.nextafter(distances[place], 0)):
        assert len(found(vectors, eps, metric)) == np.searchsorted(distances, eps, side="right")


def test_euclidean_pairs_are_exact_far_from_the_origin():
    vectors = clustered(60) + np.float32(1000)
    assert found(vectors, 0.1, "euclidean") == brute_force(vectors, 0.1, "euclidean")


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_euclidean_pairs_stand_any_scale(factor):
    vectors = clustered(60).astype(np.float64)
    assert found(vectors * factor, 0.1 * factor, "euclidean") == brute_force(vectors, 0.1, "euclidean")


def test_a_sketch_never_says_farther_than_it_is(monkeypatch):
    monkeypatch.setattr(blocks, "_MANY", 0)
    vectors = clustered(300, d=256, spread=0.3)
    for metric in vec.METRICS:
        block = Block.of(Frame.of(vectors, metric, sketch=True), np.arange(300), vectors)
        left, right = block.sketch
        assert (left @ right.T >= block.left @ block.right.T - block.frame.top - 1e-4).all()


def test_a_block_puts_near_vectors_together_and_knows_who_they_are(monkeypatch):
    monkeypatch.setattr(blocks, "_MANY", 0)
    rng = np.random.default_rng(0)
    which = rng.integers(0, 8, 4000)
    vectors = (10 * rng.random((8, 256)))[which] + 0.01 * rng.normal(size=(4000, 256))
    (block,) = Blocks(vectors, "cosine", np.arange(4000), sketch=True)
    np.testing.assert_array_equal(np.sort(block.numbers), np.arange(4000))
    np.testing.assert_array_equal(block.vectors[block.rows], vectors[block.numbers])
    np.testing.assert_allclose(block.left, vec.normalise(vectors)[block.numbers])
    assert (np.diff(which[block.numbers]) != 0).sum() < 40


class Reader:
    """Vectors that are read slice by slice, as from a database."""

    def __init__(self, vectors):
        self.vectors, self.shape, self.dtype = vectors, vectors.shape, vectors.dtype
        self.most = 0

    def __len__(self):
        return len(self.vectors)

    def __getitem__(self, part):
        assert isinstance(part, slice)
        read = self.vectors[part]
        self.most = max(self.most, len(read))
        return read.copy()


@pytest.mark.parametrize("metric", vec.METRICS)
def test_blocks_can_be_cut_from_what_is_read_slice_by_slice(monkeypatch, metric):
    monkeypatch.setattr(blocks, "SIZE", 16)
    vectors = clustered(100)
    chosen = np.flatnonzero(np.arange(100) % 10)
    reader = Reader(vectors)
    for block, same in zip(Blocks(reader, metric, chosen), Blocks(vectors, metric, chosen), strict=True):
        np.testing.assert_array_equal(block.numbers, same.numbers)
        np.testing.assert_array_equal(block.vectors[block.rows], vectors[chosen[block.numbers]])
        np.testing.assert_array_equal(block.left, same.left)


@pytest.mark.parametrize("sketch", [False, True])
@pytest.mark.parametrize("metric", vec.METRICS)
def test_a_block_survives_pickling_without_what_can_be_computed_again(monkeypatch, metric, sketch):
    monkeypatch.setattr(blocks, "_MANY", 0)
    monkeypatch.setattr(blocks, "SIZE", 20)
    vectors = clustered(100, d=256)
    for block in Blocks(vectors, metric, np.arange(0, 100, 3), sketch=sketch):
        sent = pickle.dumps(block)
        again = pickle.loads(sent)
        for name in ("numbers", "left", "right"):
            np.testing.assert_array_equal(getattr(again, name), getattr(block, name))
        np.testing.assert_array_equal(again.vectors[again.rows], block.vectors[block.rows])
        assert (again.sketch is None) is (block.sketch is None) is (not sketch)
        frame = len(pickle.dumps(block.frame))
        assert len(sent) < frame + len(block) * (256 * 4 + 8) + 1000


def with_copies(seed):
    """Between 1 and 60 vectors; some are copies, some of one direction but different length."""
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 60)
    vectors = clustered(n, d=rng.integers(2, 8), seed=seed)
    vectors[rng.integers(0, n, n // 3)] = vectors[rng.integers(0, n)]
    vectors[rng.integers(0, n, n // 5)] = 2 * vectors[rng.integers(0, n)]
    return vectors


@given(
    st.integers(0, 2**32),
    st.floats(-4, -0.5),
    st.sampled_from([1, 2, 3, 4, 8]),
    st.sampled_from(vec.METRICS),
    st.sampled_from([0, 2**20]),
)
@settings(max_examples=100, deadline=None)
def test_labels_are_the_same_wherever_tiles_are_carried_out(seed, exponent, min_samples, metric, memory):
    vectors = with_copies(seed)
    options = {"eps": 10**exponent, "min_samples": min_samples, "metric": metric, "memory": memory}
    whole = dbscan(vectors, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SIZE", 7)
        patch.setattr(neighbors, "_TILE", 3)
        for run in (tiles.here, in_batches, elsewhere(seed)):
            np.testing.assert_array_equal(dbscan(vectors, run=run, **options), whole)
        patch.setattr(distant, "SIZE", 7)
        pieces, parts = in_pieces(vectors)
        for run in (tiles.here, sent_by_name(seed, parts)):
            np.testing.assert_array_equal(dbscan(pieces, run=run, **options), whole)


@given(st.integers(0, 2**32), st.floats(-4, -0.5), st.sampled_from(vec.METRICS), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_kept_is_the_same_where_whole_clusters_are_sent_elsewhere(
    seed, exponent, metric, cover, medoid
):
    vectors, rng = with_copies(seed), np.random.default_rng(seed)
    n, eps = len(vectors), 10**exponent
    labels = dbscan(vectors, eps=eps, metric=metric)
    pieces, _ = in_pieces(vectors)
    order = rng.permutation(n)
    chosen = pieces.chosen(order)
    rank = rng.integers(0, 5, n).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bins, "SIZE", 3)
        if medoid:
            rank = keepers.medoid_rank(vectors[order], labels[order], metric=metric)
            np.testing.assert_array_equal(bins.medoid_rank(chosen, labels[order], metric=metric), rank)
        how = {"eps": eps, "metric": metric, "cover": cover, "rank": rank, "protected": rng.random(n) < 0.1}
        here = keepers.keep(vectors[order], labels[order], **how)
        there = bins.keep(chosen, labels[order], **how)
    for name in ("kept", "kept_index", "distance", "similarity"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))


@given(st.integers(0, 2**32), st.floats(-4, -0.5), st.sampled_from([2, 4]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_constraints_hold_elsewhere_too(seed, exponent, min_samples, cover):
    vectors, rng = with_copies(seed), np.random.default_rng(seed)
    n, eps = len(vectors), 10**exponent
    told = Constraints(
        rng.integers(0, 3, n), rng.random(n), rng.random(n) < 0.2, float(rng.choice([0.3, np.inf]))
    )
    pieces, parts = in_pieces(vectors)
    how = {"eps": eps, "min_samples": min_samples, "constraints": told, "memory": 0}
    here = dbscan(vectors, **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distant, "SIZE", 7)
        patch.setattr(bins, "SIZE", 3)
        np.testing.assert_array_equal(dbscan(pieces, run=sent_by_name(seed, parts), **how), here)
        asked = {"eps": eps, "cover": cover, "constraints": told}
        there, kept = bins.keep(pieces, here, **asked), bins.keep(vectors, here, **asked)
    for name in ("kept", "kept_index", "distance", "similarity"):
        np.testing.assert_array_equal(getattr(there, name), getattr(kept, name))


@given(st.integers(0, 2**32), st.sampled_from([1, 2]), st.sampled_from(vec.METRICS))
@settings(max_examples=50, deadline=None)
def test_a_sweep_is_the_same_wherever_tiles_are_carried_out(seed, min_samples, metric):
    vectors = with_copies(seed)
    whole = sweep(vectors, min_samples=min_samples, metric=metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SIZE", 7)
        patch.setattr(neighbors, "_TILE", 3)
        for run in (tiles.here, in_batches, elsewhere(seed)):
            other = sweep(vectors, min_samples=min_samples, metric=metric, run=run)
            np.testing.assert_allclose(other.length, whole.length, atol=1e-6)
            assert other.kept[-1] == whole.kept[-1]
        patch.setattr(distant, "SIZE", 7)
        pieces, parts = in_pieces(vectors)
        other = sweep(pieces, min_samples=min_samples, metric=metric, run=sent_by_name(seed, parts))
        np.testing.assert_allclose(other.length, whole.length, atol=1e-6)


@pytest.mark.usefixtures("sizes")
def test_each_nearest_is_that_of_brute_force():
    vectors = np.vstack([clustered(100), clustered(10)])
    for k in (1, 4, 200):
        for row, (cols, distances) in enumerate(exact.each_nearest(vectors, k)):
            everything = np.delete(np.arange(110), row)
            truth = vec.between(vectors, np.full(109, row), everything)
            order = np.lexsort((everything, truth))[:k]
            np.testing.assert_array_equal(cols, everything[order])
            np.testing.assert_array_equal(distances, truth[order])


@pytest.mark.usefixtures("sizes")
def test_each_within_is_that_of_brute_force():
    vectors = np.vstack([clustered(100), clustered(10)])
    pairs = brute_force(vectors, 0.01, "cosine")
    for row, cols in enumerate(exact.each_within(vectors, 0.01)):
        assert cols.tolist() == sorted([j for i, j in pairs if i == row] + [i for i, j in pairs if j == row])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_components_are_joined_and_their_root_is_the_first(pairs):
    root = np.arange(31)
    left, right = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    tiles.unite(root, left, right)
    group = list(range(31))
    for one, other in pairs:
        low, high = sorted((group[one], group[other]))
        group = [low if g == high else g for g in group]
    assert tiles.find(root, np.arange(31)).tolist() == group


@pytest.mark.parametrize("min_samples", [2, 4])
@pytest.mark.parametrize("n", [1, 40, 100])
def test_progress_ascends_to_the_total(monkeypatch, n, min_samples):
    monkeypatch.setattr(blocks, "SIZE", 16)
    calls = []
    dbscan(clustered(n), eps=0.1, min_samples=min_samples, progress=lambda *call: calls.append(call))
    starts = [place for place, (done, _) in enumerate(calls) if done == 0]
    assert starts[:1] == [0]
    for start, end in zip(starts, [*starts[1:], len(calls)], strict=True):
        one_pass = [done for done, _ in calls[start:end]]
        assert one_pass == sorted(one_pass)
        assert one_pass[-1] == calls[start][1] > 0


@pytest.mark.parametrize("work", [dbscan, sweep], ids=["dbscan", "sweep"])
def test_an_exception_from_progress_ends_the_run_at_once(monkeypatch, work):
    monkeypatch.setattr(blocks, "SIZE", 16)
    began, ended = [], []

    def run(jobs, cut):
        try:
            for job in jobs:
                began.append(job)
                yield (job.left, job.right), job.answer(cut[job.left], cut[job.right])
        finally:
            ended.append(True)

    def cancel(done, total):
        if done == 2:
            raise KeyboardInterrupt

    options = {"eps": 0.001} if work is dbscan else {}
    with pytest.raises(KeyboardInterrupt):
        work(clustered(100), run=run, progress=cancel, **options)
    assert (len(began), ended) == (2, [True])


def test_a_tile_that_is_not_answered_is_an_error_not_a_wrong_result(monkeypatch):
    monkeypatch.setattr(blocks, "SIZE", 16)
    with pytest.raises(RuntimeError):
        dbscan(
            clustered(100), eps=0.01, run=lambda jobs, cut: tiles.here(itertools.islice(jobs, 1, None), cut)
        )


def test_tiles_whose_vectors_are_all_connected_are_left_out(monkeypatch):
    monkeypatch.setattr(blocks, "SIZE", 16)
    asked = []

    def run(jobs, cut):
        for job in jobs:
            asked.append((job.left, job.right))
            yield (job.left, job.right), job.answer(cut[job.left], cut[job.right])

    labels = dbscan(clustered(160), eps=1.0, run=run)
    assert set(labels.tolist()) == {0}
    assert asked == [(0, block) for block in range(10)]


def test_a_dense_cluster_is_counted_only_until_there_are_enough(monkeypatch):
    monkeypatch.setattr(neighbors, "_STRIP", 8)
    seen = []
    real = neighbors._settled
    monkeypatch.setattr(
        neighbors, "_settled", lambda *arguments: (seen.append(len(arguments[1])), real(*arguments))[1]
    )
    vectors = np.random.default_rng(0).random((1000, 8))
    labels = clusters.dbscan(vectors, eps=1.0, min_samples=4, memory=0)
    assert set(labels.tolist()) == {0}
    assert sum(seen) < 1000 * 1000 / 20


@pytest.mark.parametrize("work", [dbscan, sweep], ids=["dbscan", "sweep"])
def test_a_run_that_waits_for_answers_can_be_cancelled_and_gives_the_same(monkeypatch, work):
    monkeypatch.setattr(blocks, "SIZE", 16)
    calls = []

    def waiting(jobs, cut):
        for answer in tiles.here(jobs, cut):
            yield None
            yield answer
            yield None

    def cancel(done, total):
        calls.append(done)
        if calls.count(0) == 2:  # told again before the first answer
            raise KeyboardInterrupt

    options = {"eps": 0.001} if work is dbscan else {}
    expected, found = work(clustered(100), **options), work(clustered(100), run=waiting, **options)
    assert np.array_equal(getattr(found, "kept", found), getattr(expected, "kept", expected))
    with pytest.raises(KeyboardInterrupt):
        work(clustered(100), run=waiting, progress=cancel, **options)
