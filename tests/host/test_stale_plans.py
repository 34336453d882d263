"""What happens between the decision to leave samples out and their removal, and that nothing is lost by it."""

import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from tests import support
from tests.host.compare import differences, samples, state
from tests.removable import ALL, DROPPED, call, dropped, kept_for, mark_embedded

import fiftyone as fo  # isort: skip


def remove(made, **options):
    return call("remove_duplicates", made, confirm=True, **options)


def family(made, sample_id: str) -> list[str]:
    """Ids of the samples that the same one is kept for."""
    return [i for i in dropped(made) if kept_for(made, i) == kept_for(made, sample_id)]


def assert_left(made, before, result, ids, pattern: str) -> None:
    """Just these samples are left, untouched and for such a reason; everything else is here or in the archive."""
    assert set(result.left) == set(ids)
    (reason,) = set(result.left.values())
    assert re.search(pattern, reason)
    assert reason in result.summary()
    assert [row["file"] for row in result.tables()["left_in_place"]] == list(result.files.values())
    paths = dict(zip(*made.select(ids).values(["id", "filepath"]), strict=True))
    assert result.files == {i: Path(path).name for i, path in paths.items()}
    here = samples(made)
    archived = samples(fo.load_dataset(result.archive)) if result.archive else {}
    assert set(ids) <= set(here)
    assert not set(here) & set(archived)
    assert differences(before, here | archived) == []


def test_a_kept_sample_deleted_by_hand_saves_those_that_rely_on_it(removable):
    made = removable()
    victim = dropped(made)[0]
    saved, kept = family(made, victim), kept_for(made, victim)
    made.delete_samples([kept])
    before = samples(made)
    result = remove(made)
    assert_left(made, before, result, saved, r"kept for it .*not in the dataset")
    assert result.removed == DROPPED - len(saved)


def test_a_kept_sample_that_is_not_kept_any_more_saves_those_that_rely_on_it(removable):
    made = removable()
    victim = dropped(made)[0]
    saved, kept = family(made, victim), kept_for(made, victim)
    made.set_values("dedup_kept", {kept: None}, key_field="id")
    before = samples(made)
    assert_left(made, before, remove(made), saved, r"kept for it .*not kept")


def test_two_samples_that_stand_for_each_other_both_stay(removable):
    made = removable()
    victim = dropped(made)[0]
    kept = kept_for(made, victim)
    made.set_values("dedup_kept", {kept: False}, key_field="id")
    made.set_values("dedup_kept_id", {kept: victim}, key_field="id")
    before = samples(made)
    assert_left(made, before, remove(made), [*family(made, victim), kept], r"kept for it .*not kept")


def test_a_kept_file_that_was_replaced_saves_those_that_rely_on_it(removable):
    made = removable()
    victim = dropped(made)[0]
    replace(made[kept_for(made, victim)].filepath)
    saved, before = family(made, victim), samples(made)
    assert_left(made, before, remove(made), saved, r"\bfile .*kept for it .*changed")


def test_a_kept_file_that_is_gone_saves_those_that_rely_on_it(removable):
    made = removable()
    victim = dropped(made)[0]
    Path(made[kept_for(made, victim)].filepath).unlink()
    saved, before = family(made, victim), samples(made)
    assert_left(made, before, remove(made), saved, r"\bfile .*kept for it .*gone")


def test_a_file_that_was_replaced_saves_its_sample(removable):
    made = removable()
    victim = dropped(made)[2]
    replace(made[victim].filepath)
    before = samples(made)
    assert_left(made, before, remove(made), [victim], "its file .*changed")


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(removable):
    made = removable()
    victim = dropped(made)[2]
    path = Path(made[victim].filepath)
    times = path.stat()
    path.write_bytes(b"x" * times.st_size)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    before = samples(made)
    assert_left(made, before, remove(made), [victim], "its file .*changed")


def test_a_file_that_was_only_touched_is_the_same_file(removable):
    made = removable()
    os.utime(made[dropped(made)[0]].filepath, ns=(1, 1))
    assert call("remove_duplicates", made).removed == DROPPED
    assert remove(made).removed == DROPPED


def replace(path: str) -> None:
    Path(path).write_bytes(b"another picture")


RELABELLINGS = {
    "a label drawn": lambda s: s.truth.detections.append(
        fo.Detection(label="new", bounding_box=[0, 0, 1, 1])
    ),
    "a label renamed": lambda s: setattr(s.truth.detections[0], "label", "corrected"),
    "a label tagged": lambda s: s.truth.detections[0].tags.append("reviewed"),
    "a label deleted": lambda s: setattr(s.truth, "detections", []),
    "a classification": lambda s: s.set_field("weather", fo.Classification(label="sun")),
    "a tag added": lambda s: s.tags.append("precious"),
    "a tag that looks like ours": lambda s: s.tags.append("dedup:reviewed"),
    "a tag removed": lambda s: s.tags.remove("seen"),
    "a note written": lambda s: s.set_field("note", "keep this one"),
}


@pytest.mark.parametrize("change", RELABELLINGS.values(), ids=RELABELLINGS)
def test_a_sample_that_a_person_relabelled_stays(removable, change):
    made = removable()
    victim = next(i for i in dropped(made) if made[i].truth.detections and "seen" in made[i].tags)
    sample = made[victim]
    change(sample)
    sample.save()
    before = samples(made)
    assert_left(made, before, remove(made), [victim], r"its labels.*keep_first_per_cluster")


def test_what_onlyone_and_fiftyone_write_themselves_is_no_relabelling(removable):
    made = removable()
    call("cluster_duplicates", made, eps=0.05, run_key="night")
    call("keep_first_per_cluster", made, run_key="night")
    made.compute_metadata(skip_failures=True)
    made.set_values("tags", made.values("tags"))
    assert remove(made).removed == DROPPED


def test_a_run_that_was_clustered_again_is_refused(removable):
    made = removable()
    call("cluster_duplicates", made, eps=0.05)
    before = state(made)
    with pytest.raises(ValueError, match="keep_first_per_cluster"):
        remove(made)
    assert differences(before, state(made)) == []


def test_a_plan_of_a_run_that_was_done_again_is_refused(removable):
    made = removable()
    plan = call("remove_duplicates", made).plan
    call("cluster_duplicates", made, eps=0.5)
    call("keep_first_per_cluster", made)
    before = state(made)
    with pytest.raises(ValueError, match=f"'dedup'.*{plan}"):
        remove(made, plan=plan)
    assert differences(before, state(made)) == []
    assert remove(made, plan=call("remove_duplicates", made).plan).removed


@pytest.mark.parametrize("who", ["dropped", "kept"])
def test_an_embedding_that_was_computed_again_saves_its_sample(removable, who):
    made = removable()
    victim = dropped(made)[0]
    changed = victim if who == "dropped" else kept_for(made, victim)
    made.set_values("vgg16", {changed: np.ones(8, np.float32)}, key_field="id")
    saved = [victim] if who == "dropped" else family(made, victim)
    before = samples(made)
    whose = "its embedding" if who == "dropped" else "embedding .*kept for it"
    assert_left(made, before, remove(made), saved, f"{whose} .*computed again")


def test_files_that_were_embedded_again_after_a_change_save_their_samples(removable):
    made = removable()
    victim = dropped(made)[0]
    replace(made[victim].filepath)
    mark_embedded(made, [victim])
    made.set_values("vgg16", {victim: np.ones(8, np.float32)}, key_field="id")
    before = samples(made)
    assert_left(made, before, remove(made), [victim], "was computed again")


def test_embeddings_that_are_gone_save_every_sample(removable):
    made = removable()
    made.clear_sample_field("vgg16")
    before = samples(made)
    assert_left(made, before, remove(made), dropped(made), "was computed again")


def test_an_embeddings_field_that_was_renamed_is_named(removable):
    made = removable()
    made.rename_sample_field("vgg16", "mine")
    before = samples(made)
    with pytest.raises(ValueError, match=r"'vgg16'.*compute_embeddings"):
        remove(made)
    assert differences(before, samples(made)) == []


def test_samples_added_since_stay(removable, tmp_path):
    made = removable()
    (tmp_path / "new.png").write_bytes(b"new")
    new = made.add_sample(fo.Sample(filepath=str(tmp_path / "new.png"), vgg16=np.ones(8, np.float32)))
    result = remove(made)
    assert (result.removed, result.left) == (DROPPED, {})
    assert new in made.values("id")
    assert len(made) == ALL - DROPPED + 1


def test_a_sample_added_with_somebody_elses_decision_stays(removable, tmp_path):
    made = removable()
    victim = made[dropped(made)[0]]
    copy = fo.Sample(filepath=victim.filepath, dedup_kept=False, dedup_kept_id=victim.dedup_kept_id)
    new = made.add_sample(copy)
    before = samples(made)
    assert_left(made, before, remove(made), [new], "not in the run")


def test_a_plan_applied_twice_removes_nothing_more(removable):
    made = removable()
    first, before = remove(made), None
    before = samples(made)
    second = remove(made)
    assert (first.removed, second.removed) == (DROPPED, 0)
    assert f"{DROPPED} samples of the run" in second.summary()
    assert differences(before, samples(made)) == []


def test_two_runs_that_each_keep_what_the_other_drops_leave_one_of_each(removable):
    made = removable()
    call("cluster_duplicates", made, eps=0.05, run_key="back")
    call("keep_first_per_cluster", made.sort_by("taken", reverse=True), run_key="back")
    one = remove(made)
    before = samples(made)
    other = remove(made, run_key="back")
    assert one.removed == DROPPED
    assert other.removed == 0
    (reason,) = set(other.left.values())
    assert re.search("kept for it .*not in the dataset", reason)
    assert differences(before, samples(made)) == []


def test_a_removal_at_the_same_time_is_refused_and_loses_nothing(removable):
    made = removable()
    before, entered, leave = samples(made), threading.Event(), threading.Event()
    options = support.plugin("similarity.handover_options").RemoveOptions(confirm=True)
    step, busy = (
        support.plugin("similarity.steps.remove").remove,
        support.plugin("similarity.data.locks").Busy,
    )

    def wait(what, done, total):
        entered.set()
        assert leave.wait(60)

    first = threading.Thread(target=lambda: step(made, options, wait))
    first.start()
    assert entered.wait(60)
    with pytest.raises(busy, match="'run-dedup'"):
        remove(made)
    leave.set()
    first.join()
    archived = samples(fo.load_dataset(f"{made.name}-dedup-removed"))
    assert len(archived) == DROPPED
    assert differences(before, samples(made) | archived) == []


def test_a_sample_edited_while_it_is_removed_stays_as_it_was_edited(removable, monkeypatch):
    """The edit comes between the check and the deletion: the narrowest moment there is."""
    made = removable()
    victim = dropped(made)[0]
    raw = support.plugin("similarity.data.raw")
    copy = raw.copy

    def edit_then_copy(origin, *arguments):
        if origin is made:
            made.select(victim).tag_samples("in the last moment")
        copy(origin, *arguments)

    monkeypatch.setattr(raw, "copy", edit_then_copy)
    result = remove(made)
    assert set(result.left) == {victim}
    assert "in the last moment" in made[victim].tags
    assert victim not in fo.load_dataset(result.archive).values("id")
    assert result.removed == DROPPED - 1
