import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from similarity.engine import vectors as vec


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        ([1.0, np.nan], "NaN or infinite"),
        ([1.0, np.inf], "NaN or infinite"),
        ([0.0, 0.0], "length zero"),
        ([], "shape"),
        ([[1.0]], "shape"),
        (["a"], "list of numbers"),
    ],
)
def test_problem_names_what_is_wrong_with_a_vector(vector, fault):
    assert fault in vec.problem(vector)


def test_a_usable_vector_has_no_problem():
    assert vec.problem([0.0, 3.0]) is None


def test_check_names_the_first_bad_row_and_counts_them(vectors):
    vectors[[7, 9]] = np.nan
    with pytest.raises(ValueError, match=r"2 of 50 vectors .* number 7: .*NaN"):
        vec.check(vectors)


def test_check_wants_one_vector_per_row():
    with pytest.raises(ValueError, match=r"float64 \(3,\)"):
        vec.check(np.ones(3))


def test_no_vectors_are_fine():
    vec.check(np.empty((0, 8)))


def test_normalised_vectors_have_length_one_and_the_input_stays(vectors):
    before = vectors.copy()
    unit = vec.normalise(vectors)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(vectors, before)


def test_percent_is_clipped_and_exact_for_copies():
    assert vec.percent(0.0) == 100.0
    assert vec.percent(1.7) == 0.0
    assert vec.percent(0.25) == 75.0
    np.testing.assert_array_equal(vec.percent(np.array([0.0, 0.5, 2.0])), [100.0, 50.0, 0.0])


@pytest.mark.parametrize("metric", vec.METRICS)
def test_a_pair_has_one_distance_alone_or_among_others_and_both_ways(vectors, metric):
    rows, cols = (part.reshape(-1) for part in np.indices((50, 50)))
    together = vec.between(vectors, rows, cols, metric=metric)
    alone = [
        vec.between(vectors, np.array([r]), np.array([c]), metric=metric)[0]
        for r, c in zip(rows, cols, strict=True)
    ]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together.reshape(50, 50), together.reshape(50, 50).T)
    assert (together.reshape(50, 50).diagonal() == 0).all()


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=2).filter(any))
def test_distance_of_vectors_that_point_the_same_way_is_zero(vector):
    pair = np.array([vector, [4 * value for value in vector]], dtype=np.float64)
    assert vec.between(pair, np.array([0]), np.array([1]))[0] == 0.0


def test_cosine_distance_of_right_and_opposite_angles_is_exact():
    pair = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    np.testing.assert_array_equal(vec.between(pair, np.array([0, 0]), np.array([1, 2])), [1.0, 2.0])


def test_copies_are_grouped_by_their_first_occurrence():
    vectors = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0], [-0.0, 1.0]])
    first, group = vec.copies(vectors)
    np.testing.assert_array_equal(first, [0, 1])
    np.testing.assert_array_equal(group, [0, 1, 0, 1])


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), max_size=40))
def test_copies_restore_the_vectors(rows):
    vectors = np.array(rows, dtype=np.float32).reshape(-1, 2)
    first, group = vec.copies(vectors)
    np.testing.assert_array_equal(vectors[first][group], vectors)
    assert len(first) == len(set(rows))
    assert (np.diff(first) > 0).all()


def test_vectors_are_copies_only_if_all_values_are_equal(vectors):
    changed = vectors.copy()
    changed[:, -1] = np.nextafter(changed[:, -1], np.inf)
    first, group = vec.copies(np.asfortranarray(np.vstack([vectors, changed, vectors])))
    np.testing.assert_array_equal(first, np.arange(100))
    np.testing.assert_array_equal(group, np.concatenate([np.arange(100), np.arange(50)]))
