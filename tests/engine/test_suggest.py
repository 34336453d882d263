import numpy as np
import pytest

from similarity.engine.suggest import CLEAR, eps_for_target, suggest
from similarity.engine.sweep import sweep


def scenes(count, each, spread, seed=0, d=128):
    """``count`` scenes, each shown ``each`` times with differences of size ``spread``."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.abs(rng.normal(size=(count, d))), each, axis=0)
    spread = np.broadcast_to(spread, len(centres))[:, None]
    return (centres + spread * rng.normal(size=centres.shape)).astype(np.float32)


def suggested(vectors, **options):
    return suggest(sweep(vectors, **options))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("spread", [0.001, 0.05, 0.2])
def test_clear_scenes_are_each_kept_once(seed, spread):
    suggestion = suggested(scenes(28, 18, spread, seed))
    assert (suggestion.clear, suggestion.kept, suggestion.n) == (True, 28, 504)
    assert suggestion.low < suggestion.eps < suggestion.high
    assert suggestion.confidence > CLEAR


@pytest.mark.parametrize("seed", range(5))
def test_scenes_of_different_spread_and_single_pictures_are_told_apart(seed):
    spread = np.repeat(np.random.default_rng(seed).uniform(0.02, 0.1, 20), 10)
    vectors = np.vstack([scenes(20, 10, spread, seed), scenes(50, 1, 0, seed + 100)])
    assert suggested(vectors).kept == 70


def test_a_few_near_duplicates_among_many_distinct_pictures_are_found():
    vectors = scenes(300, 1, 0)
    suggestion = suggested(np.vstack([vectors, vectors[:4] + np.float32(0.01) * scenes(4, 1, 0, seed=9)]))
    assert (suggestion.clear, suggestion.kept) == (True, 300)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_few_scenes_are_enough_to_see_a_gap(count):
    assert suggested(scenes(count, 40, 0.03)).kept == count


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [3, 9, 100])
def test_distinct_pictures_are_all_kept_and_no_gap_is_claimed(seed, count):
    suggestion = suggested(scenes(count, 1, 0, seed))
    assert (suggestion.clear, suggestion.kept) == (False, count)
    assert suggestion.confidence < CLEAR
    assert "no clear gap" in suggestion.reason


def test_a_chain_is_not_merged_whole():
    angles = np.linspace(0, 1, 101) + 0.002 * np.random.default_rng(0).random(101)
    suggestion = suggested(np.column_stack([np.cos(angles), np.sin(angles)]))
    assert (suggestion.clear, suggestion.kept) == (False, 101)


def test_without_a_gap_exact_copies_are_still_dropped():
    vectors = scenes(50, 1, 0)
    suggestion = suggested(np.vstack([vectors, vectors, vectors[:5]]))
    assert (suggestion.clear, suggestion.kept) == (False, 50)
    assert "only the 55 exact copies are dropped" in suggestion.reason


def test_exact_copies_do_not_hide_near_duplicates():
    vectors = scenes(40, 6, 0.03)
    assert suggested(np.vstack([vectors, vectors, vectors])).kept == 40


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_pictures_show_no_gap(n):
    suggestion = suggested(scenes(n, 1, 0) if n else np.empty((0, 5)))
    assert (suggestion.clear, suggestion.kept) == (False, n)
    assert suggestion.eps > 0


def test_all_identical_pictures_are_one():
    suggestion = suggested(np.ones((9, 5)))
    assert suggestion.kept == 1


def test_the_suggestion_scales_with_the_vectors_unit():
    vectors = scenes(28, 18, 0.05)
    one, other = (suggested(factor * vectors, metric="euclidean") for factor in (1, 1000))
    assert one.kept == other.kept == 28
    assert other.eps == pytest.approx(1000 * one.eps, rel=1e-4)


def test_the_number_kept_is_what_the_sweep_says_at_that_eps():
    for vectors in (scenes(28, 18, 0.05), scenes(30, 1, 0), scenes(10, 3, 0.3)):
        curve = sweep(vectors)
        suggestion = suggest(curve)
        assert curve.at(suggestion.eps).kept == suggestion.kept


def test_the_reason_says_where_the_number_kept_stays():
    assert suggested(scenes(28, 18, 0.05)).reason.startswith("between 0.0")
    assert "the number kept stays 28" in suggested(scenes(28, 18, 0.05)).reason


@pytest.mark.parametrize("target", [1, 28, 100, 500, 504])
def test_a_target_gives_the_eps_that_keeps_as_near_as_can_be(target):
    curve = sweep(scenes(28, 18, 0.05))
    eps, kept = eps_for_target(curve, target)
    assert curve.at(eps).kept == kept
    assert abs(kept - target) == np.abs(curve.kept - target).min()


def test_a_target_below_what_copies_leave_gives_the_nearest():
    vectors = scenes(20, 1, 0)
    assert eps_for_target(sweep(np.vstack([vectors, vectors])), 35)[1] == 20


@pytest.mark.parametrize("target", [0, -3, 11])
def test_a_target_out_of_bounds_is_refused(target):
    with pytest.raises(ValueError, match=f"between 1 and 10, got {target}"):
        eps_for_target(sweep(scenes(10, 1, 0)), target)
