"""Whole clusters dealt out to splits, and the pairs that cross."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import splits

SHARES = (0.8, 0.1, 0.1)


@given(st.integers(0, 2**32), st.integers(1, 200), st.sampled_from([SHARES, (1, 0, 0), (0, 0.5, 0.5)]))
@settings(max_examples=100, deadline=None)
def test_a_cluster_is_in_one_split_and_sizes_are_as_near_as_noise_allows(seed, n, shares):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, rng.integers(1, 20), n)
    dealt = splits.deal(labels, shares, np.zeros(n, int), seed=51)
    for label in set(labels.tolist()) - {-1}:
        assert len(set(dealt[labels == label].tolist())) == 1
    sizes = np.bincount(dealt, minlength=3)
    assert not sizes[np.asarray(shares) == 0].any()
    largest = np.bincount(labels[labels >= 0]).max(initial=1)
    assert np.abs(sizes - np.multiply(shares, n)).max() <= largest
    assert np.array_equal(dealt, splits.deal(labels, shares, np.zeros(n, int), seed=51))


def test_noise_fills_up_what_clusters_leave():
    labels = np.array([0] * 70 + [-1] * 30)
    assert np.bincount(splits.deal(labels, SHARES, np.zeros(100, int), seed=51)).tolist() == [80, 10, 10]


def test_classes_keep_their_shares():
    rng = np.random.default_rng(51)
    labels = rng.permutation(np.repeat(np.arange(400), 5))
    classes = np.where(labels < 40, 1, 0)  # the clusters of a rare class
    dealt = splits.deal(labels, SHARES, classes, seed=51)
    for name in (0, 1):
        assert np.bincount(dealt[classes == name]) / (classes == name).sum() == pytest.approx(
            SHARES, abs=0.03
        )
    assert not np.array_equal(dealt, splits.deal(labels, SHARES, classes, seed=52))


def test_the_nearest_pair_across_is_of_the_rarest_split():
    degrees = np.radians([0, 10, 20, 29, 30, 31.5])
    vectors = np.column_stack([np.cos(degrees), np.sin(degrees)]).astype(np.float32)
    assert splits.nearest_across(vectors, np.array([0, 0, 1, 0, 0, 1])) == (5, 4)
