import json
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import support
from tests.vectors import NEAR, column, directions, documents, tags

import fiftyone as fo  # isort: skip

cluster_step = support.plugin("similarity.steps.cluster")
step = support.plugin("similarity.steps.keep")
options = support.plugin("similarity.options")
workflow = support.plugin("similarity.workflow")
runs = support.plugin("similarity.data.runs")
engine_vectors = support.plugin("similarity.engine.vectors")

THREE_GROUPS = directions(0, 1, 2, 40, 41, 90)
COPIES = directions(0, 0, 0, 0)


def cluster(samples, **given):
    return cluster_step.cluster(samples, options.ClusterOptions(**{"eps": NEAR, **given}))


def keep(samples, report=None, **given):
    return step.keep(samples, options.KeepOptions(**{"cover": False, **given}), *([report] if report else []))


@pytest.fixture
def clustered(vector_dataset):
    """``clustered(vectors, **fields)``: a dataset with the run ``dedup``."""

    def make(vectors=THREE_GROUPS, **fields):
        made = vector_dataset(vectors)
        for name, values in fields.items():
            made.set_values(name, values)
        cluster(made)
        return made

    return make


def counts(samples):
    """Kept, dropped and skipped, counted from the samples' fields and tags alone."""
    kept = samples.values("dedup_kept")
    skipped = samples.match_tags("dedup:skipped").values("id")
    undecided = [i for i, k in zip(samples.values("id"), kept, strict=True) if k is None]
    assert sorted(skipped) == sorted(undecided)
    assert samples.match_tags("dedup:duplicate").count() == kept.count(False)
    return kept.count(True), kept.count(False), len(skipped)


# --- what is kept


def test_the_first_of_each_cluster_and_all_noise_is_kept(clustered):
    made = clustered()
    result = keep(made)
    ids = made.values("id")
    assert result.view.values("id") == [ids[0], ids[3], ids[5]]
    assert [(pair.id, pair.kept_id) for pair in result.worst] == [(ids[2], ids[0]), (ids[4], ids[3])]
    assert column(made, "dedup_kept") == [True, False, False, True, False, True]
    assert column(made, "dedup_kept_id") == [ids[0], ids[0], ids[0], ids[3], ids[3], ids[5]]
    similarity = 100 * np.cos(np.radians([0, 1, 2, 0, 1, 0]))
    assert np.allclose(column(made, "dedup_similarity"), similarity, atol=1e-5)
    assert tags(made)[1] == ["dedup:cluster:0000", "dedup:duplicate"]
    assert tags(made)[5] == ["dedup:noise"]


def test_noise_is_kept_however_many_there_are(clustered):
    made = clustered(directions(*range(0, 180, 20)))
    result = keep(made)
    assert (result.kept, result.dropped, result.noise) == (9, 0, 9)
    assert result.worst_similarity is None


def test_the_saved_views_show_kept_dropped_clusters_and_worst_pairs(clustered):
    made = clustered([*THREE_GROUPS, None])
    result = keep(made)
    ids = made.values("id")
    assert made.load_saved_view("dedup-kept").values("id") == result.view.values("id")
    assert made.load_saved_view("dedup-duplicates").values("id") == [ids[1], ids[2], ids[4]]
    assert made.load_saved_view("dedup-clusters").values("dedup_kept") == [True, True]
    pairs = made.load_saved_view("dedup-worst").iter_dynamic_groups()
    assert [pair.values("id") for pair in pairs] == [[ids[2], ids[0]], [ids[4], ids[3]]]
    assert made.load_saved_view("dedup-skipped").values("id") == [ids[6]]


def test_counts_reconcile_from_the_samples_alone(clustered):
    made = clustered([*THREE_GROUPS, None, np.zeros(2)])
    result = keep(made)
    assert (result.kept, result.dropped, len(result.skipped)) == counts(made) == (3, 3, 2)
    assert result.samples == made.count() == 8


def test_the_result_is_plain_values(clustered):
    made = clustered()
    result = keep(made, order_by="medoid", cover=True)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    stored = runs.load_results(made, "dedup")["keep"]
    assert {name: stored[name] for name in result.to_dict()} == result.to_dict()


def test_a_chain_is_reported_and_cover_keeps_more_of_it(clustered):
    made = clustered(directions(0, 1, 2, 3, 4, 5))
    result = keep(made)
    assert (result.kept, result.beyond_eps) == (1, 4)
    assert result.worst[0].id == made.last().id
    covered = keep(made, cover=True)
    assert (covered.kept, covered.beyond_eps) == (3, 0)
    for told in (result, covered):
        assert (told.kept_with_cover, told.kept_without_cover) == (3, 1)
    assert all(pair.distance <= covered.eps for pair in covered.worst)


# --- who is first


def test_without_an_order_the_sample_id_decides_also_after_samples_were_deleted_and_put_back(clustered):
    made = clustered()
    first = keep(made)
    archive = made.limit(4).clone()
    made.delete_samples(made.limit(4))
    made.add_collection(archive, new_ids=False)
    archive.delete()
    assert made.values("id") != sorted(made.values("id"))
    cluster(made)
    assert keep(made) == first


def test_the_order_of_the_view_decides(clustered):
    made = clustered(rating=[1, 3, 2, 5, 4, 0])
    ids = made.values("id")
    assert keep(made.sort_by("rating", reverse=True)).view.values("id") == [ids[1], ids[3], ids[5]]
    assert keep(made.select([ids[2], ids[0], ids[4]], ordered=True)).view.values("id") == [ids[2], ids[4]]


def test_samples_that_tie_in_a_sorted_view_follow_their_ids(clustered):
    made = clustered(COPIES, rating=[1, 2, 2, 2])
    ids = made.values("id")
    assert keep(made.sort_by("rating", reverse=True)).view.values("id") == [ids[1]]
    assert keep(made.sort_by([("rating", "desc"), ("filepath", -1)])).view.values("id") == [ids[3]]


def test_the_medoid_has_the_smallest_total_distance(clustered):
    made = clustered(directions(0, 1, 2, 3, 4))
    assert keep(made, order_by="medoid").view.values("id") == [made.values("id")[2]]


def test_pixels_come_from_metadata_or_else_from_the_file_and_missing_ones_are_last(clustered, tmp_path):
    made = clustered(COPIES)
    Image.new("1", (50, 50)).save(tmp_path / "000002.png")
    metadata = [None, fo.ImageMetadata(width=10, height=10), None, fo.ImageMetadata(width=30, height=30)]
    made.set_values("metadata", metadata)
    ids = made.values("id")
    assert keep(made, order_by="pixels").view.values("id") == [ids[1]]
    assert keep(made, order_by="pixels", descending=True).view.values("id") == [ids[2]]


@pytest.mark.parametrize(
    ("values", "smallest", "largest"),
    [
        ([None, 2, 1, 3], 2, 3),
        ([None, 0.5, float("nan"), -0.5], 3, 1),
        ([None, date(2024, 1, 2), date(2024, 1, 1), date(2023, 12, 31)], 3, 1),
        ([None, datetime(2024, 3, 31, 1), datetime(2024, 3, 31, 2), datetime(2024, 3, 31, 3)], 1, 3),
        ([None, 1, 1, 1], 1, 1),
    ],
)
def test_a_field_decides_missing_values_come_last_and_ties_follow_the_view(
    clustered, values, smallest, largest
):
    made = clustered(COPIES, rank=values)
    ids = made.values("id")
    assert keep(made, order_by="rank").view.values("id") == [ids[smallest]]
    assert keep(made, order_by="rank", descending=True).view.values("id") == [ids[largest]]


def test_a_field_inside_another_one_decides(clustered):
    made = clustered(COPIES, metadata=[fo.ImageMetadata(size_bytes=size) for size in (4, 3, 1, 2)])
    assert keep(made, order_by="metadata.size_bytes").view.values("id") == [made.values("id")[2]]


@pytest.mark.parametrize(
    ("order_by", "message"),
    [
        ("missing", "'missing'.*view, medoid, pixels, sharpness, labels, .*rank"),
        ("filepath", "'filepath'"),
        ("labels.detections.confidence", "'labels.detections.confidence'"),
    ],
)
def test_an_order_that_is_none_is_refused_and_the_former_result_stays(clustered, order_by, message):
    label = fo.Detections(detections=[fo.Detection(confidence=0.5)])
    made = clustered(rank=range(6), labels=[label.copy() for _ in range(6)])
    keep(made)
    before = documents(made), runs.load(made, "dedup")
    with pytest.raises(ValueError, match=message):
        keep(made, order_by=order_by)
    assert (documents(made), runs.load(made, "dedup")) == before


# --- who is kept in any case


def test_protected_samples_are_kept_and_preferred(clustered):
    made = clustered(directions(0, 1, 0.5, 1.2))
    ids = made.values("id")
    made.select(ids[1]).tag_samples("gold")
    made[ids[3]]["labels"] = fo.Detections(detections=[fo.Detection(label="cat")])
    made.add_sample_field("labels", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    labels = [None, None, fo.Detections(), fo.Detections(detections=[fo.Detection(label="cat")])]
    made.set_values("labels", labels)
    result = keep(made, protect_tags=["gold"], protect_fields=["labels"])
    assert sorted(result.view.values("id")) == [ids[1], ids[3]]
    assert result.protected == 2
    assert column(made, "dedup_kept_id") == [ids[1], ids[1], ids[1], ids[3]]


def test_labels_that_a_view_filters_away_still_protect(clustered):
    label = fo.Detections(detections=[fo.Detection(label="cat", confidence=0.2)])
    made = clustered(COPIES, labels=[None, label, None, None])
    view = made.filter_labels("labels", fo.ViewField("confidence") > 0.9, only_matches=False)
    assert keep(view, protect_fields=["labels"]).view.values("id") == [made.values("id")[1]]


def test_a_classification_protects(clustered):
    made = clustered(COPIES, weather=[None, None, fo.Classification(label="sunny"), None])
    assert keep(made, protect_fields=["weather"]).view.values("id") == [made.values("id")[2]]


def test_a_protecting_field_that_does_not_exist_is_an_error(clustered):
    made = clustered(weather=[fo.Classification(label="sunny")] * 6)
    with pytest.raises(ValueError, match=r"protect_fields: .*'wether'.*weather"):
        keep(made, protect_fields=["wether"])


@pytest.mark.parametrize("given", [["goldn"], ["golden, reviewed"], "golden, reviewed", ["silver", "golden"]])
def test_a_tag_that_would_protect_nothing_is_refused_with_those_that_may_be_meant(clustered, given):
    made = clustered(COPIES)
    made.limit(1).tag_samples("Golden, reviewed")
    made.limit(1).tag_samples("silver")
    before = documents(made)
    wrong = "golden" if isinstance(given, str) else given[-1]
    with pytest.raises(ValueError, match=f"protect_tags: .*{wrong!r}.*'Golden, reviewed'"):
        keep(made, protect_tags=given)
    assert documents(made) == before
    assert keep(made, protect_tags=["Golden, reviewed"]).protected == 1
    assert keep(made, protect_tags="Golden, reviewed").protected == 1


# --- the run it stands on


def test_without_a_run_the_error_says_what_to_run(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    with pytest.raises(ValueError, match=r"'dedup'.*cluster_duplicates"):
        keep(made)


def change_a_vector(dataset):
    dataset.set_values("vgg16", {dataset.last().id: np.array([1, 0.5])}, key_field="id")


def take_a_vector(dataset):
    dataset.set_values("vgg16", {dataset.last().id: None}, key_field="id")


@pytest.mark.parametrize(
    "change",
    [
        change_a_vector,
        take_a_vector,
        lambda dataset: dataset.delete_samples(dataset.limit(1)),
        lambda dataset: dataset.delete_samples(dataset),
    ],
)
def test_vectors_or_samples_that_changed_since_the_clustering_are_refused(clustered, change):
    made = clustered()
    change(made)
    made.add_sample(fo.Sample(filepath="/another.png"))
    with pytest.raises(ValueError, match="cluster_duplicates"):
        keep(made)
    assert list(runs.load(made, "dedup")["steps"]) == ["cluster"]


def test_samples_added_later_are_skipped_and_listed(clustered):
    made = clustered()
    made.add_sample(fo.Sample(filepath="/new.png", vgg16=np.array([1.0, 0.0], np.float32)))
    result = keep(made)
    assert result.skipped == {made.last().id: support.plugin("similarity.steps.members").NOT_IN_RUN}
    assert counts(made) == (3, 3, 1)
    assert "1 skipped" in result.summary()


def test_a_sample_that_was_skipped_and_got_a_vector_since_is_told_to_be_clustered(clustered):
    made = clustered([*THREE_GROUPS, None, np.zeros(2)])
    first, second = made.values("id")[-2:]
    made.set_values("vgg16", {first: np.array([1.0, 0.0], np.float32)}, key_field="id")
    skipped = keep(made).skipped
    assert skipped[first] == support.plugin("similarity.steps.members").NOT_IN_RUN
    assert "length zero" in skipped[second]


def test_a_view_decides_among_its_own_samples(clustered):
    made = clustered([*THREE_GROUPS, None])
    ids = made.values("id")
    view = made.select([ids[1], ids[2], ids[4], ids[6]])
    result = keep(view)
    assert result.view.values("id") == [ids[1], ids[4]]
    assert (result.kept, result.dropped, len(result.skipped)) == counts(view) == (2, 1, 1)
    assert column(made, "dedup_kept") == [None, True, False, None, True, None, None]
    assert made.load_saved_view("dedup-kept").values("id") == result.view.values("id")


def test_a_view_without_a_sample_of_the_run_is_refused(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    cluster(made.limit(3))
    with pytest.raises(ValueError, match=r"'dedup'.*cluster_duplicates"):
        keep(made.skip(3))


def test_a_view_of_the_former_result_can_be_decided_again(clustered):
    made = clustered()
    ids = keep(made).view.values("id")
    result = keep(made.load_saved_view("dedup-kept"))
    assert (result.view.values("id"), result.dropped) == (ids, 0)
    assert made.load_saved_view("dedup-kept").values("id") == ids


def test_a_sample_that_a_view_holds_twice_is_decided_once(clustered):
    made = clustered(COPIES)
    result = keep(made.view().concat(made.view()))
    assert (result.samples, result.kept, result.dropped) == (4, 1, 3)


def test_a_dataset_and_its_view_decide_alike(clustered):
    made = clustered([*THREE_GROUPS, None])
    assert keep(made) == keep(made.view())


def test_a_name_of_somebody_else_is_refused_and_nothing_is_written(clustered):
    for name, make in {
        "dedup_kept": lambda made: made.set_values("dedup_kept", [True] * 6),
        "dedup_similarity": lambda made: made.set_values("dedup_similarity", [1.0] * 6),
        "Dedup Worst": lambda made: made.save_view("Dedup Worst", made.limit(1)),
    }.items():
        made = clustered()
        make(made)
        before, record = documents(made), runs.load(made, "dedup")
        with pytest.raises(ValueError, match=f"'{name}'.*run_key"):
            keep(made)
        assert (documents(made), runs.load(made, "dedup")) == (before, record)


def test_a_decision_that_did_not_finish_is_done_again(clustered):
    made = clustered([*THREE_GROUPS, None])
    keep(made)
    undisturbed = documents(made), made.list_saved_views()
    cluster(made)
    kept = runs.Names("dedup")
    runs.begin(made, "dedup", workflow.KEEP, options.KeepOptions(), {"fields": [kept.kept], "views": []})
    runs.declare(made, "dedup", {kept.kept: (fo.BooleanField, "half")})
    with pytest.raises(ValueError, match=r"keep_first_per_cluster .*'dedup'"):
        runs.require(made, "dedup", workflow.KEEP)
    keep(made)
    assert (documents(made), made.list_saved_views()) == undisturbed


# --- for any data


@st.composite
def decisions(draw):
    """Labels with their vectors, and how to choose among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 12))
    vectors = directions(*rng.choice(draw(st.sampled_from([4, 20, 90])), n) + rng.choice([0, 0.4], n))
    return {
        "vectors": vectors,
        "eps": 1 - np.cos(np.radians(draw(st.sampled_from([0.5, 1.1, 3.0])))),
        "min_samples": draw(st.integers(1, 4)),
        "rank": rng.permutation(n),
        "protected": rng.random(n) < draw(st.sampled_from([0, 0.2])),
        "cover": draw(st.booleans()),
    }


def check(labels, kept, kept_for, distance, eps, protected, cover):
    """What a decision promises: every cluster keeps one, every dropped sample has a kept one of its cluster."""
    assert set(labels[kept]) == set(labels)
    assert kept[labels == -1].all()
    assert kept[protected].all()
    assert kept[kept_for].all()
    assert np.array_equal(labels[kept_for], labels)
    assert np.array_equal(kept_for[kept], np.flatnonzero(kept))
    if cover:
        assert (distance <= max(eps, 1e-6)).all()


@given(case=decisions(), lost=st.integers(0, 3), order=st.sampled_from(["view", "medoid", "place"]))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_decision_on_a_dataset_keeps_its_promises_and_reconciles(vector_dataset, case, lost, order):
    made = vector_dataset([*case["vectors"], *[None] * lost])
    n, ids = len(case["vectors"]), made.values("id")
    made.set_values("place", [int(rank) for rank in case["rank"]] + [None] * lost)
    made.select([ids[i] for i in np.flatnonzero(case["protected"])]).tag_samples("gold")
    cluster(made, eps=case["eps"], min_samples=case["min_samples"])
    given = {
        "cover": case["cover"],
        "protect_tags": ["gold"] * bool(case["protected"].any()),
        "order_by": order,
    }
    result = keep(made, **given)
    assert (result.kept, result.dropped, len(result.skipped)) == counts(made)
    assert result.kept + result.dropped + len(result.skipped) == result.samples == n + lost
    row = {sample_id: i for i, sample_id in enumerate(ids)}
    kept_for = np.array([row[sample_id] for sample_id in made.values("dedup_kept_id")[:n]])
    distance = engine_vectors.between(case["vectors"], np.arange(n), kept_for)
    labels, kept = np.array(made.values("dedup_cluster")[:n]), np.array(made.values("dedup_kept")[:n])
    check(labels, kept, kept_for, distance, case["eps"], case["protected"], case["cover"])
    before = documents(made)
    assert keep(made, **given) == result
    assert documents(made) == before


def test_by_default_every_dropped_sample_is_within_eps_of_a_kept_one(vector_dataset):
    angles = np.arange(0, 40) * 2.0
    made = vector_dataset(np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1))
    support.foo.get_operator(support.uri("cluster_duplicates"))(made, embeddings_field="vgg16", eps=0.001)
    result = support.foo.get_operator(support.uri("keep_first_per_cluster"))(made)
    assert result.beyond_eps == 0
    assert all(pair.distance <= 0.001 for pair in result.worst)
    assert result.kept == result.kept_with_cover > result.kept_without_cover == 1
