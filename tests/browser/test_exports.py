"""What a person takes away: the deduplicated export and the folders, through their forms."""

import csv
from collections import Counter

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SCENES

pytestmark = pytest.mark.browser


def manifest(folder):
    """Return the rows of an export's manifest."""
    with (folder / "manifest.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def test_the_form_waits_for_its_folder_without_an_error(app, deduplicated):
    opened = app(deduplicated)

    opened.operator("Export deduplicated")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_disabled()
    expect(opened.form).not_to_contain_text("must not be empty")
    opened.fill("Export dir", "~/to_annotate")

    expect(opened.form.get_by_role("button", name="Execute")).to_be_enabled()
    opened.screenshot("export")


def test_the_kept_pictures_and_an_account_of_all_are_exported(app, deduplicated, tmp_path):
    opened = app(deduplicated)

    text = opened.run("Export deduplicated", export_dir=tmp_path / "export")

    assert "6 samples of 24 (25.0 % to annotate) exported as ImageDirectory" in text
    pictures = [file.stem.rpartition("-")[0] for file in (tmp_path / "export").rglob("*.jpg")]
    assert sorted(pictures) == sorted(SCENES)
    rows = manifest(tmp_path / "export")
    assert Counter(row["status"] for row in rows) == {"kept": 6, "dropped": 18}
    assert {row["id"] for row in rows} == set(deduplicated.values("id"))
    assert (tmp_path / "export" / "report.html").exists()


def test_a_folder_that_is_not_empty_is_refused(app, deduplicated, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    opened = app(deduplicated)

    opened.operator("Export deduplicated")
    opened.fill("Export dir", tmp_path)

    expect(opened.form).to_contain_text("is not empty")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_disabled()
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["mine.txt"]


def test_each_cluster_gets_a_folder(app, deduplicated, tmp_path):
    opened = app(deduplicated)

    text = opened.run("Group into folders", export_dir=tmp_path / "folders")

    assert "24 pictures in 6 cluster folders" in text
    folders = [folder for folder in (tmp_path / "folders").iterdir() if folder.is_dir()]
    assert [len(list(folder.iterdir())) for folder in folders] == [4] * 6
    assert all(len(list(folder.glob("KEPT-*"))) == 1 for folder in folders)
    assert len(manifest(tmp_path / "folders")) == 24
