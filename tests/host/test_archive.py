"""The archive is an ordinary dataset, and the database one that is killed: nothing is lost, and nothing is claimed."""

import pymongo.collection
import pytest

from tests import support
from tests.host.compare import differences, samples, state
from tests.removable import ALL, DROPPED, call, dropped

import fiftyone as fo  # isort: skip
import fiftyone.core.odm as foo  # isort: skip


def remove(made, **options):
    return call("remove_duplicates", made, confirm=True, **options)


def archive_of(made) -> fo.Dataset:
    return fo.load_dataset(f"{made.name}-dedup-removed")


EDITS = {
    "a sample added": lambda a: a.add_sample(fo.Sample(filepath="/mine.png", mine=1)),
    "a field cleared": lambda a: a.clear_sample_field("weather"),
    "a field deleted": lambda a: a.delete_sample_fields(["weather", "dedup_kept"]),
    "tags cleared": lambda a: a.clear_sample_field("tags"),
    "info and description cleared": lambda a: (setattr(a, "info", {}), setattr(a, "description", "")),
    "renamed": lambda a: setattr(a, "name", f"{a.name}-by-hand"),
    "a sample deleted": lambda a: a.delete_samples(a.limit(1)),
    "a file path cleared": lambda a: a.limit(1).clear_sample_field("filepath"),
}
NOT_RESTORED = {"a sample added": 1, "a sample deleted": 1, "a file path cleared": 1}
STILL_THERE = {"a sample added": 1, "a file path cleared": 1}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_archive_gives_back_all_that_can_come_back_and_lists_the_rest(removable, edit):
    made = removable()
    before = samples(made)
    remove(made)
    EDITS[edit](archive_of(made))
    result = call("restore_removed", made)
    lost = NOT_RESTORED.get(edit, 0)
    assert len(result.left) == lost
    assert result.restored == DROPPED - (lost if edit != "a sample added" else 0)
    assert result.archived == STILL_THERE.get(edit, 0)
    assert (result.archive is None) == (edit not in STILL_THERE)
    assert ("All are back" in result.summary()) == (not lost)
    after = samples(made)
    assert "mine" not in made.get_field_schema()
    cleared = {"tags", "weather", "dedup_kept"}
    for sample_id, values in after.items():
        differing = {line.split(".")[1].split(":")[0] for line in differences(before[sample_id], values)}
        assert differing <= (cleared if "cleared" in edit or "field deleted" in edit else set())


def test_a_field_that_was_renamed_meanwhile_is_named_before_anything_is_written(removable):
    made = removable()
    before = {i: values["truth"] for i, values in samples(made).items()}
    remove(made)
    made.rename_sample_field("truth", "gt")
    now = state(made)
    with pytest.raises(ValueError, match=r"'truth' .*'gt'.*rename_sample_field"):
        call("restore_removed", made)
    assert differences(now, state(made)) == []
    archive_of(made).rename_sample_field("truth", "gt")
    assert call("restore_removed", made).restored == DROPPED
    assert differences(before, {i: values["gt"] for i, values in samples(made).items()}) == []


@pytest.mark.parametrize("kind", ["video", "group"])
def test_a_dataset_of_another_media_type_by_now_is_refused_before_anything_is_written(removable, kind):
    made = removable()
    remove(made)
    made.clear()
    if kind == "video":
        made.media_type = kind
        made.add_sample(fo.Sample(filepath="/nowhere/x.mp4"))
    else:
        made.add_group_field("group", default="left")
        made.add_sample(fo.Sample(filepath="/nowhere/x.png", group=fo.Group().element("left")))
    before = samples(made)
    with pytest.raises(ValueError, match=kind):
        call("restore_removed", made)
    assert differences(before, samples(made)) == []
    assert len(archive_of(made).values("id")) == DROPPED


def test_datasets_whose_names_begin_alike_each_have_an_archive(removable):
    twins = [removable(), removable()]
    wanted = [dropped(made) for made in twins]
    for number, made in enumerate(twins):
        made.name = f"test-{'x' * 80}-{number}"
    try:
        archives = [remove(made).archive for made in twins]
        assert [sorted(fo.load_dataset(name).values("id")) for name in archives] == wanted
        assert [call("restore_removed", made).restored for made in twins] == [DROPPED, DROPPED]
    finally:
        for name in fo.list_datasets("test-xxxx*"):
            fo.delete_dataset(name)


@pytest.mark.parametrize("write", [1, 2])
def test_an_archive_that_a_kill_left_half_made_is_used_again_and_nobody_elses(removable, monkeypatch, write):
    made, records = removable(), support.plugin("similarity.data.archive_records")
    update, calls = records.update, []

    def die(*arguments, **values):
        calls.append(arguments)
        if len(calls) == write:
            raise KeyboardInterrupt
        update(*arguments, **values)

    with monkeypatch.context() as patch:
        patch.setattr(records, "update", die)
        with pytest.raises(KeyboardInterrupt):
            remove(made)
    half_made = {name: str(fo.load_dataset(name)._doc.id) for name in fo.list_datasets()}
    theirs = fo.Dataset(f"{made.name}-dedup-removed-new")
    theirs.description = f"Samples that remove_duplicates took out of {made.name!r} (run 'dedup')"
    result = remove(made)
    assert result.removed == DROPPED
    assert str(fo.load_dataset(result.archive)._doc.id) in half_made.values()
    assert fo.dataset_exists(theirs.name)
    assert len(theirs) == 0


def test_an_archive_deleted_between_copy_and_deletion_costs_no_sample(removable, monkeypatch):
    """The narrowest moment there is: the copies have been seen, the originals are about to be deleted."""
    made, raw = removable(), support.plugin("similarity.data.raw")
    before, delete = state(made), raw.delete

    def delete_archive_then(*arguments):
        fo.delete_dataset(f"{made.name}-dedup-removed")
        delete(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(raw, "delete", delete_archive_then)
        with pytest.raises(ValueError, match=r"archive .*'dedup'"):
            remove(made)
    assert differences(before, state(made)) == []
    assert remove(made).removed == DROPPED
    assert call("restore_removed", made).restored == DROPPED


def test_a_copy_is_on_the_disk_before_its_original_is_deleted(removable):
    made = removable()
    database = foo.get_db_conn()
    database.command("profile", 2)
    try:
        remove(made)
        call("restore_removed", made)
    finally:
        database.command("profile", 0)
    copies = list(database["system.profile"].find({"command.pipeline.$merge": {"$exists": True}}))
    database["system.profile"].drop()
    assert len(copies) == 2
    assert all(copy["command"]["writeConcern"]["j"] for copy in copies)


def test_a_server_that_was_killed_and_estimates_nothing_changes_no_number(removable, monkeypatch):
    made = removable()
    monkeypatch.setattr(pymongo.collection.Collection, "estimated_document_count", lambda *_, **__: 0)
    assert made.count() == 0
    plan, done = call("remove_duplicates", made), remove(made)
    assert (plan.samples, plan.removed, plan.remain) == (ALL, DROPPED, ALL - DROPPED)
    assert (done.samples, done.removed, done.remain, done.archived) == (ALL, DROPPED, ALL - DROPPED, DROPPED)
    assert call("restore_removed", archive_of(made)).restored == DROPPED


def test_a_removal_from_the_view_of_duplicates_counts_the_dataset(removable):
    made = removable()
    result = call("remove_duplicates", made.load_saved_view("dedup-duplicates"), confirm=True)
    assert (result.samples, result.removed, result.remain) == (ALL, DROPPED, ALL - DROPPED)
    assert f"{ALL - DROPPED} remain in {made.name!r}" in result.summary()
    again = call("remove_duplicates", made.load_saved_view("dedup-duplicates"))
    assert (again.samples, again.removed, again.archived) == (ALL - DROPPED, 0, DROPPED)


def test_samples_merged_in_from_a_dataset_with_a_run_of_the_same_key_are_not_in_the_run(removable, tmp_path):
    made, other = removable(), removable()
    own = set(made.values("id"))
    remove(other)
    made.merge_samples(other)
    merged = set(made.values("id")) - own
    assert len(merged) == ALL - DROPPED
    assert made.select(merged).count("dedup_kept") > 0
    assert not merged & set(made.load_saved_view("dedup-kept").values("id"))
    exported = call("export_deduplicated", made, export_dir=str(tmp_path / "export"), media="none")
    assert merged <= set(exported.skipped)
    assert (exported.kept, exported.dropped) == (5, DROPPED)
    made.set_values("dedup_kept", dict.fromkeys(merged, False), key_field="id")
    plan = call("remove_duplicates", made)
    assert (plan.removed, set(plan.left)) == (DROPPED, merged)
