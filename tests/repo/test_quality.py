"""The measuring of real pictures, on generated vectors: it needs no picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from similarity.engine import clusters
from tools import scenes
from tools.quality import decoding, hashes, measure, page, peers, sets

ROOT = Path(__file__).resolve().parents[2]
EPS = 0.05
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
    found = measure.measure(pictures, vectors, EPS)
    assert found.at(EPS) == measure.Outcome(kept=40, mixed=0, precision=1, recall=1, missed=0)
    assert (found.found("near"), found.found("crop")) == ((20, 20), (0, 20))
    assert found.kept_of("group 0") == (2, 2)
    assert found.clean.recall == 1
    assert found.reaching(1.0) < EPS < found.first_mix
    assert found.wrong() == []


def test_what_mixes_is_told_at_the_threshold_where_it_begins(pictures, vectors):
    vectors[4] = vectors[0] + 1e-3
    found = measure.measure(pictures, vectors, EPS)
    assert found.at(found.first_mix).mixed == 1
    assert found.at(found.first_mix / 2).mixed == 0
    assert {path.split("/")[1].split("-")[0] for path in found.wrong()[0][:2]} == {"0", "1"}


def test_outcomes_are_those_of_the_engine(pictures, vectors):
    for eps in (0.001, EPS, 0.2, 0.6):
        labels = clusters.dbscan(vectors, eps=eps)
        found = measure.measure(pictures, vectors, eps).at(eps)
        assert found.kept == len(set(labels) - {-1}) + (labels == -1).sum()


def test_what_cannot_be_read_is_left_out(pictures, vectors):
    vectors[0] = np.nan
    assert len(measure.measure(pictures, vectors, EPS).pictures) == len(pictures) - 1


def test_hashes_are_as_far_apart_as_their_bits_differ():
    rows = np.array([hashes.signs("0" * 16), hashes.signs("0" * 15 + "7"), hashes.signs("f" * 16)])
    apart = np.linalg.norm(rows[0] - rows[1:], axis=1)
    assert apart == pytest.approx([hashes.distance(3), hashes.distance(64)], abs=1e-4)
    assert apart[0] > hashes.distance(2)


def test_every_picture_is_in_the_set_of_everything(pictures):
    assert all(sets.SETS[-1].holds(picture) for picture in pictures)


def results(pictures, vectors, **changes):
    measured = measure.measure(pictures, vectors, EPS)
    report = dict.fromkeys((chosen.name for chosen in sets.SETS), measured)
    candidates = {"block5_conv1": page.Candidate(512, report)}
    given = {"trained": candidates, "untrained": candidates, "unmeasured": {}, "decoding": "", "hashes": {}}
    return page.Results(layer="block5_conv1", **{**given, **changes})


def test_the_page_has_every_set_and_untrained_weights_as_an_appendix_only(pictures, vectors):
    told = page.render(results(pictures, vectors))
    assert all(f"| {chosen.title}" in told for chosen in sets.SETS)
    assert told.index("ImageNet") < told.index("## Appendix: untrained weights")
    alone = page.render(results(pictures, vectors, trained={}))
    assert "with untrained weights" in alone
    assert "with ImageNet's weights" in told


def test_the_page_says_what_other_tools_make_of_the_pictures_and_why_one_could_not_be_measured(
    pictures, vectors
):
    found = peers.Peer(vectors, "cosine", 0.04, "96 % similar")
    made = results(
        pictures,
        vectors,
        peers=peers.Peers({"other": found}, {"another": "its weights are nowhere"}),
        peer_figures={
            chosen.name: {"other": measure.measure(pictures, vectors, 0.04)} for chosen in sets.SETS
        },
    )
    told = page.render(made)
    assert "other, 96 % similar |" in told
    assert "- another: `its weights are nowhere`" in told
    assert "Not measured: `PEERS=1`" in page.render(results(pictures, vectors))


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
