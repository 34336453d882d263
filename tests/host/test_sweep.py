"""Every threshold from one pass: the same as clustering at each, kept in a file, and found again."""

import numpy as np
import pytest

from tests import support
from tests.deduplicated import vectors
from tests.vectors import declare_as_ours, directions


@pytest.fixture
def step():
    """The module of the step."""
    return support.plugin("similarity.steps.sweep")


@pytest.fixture
def options():
    """``options(min_samples=3)``: of the step."""
    return support.plugin("similarity.options").SweepOptions


@pytest.fixture
def cluster():
    """``cluster(dataset, eps=0.1)``: what clustering finds."""
    chosen = support.plugin("similarity.options").ClusterOptions
    run = support.plugin("similarity.steps.cluster").cluster
    return lambda made, **values: run(made, chosen(**values))


@pytest.fixture
def keep():
    """``keep(dataset, cover=True)``: what keeping finds."""
    chosen = support.plugin("similarity.options").KeepOptions
    run = support.plugin("similarity.steps.keep").keep
    return lambda made, **values: run(made, chosen(**values))


@pytest.mark.parametrize(("metric", "min_samples"), [("cosine", 2), ("euclidean", 1)])
def test_the_sweep_equals_clustering_at_each_eps(vector_dataset, step, options, cluster, metric, min_samples):
    made = vector_dataset(vectors())
    swept = step.sweep(made, options(metric=metric, min_samples=min_samples))
    edges = [row.eps for row in swept.curve() if row.eps > 1e-6]

    assert len(edges) > 3
    for eps in np.sqrt(np.multiply(edges, [*edges[1:], edges[-1] * 2])):
        found, row = cluster(made, eps=float(eps), metric=metric, min_samples=min_samples), swept.at(eps)
        assert (row.clusters, row.noise, row.kept) == (found.clusters, found.noise, found.unique)
        assert row.largest == max((size for _, size in found.sizes), default=0)


@pytest.mark.parametrize(("metric", "min_samples"), [("cosine", 2), ("euclidean", 1)])
def test_kept_with_cover_equals_keeping_so(vector_dataset, step, options, cluster, keep, metric, min_samples):
    made = vector_dataset(directions(*range(0, 90, 6), 120, 120, 121, 124, 150, 151.5, 153))
    swept = step.sweep(made, options(metric=metric, min_samples=min_samples))

    covered = swept.covered()
    assert any(row.kept_with_cover > row.kept for row in covered)
    for row in [row for row in covered if row.eps > 1e-6][::4]:
        cluster(made, eps=row.eps, metric=metric, min_samples=min_samples)
        assert keep(made, cover=True).kept == row.kept_with_cover


def test_the_table_says_what_cover_keeps_at_each_of_its_thresholds(vector_dataset, step, options):
    swept = step.sweep(vector_dataset(vectors()), options())
    shown = [row["kept with cover"] for row in swept.tables()["thresholds"]]
    assert shown == [str(row.kept_with_cover) for row in swept.few()]
    assert "not counted" not in shown


def test_cover_is_counted_once_and_kept_with_the_sweep(vector_dataset, step, options, cluster, monkeypatch):
    made = vector_dataset(vectors())
    cluster(made, target="5")
    assert step.find(made, options(), trust_over=100).covered() == []

    swept = step.sweep(made, options())
    forget(step)
    monkeypatch.delattr(support.plugin("similarity.data.sweeps"), "kept_with_cover")
    assert step.sweep(made, options()).covered() == swept.covered() != []


def test_the_measured_threshold_is_what_clustering_uses(vector_dataset, step, options, cluster):
    made = vector_dataset(vectors())
    assert step.sweep(made, options()).eps is None
    declare_as_ours(made)
    swept, found = step.sweep(made, options()), cluster(made)
    assert (swept.eps, swept.kept) == (found.eps, found.unique)
    assert swept.eps in [row.eps for row in swept.few()]


@pytest.mark.parametrize(("target", "kept"), [("5", 5), ("3", 3), ("45 %", 5), ("11", 11)])
def test_a_target_gives_the_eps_that_keeps_so_many(vector_dataset, step, options, cluster, target, kept):
    made = vector_dataset(vectors())
    swept, found = step.sweep(made, options()), cluster(made, target=target)
    assert swept.eps_for(target) == found.eps
    assert swept.at(found.eps).kept == found.unique == kept


def test_pairs_on_either_side_of_a_threshold_are_named(vector_dataset, step, options):
    made = vector_dataset(directions(0, 1, 30, 33))
    a, b, c, d = sorted(made.values("id"))
    swept = step.sweep(made, options())
    eps = 1 - np.cos(np.radians(2))

    (under,), (over, *_) = swept.just_under(eps), swept.just_over(eps)

    assert {under.id, under.other_id} == {a, b}
    assert {over.id, over.other_id} == {c, d}
    assert under.similarity == pytest.approx(100 * np.cos(np.radians(1)), abs=1e-3)


def test_a_sweep_is_found_again_until_the_vectors_change(vector_dataset, step, options):
    made = vector_dataset(vectors())
    assert step.find(made, options(), trust_over=100) is None
    swept = step.sweep(made, options())

    forget(step)
    again = step.find(made, options(), trust_over=100)
    assert (again.key, again.stored.ids, again.eps) == (swept.key, swept.stored.ids, swept.eps)
    np.testing.assert_array_equal(again.stored.similarities, swept.stored.similarities)

    made.delete_samples(made.limit(1).values("id"))
    assert step.find(made, options(), trust_over=100) is None


def test_a_large_sweep_is_found_by_its_samples_without_reading_their_vectors(vector_dataset, step, options):
    made = vector_dataset(vectors())
    assert step.find(made, options(), trust_over=0) is None
    swept = step.sweep(made, options())
    forget(step)
    assert step.find(made, options(), trust_over=0).key == swept.key

    made.delete_samples(made.exists("vgg16").limit(1).values("id"))
    assert step.find(made, options(), trust_over=0) is None


def test_a_damaged_file_is_computed_again(vector_dataset, step, options, plugin):
    made = vector_dataset(vectors())
    swept = step.sweep(made, options())
    forget(step)
    home = plugin("similarity.data.home")
    for file in home.cache(home.SWEEPS, made).glob("*.npz"):
        file.write_bytes(file.read_bytes()[:200])

    assert step.recall(made, options(), swept.key) is None
    assert step.sweep(made, options()).eps == swept.eps


def test_an_empty_file_is_computed_again(vector_dataset, step, options, plugin):
    made = vector_dataset(vectors())
    swept, home = step.sweep(made, options()), plugin("similarity.data.home")
    (file,) = home.cache(home.SWEEPS, made).glob("*.npz")
    file.write_bytes(b"")
    forget(step)
    assert step.find(made, options(), trust_over=0) is None
    assert step.sweep(made, options()).eps == swept.eps
    assert file.stat().st_size > 0


def test_a_file_that_another_process_has_just_deleted_is_not_made_empty(
    vector_dataset, step, options, plugin
):
    made = vector_dataset(vectors())
    step.sweep(made, options())
    sweeps, home = plugin("similarity.data.sweeps"), plugin("similarity.data.home")
    found = plugin("similarity.data.vectors").read_vectors(made, "vgg16")
    stored = sweeps.stored(made, found, options(), print)
    (file,) = home.cache(home.SWEEPS, made).glob("*.npz")
    file.unlink()
    assert sweeps.with_cover(made, options(), stored, found, stored.cover_eps, print) is stored
    assert not file.exists()


def test_sweeping_writes_nothing_to_the_dataset(vector_dataset, step, options):
    made = vector_dataset(vectors())
    before = made.last_modified_at, made.list_runs(), list(made.get_field_schema())
    step.sweep(made, options())
    made.reload()
    assert (made.last_modified_at, made.list_runs(), list(made.get_field_schema())) == before


def forget(step) -> None:
    """Forget what the process remembers, as a new process would."""
    support.plugin("similarity.data.sweeps")._read.cache_clear()
    step.result_of.cache_clear()


@pytest.mark.parametrize("target", ["1000", "4", "0.1 %", "0 %", "101 %", "0"])
def test_a_target_that_cannot_be_met_is_refused_in_the_same_words_everywhere(
    vector_dataset, step, options, cluster, target
):
    made = vector_dataset(directions(0, 1, 40))
    with pytest.raises(ValueError, match=f"target .* 1 to 3 .*{target!r}") as told:
        step.sweep(made, options()).eps_for(target)
    with pytest.raises(ValueError, match="target") as told_by_clustering:
        cluster(made, target=target)
    assert str(told_by_clustering.value) == str(told.value)
