"""The measuring of real pictures, on generated vectors: it needs no picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools import scenes
from tools.quality import decoding, hashes, measure, page, peers, sets

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("original", "near", "crop", "frame_static")


@pytest.fixture
def pictures():
    return [
        sets.Picture(f"photos/{group}-{kind}.jpg", f"group {group}", kind)
        for group in range(20)
        for kind in KINDS
    ]


@pytest.fixture
def vectors(pictures):
    rng = np.random.default_rng(51)
    centres = np.repeat(np.abs(rng.normal(size=(20, 64))), len(KINDS), axis=0)
    far = np.array([2.0 if picture.kind == "crop" else 0.02 for picture in pictures])[:, None]
    return (centres + far * rng.normal(size=centres.shape)).astype(np.float32)


def test_a_set_that_the_vectors_tell_apart_is_kept_once_each_and_its_crops_apart(pictures, vectors):
    found = measure.measure(pictures, vectors)
    assert (found.chosen.kept, found.chosen.mixed, found.chosen.recall, found.chosen.precision) == (
        40,
        0,
        1,
        1,
    )
    assert (found.found("near"), found.found("crop")) == ((20, 20), (0, 20))
    assert found.best.f1 == 1
    assert found.clean.recall == 1


def test_what_cannot_be_read_is_left_out(pictures, vectors):
    vectors[0] = np.nan
    assert len(measure.measure(pictures, vectors).pictures) == len(pictures) - 1


def test_hashes_are_as_far_apart_as_their_bits_differ():
    rows = np.array([hashes.signs("0" * 16), hashes.signs("0" * 15 + "7"), hashes.signs("f" * 16)])
    apart = np.linalg.norm(rows[0] - rows[1:], axis=1)
    assert apart == pytest.approx([hashes.distance(3), hashes.distance(64)], abs=1e-4)
    assert apart[0] > hashes.distance(2)


def test_every_picture_is_in_the_set_of_everything(pictures):
    assert all(sets.SETS[-1].holds(picture) for picture in pictures)


def test_the_page_names_every_set_and_says_that_weights_are_untrained(pictures, vectors):
    report = {"block5": measure.measure(pictures, vectors)}
    layers = dict.fromkeys((chosen.name for chosen in sets.SETS), report)
    told = page.render(page.Results(weights="untrained", layers=layers, hashes={}))
    assert all(f"### {chosen.title}" in told for chosen in sets.SETS)
    assert "These figures are for untrained weights" in told
    trained = page.render(page.Results(weights="imagenet", layers=layers, hashes={}))
    assert "untrained weights" not in trained


def test_the_page_says_what_other_tools_make_of_the_pictures_and_why_one_could_not_be_measured(
    pictures, vectors
):
    found = peers.Peer(vectors, "cosine", 0.04, "96 % similar")
    report = {"block5": measure.measure(pictures, vectors)}
    made = page.Results(
        weights="imagenet",
        layers=dict.fromkeys((chosen.name for chosen in sets.SETS), report),
        hashes={},
        peers=peers.Peers({"other": found}, {"another": "its weights are nowhere"}),
        measured={chosen.name: {"other": report["block5"]} for chosen in sets.SETS},
    )
    told = page.render(made)
    assert "other, 96 % similar | other, our suggested eps |" in told
    assert "- another: `its weights are nowhere`" in told


def test_other_tools_are_measured_only_where_asked_for(pictures, vectors):
    report = {"block5": measure.measure(pictures, vectors)}
    layers = dict.fromkeys((chosen.name for chosen in sets.SETS), report)
    assert "Not measured: `PEERS=1`" in page.render(page.Results(weights="x", layers=layers, hashes={}))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("Traceback\n  here\nURLError: no such host\n", "URLError: no such host"),
        ("OSError: see https://example.org/a/b and '/home/me/x'", "OSError: see ... and '...'"),
        ("", "no message"),
    ],
)
def test_an_error_is_told_without_the_machine_it_was_seen_on(error, told):
    assert peers.short(error) == told


def test_what_a_tool_says_becomes_rows_as_far_apart_as_it_means():
    hashed = peers._peer("x", ["0" * 16, "0" * 15 + "7", None])
    assert np.linalg.norm(hashed.rows[0] - hashed.rows[1]) == pytest.approx(hashes.distance(3), abs=1e-4)
    assert np.linalg.norm(hashed.rows[0] - hashed.rows[1]) <= hashed.own
    network = peers._peer("fastdup", [[1.0, 0.0], None])
    assert (network.metric, network.own) == ("cosine", pytest.approx(0.04))
    assert np.isnan(network.rows[1]).all()


def test_a_tool_that_cannot_be_installed_is_told_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "_TOOLS", {"gone": ("/nowhere/gone-1.0.tar.gz", "")})
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"a picture")
    found = peers.measure_peers([picture], tmp_path)
    assert not found.found
    assert list(found.failed) == ["gone"]
    assert "/nowhere" not in found.failed["gone"]


def test_pictures_that_are_easily_decoded_to_nothing_are_counted_by_their_kinds(monkeypatch):
    kinds = {kind: decoding.KINDS[kind] for kind in ("10 bits in 16", "sheets of one colour")}
    some = dict(list(scenes.scenes().items())[:3])
    monkeypatch.setattr(decoding, "KINDS", kinds)
    monkeypatch.setattr(decoding, "scenes", lambda: some)
    rows = decoding.decoding_rows("untrained", "block5", 1e-4)
    assert [(row.pictures, row.kept, row.skipped) for row in rows] == [(3, 3, 0), (3, 0, 3)]
    assert decoding.decoding_table(rows)[2:] == [
        "| 10 bits in 16 | 3 | 3 | 0 |",
        "| sheets of one colour | 3 | 0 | 3 |",
    ]


def test_without_a_data_folder_it_says_what_is_missing():
    command = [sys.executable, "-m", "tools.quality"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "DATA=path/to/data" in done.stdout
