"""The files of samples as people read them, in tables and in the panel; and files that are written whole."""

import numpy as np
import pytest

from tests import support
from tests.deduplicated import cluster, keep_first
from tests.vectors import directions

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip

files = support.plugin("similarity.data.files")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x.jpg", "/a/y.jpg"], ["x.jpg", "y.jpg"]),
        (["/a/x.jpg", "/b/x.jpg", "/b/y.jpg"], ["a/x.jpg", "b/x.jpg", "y.jpg"]),
        (["/d1/cam/x.jpg", "/d2/cam/x.jpg", "/d1/bus/x.jpg"], ["d1/cam/x.jpg", "d2/cam/x.jpg", "bus/x.jpg"]),
        (["/x.jpg", "/a/x.jpg"], ["/x.jpg", "a/x.jpg"]),
        (["/a/x.jpg", "/a/x.jpg"], ["x.jpg", "x.jpg"]),
        ([], []),
    ],
)
def test_a_file_is_shown_by_as_much_of_its_path_as_tells_it_apart(paths, names):
    shown = files.short_names(paths)
    assert [shown[path] for path in paths] == names


def test_a_sample_that_is_gone_is_shown_by_its_id(vector_dataset):
    made = vector_dataset(directions(0, 1))
    first, second = made.values("id")
    made.delete_samples(second)
    assert files.file_names(made, [first, second])[second] == second


def test_a_name_is_unique_in_the_dataset_though_it_is_alone_in_the_table(vector_dataset):
    made = vector_dataset(directions(0, 1, 40, 80, 120))
    paths = [f"/day/cam{n}/00036.jpg" for n in (1, 2, 3)]
    made.set_values("filepath", [*paths, "/day/cam1/100036.jpg", "/day/cam1/00036xjpg"])
    ids = made.values("id")

    assert files.file_names(made, ids[:1]) == {ids[0]: "cam1/00036.jpg"}
    assert files.file_names(made, ids[3:]) == {ids[3]: "100036.jpg", ids[4]: "00036xjpg"}
    cluster(made)
    assert keep_first(made).tables()["worst_pairs"][0]["dropped"] == "cam2/00036.jpg"


def test_the_worst_pairs_are_listed_by_file_name_and_keep_their_ids_in_the_result(vector_dataset):
    made = vector_dataset(directions(0, 1, 40, 42))
    made.set_values("filepath", ["/day/one.jpg", "/day/two.jpg", "/day/three.jpg", "/night/one.jpg"])
    cluster(made)

    result = keep_first(made)

    ids = made.values("id")
    assert [(row["dropped"], row["kept"]) for row in result.tables()["worst_pairs"]] == [
        ("night/one.jpg", "three.jpg"),
        ("two.jpg", "day/one.jpg"),
    ]
    assert [(pair["id"], pair["kept_id"]) for pair in result.to_dict()["worst"]] == [
        (ids[3], ids[2]),
        (ids[1], ids[0]),
    ]
    assert result.to_dict()["files"][ids[3]] == "night/one.jpg"


def test_other_tables_name_files_too(vector_dataset):
    made = vector_dataset(directions(0, 1, 40, 42))
    made.set_values("filepath", ["/day/one.jpg", "/day/two.jpg", "/day/three.jpg", "/night/one.jpg"])
    made.add_sample(fo.Sample(filepath="/night/empty.jpg"))
    first = made.first().id

    def table(name, title, **options):
        return foo.get_operator(support.uri(name))(made, **options).tables()[title]

    empty = table("cluster_duplicates", "skipped", eps=0.01)
    assert [row["file"] for row in empty] == ["empty.jpg"]
    assert "compute_embeddings" in empty[0]["reason"]
    assert table("keep_first_per_cluster", "skipped")[0]["file"] == "empty.jpg"
    assert table("compare_samples", "skipped") == empty
    assert [tuple(row.values())[:2] for row in table("compare_samples", "pairs")][2] == (
        "day/one.jpg",
        "night/one.jpg",
    )
    assert table("build_similarity_index", "skipped") == table("sweep_thresholds", "skipped") == empty
    nearest = table("sort_by_similarity", "nearest", selected=[first], k=2)
    assert [row["picture"] for row in nearest] == ["day/one.jpg", "two.jpg"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "vectors.npz"
    path.write_text("old")

    def fail():
        with files.written_beside(path) as beside:
            np.savez(beside, one=np.ones(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"
    with files.written_beside(path) as beside:
        np.savez(beside, one=np.ones(3))
        assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert np.load(path)["one"].tolist() == [1, 1, 1]


def test_a_folder_that_somebody_has_filled_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "deep" / "folder"

    def write():
        with files.written_beside(path, tmp_path) as beside:
            beside.mkdir()
            path.mkdir(parents=True)
            (path / "theirs").touch()

    with pytest.raises(OSError, match="folder"):
        write()
    assert [file.name for file in tmp_path.iterdir()] == ["deep"]
    assert (path / "theirs").exists()


@pytest.mark.parametrize("letter", ["x", "-", "図"])
def test_long_names_are_told_apart_however_many_there_are(vector_dataset, letter):
    made = vector_dataset(np.eye(2, dtype=np.float32)[[0] * 300])
    long = letter * (246 // len(letter.encode()))
    paths = [f"/cam{n % 2}/{long}{n // 2:03d}.png" for n in range(299)]
    made.set_values("filepath", [*paths, "/elsewhere/short.png"])
    shown = files.unique_names(made, [*paths[:298:2], paths[298], "/elsewhere/short.png"])
    assert shown.pop("/elsewhere/short.png") == "short.png"
    assert shown.pop(paths[298]) == paths[298].rpartition("/")[2]
    assert shown == {path: path[1:] for path in paths[:298:2]}
