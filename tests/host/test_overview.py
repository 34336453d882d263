"""What the panel is told about a dataset and a run: the same numbers as the steps', and what is stale."""

import dataclasses
import json

import numpy as np
import pytest

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, cluster, keep_first
from tests.vectors import directions

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip


@pytest.fixture
def overview():
    """``overview(dataset)``: of the run ``dedup`` and the vectors ``vgg16``."""
    module = support.plugin("similarity.steps.overview")

    def look(dataset, run_key="dedup", field="vgg16"):
        return module.overview(dataset, run_key, field)

    return look


def states(found) -> dict[str, str]:
    return {step.operator: step.state for step in found.steps}


def texts(found) -> dict[str, str]:
    return {step.operator: step.text for step in found.steps}


def test_the_numbers_are_those_of_the_steps(vector_dataset, overview):
    made = vector_dataset([*directions(0, 0.5, 1, 40, 40.2, 80), None])
    clustering, keeping = cluster(made), keep_first(made)

    found = overview(made)

    counts = found.counts
    assert (counts.samples, counts.kept, counts.dropped, counts.skipped) == (
        keeping.samples,
        keeping.kept,
        keeping.dropped,
        len(keeping.skipped),
    )
    assert counts.kept + counts.dropped + counts.skipped == counts.samples
    assert (found.eps, found.clusters, found.noise) == (clustering.eps, clustering.clusters, clustering.noise)
    assert found.sizes == clustering.sizes
    assert [(p.id, p.kept_id, p.similarity) for p in found.worst] == [
        (p.id, p.kept_id, p.similarity) for p in keeping.worst
    ]


def test_kept_dropped_and_skipped_are_counted_from_the_samples(deduplicated, overview):
    counts = overview(deduplicated()).counts
    assert (counts.kept, counts.dropped, counts.skipped) == (KEPT, DROPPED, SKIPPED)


def test_the_payload_survives_json(deduplicated, overview):
    found = overview(deduplicated())
    assert type(found).of(json.loads(json.dumps(found.to_dict()))) == found


def test_before_anything_ran_everything_is_missing(dataset, pictures, overview):
    found = overview(dataset(pictures()))
    assert set(states(found).values()) == {"missing"}
    assert found.problem is None
    assert found.counts is None


def test_after_keeping_the_rest_is_ready(deduplicated, overview):
    assert states(overview(deduplicated())) == {
        "compute_embeddings": "stale",  # one of its samples has no vector
        "build_similarity_index": "missing",
        "cluster_duplicates": "done",
        "keep_first_per_cluster": "done",
        "export_deduplicated": "ready",
        "remove_duplicates": "ready",
    }


def _add(made):
    made.add_sample(fo.Sample(filepath="/nowhere/new.png", vgg16=np.eye(8, dtype=np.float32)[7]))


def _delete(made):
    made.delete_samples(made.exists("vgg16").limit(1).values("id"))


def _change(made):
    sample = made.exists("vgg16").first()
    sample["vgg16"] = np.eye(8, dtype=np.float32)[7]
    sample.save()


def _take_field(made):
    made.delete_sample_field("vgg16")


@pytest.mark.parametrize(
    ("change", "words"),
    [(_add, "1 sample added"), (_delete, "1 sample deleted"), (_change, "vectors"), (_take_field, "'vgg16'")],
)
def test_a_change_makes_clustering_and_keeping_stale(deduplicated, overview, change, words):
    made = deduplicated()
    change(made)

    found = overview(made)

    assert states(found)["cluster_duplicates"] == states(found)["keep_first_per_cluster"] == "stale"
    assert words in texts(found)["cluster_duplicates"]


def test_a_vector_that_cannot_be_used_is_no_added_sample_until_it_can(deduplicated, overview, vector_dataset):
    made = vector_dataset([*directions(0, 0.5, 40), np.full(2, np.nan)])
    cluster(made)
    assert states(overview(made))["cluster_duplicates"] == "done"
    sample = made.last()
    sample["vgg16"] = np.ones(2, dtype=np.float32)
    sample.save()
    assert "1 sample added" in texts(overview(made))["cluster_duplicates"]


def test_clustering_again_makes_what_is_kept_unknown(deduplicated, overview):
    made = deduplicated()
    cluster(made)
    found = overview(made)
    assert found.counts is None
    assert states(found)["keep_first_per_cluster"] == "missing"


def test_two_runs_are_told_apart(deduplicated, overview):
    made = deduplicated()
    cluster(made, run_key="night", min_samples=4)
    first, second = overview(made), overview(made, "night")
    assert first.run_keys == ["dedup", "night"]
    assert first.counts.kept == KEPT
    assert (second.clusters, second.min_samples, second.counts) == (0, 4, None)


def test_removed_samples_still_count_as_dropped(removable, overview):
    made = removable()
    before = overview(made).counts
    result = foo.get_operator(support.uri("remove_duplicates"))(made, confirm=True)
    made.reload()

    found = overview(made)

    assert found.counts == dataclasses.replace(before, removed=result.removed)
    assert found.counts.removed == before.dropped > 0
    assert states(found)["cluster_duplicates"] == "done"
    assert states(found)["remove_duplicates"] == "done"


def test_what_was_removed_before_the_run_was_done_again_is_in_its_archive_and_in_no_number(
    removable, overview
):
    made = removable()
    call = foo.get_operator
    removed = call(support.uri("remove_duplicates"))(made, confirm=True).removed
    cluster(made)
    keep_first(made)

    found = overview(made)

    assert (found.counts.dropped, found.counts.removed) == (0, 0)
    assert len(support.plugin("similarity.data.archive").find(made, "dedup").ids()) == removed
    assert found.counts.samples == len(made)
    assert states(found)["cluster_duplicates"] == "done"


def test_a_dataset_without_pictures_says_what_to_do(dataset, tmp_path, overview):
    assert "add samples" in overview(dataset()).problem
    assert "frames_from_videos" in overview(dataset([tmp_path / "clip.mp4"])).problem


def test_of_a_grouped_dataset_the_pictures_of_the_slice_that_is_worked_on_are_counted(dataset, overview):
    made = dataset()
    made.add_group_field("group", default="left")
    for number in range(4):
        group = fo.Group()
        for side in ("left", "right"):
            made.add_sample(fo.Sample(filepath=f"/nowhere/{number}{side}.png", group=group.element(side)))
    assert overview(made).to_embed == 4
    made.set_values("vgg16", directions(0, 1, 2, 3))
    found = overview(made)
    assert (found.vectors, found.to_embed) == (4, 0)
    assert "4 of 4 samples" in {step.text for step in found.steps}
