"""Files that belong to a dataset and can be computed again: they go after the dataset has gone, and no others do."""

import fiftyone as fo
import fiftyone.brain as fob
import pytest

from tests import support
from tests.vectors import directions

home = support.plugin("similarity.data.home")


def run(name, made):
    return support.foo.get_operator(support.uri(name))(made)


def folders(made):
    """The folders of a dataset that are there."""
    return [kind for kind in home.KINDS if home.cache(kind, made).is_dir()]


@pytest.mark.parametrize("name", ["build_similarity_index", "sweep_thresholds"])
def test_files_of_deleted_datasets_go_with_the_next_ones_written(vector_dataset, name):
    gone, stays, next_one = (vector_dataset(directions(0, 1, 40, 42)) for _ in range(3))
    for made in (gone, stays):
        run("build_similarity_index", made)
        run("sweep_thresholds", made)
    of_gone = [home.cache(kind, gone) for kind in home.KINDS]
    assert all(path.is_dir() for path in of_gone)
    gone.delete()

    run(name, next_one)

    assert not any(path.exists() for path in of_gone)
    assert folders(stays) == list(home.KINDS)
    assert len(folders(next_one)) == 1
    assert stays.sort_by_similarity(stays.first().id, k=2, brain_key="vgg16_annoy").count() == 2


def test_files_of_another_database_and_of_other_names_stay(vector_dataset):
    made = vector_dataset(directions(0, 1))
    ours = home.cache(home.INDEXES, made).parent
    another = ours.with_name("0" * 24) / ("1" * 24)
    notes = ours / "notes of mine"
    for path in (another, notes):
        path.mkdir(parents=True)
        (path / "index.json").write_text("{}")

    home.discard_orphans(made)

    assert (another / "index.json").is_file()
    assert (notes / "index.json").is_file()


def test_a_copy_of_the_database_has_files_of_its_own_and_leaves_these(vector_dataset, monkeypatch):
    made = vector_dataset(directions(0, 1, 40, 42))
    run("build_similarity_index", made)
    ours = home.cache(home.INDEXES, made)
    monkeypatch.setattr(fo.config, "database_name", "a_copy")
    assert home.cache(home.INDEXES, made) != ours

    home.discard_orphans(made)

    assert ours.is_dir()


def test_nothing_goes_while_the_database_does_not_know_the_dataset_itself(vector_dataset):
    made, other = vector_dataset(directions(0, 1)), vector_dataset(directions(0, 1))
    run("build_similarity_index", other)
    of_other = home.cache(home.INDEXES, other)
    for dataset in (other, made):
        dataset.delete()

    home.discard_orphans(made)

    assert of_other.is_dir()


def test_a_home_that_cannot_be_written_costs_no_sweep_and_is_named(
    vector_dataset, tmp_path, monkeypatch, caplog
):
    made = vector_dataset(directions(0, 1, 40, 42))
    expected = run("sweep_thresholds", made).eps
    (tmp_path / "sweeps").write_text("a file")
    monkeypatch.setenv("ONLYONE_HOME", str(tmp_path))
    with caplog.at_level("WARNING"):
        assert run("sweep_thresholds", made).eps == expected
    assert str(tmp_path / "sweeps") in caplog.text
    assert "ONLYONE_HOME" in caplog.text


@pytest.mark.parametrize(("mode", "others"), [(0o2777, 0o022), (0o755, 0)])
def test_a_sweep_may_be_written_again_by_whoever_may_write_into_the_home(
    vector_dataset, tmp_path, monkeypatch, mode, others
):
    made = vector_dataset(directions(0, 1, 40, 42))
    tmp_path.chmod(mode)
    monkeypatch.setenv("ONLYONE_HOME", str(tmp_path))
    run("sweep_thresholds", made)
    files = list((tmp_path / "sweeps").rglob("*"))
    assert len(files) == 3  # two folders, the sweep
    assert {path.stat().st_mode & 0o022 for path in files} == {others}


def test_an_index_of_a_deleted_run_goes_at_once(vector_dataset):
    made = vector_dataset(directions(0, 1))
    fob.compute_similarity(made, embeddings="vgg16", brain_key="found", backend="annoy")
    folder = home.cache(home.INDEXES, made)
    assert (folder / "found").is_dir()
    made.delete_brain_run("found")
    assert not folder.exists()
