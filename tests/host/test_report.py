import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, cluster, export, keep_first, manifest, snapshot

import fiftyone as fo  # isort: skip


def report(samples, folder, **options):
    chosen = support.plugin("similarity.handover_options").ReportOptions(export_dir=str(folder), **options)
    return support.plugin("similarity.steps.report").report(samples, chosen)


def figures(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, folder: Path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed((folder / "report.html").read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += f" {data}"

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_its_numbers_are_those_of_the_samples_and_of_the_manifest(deduplicated, target):
    made = deduplicated()
    before = snapshot(made)
    result = report(made, target)
    told = figures(target)
    counts = told["counts"]
    assert (result.samples, result.kept, result.dropped, len(result.skipped)) == (12, KEPT, DROPPED, SKIPPED)
    assert (counts["kept"], counts["dropped"], counts["skipped"]) == (KEPT, DROPPED, SKIPPED)
    assert counts["kept"] + counts["dropped"] + counts["skipped"] == counts["samples"] == len(made)
    assert (counts["clusters"], counts["noise"]) == (3, 2)
    assert made.count_values("dedup_kept") == {True: KEPT, False: DROPPED, None: SKIPPED}
    assert sum(s["size"] * s["clusters"] for s in told["cluster_sizes"]) == KEPT + DROPPED
    assert sum(s["kept"] for s in told["cluster_sizes"]) == KEPT
    assert len(manifest(target)) == counts["samples"]
    assert told["worst_similarity"] == made.load_saved_view("dedup-duplicates").bounds("dedup_similarity")[0]
    assert Path(result.page) == target / "report.html"
    assert snapshot(made) == before


def test_the_worst_pairs_are_those_of_the_fields(deduplicated, target):
    made = deduplicated()
    report(made, target)
    pairs = figures(target)["worst_pairs"]
    assert [p["similarity"] for p in pairs] == sorted(p["similarity"] for p in pairs)
    assert len({p["kept_id"] for p in pairs}) == len(pairs) == 3
    for pair in pairs:
        sample = made[pair["id"]]
        assert (sample.dedup_kept_id, sample.dedup_similarity) == (pair["kept_id"], pair["similarity"])
        assert pair["kept_filepath"] == made[pair["kept_id"]].filepath


def test_the_page_holds_all_it_needs(deduplicated, target):
    report(deduplicated(), target)
    page = Page(target)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "xlink:href"):
            assert attributes.get(name, "data:").startswith(("data:", "#"))
    assert not re.search("https?:|url\\(|@import", (target / "report.html").read_text(encoding="utf-8"))
    assert page.count("img") == 3 * 3 + 2 * 3 + 12 + KEPT  # the clusters', the pairs', before and after


def test_before_and_after_show_the_first_pictures_and_no_more_of_a_large_dataset(
    deduplicated, target, monkeypatch
):
    monkeypatch.setattr(support.plugin("similarity.exports.report_page"), "SHEET", 4)
    report(deduplicated(), target)
    page = Page(target)
    assert "Before: the first 4 of 12" in page.text
    assert "After: the first 4 of 5" in page.text
    assert page.count("img") == 3 * 3 + 2 * 3 + 4 + 4


def test_labelled_pictures_that_are_left_out_are_shown_with_the_kept_one(deduplicated, target, tmp_path):
    made = deduplicated()
    ids = made.values("id")
    made.set_values("truth", {i: fo.Classification(label="car") for i in ids[:3]}, key_field="id")
    keep_first(made)
    report(made, target)
    told = figures(target)["labelled"]
    assert (told["fields"], told["samples"], told["dropped"]) == (["truth"], 3, 2)
    assert {(pair["id"], pair["kept_id"]) for pair in told["pairs"]} == {(i, ids[0]) for i in ids[1:3]}
    assert re.search(r"\b3 pictures with labels \(truth\), 2 ", Page(target).text)
    report(made.exclude(ids[1:3]), tmp_path / "without")
    assert "pictures with labels" not in Page(tmp_path / "without").text


def test_the_splits_are_counted(deduplicated, target):
    made = deduplicated()
    ids = made.values("id")
    made.select(ids[:2]).tag_samples("train")
    made.select(ids[2]).tag_samples("validation")
    report(made, target)
    assert [tuple(row.values()) for row in figures(target)["splits"]] == [
        ("train", 2, 1, 1, 0),
        ("val", 1, 0, 1, 0),
        ("in no split", 9, 4, 4, 1),
    ]


def test_pairs_are_named_as_in_the_dataset(deduplicated, target):
    made = deduplicated()
    made.set_values("filepath", [f"/day/cam{n}/00036.jpg" for n in range(12)])
    report(made, target)
    pair = figures(target)["worst_pairs"][0]
    assert f"left out {pair['filepath'].removeprefix('/day/')} " in Page(target).text.replace("/ ", "/")


def test_the_page_says_the_figures(deduplicated, target):
    report(deduplicated(), target, price=0.5)
    text = Page(target).text
    assert "5 of 12 pictures" in text
    assert "41.7 %" in text
    assert re.search(r"2\.50 USD .*6\.00 USD", text)
    assert "compute_embeddings" in text
    assert "3 of 9 pictures in 3 clusters" in text
    assert "2 of 2 pictures" in text


def test_costs_are_the_price_times_the_pictures(deduplicated, target, tmp_path):
    made = deduplicated()
    report(made, target, price=0.08, currency="€")
    cost = {"price": 0.08, "currency": "€", "before": 0.96, "after": 0.4, "saved": 0.56}
    assert figures(target)["cost"] == cost
    report(made, tmp_path / "free")
    assert figures(tmp_path / "free")["cost"] is None


def test_what_people_wrote_is_shown_as_text(deduplicated, target, tmp_path):
    made = deduplicated()
    made.name = f"<script>alert('{made.name}')</script>"
    path = Path(made.load_saved_view("dedup-skipped").first().filepath)
    odd = path.rename(tmp_path / '"><img src=x onerror=alert(1)>.png')
    made.set_values("filepath", {made.load_saved_view("dedup-skipped").first().id: str(odd)}, key_field="id")
    report(made, target)
    page = Page(target)
    assert made.name in page.text
    assert odd.name in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if "onerror" in attributes]


def test_chains_are_told(deduplicated, target):
    made = deduplicated()
    chain = [np.array([np.cos(angle), np.sin(angle)]) for angle in (0.0, 0.25, 0.5, 0.75)]
    made.delete_sample_field("vgg16")
    made.add_sample_field("vgg16", fo.VectorField)
    made.set_values("vgg16", chain + [None] * 8)
    cluster(made)
    keep_first(made)
    report(made, target)
    assert figures(target)["beyond_eps"] == 2
    assert "2 left out are farther" in Page(target).text


def test_missing_pictures_are_told_and_cost_nothing_else(deduplicated, target):
    made = deduplicated()
    for path in made.values("filepath"):
        Path(path).unlink()
    report(made, target)
    page = Page(target)
    assert figures(target)["disk"] == {"before": 0, "after": 0, "missing_files": 12}
    assert page.count("img") == 0
    assert page.text.count("no picture") == 3 * 3 + 2 * 3 + 12 + KEPT


def test_the_same_samples_give_the_same_report(deduplicated, tmp_path):
    made = deduplicated()
    for name in ("one", "two"):
        report(made, tmp_path / name, price=1)
    one, two = (
        {
            path.name: re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "", path.read_text(encoding="utf-8"))
            for path in (tmp_path / name).iterdir()
        }
        for name in ("one", "two")
    )
    assert set(one) == {"report.html", "report.json", "manifest.csv", "clusters.csv", "clusters.json"}
    assert one == two


def test_a_view_is_reported_alone_with_kept_ones_from_outside_it(deduplicated, target):
    made = deduplicated()
    report(made.load_saved_view("dedup-duplicates"), target)
    told = figures(target)
    assert (told["counts"]["samples"], told["counts"]["kept"], told["counts"]["dropped"]) == (
        DROPPED,
        0,
        DROPPED,
    )
    assert len(told["worst_pairs"]) == 3
    assert all(made[pair["kept_id"]].filepath == pair["kept_filepath"] for pair in told["worst_pairs"])


def test_it_needs_the_keep_step_and_a_new_folder(deduplicated, target):
    made = deduplicated()
    report(made, target)
    with pytest.raises(ValueError, match=re.escape(str(target))):
        report(made, target)
    cluster(made)
    with pytest.raises(ValueError, match="keep_first_per_cluster"):
        report(made, target / "other")


@pytest.mark.parametrize("field", ["dedup_similarity", "dedup_kept_id"])
def test_values_that_somebody_cleared_are_told_with_the_remedy(deduplicated, target, field):
    made = deduplicated()
    some = made.match(fo.ViewField("dedup_kept") == False).limit(2).values("id")  # noqa: E712
    made.set_values(field, dict.fromkeys(some), key_field="id")
    for step in (report, export):
        with pytest.raises(ValueError, match=r"'dedup' were cleared \(2 samples.*keep_first_per_cluster"):
            step(made, target)
    keep_first(made)
    assert report(made, target).dropped == DROPPED


@pytest.mark.parametrize("price", [-1, "much"])
def test_a_price_is_a_number_of_at_least_zero(price):
    with pytest.raises(ValueError, match=f"price .*{price}"):
        support.plugin("similarity.handover_options").ReportOptions(export_dir="x", price=price)
