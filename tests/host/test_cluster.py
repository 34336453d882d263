import json

import bson
import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from tests import support
from tests.deduplicated import delete_run
from tests.vectors import NEAR, column, declare_as_ours, directions, documents, tags

import fiftyone as fo  # isort: skip

step = support.plugin("similarity.steps.cluster")
plans = support.plugin("similarity.steps.plans")
keep_step = support.plugin("similarity.steps.keep")
options = support.plugin("similarity.options")
runs = support.plugin("similarity.data.runs")
calibration = support.plugin("similarity.engine.calibration")
vgg16 = support.plugin("similarity.engine.vgg16")
engine = support.plugin("similarity.engine.clusters")

THREE_GROUPS = directions(0, 1, 2, 40, 41, 90)


def cluster(samples, report=None, **given):
    given = {"eps": NEAR, **given}
    return step.cluster(samples, options.ClusterOptions(**given), *([report] if report else []))


def keep(samples, **given):
    return keep_step.keep(samples, options.KeepOptions(**given))


class Stop(BaseException):
    pass


# --- what is found and written


def test_labels_equal_the_engines_and_scikit_learns(vector_dataset):
    rng = np.random.default_rng(51)
    vectors = rng.normal(size=(300, 5)).astype(np.float32)
    vectors[200:] = vectors[:100]
    made = vector_dataset(vectors)
    for metric, eps, min_samples in (("cosine", 0.05, 2), ("cosine", 0.1, 4), ("euclidean", 0.7, 3)):
        result = cluster(made, eps=eps, metric=metric, min_samples=min_samples)
        labels = np.array(column(made, "dedup_cluster"))
        assert np.array_equal(labels, engine.dbscan(vectors, eps=eps, metric=metric, min_samples=min_samples))
        model = DBSCAN(eps=eps, metric=metric, min_samples=min_samples, algorithm="brute")
        assert np.array_equal(labels, model.fit(vectors).labels_)
        assert (result.clusters, result.noise) == (labels.max() + 1, (labels == -1).sum())


def test_field_tags_views_and_result_tell_the_same(vector_dataset):
    made = vector_dataset([*THREE_GROUPS, None])
    result = cluster(made)
    ids = made.values("id")
    assert column(made, "dedup_cluster") == [0, 0, 0, 1, 1, -1, None]
    assert tags(made) == [
        *[["dedup:cluster:0000"]] * 3,
        *[["dedup:cluster:0001"]] * 2,
        ["dedup:noise"],
        ["dedup:skipped"],
    ]
    assert result.sizes == [(0, 3), (1, 2)]
    assert (result.samples, result.clusters, result.noise, result.unique) == (7, 2, 1, 3)
    assert list(result.skipped) == [ids[6]]
    assert made.load_saved_view("dedup-clusters").count() == result.view.count() == 2
    assert made.load_saved_view("dedup-skipped").values("id") == [ids[6]]


def test_clusters_are_listed_the_largest_first(vector_dataset):
    made = vector_dataset(directions(0, 1, 40, 41, 42, 43, 80, 81, 82))
    assert cluster(made).sizes == [(1, 4), (2, 3), (0, 2)]


def test_results_are_plain_values_and_long_ones_are_not_in_the_run_config(vector_dataset):
    rng = np.random.default_rng(0)
    made = vector_dataset(rng.normal(size=(600, 3)))
    result = cluster(made, eps=0.001)
    plain = result.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert keep(made).kept > 100
    config = made._doc.runs["dedup"].config
    assert len(bson.encode(dict(config))) < 5_000  # BSON takes no NumPy scalars either
    assert runs.load_results(made, "dedup")["cluster"] == plain | {"ids": made.values("id")}


def test_the_same_twice_gives_the_same_bytes(vector_dataset):
    made = vector_dataset([*np.random.default_rng(3).normal(size=(80, 3)), None])
    first = (cluster(made, eps=0.01), keep(made, order_by="medoid"))
    before = documents(made), runs.load_results(made, "dedup"), made.list_saved_views()
    second = (cluster(made, eps=0.01), keep(made, order_by="medoid"))
    assert second == first
    assert (documents(made), runs.load_results(made, "dedup"), made.list_saved_views()) == before


def test_a_view_is_clustered_alone_and_its_samples_alone_are_written(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    ids = made.values("id")
    result = cluster(made.select(ids[2:]))
    assert (result.samples, result.clusters, result.noise) == (4, 1, 2)
    assert column(made, "dedup_cluster") == [None, None, -1, 0, 0, -1]


def test_a_sample_that_a_view_holds_twice_is_not_its_own_duplicate(vector_dataset):
    made = vector_dataset(directions(0, 40))
    result = cluster(made.view().concat(made.view()))
    assert (result.samples, result.clusters, result.noise) == (2, 0, 2)


def test_a_run_that_would_shrink_stays_whole_until_that_loss_is_confirmed(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    ids = made.values("id")
    cluster(made)
    keep(made)
    before = documents(made), runs.load(made, "dedup"), runs.load_results(made, "dedup")
    with pytest.raises(plans.Unconfirmed, match=r"\b6\b.*'dedup'.*\b2\b.*confirm=True") as asked:
        cluster(made.select(ids[2:]))
    assert asked.value.lost == ids[:2]
    with pytest.raises(ValueError, match="'another'"):
        cluster(made.select(ids[2:]), confirm=True, plan="another")
    with pytest.raises(ValueError, match=asked.value.plan):
        cluster(made.select(ids[3:]), confirm=True, plan=asked.value.plan)
    assert (documents(made), runs.load(made, "dedup"), runs.load_results(made, "dedup")) == before
    cluster(made.select(ids[2:]), confirm=True, plan=asked.value.plan)
    assert column(made, "dedup_cluster") == [None, None, -1, 0, 0, -1]
    assert cluster(made).samples == 6  # what grows asks nothing


def test_a_view_of_an_earlier_result_can_be_clustered_again(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    cluster(made)
    keep(made)
    for name, members in (("dedup-kept", 4), ("dedup-clusters", 5)):
        assert cluster(made.load_saved_view(name), confirm=True).samples == members
        cluster(made)
        keep(made)


def test_min_samples_1_makes_single_clusters_that_are_not_tagged(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    result = cluster(made, min_samples=1)
    assert (result.clusters, result.noise) == (3, 0)
    assert tags(made)[5] == []


def test_a_target_is_refused_with_min_samples_above_2(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    with pytest.raises(ValueError, match=r"min_samples .*3.* target"):
        cluster(made, eps="auto", target="3", min_samples=3)
    assert not made.has_sample_field("dedup_cluster")


def test_tags_are_written_in_few_messages_however_many_there_are(vector_dataset):
    made = vector_dataset(np.repeat(np.eye(400, dtype=np.float32), 2, axis=0))

    def requests():
        return support.CLIENTS[0].admin.command("serverStatus")["network"]["numRequests"]

    before = requests()
    assert cluster(made).tagged == 400
    assert requests() - before < 200
    assert len(made.distinct("tags")) == 400


def test_only_the_largest_clusters_up_to_a_cap_become_tags_and_the_field_has_all(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    cluster(made, tag_clusters=1)
    assert {tag for found in tags(made) for tag in found} == {"dedup:cluster:0000", "dedup:noise"}
    assert column(made, "dedup_cluster") == [0, 0, 0, 1, 1, -1]


def test_without_tag_clusters_noise_is_still_tagged(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    cluster(made, tag_clusters=False)
    assert {tag for found in tags(made) for tag in found} == {"dedup:noise"}


def test_a_cluster_of_more_than_half_is_warned_of_first(vector_dataset):
    made = vector_dataset(directions(0, 1, 2, 3, 40))
    assert "80 %" in cluster(made).warnings[0]


def test_eps_auto_is_the_threshold_measured_for_these_vectors(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    declare_as_ours(made)
    assert cluster(made, eps="auto").eps == calibration.threshold(vgg16.provenance(weights="untrained")).eps


@pytest.mark.parametrize(
    ("changes", "metric", "told"),
    [
        (None, "cosine", "compute_embeddings"),
        ({"version": "1"}, "cosine", "recompute=True"),
        ({"layer": "fc9"}, "cosine", "'fc9'"),
        ({}, "euclidean", "'euclidean'"),
    ],
)
def test_eps_auto_is_refused_where_no_threshold_is_known_before_anything_is_written(
    vector_dataset, changes, metric, told
):
    made = vector_dataset(THREE_GROUPS)
    if changes is not None:
        declare_as_ours(made, **changes)
    before = documents(made)
    with pytest.raises(ValueError, match=f"'vgg16'.*{told}.*target"):
        cluster(made, eps="auto", metric=metric)
    assert (documents(made), made.list_runs()) == (before, [])


def test_weights_that_were_not_measured_are_told(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    declare_as_ours(made, weights="mine.h5", weights_digest="0" * 32)
    result = cluster(made, eps="auto")
    assert result.eps == 0.03
    assert "not for these" in result.eps_reason


def test_samples_that_are_all_alike_and_samples_that_are_all_apart_are_warned_of(vector_dataset):
    alike = cluster(vector_dataset(directions(*np.linspace(0, 4, 40))), eps=0.001).warnings
    assert [words.split(":")[0] for words in alike] == ["WARNING", "WARNING"]
    apart = cluster(vector_dataset(directions(*range(0, 90, 10)))).warnings
    assert [words.split(":")[0] for words in apart] == ["NOTE"]


# --- vectors that do not do


def test_unusable_vectors_are_skipped_with_the_reason_and_the_others_clustered(vector_dataset):
    odd = [None, np.array([np.nan, 1]), np.zeros(2), np.ones(3), np.array([1e300, 1.0])]
    made = vector_dataset([*directions(0, 1), *odd])
    result = cluster(made)
    reasons = [result.skipped[sample_id] for sample_id in made.values("id")[2:]]
    words = ["no embedding", "NaN or infinite", "length zero", "3 values instead of 2", "NaN or infinite"]
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))
    assert column(made, "dedup_cluster") == [0, 0, None, None, None, None, None]
    assert tags(made)[2:] == [["dedup:skipped"]] * 5


def test_lists_of_numbers_do_as_vectors(dataset):
    made = dataset(["/1.png", "/2.png"], clip=[[1.0, 0.0], [1.0, 0.001]])
    assert cluster(made, embeddings_field="clip").clusters == 1


@pytest.mark.parametrize(
    ("vectors", "field", "message"),
    [
        ([None, None], "vgg16", r"\b2\b.*compute_embeddings"),
        ([[0.0, 0.0]], "vgg16", "length zero"),
        (directions(0, 1), "missing", "'missing'.*vgg16.*compute_embeddings"),
        (directions(0, 1), "filepath", "'filepath'.*vgg16"),
    ],
)
def test_without_a_usable_vector_the_error_says_what_to_do(vector_dataset, vectors, field, message):
    made = vector_dataset(vectors)
    before = documents(made)
    with pytest.raises(ValueError, match=message):
        cluster(made, embeddings_field=field)
    assert documents(made) == before
    assert made.list_runs() == []


# --- whose names they are


def test_tags_and_fields_of_a_person_survive_clustering_and_keeping(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    mine = ["dedup:mine", "dedup:cluster:x", "dedup:cluster:12", "dedup", "xdedup:noise", "dedup:noise:2"]
    made.tag_samples(mine)
    for name in ("dedup_reviewed", "dedup_kept_by", "dedup_cluster_name"):
        made.set_values(name, ["mine"] * 6)
    made.save_view("dedup-mine", made.limit(2))
    for _ in range(2):
        cluster(made)
        keep(made)
    delete_run(made)
    assert tags(made) == [sorted(mine)] * 6
    assert made.values("dedup_reviewed") == made.values("dedup_kept_by") == ["mine"] * 6
    assert made.list_saved_views() == ["dedup-mine"]


def test_two_run_keys_live_side_by_side(vector_dataset):
    made = vector_dataset([*THREE_GROUPS, None])
    cluster(made, run_key="dedup_night", eps=0.9)
    keep(made, run_key="dedup_night")

    def night():
        fields = [name for name in made.get_field_schema() if name.startswith("dedup_night")]
        found = [[tag for tag in tags if tag.startswith("dedup_night:")] for tags in made.values("tags")]
        record, results = runs.load(made, "dedup_night"), runs.load_results(made, "dedup_night")
        names = [name for step in record["steps"].values() for name in step["views"]]
        views = [(name, made.load_saved_view(name).values("id")) for name in names]
        return {name: made.values(name) for name in fields}, found, record, results, views

    before = night()
    for _ in range(2):
        cluster(made)
        keep(made)
    assert night() == before
    delete_run(made)
    assert night() == before
    assert not [name for name in made.get_field_schema() if name in ("dedup_cluster", "dedup_kept")]


def test_stale_names_of_an_earlier_run_vanish(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    cluster(made)
    keep(made)
    result = cluster(made, eps=1e-5)
    assert result.clusters == 0
    assert tags(made) == [["dedup:noise"]] * 6
    assert not made.has_sample_field("dedup_kept")
    assert made.list_saved_views() == []  # none would show a sample
    assert list(runs.load(made, "dedup")["steps"]) == list(runs.load_results(made, "dedup")) == ["cluster"]


def test_a_field_of_somebody_else_is_refused_before_any_work(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    made.set_values("dedup_cluster", [7] * 6)
    before, reports = documents(made), []
    with pytest.raises(ValueError, match=r"'dedup_cluster'.*run_key"):
        cluster(made, lambda *report: reports.append(report))
    assert documents(made) == before
    assert (reports, made.list_runs(), made.list_saved_views()) == ([], [], [])


@pytest.mark.parametrize("name", ["dedup-clusters", "Dedup  clusters", "dedup_skipped"])
def test_a_saved_view_with_one_of_our_names_or_slugs_is_refused_before_any_work(vector_dataset, name):
    made = vector_dataset(THREE_GROUPS)
    made.save_view(name, made.limit(1))
    before = documents(made)
    with pytest.raises(ValueError, match=f"{name!r}.*run_key"):
        cluster(made)
    assert documents(made) == before
    assert (made.list_runs(), made.list_saved_views()) == ([], [name])


def test_a_run_of_somebody_else_under_the_key_is_refused(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    made.register_run("dedup", made.init_run(method="other"))
    before = documents(made)
    with pytest.raises(ValueError, match=r"'dedup'.*run_key"):
        cluster(made)
    assert documents(made) == before
    assert made.get_run_info("dedup").config.method == "other"


# --- work that is cut short


@pytest.mark.parametrize("moment", ["Comparing the vectors", "Writing the labels"])
def test_a_cancelled_run_changes_nothing_and_can_be_cancelled_until_it_writes(vector_dataset, moment):
    made = vector_dataset([*THREE_GROUPS, None])
    cluster(made)
    keep(made)
    before = documents(made), runs.load(made, "dedup"), made.list_saved_views()
    told = []

    def cancel(what, done, total):
        told.append(what)
        if what == moment:
            raise Stop

    with pytest.raises(Stop):
        cluster(made, cancel, eps=0.5)
    assert (documents(made), runs.load(made, "dedup"), made.list_saved_views()) == before
    cluster(made, lambda *progress: told.append(progress[0]), eps=0.5)
    assert told[-1] == "Writing the labels"


def test_results_that_a_kill_left_without_their_file_do_not_block_the_run(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    cluster(made)
    made._doc.runs["dedup"].results.delete()  # saving results deletes the old file first
    fresh = fo.load_dataset(made.name, reload=True)
    assert runs.load_results(fresh, "dedup") == {}
    assert cluster(fresh).clusters == 2
    assert list(runs.load_results(fresh, "dedup")) == ["cluster"]
