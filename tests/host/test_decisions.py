"""Tags by which a person overrules a run."""

import pytest

from tests import support
from tests.deduplicated import cluster, delete_run, export, keep_first, manifest
from tests.vectors import column, tags

import fiftyone as fo  # isort: skip


def tag(made: fo.Dataset, word: str, *rows: int, run_key: str = "dedup") -> None:
    """Tag the samples in these rows, as a person does in the grid."""
    ids = made.values("id")
    made.select([ids[row] for row in rows]).tag_samples(f"{run_key}:{word}")


def kept_rows(made: fo.Dataset) -> list[int]:
    return [row for row, kept in enumerate(column(made, "dedup_kept")) if kept]


def kept_for(made: fo.Dataset) -> list[int | None]:
    """The row of each sample's kept one."""
    row = {sample_id: i for i, sample_id in enumerate(made.values("id"))}
    return [row.get(sample_id) for sample_id in column(made, "dedup_kept_id")]


@pytest.mark.parametrize("cover", [False, True])
def test_a_sample_tagged_keep_is_first_in_its_cluster(deduplicated, cover):
    made = deduplicated()
    tag(made, "keep", 1)
    keep_first(made, cover=cover, order_by="medoid")
    assert {0, 1, 2}.intersection(kept_rows(made)) == {1}
    made.set_values("gold", [fo.Classification(label="a") if row in (0, 3) else None for row in range(12)])

    result = keep_first(made, cover=cover, protect_fields=["gold"], order_by="medoid")

    assert {1, 0, 3} <= set(kept_rows(made))  # what options protect stays, after what a person chose
    assert (result.by_hand, result.protected) == (1, 2)
    assert "Kept by hand: 1 sample." in result.summary()


def test_of_several_tagged_keep_all_are_kept_and_no_other_one(deduplicated):
    made = deduplicated()
    made.set_values("score", list(range(12)))
    tag(made, "keep", 1, 2)
    view = made.sort_by("score", reverse=True)

    result = keep_first(view, order_by="score")

    assert kept_rows(made) == [1, 2, 3, 6, 9, 10]
    assert result.kept == result.kept_without_cover == 6


def test_views_that_have_no_sample_any_more_are_deleted(deduplicated):
    made = deduplicated()
    made.save_view("dedup-mine", made.limit(1), "mine")
    made.load_saved_view("dedup-duplicates").tag_samples("dedup:distinct")
    keep_first(made)
    made.reload()
    assert made.count_values("dedup_kept") == {True: 11, None: 1}
    assert sorted(made.list_saved_views()) == ["dedup-clusters", "dedup-kept", "dedup-mine", "dedup-skipped"]
    recorded = support.plugin("similarity.data.runs").load(made, "dedup")["steps"]["keep"]["views"]
    assert sorted(recorded) == ["dedup-clusters", "dedup-kept", "dedup-skipped"]


def test_a_sample_tagged_distinct_is_kept_and_does_not_change_who_is_first(deduplicated):
    made = deduplicated()
    tag(made, "distinct", 2, 3)

    result = keep_first(made)

    assert kept_rows(made) == [0, 2, 3, 6, 9, 10]  # 3 was the first of its cluster, and stays it
    assert kept_for(made)[4:6] == [3, 3]
    assert result.by_hand == 2


def test_the_tags_outlive_every_run_and_its_deletion(deduplicated):
    made = deduplicated()
    tag(made, "keep", 1)
    tag(made, "distinct", 5)
    tag(made, "keep", 2, run_key="other")
    for step in (keep_first, cluster, keep_first):
        step(made)
    assert kept_rows(made) == [1, 3, 5, 6, 9, 10]
    delete_run(made)
    left = [set(found) for found in tags(made)]
    assert [row for row, found in enumerate(left) if found] == [1, 2, 5]
    assert (left[1], left[2], left[5]) == ({"dedup:keep"}, {"other:keep"}, {"dedup:distinct"})


def test_the_manifest_says_what_was_kept_by_hand(deduplicated, target):
    made = deduplicated()
    tag(made, "keep", 1)
    keep_first(made)
    export(made, target)
    reasons = [row["reason"] for row in sorted(manifest(target), key=lambda row: row["id"])]
    words = ("near-duplicate", "by hand", "near-duplicate", "cluster")
    assert all(word in reason for word, reason in zip(words, reasons[:4], strict=True))
    page = (target / "report.html").read_text(encoding="utf-8")
    assert "<b>1</b><span>kept by hand</span>" in page
    assert page.count("<b>kept by hand</b>") == 1


def test_a_dropped_sample_that_was_tagged_since_is_neither_left_out_nor_removed(deduplicated, target):
    made = deduplicated()
    keep_first(made)
    tag(made, "distinct", 1)
    with pytest.raises(ValueError, match=r"'dedup'.*\b1\b.*keep_first_per_cluster"):
        export(made, target)
    assert not target.exists()
    removal = support.plugin("similarity.handover_options").RemoveOptions()
    planned = support.plugin("similarity.steps.remove").remove(made, removal)
    assert list(planned.left) == [made.values("id")[1]]
    keep_first(made)
    assert export(made, target).kept == 6
