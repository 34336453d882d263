"""A new batch against what is there: a reference is compared with, and in no number, export or removal."""

import json
import re

import numpy as np
import pytest

from tests import support
from tests.deduplicated import manifest
from tests.host.test_panel import Tab
from tests.removable import call, delete
from tests.vectors import NEAR, column, directions

import fiftyone as fo  # isort: skip

REFERENCE, NEW, KEPT = 12, 36, 6
WORDS = support.plugin("similarity.result").resemblance(30, REFERENCE)


def degrees():
    """The reference 5 degrees apart; 30 new samples within 1.2 degrees of one; 6 others, of which none is near another."""
    old = np.arange(REFERENCE) * 5.0
    near = np.concatenate([old + 1.0, old - 1.2, old[:6] + 0.5])
    return [*old, *near, *(80 + 10.0 * np.arange(KEPT))]


@pytest.fixture
def weekly(dataset, pictures):
    """``weekly()``: a dataset with last week's 12 annotated samples and 36 new ones, each with a file of its own."""
    names = []

    def make() -> fo.Dataset:
        paths = pictures(scenes=REFERENCE + NEW, each=1, size=8)
        made = dataset(paths, vgg16=directions(*degrees()))
        names.append(made.name)
        ids = made.values("id")
        made.select(ids[:REFERENCE]).tag_samples("annotated")
        made.save_view("new", made.select(ids[REFERENCE:]))
        return made

    yield make
    delete(names)


def cluster(samples, **options):
    return call("cluster_duplicates", samples, **{"eps": NEAR, **options})


def keep(samples, **options):
    return call("keep_first_per_cluster", samples, **options)


def test_every_number_is_of_the_new_samples(weekly):
    made = weekly()
    ids, new = made.values("id"), made.load_saved_view("new")
    clustered, result = cluster(new, reference="annotated"), keep(new)
    assert re.match(r"6 of 36 new .*16\.7 %.* 30 .* 12 reference", result.summary())
    assert re.match(r"36 new .* 12 clusters.* 6 .* 6: 16\.7 %.* 30 .* 12 reference", clustered.summary())
    assert (result.samples, result.kept, result.dropped, result.noise) == (NEW, KEPT, 30, KEPT)
    assert (clustered.samples, clustered.unique, clustered.resembling) == (NEW, KEPT, 30)
    assert result.view.values("id") == ids[-KEPT:]
    old = made.match_tags("annotated")
    assert column(old, "dedup_cluster") == list(range(REFERENCE))
    for name in ("dedup_kept", "dedup_kept_id", "dedup_similarity"):
        assert column(old, name) == [None] * REFERENCE
    assert old.distinct("tags") == ["annotated"]
    nearest = [ids[i % REFERENCE] for i in range(30)]
    assert column(made, "dedup_kept_id") == [*[None] * REFERENCE, *nearest, *ids[-KEPT:]]
    assert set(made.load_saved_view("dedup-kept").values("id")) == set(ids[-KEPT:])


def test_the_step_after_neither_counts_nor_touches_the_reference(weekly, tmp_path):
    made = weekly()
    ids = made.values("id")
    cluster(made, reference="annotated")  # of which some are in the view
    keep(made, reference="annotated")
    price = call("write_report", made, export_dir=str(tmp_path / "report"), price=1.0)
    assert (price.samples, price.kept) == (NEW, KEPT)
    figures = json.loads((tmp_path / "report" / "report.json").read_text())
    assert figures["cost"] | {"currency": ""} == {
        "price": 1,
        "currency": "",
        "before": 36,
        "after": 6,
        "saved": 30,
    }
    assert figures["counts"]["samples"] == NEW
    assert figures["reference"] == {"samples": REFERENCE, "resembling": 30}
    page = (tmp_path / "report" / "report.html").read_text()
    assert "of 36 new pictures" in page
    assert WORDS in page
    exported = call("export_deduplicated", made, export_dir=str(tmp_path / "export"))
    assert (exported.samples, exported.kept, exported.pictures) == (NEW, KEPT, KEPT)
    rows = manifest(tmp_path / "export")
    assert {row["id"] for row in rows} == set(ids[REFERENCE:])
    assert {row["kept_id"] for row in rows if "reference" in row["reason"]} == set(ids[:REFERENCE])
    with pytest.raises(ValueError, match=r"reference .*'dedup'"):
        call("write_report", made.match_tags("annotated"), export_dir=str(tmp_path / "nothing"))
    folders = call("group_into_folders", made, export_dir=str(tmp_path / "folders"))
    assert (folders.samples, folders.pictures, folders.kept) == (NEW, NEW, KEPT)

    tab = Tab(made).send("on_load")
    assert WORDS in tab.text
    steps = tab.open("Steps").text
    assert "12 clusters at" in steps  # done, not stale
    assert "reference annotated" in tab.open("Threshold").text
    planned = call("remove_duplicates", made)
    assert "30 samples of 36" in planned.summary()
    assert (planned.removed, planned.left) == (30, {})
    asked = support.plugin("similarity.handover_options").RemoveOptions()
    form = support.foo.get_operator(support.uri("remove_duplicates")).plan(made, asked)
    assert form[1].startswith("30 samples of 36")
    removed = call("remove_duplicates", made, confirm=True)
    assert (removed.removed, removed.remain) == (30, KEPT)
    assert set(made.values("id")) == {*ids[:REFERENCE], *ids[-KEPT:]}
    assert "30 in the archive" in Tab(made).send("on_load").text
    assert call("restore_removed", made).restored == 30
    made.delete_samples(ids[:1])
    left = call("remove_duplicates", made)
    assert {made[i]["dedup_kept_id"] for i in left.left} == {ids[0]}
    with pytest.raises(ValueError, match=f"'dedup'.*{ids[0]}"):
        call("write_report", made, export_dir=str(tmp_path / "again"))


def test_next_week_the_run_does_not_shrink(weekly):
    made = weekly()
    ids, new = made.values("id"), made.load_saved_view("new")
    first = made.select(ids[:REFERENCE])
    cluster(first)
    keep(first)
    assert call("cluster_duplicates", new, eps=NEAR, reference="annotated").samples == NEW
    with pytest.raises(ValueError, match=r"'dedup'.*\b12\b"):
        cluster(new)
    made.select(ids[:REFERENCE]).set_values("done", [True] * REFERENCE)
    assert keep(new).resembling == 30
    assert cluster(new, reference="done").resembling == 30
    keep(new)
    for name in ("dedup-kept", "dedup_kept", "dedup:duplicate"):  # next week, other samples
        with pytest.raises(ValueError, match=f"reference: '{name}' .*'dedup'"):
            cluster(made, reference=name)
    assert (
        call("cluster_duplicates", first, eps=NEAR, reference="dedup-kept", run_key="other").reference == KEPT
    )


def test_what_is_only_near_a_dropped_one_is_decided_among_the_new_ones(vector_dataset):
    made = vector_dataset(directions(0, 1, 2, 2.9, 4, 40, 41))
    made.set_values("old", [True, None, None, False, None, None, None])
    ids = made.values("id")
    for cover, kept_for in ((False, [0, 2, 2, 2]), (True, [0, 2, 2, 4])):
        cluster(made, reference="old")
        result = keep(made, cover=cover)
        assert column(made, "dedup_kept_id") == [None, *(ids[i] for i in kept_for), ids[5], ids[5]]
        assert (result.kept, result.resembling) == (len(set(kept_for)), 1)
        assert (result.kept_without_cover, result.kept_with_cover) == (2, 3)


def test_equal_reference_samples_and_those_without_a_vector_are_in_no_number(vector_dataset):
    made = vector_dataset([*directions(0, 0, 90), None, *directions(45, 46), None])
    ids = made.values("id")
    made.select(ids[:4]).tag_samples("old")
    result = cluster(made, reference="old", min_samples=1)
    assert (result.samples, result.reference, result.reference_skipped) == (3, 3, 1)
    assert (result.clusters, list(result.skipped)) == (1, [ids[6]])
    assert "1 reference sample without" in result.summary()
    assert column(made, "dedup_cluster") == [-1, -1, -1, None, 0, 0, None]
    assert made.match_tags("dedup:skipped").values("id") == [ids[6]]
    assert (keep(made).kept, keep(made).skipped.keys()) == (1, {ids[6]})


def test_an_empty_reference_changes_no_decision(weekly):
    made = weekly()
    new = made.load_saved_view("new")
    made.add_sample_field("old", fo.BooleanField)
    result = cluster(new, reference="old")
    assert (result.samples, result.reference, result.resembling) == (NEW, 0, 0)
    decided = keep(new)
    assert re.match(r"30 of 36 new .*83\.3 %.* 0 .* 0 reference", decided.summary())
    plain = call("cluster_duplicates", new, eps=NEAR, run_key="plain")
    assert (result.clusters, result.unique) == (plain.clusters, plain.unique)
    assert column(new, "dedup_cluster") == column(new, "plain_cluster")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("everything", "48 .*reference 'everything'"),
        ("anotated", "'anotated' .*annotated, both; .*both, everyth"),
        ("both", "'both'.* tag .* view"),
    ],
)
def test_a_reference_that_does_not_do_is_refused_before_anything_is_written(weekly, reference, words):
    made = weekly()
    made.save_view("everything", made.view())
    made.save_view("both", made.limit(1))
    made.limit(1).tag_samples("both")
    for operator in ("cluster_duplicates", "find_unique_samples"):
        with pytest.raises(ValueError, match=words):
            call(operator, made, eps=NEAR, reference=reference)
    assert not made.list_runs()
    assert not made.has_sample_field("dedup_cluster")


def test_keeping_takes_the_reference_from_the_run(weekly):
    made = weekly()
    cluster(made, reference="annotated")
    with pytest.raises(ValueError, match=r"reference .*'new'.*'dedup'.*'annotated'"):
        keep(made, reference="new")
    made.untag_samples("annotated")  # the run's is the one that it had
    assert keep(made).resembling == 30


def test_find_unique_embeds_the_reference_too(dataset, pictures):
    paths = pictures(scenes=2, each=2)
    made = dataset([*paths, *paths[:1]])
    made.limit(1).tag_samples("old")
    asked = {"eps": 1e-6, "weights": "untrained", "precision": "float32", "reference": "old"}
    for wrong in ({"reference": "nothing"}, {"within": "nothing"}, {"order_field": "tags", "max_gap": 1}):
        with pytest.raises(ValueError, match=r"'(nothing|tags)'"):
            call("find_unique_samples", made.skip(1), **{**asked, **wrong})
    assert not made.has_sample_field("vgg16")
    result = call("find_unique_samples", made.skip(1), **asked)
    assert (result.samples, result.resembling) == (4, 1)
    assert made.exists("vgg16").count() == 5
    assert support.plugin("similarity.data.runs").reference_ids(made, "dedup") == {made.first().id}


def test_new_samples_go_to_the_split_of_the_reference_in_their_cluster(weekly):
    made = weekly()
    ids = made.values("id")
    for name, part in {"train": ids[:4], "validation": ids[4:8], "test": ids[8:REFERENCE]}.items():
        made.select(part).tag_samples(name)
    cluster(made.load_saved_view("new"), reference="annotated")
    result = call("split_by_cluster", made, train=0.5, val=0.25, test=0.25)
    assert (result.samples, result.replaced, result.leaks) == (NEW, 0, None)
    fields = made.values(["dedup_cluster", "tags"])
    split = {
        number: next(tag for tag in tags if tag in ("train", "validation", "test"))
        for number, tags in zip(*[values[:REFERENCE] for values in fields], strict=True)
    }
    for number, tags in zip(*[values[REFERENCE:] for values in fields], strict=True):
        if number != -1:
            assert split[number].removesuffix("idation") in tags


def test_what_is_dropped_for_a_reference_sample_is_reviewed_beside_it(weekly):
    made = weekly()
    ids = made.values("id")
    review = support.plugin("similarity.steps.review")
    cluster(made, reference="annotated")
    result = keep(made)
    pairs = [sample_id for pair in result.worst for sample_id in (pair.id, pair.kept_id)]
    assert made.load_saved_view("dedup-worst").values("id") == pairs
    assert set(pairs[1::2]) == set(ids[:REFERENCE])
    alone = column(made, "dedup_cluster")[REFERENCE - 1]  # with one near sample of each kind
    assert len(review.order(made, "dedup")) == REFERENCE
    shown = review.members(made, "dedup", alone)
    assert [(one.id, one.reference) for one in shown] == [
        (ids[REFERENCE - 1], True),
        (ids[3 * REFERENCE - 1], False),
        (ids[2 * REFERENCE - 1], False),
    ]
    made.delete_samples(shown[1].id)
    cluster(made, reference="annotated")
    keep(made)
    before = review.order(made, "dedup")
    assert alone in before  # one new sample, and what it is dropped for
    assert '"title": "reference"' in Tab(made).send("on_load").open("Clusters").text
    review.decide(made, "dedup", {shown[2].id: review.DISTINCT})
    assert made[shown[2].id]["dedup_kept"] is True
    assert set(review.order(made, "dedup")) == set(before)


def test_the_shares_of_splits_count_the_reference(weekly):
    made = weekly()
    made.match_tags("annotated").tag_samples("train")
    cluster(made.skip(REFERENCE + 30), reference="annotated")
    sizes = call("split_by_cluster", made, train=0.8, val=0.1, test=0.1).sizes
    assert sizes == {"train": KEPT - 4, "val": 2, "test": 2}  # of 18 samples in all, 12 are in train


def test_the_form_warns_where_it_leaves_out_what_the_run_was_compared_with(weekly):
    made = weekly()
    cluster(made.load_saved_view("new"), reference="annotated")
    operator = support.foo.get_operator(support.uri("find_unique_samples"))
    for given, warned in (({}, True), ({"reference": "annotated"}, False), ({"run_key": "other"}, False)):
        context = support.foo.executor.ExecutionContext({"dataset_name": made.name, "params": given})
        form = operator.resolve_input(context).type.properties
        assert ("limits" in form) == warned
