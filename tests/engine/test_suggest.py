import numpy as np
import pytest

from similarity.engine.suggest import CLEAR, eps_for_target, suggest
from similarity.engine.sweep import sweep
from similarity.engine.valleys import large_merges, valleys


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


@pytest.mark.parametrize("seed", range(6))
def test_different_pictures_of_one_kind_among_others_are_not_taken_for_near_duplicates(seed):
    rng = np.random.default_rng(seed)
    others, away = rng.exponential(1, (225, 128)), rng.uniform(0.3, 1, (40, 1))
    kind = rng.exponential(1, 128) * np.exp(away * rng.standard_normal((40, 128)))
    suggestion = suggested(np.vstack([others, kind]).astype(np.float32))
    assert (suggestion.clear, suggestion.kept) == (False, 265)


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


@pytest.mark.parametrize("seed", range(5))
def test_few_cameras_are_told_apart_though_some_frames_are_the_same_picture_stored_twice(seed):
    frames = scenes(7, 60, 0.06, seed)
    vectors = np.vstack([frames, frames[::3] + np.float32(0.002) * scenes(140, 1, 0, seed + 50)])
    suggestion = suggested(vectors)
    assert (suggestion.clear, suggestion.kept) == (True, 7)


def line(gaps):
    """Samples on a line, these distances apart: what merges, and where, is known."""
    return suggest(sweep(np.cumsum([1.0, *gaps])[:, None], metric="euclidean"))


@pytest.mark.parametrize("seed", range(10))
def test_near_duplicates_of_every_degree_among_many_other_pictures_are_found(seed):
    rng = np.random.default_rng(seed)
    others = rng.lognormal(0, 0.3, 250)
    suggestion = line(rng.permutation([*others, *np.geomspace(0.02, 0.3, 12)]))
    assert (suggestion.clear, suggestion.n) == (True, 263)
    assert 251 <= suggestion.kept <= 254
    assert suggestion.eps < others.min()
    assert "hardly one would" in suggestion.reason


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("number", [0, 1])
def test_one_pair_closer_than_usual_is_not_enough(seed, number):
    rng = np.random.default_rng(seed)
    suggestion = line([*rng.lognormal(0, 0.3, 250), *[0.2] * number])
    assert (suggestion.clear, suggestion.kept) == (False, suggestion.n)


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


def test_valleys_lie_between_modes_the_deepest_first():
    modes = [np.geomspace(low, 1.5 * low, number) for low, number in ((1e-4, 40), (4e-4, 40), (1.6e-3, 20))]
    first, second = valleys(np.concatenate(modes), 1.0)
    assert 1.5e-4 < first.eps < 4e-4
    assert 6e-4 < second.eps < 1.6e-3
    assert (first.inside, second.inside) == (0, 0)
    assert first.score > second.score


@pytest.mark.parametrize("heights", [[], [0.1], [0.1, 0.1, 0.1]])
def test_equal_heights_have_no_valley(heights):
    assert valleys(np.array(heights, dtype=float)) == []


def test_large_merges_are_those_of_two_clusters_of_that_many_samples():
    degrees = np.array([0, 1, 2, 10, 11, 12, 40, 41, 90])
    vectors = np.column_stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    assert large_merges(sweep(vectors), 3) == pytest.approx([1 - np.cos(np.radians(8))])
    assert large_merges(sweep(vectors), 2) == pytest.approx(1 - np.cos(np.radians([8, 28])))
    assert len(large_merges(sweep(vectors), 1)) == 8
