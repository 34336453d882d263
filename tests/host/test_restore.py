import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from tests import support
from tests.host.compare import differences, samples, state
from tests.removable import ALL, DROPPED, call, dropped

import fiftyone as fo  # isort: skip
import fiftyone.brain as fob  # isort: skip


def remove(made, **options):
    return call("remove_duplicates", made, confirm=True, **options)


def test_removed_and_restored_a_dataset_is_what_it_was(removable):
    made = removable()
    before = state(made)
    remove(made)
    result = call("restore_removed", made)
    assert (result.restored, result.archived, result.archive) == (DROPPED, 0, None)
    assert sorted(result.view.values("id")) == dropped(made)
    assert differences(before, state(made)) == []
    assert not fo.dataset_exists(f"{made.name}-dedup-removed")


def test_samples_of_before_and_after_are_equal_to_a_person_too(removable):
    made = removable()
    before = {s.id: s.to_dict(include_private=True) for s in made}
    remove(made)
    call("restore_removed", made)
    made.clear_cache()
    for sample in made:
        now = sample.to_dict(include_private=True)
        then = before[sample.id]
        changed = now.pop("last_modified_at") != then.pop("last_modified_at")
        assert changed == (sample.dedup_kept is False)
        assert repr(now) == repr(then)


def test_brain_runs_load_and_saved_views_are_unchanged(removable):
    made = removable()
    vectors = np.array([v if v is not None else np.ones(8) for v in made.values("vgg16")])
    fob.compute_similarity(
        made, embeddings=vectors, brain_key="theirs", backend="sklearn", metric="euclidean"
    )
    before, query = state(made), made.first().id
    nearest = made.sort_by_similarity(query, k=5, brain_key="theirs").values("id")
    remove(made)
    call("restore_removed", made)
    assert differences(before, state(made)) == []
    assert made.load_saved_view("mine").count() == len(before["views"]["mine"]["ids"])
    made.clear_cache()
    assert made.sort_by_similarity(query, k=5, brain_key="theirs").values("id") == nearest


def test_keeping_again_keeps_the_same_samples(removable):
    made = removable()
    first = call("keep_first_per_cluster", made)
    remove(made)
    call("restore_removed", made)
    second = call("keep_first_per_cluster", made)
    assert second.to_dict() == first.to_dict()
    assert remove(made).removed == DROPPED


def test_samples_come_back_after_others_were_added(removable, tmp_path):
    made = removable()
    before = samples(made)
    remove(made)
    (tmp_path / "new.png").write_bytes(b"new")
    new = made.add_sample(fo.Sample(filepath=str(tmp_path / "new.png"), weight=2.5))
    call("restore_removed", made)
    after = samples(made)
    assert after.pop(new)["weight"] == 2.5
    for values in after.values():
        assert values.pop("weight", None) is None
    assert differences(before, after) == []
    assert made[dropped(made)[0]].weight is None


def test_a_selection_comes_back_and_the_rest_stays(removable):
    made = removable()
    wanted = dropped(made)
    remove(made)
    result = call("restore_removed", made, selected=wanted[:2])
    assert sorted(result.view.values("id")) == wanted[:2]
    assert (result.archived, result.archive) == (DROPPED - 2, f"{made.name}-dedup-removed")
    assert sorted(fo.load_dataset(result.archive).values("id")) == wanted[2:]
    assert call("restore_removed", made).restored == DROPPED - 2
    assert len(made) == ALL


def test_a_selection_that_was_not_removed_is_refused(removable):
    made = removable()
    remove(made)
    with pytest.raises(ValueError, match="selected"):
        call("restore_removed", made, selected=made.limit(1).values("id"))


def test_samples_selected_in_the_archive_come_back_to_their_dataset(removable):
    made = removable()
    remove(made)
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    chosen = archive.limit(2).values("id")
    asked = [name for name, _ in support.requests(support.run("restore_removed", archive, selected=chosen))]
    assert set(asked) <= {
        "open_dataset",
        "show_output",
    }  # the App may look for nothing in a dataset that is gone
    assert set(chosen) <= set(made.values("id"))
    assert len(archive) == DROPPED - 2
    assert call("restore_removed", archive.limit(1)).restored == 1


def test_of_an_empty_view_of_the_archive_nothing_comes_back(removable):
    made = removable()
    remove(made)
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    assert call("restore_removed", archive.match_tags("nobody")).restored == 0
    assert len(archive) == DROPPED


def test_a_field_deleted_meanwhile_comes_back_with_its_values(removable):
    made = removable()
    before = state(made)
    remove(made)
    made.delete_sample_fields(["weather", "camera"])
    call("restore_removed", made)
    now = state(made)
    assert {"weather", "camera"} <= set(now["fields"])
    for sample_id in dropped(made):
        assert differences(before["samples"][sample_id], now["samples"][sample_id]) == []


def test_a_field_deleted_meanwhile_that_no_removed_sample_uses_stays_away(removable):
    made = removable()
    made.add_sample_field("unused", fo.StringField)
    call("keep_first_per_cluster", made)
    remove(made)
    made.delete_sample_field("unused")
    call("restore_removed", made)
    assert "unused" not in made.get_field_schema()
    assert "unused" not in made[dropped(made)[0]].to_dict()


def test_a_field_of_another_type_by_now_is_refused_and_nothing_changes(removable):
    made = removable()
    remove(made)
    made.delete_sample_field("weather")
    made.add_sample_field("weather", fo.IntField)
    made.set_values("weather", [3] * len(made))
    before = state(made)
    with pytest.raises(ValueError, match=r"weather.*rename_sample_field"):
        call("restore_removed", made)
    assert differences(before, state(made)) == []
    assert len(fo.load_dataset(f"{made.name}-dedup-removed")) == DROPPED
    made.rename_sample_field("weather", "forecast")
    assert call("restore_removed", made).restored == DROPPED


def test_a_run_done_again_meanwhile_does_not_mix_with_the_restored(removable):
    made = removable()
    before = samples(made)
    wanted = dropped(made)
    remove(made)
    call("cluster_duplicates", made, eps=0.01)
    call("keep_first_per_cluster", made)
    result = call("restore_removed", made)
    assert re.search(r"\bdedup\b.*cluster_duplicates", result.summary())
    now = samples(made)
    for sample_id in wanted:
        assert made[sample_id].dedup_cluster is None
        assert not [tag for tag in made[sample_id].tags if tag.startswith("dedup:")]
        mine = {k: v for k, v in before[sample_id].items() if not k.startswith("dedup_") and k != "tags"}
        assert differences(mine, {k: v for k, v in now[sample_id].items() if k in mine}) == []
    assert made.count_values("tags")["seen"] == 8


def test_a_run_deleted_meanwhile_leaves_no_field_of_its_own_behind(removable):
    made = removable()
    remove(made)
    call("delete_run", made, confirm=True)
    call("restore_removed", made)
    assert not [name for name in made.get_field_schema() if name.startswith("dedup_")]
    assert not [tag for tag in made.distinct("tags") if tag.startswith("dedup:")]
    assert len(made) == ALL


def test_vectors_of_another_model_by_now_do_not_mix_with_the_restored(removable):
    made = removable()
    wanted = dropped(made)
    remove(made)
    declare = support.plugin("similarity.data.samples").declare_field
    declare(made, "vgg16", fo.VectorField, "VGG16 embeddings", {"model": "vgg16", "layer": "fc1"})
    result = call("restore_removed", made)
    assert re.search(r"\bvgg16\b.*compute_embeddings", result.summary())
    back = made.select(wanted)
    assert back.exists("vgg16").count() == back.exists("vgg16_digest").count() == 0
    assert back.exists("truth").count() == DROPPED


def test_a_sample_brought_back_by_hand_is_not_touched(removable):
    made = removable()
    remove(made)
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    by_hand = archive.limit(1).values("id")[0]
    made.add_collection(archive.limit(1).select_fields("truth"), new_ids=False)
    made.select(by_hand).tag_samples("by hand")
    result = call("restore_removed", made)
    assert set(result.left) == {by_hand}
    assert [row["file"] for row in result.tables()["not_restored"]] == [Path(made[by_hand].filepath).name]
    assert "by hand" in made[by_hand].tags
    assert archive.values("id") == [by_hand]
    assert result.restored == DROPPED - 1


def test_what_an_interrupted_removal_left_in_both_comes_down_to_one(removable, monkeypatch):
    made = removable()
    before, wanted = state(made), dropped(made)
    with monkeypatch.context() as patch:
        patch.setattr(support.plugin("similarity.data.raw"), "delete", interrupt)
        with pytest.raises(KeyboardInterrupt):
            remove(made)
    assert sorted(fo.load_dataset(f"{made.name}-dedup-removed").values("id")) == wanted
    made.set_values("note", {wanted[0]: "edited since"}, key_field="id")
    assert call("restore_removed", made).restored == 0
    before["samples"][wanted[0]]["note"] = "edited since"
    assert differences(before, state(made)) == []
    assert not fo.dataset_exists(f"{made.name}-dedup-removed")


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_a_sample_whose_file_is_taken_stays_in_the_archive_where_an_index_allows_one(removable):
    made = removable()
    made.create_index("filepath", unique=True)
    archive = fo.load_dataset(remove(made).archive)
    taken = archive.first()
    again = fo.Sample(filepath=taken.filepath)
    made.add_sample(again)
    result = call("restore_removed", made)
    assert (result.restored, list(result.left)) == (DROPPED - 1, [taken.id])
    assert "unique index" in result.left[taken.id]
    assert archive.values("id") == [taken.id]
    made.delete_samples(again)
    assert call("restore_removed", made).restored == 1
    assert len(made) == ALL


def test_nothing_to_restore_says_so(removable):
    with pytest.raises(ValueError, match=r"'dedup'.*remove_duplicates"):
        call("restore_removed", removable())


def test_the_archive_of_a_deleted_dataset_says_that_it_has_everything(removable):
    made = removable()
    remove(made)
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    fo.delete_dataset(made.name)
    with pytest.raises(ValueError, match=f"{made.name!r}"):
        call("restore_removed", archive)
    assert len(archive) == DROPPED


def test_the_similarity_index_forgets_removed_samples_and_finds_restored_ones(removable):
    made = removable()
    call("build_similarity_index", made)
    wanted = set(dropped(made))
    query = made.exists("vgg16").exclude(wanted).first().id
    before = ranking(made, query)
    assert wanted <= set(before)
    remove(made)
    assert set(ranking(made, query)) == set(before) - wanted
    call("restore_removed", made)
    assert ranking(made, query) == before
    assert made.load_brain_results("vgg16_annoy").status.built == len(before)


def ranking(made, query: str) -> list[str]:
    return [sample_id for sample_id, _ in made.load_brain_results("vgg16_annoy").nearest(query)]


def test_dates_of_creation_are_those_of_before(removable):
    made = removable()
    then = dict(zip(*made.values(["id", "created_at"]), strict=True))
    remove(made)
    call("restore_removed", made)
    assert dict(zip(*made.values(["id", "created_at"]), strict=True)) == then
    assert all(isinstance(value, datetime) for value in then.values())
