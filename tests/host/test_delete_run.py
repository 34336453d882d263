"""A run taken off whole, and a run of which FiftyOne or a person has taken a part."""

import numpy as np
import pytest

from tests import support
from tests.deduplicated import delete_run
from tests.host.compare import differences, samples, state
from tests.removable import DROPPED, call
from tests.vectors import NEAR, directions, documents

import fiftyone as fo  # isort: skip
import fiftyone.brain as fob  # isort: skip

VECTORS = [*directions(0, 1, 2, 40, 41, 90), None]
RUN = ("cluster_duplicates", "keep_first_per_cluster")


def deduplicate(made, run_key="dedup"):
    call("cluster_duplicates", made, eps=NEAR, run_key=run_key)
    return call("keep_first_per_cluster", made, run_key=run_key, cover=False)


@pytest.fixture
def mine(vector_dataset):
    """A dataset on which a person has worked, with names that look much like a run's."""
    made = vector_dataset(VECTORS)
    made.tag_samples(["mine", "dedup:mine", "dedup:cluster:x", "dedup_night:noise"])
    made.set_values("dedup_reviewed", [True] * 7)
    made.save_view("dedup-mine", made.limit(1), description="(OnlyOne run dedup)")
    made.save_view("other", made.limit(2))
    made.register_run("other", made.init_run(method="other"))
    deduplicate(made, "night")
    return made


def everything(made):
    return documents(made), state(made)


def test_deleting_a_run_leaves_the_dataset_as_it_was_before_it(mine):
    before = everything(mine)
    deduplicate(mine)
    plan = call("delete_run", mine)
    assert not plan.confirmed
    assert everything(mine) != before
    result = call("delete_run", mine, confirm=True, plan=plan.plan)
    assert everything(mine) == before
    assert (result.fields, result.views, result.tags) == (plan.fields, plan.views, plan.tags)
    assert sorted(result.fields) == ["dedup_cluster", "dedup_kept", "dedup_kept_id", "dedup_similarity"]
    assert result.tags["dedup:duplicate"] == 3


def test_a_plan_changes_nothing_and_is_refused_once_the_run_was_done_again(mine):
    deduplicate(mine)
    before = everything(mine)
    plan = call("delete_run", mine).plan
    assert call("delete_run", mine).plan == plan
    assert everything(mine) == before
    call("cluster_duplicates", mine, eps=0.9)
    before = everything(mine)
    with pytest.raises(ValueError, match=plan):
        call("delete_run", mine, confirm=True, plan=plan)
    assert everything(mine) == before


def test_what_is_no_run_of_ours_is_not_deleted(mine):
    before = everything(mine)
    for key in ("dedup", "other"):
        with pytest.raises(ValueError, match=repr(key)):
            delete_run(mine, key)
    assert everything(mine) == before


def test_a_field_and_a_view_that_a_person_has_made_in_place_of_the_runs_own_stay(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    made.delete_sample_field("dedup_kept")
    made.set_values("dedup_kept", ["mine"] * 7)
    made.delete_saved_view("dedup-kept")
    made.save_view("dedup-kept", made.limit(1), description="mine")
    result = delete_run(made)
    assert made.values("dedup_kept") == ["mine"] * 7
    assert made.list_saved_views() == ["dedup-kept"]
    assert not made.has_sample_field("dedup_kept_id")
    assert "dedup_kept" not in result.fields


def test_removed_samples_stay_in_their_archive_and_come_back_after_the_run_is_deleted(removable):
    made = removable()
    before = samples(made, omit=["dedup_cluster", "dedup_kept", "dedup_kept_id", "dedup_similarity", "tags"])
    removed = call("remove_duplicates", made, confirm=True)
    result = delete_run(made)
    assert (result.archived, result.archive) == (DROPPED, removed.archive)
    assert removed.archive in result.summary()
    assert fo.load_dataset(removed.archive).count() == DROPPED
    assert call("restore_removed", made).restored == DROPPED
    assert differences(before, samples(made, omit=["tags"])) == []
    assert not [tag for tag in made.distinct("tags") if tag.startswith("dedup:")]


def test_the_map_of_a_run_goes_with_it_and_a_persons_own_of_that_name_stays(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    support.plugin("similarity.steps.map").draw_map(made, "vgg16", "dedup_map")
    plan = call("delete_run", made)
    assert plan.maps == ["dedup_map"]
    assert {"name": "dedup_map", "kind": "map"} in plan.tables()["run"]
    delete_run(made)
    assert made.list_brain_runs() == []
    deduplicate(made)
    points = np.zeros((len(VECTORS), 2))
    fob.compute_visualization(made, points=points, brain_key="dedup_map")
    assert delete_run(made).maps == []
    assert made.list_brain_runs() == ["dedup_map"]


# --- FiftyOne's own delete_run and rename_run


def forget(made):
    made.delete_run("dedup")


def rename(made):
    made.rename_run("dedup", "better")


@pytest.mark.parametrize("change", [forget, rename])
def test_a_run_whose_record_is_gone_is_deleted_whole(mine, change):
    before = everything(mine)
    deduplicate(mine)
    change(mine)
    delete_run(mine)
    assert everything(mine) == before


def test_a_renamed_run_is_deleted_whole_under_its_new_key(mine):
    before = everything(mine)
    deduplicate(mine)
    rename(mine)
    delete_run(mine, "better")
    assert everything(mine) == before


@pytest.mark.parametrize("change", [forget, rename])
def test_a_run_whose_record_is_gone_is_done_again_in_its_place(mine, change):
    before = everything(mine)
    deduplicate(mine)
    expected = mine.values(["dedup_cluster", "dedup_kept", "tags"]), mine.list_saved_views()
    change(mine)
    for operator in ("keep_first_per_cluster", "export_deduplicated", "remove_duplicates"):
        its = {"export_dir": "/nowhere"} if operator == "export_deduplicated" else {}
        with pytest.raises(ValueError, match=r"'dedup'.*cluster_duplicates"):
            call(operator, mine, **its)
    call("cluster_duplicates", mine, eps=NEAR)
    assert not mine.has_sample_field("dedup_kept")
    assert "dedup-kept" not in mine.list_saved_views()
    call("keep_first_per_cluster", mine, cover=False)
    assert (mine.values(["dedup_cluster", "dedup_kept", "tags"]), mine.list_saved_views()) == expected
    if change is rename:
        leftover = delete_run(mine, "better")  # which has nothing but its record now
        assert (leftover.fields, leftover.views, leftover.tags) == ([], [], {})
        assert mine.values("dedup_kept") == expected[0][1]
    delete_run(mine)
    assert everything(mine) == before


def test_the_new_key_of_a_renamed_run_can_be_used_for_a_new_run(mine):
    deduplicate(mine)
    rename(mine)
    with pytest.raises(ValueError, match=r"'dedup'.*cluster_duplicates"):
        call("keep_first_per_cluster", mine, run_key="better")
    deduplicate(mine, "better")
    assert mine.values("better_kept") == mine.values("dedup_kept")
    delete_run(mine, "better")
    delete_run(mine, "dedup")
    assert not [name for name in mine.get_field_schema() if name.startswith(("better_", "dedup_kept"))]
    assert mine.list_runs() == ["night", "other"]


@pytest.mark.parametrize(
    ("field", "operator"),
    [
        ("dedup_cluster", "cluster_duplicates"),
        ("dedup_kept", "keep_first_per_cluster"),
        ("dedup_kept_id", "keep_first_per_cluster"),
        ("dedup_similarity", "keep_first_per_cluster"),
    ],
)
@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_field_of_the_run_that_is_gone_is_named_with_the_operator_that_makes_it(
    vector_dataset, tmp_path, field, operator, how
):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    if how == "deleted":
        made.delete_sample_field(field)
    else:
        made.rename_sample_field(field, "mine")
    for name in ("export_deduplicated", "write_report", "group_into_folders", "remove_duplicates"):
        its = {} if name == "remove_duplicates" else {"export_dir": str(tmp_path / name)}
        with pytest.raises(ValueError, match=f"{field!r}.*{operator}"):
            call(name, made, **its)
    overview = support.plugin("similarity.steps.overview").overview(made, "dedup", "vgg16")
    assert {step.operator: step.state for step in overview.steps}[operator] == "stale"
    for step in RUN[RUN.index(operator) :]:
        call(step, made, **({"eps": NEAR} if step == RUN[0] else {}))
    assert call("remove_duplicates", made).samples == 7


def test_results_that_are_gone_are_named_with_the_operator_that_makes_them(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    made._doc.runs["dedup"].results.delete()
    for operator, missing in (("keep_first_per_cluster", RUN[0]), ("remove_duplicates", RUN[1])):
        with pytest.raises(ValueError, match=f"{missing}.*'dedup'"):
            call(operator, made)
    deduplicate(made)
    assert call("remove_duplicates", made).samples == 7


def test_the_fields_of_a_run_have_a_group_of_their_own_in_the_sidebar_which_goes_with_them(vector_dataset):
    made = vector_dataset(VECTORS)
    assert made.app_config.sidebar_groups is None
    deduplicate(made)
    made.reload()
    groups = {group.name: group.paths for group in made.app_config.sidebar_groups}
    assert groups["deduplication"] == ["dedup_cluster", "dedup_kept", "dedup_kept_id", "dedup_similarity"]
    assert not {
        path
        for name, paths in groups.items()
        for path in paths
        if "dedup" in path and name != "deduplication"
    }
    delete_run(made)
    made.reload()
    assert made.app_config.sidebar_groups is None
