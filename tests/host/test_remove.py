import pytest

from tests import support
from tests.host.compare import differences, state
from tests.removable import ALL, DROPPED, KEPT, call, dropped

import fiftyone as fo  # isort: skip


def test_the_plan_names_what_would_go_and_changes_nothing(removable):
    made = removable()
    before, datasets = state(made), fo.list_datasets()
    plan = call("remove_duplicates", made)
    assert (plan.confirmed, plan.samples, plan.removed, plan.remain) == (False, ALL, DROPPED, ALL - DROPPED)
    assert sorted(plan.view.values("id")) == dropped(made)
    assert plan.bytes == DROPPED * 57
    doomed = made.select(dropped(made))
    assert plan.labels == doomed.count("truth.detections") + doomed.count("weather") > DROPPED
    assert plan.archive is None
    assert "confirm=True" in plan.summary()
    assert differences(before, state(made)) == []
    assert fo.list_datasets() == datasets


def test_confirmed_the_duplicates_are_in_the_archive_and_nowhere_else(removable):
    made = removable()
    wanted, before = dropped(made), state(made)["samples"]
    result = call("remove_duplicates", made, confirm=True)
    assert result.removed == DROPPED
    assert result.archive == f"{made.name}-dedup-removed"
    archive = fo.load_dataset(result.archive)
    assert archive.persistent
    assert sorted(archive.values("id")) == wanted
    assert len(made) == ALL - DROPPED
    after = state(made)["samples"]
    assert differences({i: before[i] for i in after}, after) == []
    assert not dropped(made)


def test_the_archive_holds_every_field_label_tag_and_id(removable):
    made = removable()
    before = state(made)
    call("remove_duplicates", made, confirm=True)
    archive = state(fo.load_dataset(f"{made.name}-dedup-removed"))
    for sample_id, values in archive["samples"].items():
        assert differences(before["samples"][sample_id], values) == []
    assert differences(before["fields"], archive["fields"]) == []


def test_only_the_samples_of_the_view_are_removed(removable):
    made = removable()
    some = dropped(made)[:2]
    result = call("remove_duplicates", made.select(some), confirm=True)
    assert sorted(fo.load_dataset(result.archive).values("id")) == some
    assert len(made) == ALL - 2
    again = call("remove_duplicates", made, confirm=True)
    assert again.removed == DROPPED - 2
    assert again.archived == DROPPED


def test_a_second_removal_brings_new_fields_into_the_archive(removable):
    made = removable()
    some = dropped(made)[:2]
    call("remove_duplicates", made.select(some), confirm=True)
    made.add_sample_field("added_later", fo.IntField)
    call("remove_duplicates", made, confirm=True)
    assert "added_later" in fo.load_dataset(f"{made.name}-dedup-removed").get_field_schema()


def test_a_dataset_of_the_archives_name_that_is_somebody_elses_is_not_touched(removable):
    made = removable()
    theirs = fo.Dataset(f"{made.name}-dedup-removed")
    theirs.add_sample(fo.Sample(filepath="/mine.png"))
    wanted = dropped(made)
    result = call("remove_duplicates", made, confirm=True)
    assert sorted(fo.load_dataset(result.archive).values("id")) == wanted
    assert theirs.values("filepath") == ["/mine.png"]
    assert call("restore_removed", made).restored == DROPPED


def test_a_clone_of_the_archive_is_not_the_archive(removable):
    made = removable()
    call("remove_duplicates", made.select(dropped(made)[:2]), confirm=True)
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    copy = archive.clone(f"{made.name}-copy")
    call("remove_duplicates", made, confirm=True)
    assert (len(archive), len(copy)) == (DROPPED, 2)


def test_the_archive_follows_a_renamed_dataset(removable):
    made = removable()
    call("remove_duplicates", made, confirm=True)
    made.name = f"{made.name}-renamed"
    assert call("restore_removed", made).restored == DROPPED


def test_an_archive_cannot_be_deduplicated(removable):
    made = removable()
    call("remove_duplicates", made, confirm=True)
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    with pytest.raises(ValueError, match=f"{archive.name!r}.*remove_duplicates"):
        call("remove_duplicates", archive, confirm=True)


def test_a_run_that_was_not_kept_is_refused_with_the_operator_to_run(removable):
    made = removable()
    call("cluster_duplicates", made, eps=0.05)
    with pytest.raises(ValueError, match="keep_first_per_cluster"):
        call("remove_duplicates", made, confirm=True)


def test_a_type_that_changed_since_the_last_removal_is_refused(removable):
    made = removable()
    call("remove_duplicates", made.select(dropped(made)[:1]), confirm=True)
    made.delete_sample_field("note")
    made.add_sample_field("note", fo.IntField)
    with pytest.raises(ValueError, match="note"):
        call("remove_duplicates", made, confirm=True)
    assert len(made) == ALL - 1


def test_only_the_slice_of_a_grouped_dataset_is_removed(dataset, tmp_path):
    made = dataset()
    made.add_group_field("group", default="left")
    for n in range(4):
        (tmp_path / f"{n}.png").write_bytes(b"same")
    group = [fo.Group() for _ in range(2)]
    made.add_samples(
        [
            fo.Sample(
                filepath=str(tmp_path / f"{n}.png"), group=group[n // 2].element(("left", "right")[n % 2])
            )
            for n in range(4)
        ]
    )
    everything = made.select_group_slices(media_type="image")
    everything.set_values("own", [[1.0, 2.0, 3.0]] * 4)
    call("cluster_duplicates", made, embeddings_field="own", eps=0.1)
    call("keep_first_per_cluster", made)
    before = state(made)
    result = call("remove_duplicates", made, confirm=True)
    assert result.removed == 1
    assert len(everything) == 3
    assert made.values("group.name") == ["left"]
    assert fo.load_dataset(result.archive).values("group.name") == ["left"]
    call("restore_removed", made)
    assert differences(before, state(made)) == []


def test_vectors_that_are_not_ours_say_that_files_were_not_compared_with_them(removable):
    made = removable()
    made.clone_sample_field("vgg16", "own")
    call("cluster_duplicates", made, embeddings_field="own", eps=0.05, run_key="other")
    call("keep_first_per_cluster", made, run_key="other")
    result = call("remove_duplicates", made, run_key="other", confirm=True)
    assert result.removed == DROPPED
    assert not result.files_compared
    assert "not OnlyOne's" in result.summary()


def test_the_form_runs_without_confirmation_and_shows_the_plan(removable):
    made = removable()
    result = support.run("remove_duplicates", made)
    assert len(made) == ALL
    names = [name for name, _ in support.requests(result)]
    assert any(name.endswith("set_view") for name in names)
    support.run("remove_duplicates", made, confirm=True)
    assert len(made) == ALL - DROPPED
    assert made.match(fo.ViewField("dedup_kept") == True).count() == KEPT  # noqa: E712
