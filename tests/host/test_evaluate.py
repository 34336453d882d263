import numpy as np
import pytest

from tests import support
from tests.deduplicated import delete_run, snapshot
from tests.vectors import NEAR, directions

import fiftyone as fo  # isort: skip

options = support.plugin("similarity.options")
runs = support.plugin("similarity.data.runs")
cluster_step = support.plugin("similarity.steps.cluster")
keep_step = support.plugin("similarity.steps.keep")
step = support.plugin("similarity.steps.evaluate")

VECTORS = directions(0, 1, 2, 40, 41, 90, 93)
"""Two clusters, of three and two, and two samples that NEAR does not join."""
TRUTH = ["a", "a", "b", "c", "c", "d", "d"]
"""The first cluster mixes a and b, and d is split."""


def cluster(samples, **given):
    return cluster_step.cluster(samples, options.ClusterOptions(**{"eps": NEAR, **given}))


def keep(samples, **given):
    return keep_step.keep(samples, options.KeepOptions(**given))


def evaluate(samples, **given):
    return step.evaluate(samples, options.EvaluateOptions(**{"groups_field": "truth", **given}))


@pytest.fixture
def clustered(vector_dataset):
    """``clustered(truth)``: the seven samples, clustered, with their true groups."""

    def make(truth=TRUTH, vectors=VECTORS):
        made = vector_dataset(vectors)
        made.set_values("truth", list(truth))
        cluster(made)
        return made

    return make


def test_pairs_mixed_clusters_and_split_groups_are_counted(clustered):
    found = evaluate(clustered())
    assert (found.samples, found.joined_pairs, found.right_pairs, found.true_pairs) == (7, 4, 2, 3)
    assert (found.precision, found.recall) == (0.5, pytest.approx(2 / 3))
    assert [(c.number, c.size, c.groups) for c in found.mixed] == [(0, 3, {"a": 2, "b": 1})]
    assert [(g.name, g.size, g.pieces, g.kept) for g in found.groups] == [
        ("a", 2, 1, 1),
        ("c", 2, 1, 1),
        ("d", 2, 2, 2),
        ("b", 1, 1, 0),
    ]
    assert found.lost == ["b"]


def test_what_the_run_keeps_decides_which_groups_are_lost(clustered):
    made = clustered()
    made.tag_samples("mine")
    keep(made, protect_tags=("mine",))
    found = evaluate(made)
    assert found.lost == []
    assert [group.kept for group in found.groups] == [2, 2, 2, 1]


def test_the_confusing_pairs_are_a_view_side_by_side(clustered):
    made = clustered()
    ids = made.values("id")
    found = evaluate(made)
    pairs = [({p.id, p.other_id}, {p.group, p.other_group}, p.joined) for p in found.confusing]
    assert pairs == [({ids[1], ids[2]}, {"a", "b"}, True), ({ids[5], ids[6]}, {"d"}, False)]
    assert found.view.values("id") == [i for p in found.confusing for i in (p.id, p.other_id)]
    assert made.load_saved_view("dedup-confusing").values("id") == found.view.values("id")


def test_the_curve_agrees_with_clustering_at_its_eps(clustered):
    made = clustered()
    for point in evaluate(made).curve:
        cluster(made, eps=point.eps * (1 + 1e-9))
        again = evaluate(made)
        assert (again.precision, again.recall, len(again.mixed)) == (
            point.precision,
            point.recall,
            point.mixed,
        )


def test_the_best_and_the_clean_eps_are_named(clustered):
    found = evaluate(clustered(["a", "a", "a", "c", "c", "d", "d"]))
    assert (found.best.precision, found.best.recall, found.best.mixed) == (1.0, 1.0, 0)
    assert found.clean == found.best
    assert f"The best single eps would be {found.best.eps:.6g}" in found.summary()


def test_nothing_but_the_view_and_the_record_changes(clustered):
    made = clustered()
    keep(made)
    made.reload()
    before = [str(sample.to_mongo_dict()) for sample in made.iter_samples()]
    views, steps = made.list_saved_views(), runs.load(made, "dedup")["steps"]
    evaluate(made)
    evaluate(made)
    made.reload()
    assert [str(sample.to_mongo_dict()) for sample in made.iter_samples()] == before
    assert sorted(made.list_saved_views()) == sorted([*views, "dedup-confusing"])
    assert runs.load(made, "dedup")["steps"] == steps
    assert "keep" in steps


def test_the_view_goes_when_the_run_is_done_again_or_deleted(clustered):
    made = clustered()
    for undo in (cluster, delete_run):
        evaluate(made)
        assert "dedup-confusing" in made.list_saved_views()
        undo(made)
        assert "dedup-confusing" not in made.list_saved_views()


@pytest.mark.parametrize(
    "groups",
    [[0, 0, 1, 2, 2, 3, 3], [fo.Classification(label=name) for name in TRUTH]],
    ids=["numbers", "classifications"],
)
def test_groups_may_be_numbers_or_classifications(clustered, groups):
    assert evaluate(clustered(groups)).lost == [evaluate(clustered(groups)).groups[-1].name]


def test_samples_without_a_group_count_for_nothing(clustered):
    found = evaluate(clustered(["a", "a", None, "c", "c", None, None]))
    assert (found.samples, found.without_group, found.mixed, found.lost) == (4, 3, [], [])
    assert (found.precision, found.recall) == (1.0, 1.0)


def test_of_a_view_only_its_samples_count(clustered):
    made = clustered()
    found = evaluate(made.skip(3))
    assert (found.samples, found.without_group, found.not_in_run) == (4, 0, 0)
    assert (found.mixed, [g.name for g in found.groups]) == ([], ["c", "d"])


def test_samples_that_came_after_the_clustering_are_counted_apart(clustered):
    made = clustered()
    made.add_sample(fo.Sample(filepath="/nowhere/new.png", truth="a"))
    assert evaluate(made).not_in_run == 1


def test_changed_vectors_leave_the_numbers_of_the_run_and_a_note(clustered):
    made = clustered()
    made.set_values("vgg16", [vector + np.float32(1) for vector in VECTORS])
    found = evaluate(made)
    assert (found.joined_pairs, found.curve, found.best, found.clean, found.confusing) == (
        4,
        [],
        None,
        None,
        [],
    )
    assert "run cluster_duplicates again" in found.summary()


def test_the_result_is_plain_values_and_tables_of_text(clustered):
    found = evaluate(clustered())
    tables = found.tables()
    assert tables["mixed_clusters"] == [{"cluster": "0", "samples": "3", "groups": "a: 2, b: 1"}]
    assert {row["group"] for row in tables["groups_not_kept_once"]} == {"b", "d"}
    assert tables["confusing_pairs"][0]["what is wrong"] == "a joined with b"
    assert tables["confusing_pairs"][1]["what is wrong"] == "d parted"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"groups_field": "absent"}, "'absent' does not exist"),
        ({"groups_field": "vgg16"}, "is a VectorField"),
        ({"run_key": "other"}, "Run cluster_duplicates first"),
    ],
)
def test_what_does_not_do_is_refused_and_nothing_written(clustered, given, says):
    made = clustered()
    before = snapshot(made)
    with pytest.raises(ValueError, match=says):
        evaluate(made, **given)
    assert snapshot(made) == before


def test_a_field_without_any_group_is_refused(clustered):
    made = clustered()
    made.add_sample_field("empty", fo.StringField)
    with pytest.raises(ValueError, match="No sample of the run 'dedup' here has a value in 'empty'"):
        evaluate(made, groups_field="empty")


def test_a_view_of_somebody_else_under_its_name_is_not_overwritten(clustered):
    made = clustered()
    made.save_view("dedup-confusing", made.limit(1))
    with pytest.raises(ValueError, match="is not OnlyOne's"):
        evaluate(made)
    assert len(made.load_saved_view("dedup-confusing")) == 1
