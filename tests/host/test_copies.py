import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.deduplicated import delete_run, manifest, snapshot
from tests.vectors import column, documents, tags

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip


@pytest.fixture
def album(dataset, pictures, tmp_path):
    """A picture under three names, another of its size, one that two samples name, two missing files, an empty one."""
    one, other, twice = pictures(scenes=3, each=1)
    size = max(one.stat().st_size, other.stat().st_size)
    for path in (one, other):  # what follows the end of a PNG is no part of the picture
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    copies = [one.with_name("again.png"), tmp_path / "backup.dat.png"]
    for path in copies:
        shutil.copyfile(one, path)
    (tmp_path / "empty.png").touch()
    made = dataset(
        [
            one,
            other,
            *copies,
            twice,
            twice,
            tmp_path / "gone.png",
            tmp_path / "empty.png",
            tmp_path / "gone2.png",
        ]
    )
    yield made
    for name in fo.list_datasets(f"{made.name}-*"):
        fo.delete_dataset(name)


KEPT = [True, True, False, False, True, False, None, None, None]


def find(run, samples, **options):
    return run("find_copies", samples, **options).result


def remove(made, **options):
    chosen = support.plugin("similarity.handover_options").RemoveOptions(run_key="copies", **options)
    return support.plugin("similarity.steps.remove").remove(made, chosen)


def test_files_of_the_same_bytes_are_a_run_like_any_other(run, album):
    result = find(run, album)
    ids = album.values("id")
    assert column(album, "copies_cluster") == [0, -1, 0, 0, 1, 1, None, None, None]
    assert column(album, "copies_kept") == KEPT
    assert column(album, "copies_kept_id") == [ids[i] for i in (0, 1, 0, 0, 4, 4)] + [None] * 3
    assert column(album, "copies_similarity") == [100.0] * 6 + [None] * 3
    first, second = "copies:cluster:0000", "copies:cluster:0001"
    assert tags(album) == [
        [first],
        ["copies:noise"],
        *[[first, "copies:duplicate"]] * 2,
        [second],
        [second, "copies:duplicate"],
        *[["copies:skipped"]] * 3,
    ]
    assert sorted(album.list_saved_views()) == [
        f"copies-{word}" for word in ("clusters", "duplicates", "kept", "skipped", "worst")
    ]
    expected = {"samples": 9, "clusters": 2, "kept": 3, "dropped": 3, "copies": 3, "identical": 0}
    assert {name: result[name] for name in expected} == expected
    # of the file that two samples name nothing can be won
    assert result["bytes"] == 2 * Path(album.first().filepath).stat().st_size
    reasons = result["skipped"].values()
    assert all(word in why for word, why in zip(("missing", "empty", "missing"), reasons, strict=True))
    assert len(result["worst"]) == 2  # one for each kept sample


def test_only_files_that_could_be_copies_are_read_and_only_once(run, album, plugin, monkeypatch):
    images, read = plugin("similarity.engine.images"), []
    digest = images.digest
    monkeypatch.setattr(images, "digest", lambda path: read.append(path) or digest(path))
    paths = album.values("filepath")
    find(run, album)
    assert sorted(read) == sorted(
        {*paths[:4], paths[4]}
    )  # the path that is there twice has a size that is there twice
    found = column(album, "copies_kept")
    read.clear()
    os.utime(paths[1])
    find(run, album)
    assert read == [paths[1]]
    assert column(album, "copies_kept") == found == KEPT


def test_digests_that_are_known_from_the_embeddings_are_taken_as_long_as_the_file_is_the_same(
    run, album, plugin
):
    samples, mark = plugin("similarity.data.samples"), plugin("similarity.engine.images").file_mark
    for name in ("vgg16_digest", "vgg16_file"):
        samples.declare_field(album, name, fo.StringField, "of the embedded file", {"beside": "vgg16"})
    paths = album.values("filepath")
    album.set_values("vgg16_digest", ["known", "known", "earlier", *[None] * 6])
    album.set_values("vgg16_file", [mark(paths[0]), mark(paths[1]), "1 bytes, 1 ns", *[None] * 6])
    find(run, album)
    assert column(album, "copies_cluster") == [0, 0, 1, 1, 2, 2, None, None, None]


def test_options_say_who_is_kept(run, album):
    ids = album.values("id")
    album.set_values("stars", [0, 0, 1, 5, 1, 2, 0, 0, 0])
    find(run, album, order_by="stars", descending=True)
    assert column(album, "copies_kept_id")[:6] == [ids[i] for i in (3, 1, 3, 3, 5, 5)]
    album.select(ids[2]).tag_samples("mine")
    find(run, album, protect_tags=["mine"])
    assert column(album, "copies_kept_id")[:6] == [ids[i] for i in (2, 1, 2, 2, 4, 4)]
    run("keep_first_per_cluster", album, run_key="copies", order_by="stars")
    assert column(album, "copies_kept_id")[:6] == [ids[i] for i in (0, 1, 0, 0, 4, 4)]


def test_a_view_that_would_shrink_the_run_is_refused_without_confirmation(run, album):
    find(run, album)
    before = documents(album)
    with pytest.raises(foo.executor.ExecutionError, match=r"'copies'.*\b4\b"):
        find(run, album.limit(2))
    assert documents(album) == before
    assert find(run, album.limit(2), confirm=True)["samples"] == 2
    assert column(album, "copies_kept") == [True, True, *[None] * 7]


def test_what_is_exported_removed_and_brought_back_is_as_for_any_run(run, album, tmp_path):
    find(run, album)
    before = documents(album)
    run("export_deduplicated", album, run_key="copies", export_dir=str(tmp_path / "out"))
    run("group_into_folders", album, run_key="copies", export_dir=str(tmp_path / "folders"))
    status = [row["status"] for row in manifest(tmp_path / "out")]
    assert [status.count(word) for word in ("kept", "dropped", "skipped")] == [3, 3, 3]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["metric"], report["eps"], report["beyond_eps"]) == ("digest", 0.0, 0)
    assert set(report["options"]) == {"find_copies", "keep_first_per_cluster"}
    assert "same bytes" in (tmp_path / "out" / "report.html").read_text()
    plan = remove(album)
    assert (plan.removed, plan.files_compared, plan.left) == (3, True, {})
    assert remove(album, confirm=True, files="trash").trashed == 2
    assert len(album) == 6
    assert Path(album.values("filepath")[4]).exists() == Path(album.values("filepath")[0]).exists()
    run("restore_removed", album, run_key="copies")
    assert documents(album) == before
    run("delete_run", album, run_key="copies", confirm=True)
    assert not [name for name in album.get_field_schema() if name.startswith("copies")]
    assert not [tag for tag in album.distinct("tags") if tag.startswith("copies")]


@pytest.mark.parametrize("which", ["dropped", "kept"])
def test_a_file_that_changed_since_is_not_removed(run, album, which):
    find(run, album)
    paths, ids = album.values("filepath"), album.values("id")
    path = Path(paths[3] if which == "dropped" else paths[0])
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and time are as they were
    result = remove(album, confirm=True)
    changed = {ids[3]} if which == "dropped" else {ids[2], ids[3]}
    assert set(result.left) == changed
    assert all("has changed since" in reason for reason in result.left.values())
    assert set(album.values("id")) == set(ids) - ({ids[2], ids[3], ids[5]} - changed)


def test_samples_that_were_added_or_removed_make_the_panel_and_the_next_step_say_so(run, album, plugin):
    find(run, album)
    overview, before = plugin("similarity.steps.overview").overview, snapshot(album)

    def states():
        found = overview(album, "copies", "vgg16")
        assert found.sweep_options.metric == "cosine"
        return {step.operator: (step.state, step.text) for step in found.steps}

    state, text = states()["find_copies"]
    assert state == "done"
    assert text.startswith("2 clusters of files")
    assert states()["keep_first_per_cluster"] == ("done", "3 kept, 3 dropped")
    assert snapshot(album) == before
    album.add_sample(fo.Sample(filepath=album.first().filepath))
    assert states()["find_copies"] == ("stale", "1 sample added since")
    album.delete_samples(album.limit(1))
    assert states()["find_copies"] == ("stale", "1 sample deleted since")
    with pytest.raises(foo.executor.ExecutionError, match="find_copies"):
        run("keep_first_per_cluster", album, run_key="copies")


def test_the_sharpness_is_of_the_files_as_they_are_and_goes_with_the_run(run, album):
    find(run, album, order_by="sharpness")
    first = column(album, "copies_bytes_sharpness")
    paths = album.values("filepath")
    for path in {paths[i] for i in (0, 2, 3)}:
        shutil.copyfile(paths[4], path)
    find(run, album, order_by="sharpness")
    assert column(album, "copies_bytes_sharpness")[0] == first[4] != first[0]
    delete_run(album, run_key="copies")
    assert not [name for name in album.get_field_schema() if name.startswith("copies")]


def test_a_run_that_did_not_finish_names_its_operator(run, album, plugin, monkeypatch):
    monkeypatch.setattr(plugin("similarity.data.views"), "save_clusters", lambda *_: 1 / 0)
    with pytest.raises(foo.executor.ExecutionError, match="division"):
        find(run, album)
    monkeypatch.undo()
    with pytest.raises(foo.executor.ExecutionError, match=r"(?i)find.copies .*'copies'"):
        run("export_deduplicated", album, run_key="copies", export_dir="/nowhere")
    assert find(run, album)["kept"] == 3


def test_where_no_file_can_be_read_nothing_is_written(run, dataset, tmp_path):
    made = dataset([tmp_path / "a.png", tmp_path / "b.png"])
    before = snapshot(made)
    with pytest.raises(foo.executor.ExecutionError, match=r"\b2\b.*missing"):
        find(run, made)
    assert snapshot(made) == before


def test_it_needs_no_tensorflow(album):
    """In a process of its own, where importing it fails."""
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import fiftyone as fo, fiftyone.operators as foo\n"
        f"made = fo.load_dataset({album.name!r})\n"
        "print(foo.get_operator('@onlyone/dedup/find_copies')(made).dropped)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1:] == ["3"], done.stderr
