"""Clusters that straddle the splits, and splits by whole clusters."""

import json
import re

import numpy as np
import pytest

from tests import support
from tests.deduplicated import cluster, delete_run, keep_first, snapshot
from tests.vectors import tags

import fiftyone as fo  # isort: skip

handover = support.plugin("similarity.handover_options")
step = support.plugin("similarity.steps.split")


def split(samples, **given):
    return step.split(samples, handover.SplitOptions(**given))


def tag_splits(made: fo.Dataset, *names: str | None) -> None:
    """Tag the samples from the first on."""
    for sample_id, name in zip(made.values("id"), names, strict=False):
        if name:
            made.select(sample_id).tag_samples(name)


def report(made: fo.Dataset, folder) -> tuple[dict, str]:
    options = handover.ReportOptions(export_dir=str(folder))
    support.plugin("similarity.steps.report").report(made, options)
    page = (folder / "report.html").read_text(encoding="utf-8")
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))["leaks"], page


def test_a_dataset_without_splits_says_nothing_of_them(deduplicated, tmp_path):
    made = deduplicated()
    assert cluster(made).leaks is None
    assert "straddle" not in cluster(made).summary()
    assert not made.has_saved_view("dedup-leaks")
    keep_first(made)
    assert report(made, tmp_path / "report")[0] is None


def test_clusters_that_straddle_the_splits_are_counted_listed_and_saved(deduplicated, tmp_path):
    made = deduplicated()
    tag_splits(made, "train", "train", "val", "train", "train", "train", None, "test", "validation", "test")
    ids = made.values("id")

    result = cluster(made)

    assert result.leaks.splits == ["test", "train", "val"]
    assert result.leaks.clusters == [0, 2]
    first = result.leaks.pairs[0]
    assert (first.cluster, first.split, first.id, first.other_split) == (0, "val", ids[2], "train")
    assert {(pair.id, pair.other_id) for pair in result.leaks.pairs[1:]} <= {
        (ids[7], ids[8]),
        (ids[8], ids[7]),
    }
    assert re.search(r"\b2 clusters .*\(test, train, val\)", result.summary())
    assert len(result.tables()["leaks"]) == 2
    view = made.load_saved_view("dedup-leaks")
    assert sorted(i for group in view.iter_dynamic_groups() for i in group.values("id")) == [
        *ids[:3],
        *ids[6:9],
    ]

    keep_first(made)
    found, page = report(made, tmp_path / "report")
    assert (found["clusters"], len(found["pairs"])) == ([0, 2], 2)
    assert re.search(r"\b2 clusters .*\(test, train, val\)", page)
    delete_run(made)
    assert not made.list_saved_views()


def test_a_field_can_name_the_splits_and_no_leak_leaves_no_view(deduplicated):
    made = deduplicated()
    made.set_values("part", ["a", "a", "b", *["a"] * 9])
    assert cluster(made, splits="part").leaks.clusters == [0]
    assert made.has_saved_view("dedup-leaks")
    made.set_values("part", ["a"] * 12)
    none = cluster(made, splits="part").leaks
    assert (none.splits, none.clusters, none.pairs) == (["a"], [], [])
    assert "(a)" in none.sentence()
    assert not made.has_saved_view("dedup-leaks")
    before = snapshot(made)
    for field in ("prt", "vgg16"):
        with pytest.raises(ValueError, match=rf"splits: .*'{field}' .*part"):
            cluster(made, splits=field)
    assert snapshot(made) == before


def test_whole_clusters_go_to_one_split_and_the_leaks_are_gone(deduplicated, tmp_path):
    made = deduplicated()
    tag_splits(made, "mine", "train", "val")
    cluster(made)
    before = snapshot(made)
    with pytest.raises(ValueError, match=r"2 samples .*train 1, val 1.*confirm=True") as refused:
        split(made, train=0.5, val=0.25, test=0.25)
    assert snapshot(made) == before
    tag_splits(made, *[None] * 9, "test")
    with pytest.raises(ValueError, match=refused.value.plan):
        split(made, confirm=True, plan=refused.value.plan)

    result = split(made, train=0.5, val=0.25, test=0.25, confirm=True)

    found = [set(tags) & {"train", "val", "test"} for tags in tags(made)]
    assert [len(names) for names in found] == [1] * 11 + [0]
    assert all(found[i] == found[i + 1] == found[i + 2] for i in (0, 3, 6))
    assert result.sizes == {name: found.count({name}) for name in ("train", "val", "test")}
    assert sorted(result.sizes.values()) == [3, 3, 5]
    assert "45.5 %" in [row["share"] for row in result.tables()["splits"]]
    assert (result.replaced, result.clusters, list(result.skipped)) == (3, 3, [made.values("id")[11]])
    assert "mine" in tags(made)[0]
    assert not made.has_saved_view("dedup-leaks")
    keep_first(made)
    assert report(made, tmp_path / "report")[0]["clusters"] == []
    delete_run(made)
    assert "train" in made.distinct("tags")  # these are a person's from now on


def test_the_leaks_that_it_tells_are_of_the_tags_that_it_wrote(deduplicated):
    made = deduplicated()
    made.set_values("part", ["a", "b", *["a"] * 10])
    assert cluster(made, splits="part").leaks.clusters == [0]
    assert split(made).leaks is None


def test_leaks_are_told_without_the_vectors_that_are_gone_by_now(deduplicated, tmp_path):
    made = deduplicated()
    tag_splits(made, "train", "val", None, "train", "val", "val")
    assert cluster(made).leaks.clusters == [1, 0]
    keep_first(made)
    made.set_values("vgg16", {made.values("id")[0]: None}, key_field="id")
    told, _ = report(made, tmp_path / "report")
    assert (told["clusters"], [pair["cluster"] for pair in told["pairs"]]) == ([1, 0], [1])
    made.delete_sample_field("vgg16")
    told, _ = report(made, tmp_path / "again")
    assert (told["clusters"], told["pairs"]) == ([1, 0], [])


def test_a_reference_in_another_slice_draws_its_clusters_along(dataset):
    made = dataset()
    made.add_group_field("group", default="left")
    groups = [fo.Group() for _ in range(3)]
    made.add_samples(
        [
            fo.Sample(filepath=f"/{name}{n}.png", group=group.element(name), vgg16=np.eye(3)[n])
            for name in ("left", "right")
            for n, group in enumerate(groups)
        ]
    )
    made.select_group_slices("right").tag_samples(["old", "test"])
    cluster(made, reference="old")
    assert split(made, train=1, val=0, test=0).sizes == {"train": 0, "val": 0, "test": 3}


def test_classes_are_told_and_a_field_of_boxes_is_refused(deduplicated):
    made = deduplicated()
    made.set_values("kind", [fo.Classification(label="ab"[i > 5]) for i in range(12)])
    made.set_values("boxes", [fo.Detections() for _ in range(12)])
    result = split(made, train=0.5, val=0.5, test=0, stratify="kind")
    assert result.classes["a"] == {"train": 3, "val": 3, "test": 0}
    assert sum(result.classes["b"].values()) == 5
    with pytest.raises(ValueError, match=r"stratify: 'boxes'.* kind"):
        split(made, confirm=True, stratify="boxes")


def test_shares_must_add_up_and_clusters_must_be_there(deduplicated):
    with pytest.raises(ValueError, match=r"train, val .*0.7, .* 0.9: .*1$"):
        split(deduplicated(), train=0.7)
    with pytest.raises(ValueError, match=r"'other'.*cluster_duplicates"):
        split(deduplicated(), run_key="other")


def test_the_form_shows_the_tags_that_would_be_replaced(deduplicated):
    made = deduplicated()

    def form():
        context = support.foo.executor.ExecutionContext({"dataset_name": made.name, "params": {}})
        return (
            support.foo.get_operator(support.uri("split_by_cluster")).resolve_input(context).type.properties
        )

    assert not [name for name in form() if name.startswith("confirm__")]
    support.run("split_by_cluster", made)
    box = next(name for name in form() if name.startswith("confirm__"))
    assert support.run("split_by_cluster", made, seed=7, **{box: True}).result["replaced"] == 11
