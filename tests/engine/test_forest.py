"""The forest against brute force: with Annoy and without it, the same contract."""

import subprocess
import sys

import numpy as np
import pytest

from similarity.engine import exact, forest, forest_check

BACKENDS = ("annoy", "exact")


def truth(vectors, query):
    """Cosine distances by the textbook formula, in float64."""
    wide, query = vectors.astype(np.float64), np.asarray(query, dtype=np.float64)
    return 1.0 - (wide @ query) / (np.linalg.norm(wide, axis=1) * np.linalg.norm(query))


def of_row(built, row, k=None, **options):
    """Ask for the rows nearest to one of the rows, that row itself first."""
    return built.query(built.vectors[row], k, first=np.array([row]), **options)


@pytest.fixture(params=BACKENDS)
def build(request, monkeypatch, tmp_path):
    """`forest.build` into a folder of its own, with and without Annoy."""
    if request.param == "exact":
        monkeypatch.setattr(forest, "annoy_index", lambda *_: (None, "Annoy is not installed"))

    def make(vectors, **options):
        return forest.build(vectors, tmp_path / "forest", **options)

    make.backend = request.param
    return make


@pytest.fixture
def forgotten():
    """Forget what is known of Annoy's build, before a test and after it."""
    forest_check.annoy_index.cache_clear()
    yield
    forest_check.annoy_index.cache_clear()


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(2000, 32)).astype(np.float32)


def test_says_which_backend_answers_and_why(build, vectors):
    built = build(vectors[:50])
    assert built.exact == (build.backend == "exact")
    assert built.facts.reason == ("Annoy is not installed" if built.exact else "")


def test_built_and_loaded_neighbors_and_distances_equal_brute_force(build, vectors, tmp_path):
    before = vectors.copy()
    built = build(vectors)
    np.testing.assert_array_equal(vectors, before)
    np.testing.assert_array_equal(built.vectors, before)
    queries = [*vectors[::100], 1000.0 * np.random.default_rng(1).normal(size=32)]
    for asked in (built, forest.load(tmp_path / "forest", built.facts)):
        for query in queries:
            rows, distances = asked.query(query, 10)
            expected = truth(vectors, query)
            np.testing.assert_array_equal(rows, np.argsort(expected)[:10])
            np.testing.assert_allclose(distances, np.sort(expected)[:10], atol=1e-7)


@pytest.mark.parametrize("size", [0, 1, 7, 300, 1900])
def test_only_allowed_rows_are_returned_and_they_are_the_nearest(build, vectors, size):
    allowed = np.zeros(2000, dtype=bool)
    allowed[np.random.default_rng(2).permutation(2000)[:size]] = True
    rows, _ = build(vectors).query(vectors[5], 20, allowed=allowed)
    expected = np.where(allowed, truth(vectors, vectors[5]), np.inf)
    np.testing.assert_array_equal(rows, np.argsort(expected)[: min(20, size)])


def test_every_copy_is_first_in_its_own_list_and_its_copies_are_at_zero(build):
    copies = np.tile(np.random.default_rng(3).normal(size=16).astype(np.float32), (500, 1))
    built = build(copies)
    for row in (0, 250, 499):
        rows, distances = of_row(built, row, 10)
        assert rows[0] == row
        assert (distances == 0).all()
        assert len(set(rows.tolist())) == 10


def test_ties_are_in_the_order_of_the_rows(build):
    rows, _ = build(np.tile(np.eye(3, dtype=np.float32), (4, 1))).query(np.array([1, 0, 0]), 12)
    assert rows.tolist() == [0, 3, 6, 9, 1, 2, 4, 5, 7, 8, 10, 11]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_forest_of_almost_nothing_answers(build, count):
    rows, distances = build(np.ones((count, 4))).query(np.ones(4), 10)
    assert rows.tolist() == list(range(count))
    assert distances.tolist() == [0.0] * count


def test_a_second_build_is_byte_identical(build, vectors, tmp_path):
    build(vectors)
    first = {path.name: path.read_bytes() for path in (tmp_path / "forest").iterdir()}
    for path in (tmp_path / "forest").iterdir():
        path.unlink()
    build(vectors)
    assert {path.name: path.read_bytes() for path in (tmp_path / "forest").iterdir()} == first
    assert len(first) == (2 if build.backend == "annoy" else 1)


def test_a_reader_keeps_its_files_when_they_are_replaced_and_deleted(build, vectors, tmp_path):
    built = build(vectors)
    before = of_row(built, 9, 10)
    build(vectors)
    for path in (tmp_path / "forest").iterdir():
        path.unlink()
    np.testing.assert_array_equal(before[0], of_row(built, 9, 10)[0])


def test_a_changed_file_is_refused_by_name(build, vectors, tmp_path):
    facts = build(vectors).facts
    for path in list((tmp_path / "forest").iterdir()):
        whole = path.read_bytes()
        for content in (whole[:-144], bytes(len(whole)), whole[:-1] + bytes([whole[-1] ^ 1])):
            path.unlink()  # the reader above has it mapped
            path.write_bytes(content)
            with pytest.raises(ValueError, match=path.name):
                forest.load(tmp_path / "forest", facts)
        path.write_bytes(whole)


def spoiled(value, row=1500):
    vectors = np.ones((2000, 4))
    vectors[row] = value
    return vectors


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e300])
def test_vectors_without_a_direction_are_rejected_by_row(build, value):
    with pytest.raises(ValueError, match="number 1500"):
        build(spoiled(value))


def test_k_below_one_is_rejected(build, vectors):
    with pytest.raises(ValueError, match=r"\bk\b.* 0"):
        of_row(build(vectors[:50]), 0, 0)


def test_a_search_k_that_was_asked_for_is_kept_and_its_recall_measured(vectors, tmp_path):
    built = forest.build(vectors, tmp_path, n_trees=1, search_k=10)
    assert built.facts.search_k == 10
    assert built.facts.recall < 0.5


def test_progress_ends_at_the_number_of_vectors(vectors, tmp_path):
    seen = []
    forest.build(vectors, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2000, 2000)
    assert seen == sorted(seen)


def test_each_nearest_equals_brute_force_without_the_row_itself(vectors):
    vectors = np.vstack([vectors[:300], vectors[:20]])
    for row, (rows, distances) in enumerate(exact.each_nearest(vectors, 3)):
        expected = truth(vectors, vectors[row])
        expected[row] = np.inf
        assert row not in rows
        np.testing.assert_allclose(distances, np.sort(expected)[:3], atol=1e-7)
        if row < 20:
            assert (rows[0], distances[0]) == (row + 300, 0.0)


def test_each_within_equals_brute_force_and_includes_the_radius(vectors):
    vectors = np.vstack([vectors[:300], vectors[:20]])
    radius = float(exact.distances(vectors, vectors[0], np.array([7]))[0])
    within = list(exact.each_within(vectors, radius))
    assert 7 in within[0]
    assert len(within) == 320
    for row, rows in enumerate(within):
        expected = exact.distances(vectors, vectors[row], np.arange(320)) <= radius
        expected[row] = False
        np.testing.assert_array_equal(rows, np.flatnonzero(expected))


def test_each_nearest_of_one_row_is_nothing():
    ((rows, _),) = exact.each_nearest(np.ones((1, 4), dtype=np.float32), 5)
    assert len(rows) == 0


def test_large_dense_clusters_keep_their_recall_and_every_query_is_first(tmp_path):
    vectors, cluster = dense(10_000, 256, 2000)
    built = forest.build(vectors, tmp_path)
    assert not built.exact
    rng = np.random.default_rng(9)
    sample = np.concatenate([rng.permutation(10_000)[:200], rng.permutation(cluster)[:200]])
    found = [of_row(built, row, 10) for row in sample]
    assert [rows[0] for rows, _ in found] == sample.tolist()
    units = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    tenth = np.partition(1.0 - units[sample] @ units.T, 9, axis=1)[:, 9]
    assert np.mean([distances[-1] for _, distances in found] <= tenth + 1e-6) >= 0.99


def dense(count, dimension, members):
    """Pictures-like vectors: no negative value, groups of eight, and one large group of near-equal ones."""
    rng = np.random.default_rng(8)
    centers = np.maximum(rng.normal(size=(count // 8, dimension)), 0).repeat(8, axis=0)
    cluster = rng.permutation(count)[:members]
    centers[cluster] = centers[cluster[0]]
    return (centers + 0.02 * rng.normal(size=centers.shape)).astype(np.float32), cluster


def test_a_crash_of_the_child_process_is_a_failed_self_test(tmp_path, monkeypatch, forgotten):
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(forest_check, "__file__", str(crash))
    index_class, reason = forest_check.annoy_index()
    assert index_class is None
    assert "exit status -11" in reason


def test_a_missing_annoy_is_answered_exactly_and_says_how_to_install_it(
    tmp_path, monkeypatch, vectors, forgotten
):
    monkeypatch.setattr(forest_check.importlib.util, "find_spec", lambda name: None)
    built = forest.build(vectors[:50], tmp_path)
    assert built.exact
    assert "pip install" in built.facts.reason
    assert of_row(built, 3, 5)[0][0] == 3


def test_annoy_is_not_imported_before_it_is_needed():
    code = "import sys, similarity.engine.forest; sys.exit('annoy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
