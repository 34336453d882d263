"""The ``annoy`` backend in FiftyOne's Brain: the contract, freshness, files and processes."""

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from bson import ObjectId

from tests import support

import fiftyone as fo  # isort: skip
import fiftyone.brain as fob  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
KEY = "vgg16_annoy"


def vectors(count=60, dimension=16, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def cosine(matrix, query):
    matrix, query = np.asarray(matrix, dtype=np.float64), np.asarray(query, dtype=np.float64)
    return 1.0 - matrix @ query / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(query))


def ranked(matrix, query, k):
    """The rows nearest to a query, by the textbook formula."""
    return np.argsort(cosine(matrix, query))[:k]


def compute(dataset, **options):
    return fob.compute_similarity(dataset, embeddings="vgg16", brain_key=KEY, backend="annoy", **options)


def fresh(dataset, key=KEY):
    """A new results object, as the App's server makes for each click."""
    dataset.clear_cache()
    return dataset.load_brain_results(key)


@pytest.fixture
def data():
    return vectors()


@pytest.fixture
def indexed(vector_dataset, data):
    """A dataset with an index, the index, and the sample ids in the order of the vectors."""
    dataset = vector_dataset(data)
    return dataset, compute(dataset, n_trees=10), dataset.values("id")


@pytest.fixture
def folder(plugin):
    home = plugin("similarity.data.home")

    def of(dataset, key=KEY):
        return home.cache(home.INDEXES, dataset) / key

    return of


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def counts(index):
    """Newer, changed and removed samples."""
    status = index.status
    return status.newer, status.changed, status.removed


def digests(dataset, values):
    """Write digests beside the vectors, as compute_embeddings does."""
    support.plugin("similarity.data.samples").declare_field(
        dataset, "vgg16_digest", fo.StringField, "digest", {"beside": "vgg16"}
    )
    dataset.set_values("vgg16_digest", values)


def write_by_another_clock(dataset, sample_id, vector, when):
    """Write a vector as a computer does whose clock says ``when``."""
    values = {"vgg16": dataset.get_field("vgg16").to_mongo(vector), "last_modified_at": when}
    dataset._sample_collection.update_one({"_id": ObjectId(sample_id)}, {"$set": values})


def names_of(found):
    return [sample_id for sample_id, _ in found]


# --- the Brain contract


def test_stored_class_paths_are_frozen(indexed):
    dataset, index, _ = indexed
    path = "fiftyone.plugins.orgs.onlyone.dedup.similarity.annoy_backend"
    assert dataset.get_brain_info(KEY).config.cls == f"{path}.AnnoySimilarityConfig"
    assert index.cls == f"{path}.AnnoySimilarityIndex"
    assert type(index.config.build()).__name__ == "AnnoySimilarity"


def test_the_config_is_made_from_the_two_fields_the_app_gives(plugin):
    config = plugin("similarity.annoy_backend").AnnoySimilarityConfig(
        embeddings_field="v", patches_field=None
    )
    assert (config.method, config.max_k, config.supports_least_similarity) == ("annoy", None, False)
    assert config.supported_aggregations == ("mean",)
    assert (config.n_trees, config.search_k, config.seed, config.metric) == (50, -1, 51, "cosine")


def test_registering_twice_keeps_one_backend_and_what_a_person_set(plugin):
    backends = fob.brain_config.similarity_backends
    before = dict(backends["annoy"])
    backends["annoy"]["n_trees"] = 7
    plugin("similarity").register_backend()
    try:
        assert backends["annoy"] == before | {"n_trees": 7}
    finally:
        del backends["annoy"]["n_trees"]


def test_distances_and_order_equal_brute_force(indexed, data):
    _, index, ids = indexed
    found, labels, distances = index._kneighbors(query=ids[7], k=9, return_dists=True)
    order = ranked(data, data[7], 9)
    assert found == [ids[row] for row in order]
    assert labels is None
    np.testing.assert_allclose(distances, np.sort(cosine(data, data[7]))[:9], atol=1e-7)
    assert distances[0] == 0.0


def test_fiftyones_own_sort_by_similarity_works(indexed, data):
    dataset, _, ids = indexed
    view = dataset.sort_by_similarity(ids[3], k=5, brain_key=KEY, dist_field="distance")
    assert view.values("id") == [ids[row] for row in ranked(data, data[3], 5)]
    np.testing.assert_allclose(view.values("distance"), np.sort(cosine(data, data[3]))[:5], atol=1e-7)
    assert dataset.exists("distance").count() == 5
    inside = dataset.select(ids[20:50]).sort_by_similarity(
        ids[3], k=6, brain_key=KEY
    )  # the query is not in it
    assert inside.values("id") == [ids[20 + row] for row in ranked(data[20:50], data[3], 6)]
    units = data[:3] / np.linalg.norm(data[:3], axis=1, keepdims=True)
    several = dataset.sort_by_similarity(ids[:3], k=8, brain_key=KEY)
    assert several.values("id") == [ids[row] for row in ranked(data, units.mean(axis=0), 8)]


def test_vectors_and_lists_of_queries_are_answered_in_their_shapes(indexed, data):
    _, index, ids = indexed
    one, _ = index._kneighbors(query=data[4], k=2)
    each, _ = index._kneighbors(query=data[4:6], k=2)
    listed, _ = index._kneighbors(query=[ids[4], ids[5]], k=2)
    assert each == listed
    assert each[0] == one
    assert one[0] == ids[4]
    assert index._kneighbors(query=data[4:6], k=2, aggregation="mean")[0][0] in ids


def test_full_index_queries_number_the_current_view_and_leave_the_sample_out(indexed, data):
    dataset, index, ids = indexed
    with index.use_view(dataset.select(ids[10:40])):
        found, distances = index._kneighbors(k=3, return_dists=True)
        within = index._radius_neighbors(thresh=0.5)
    for row in range(30):
        expected = cosine(data[10:40], data[10 + row])
        expected[row] = np.inf
        np.testing.assert_array_equal(found[row], np.argsort(expected)[:3])
        np.testing.assert_allclose(distances[row], np.sort(expected)[:3], atol=1e-7)
        np.testing.assert_array_equal(within[row], np.flatnonzero(expected <= 0.5))


def test_radius_queries_by_sample_are_exact(indexed, data):
    _, index, ids = indexed
    found, _, distances = index._radius_neighbors(query=ids[2], thresh=0.8, return_dists=True)
    assert sorted(found) == sorted(ids[row] for row in np.flatnonzero(cosine(data, data[2]) <= 0.8))
    assert max(distances) <= 0.8


def test_brain_finds_duplicates_and_unique_samples_with_the_index(vector_dataset, data):
    dataset = vector_dataset(np.vstack([data[:20], data[:5]]))
    compute(dataset)
    ids = dataset.values("id")
    found = fob.compute_near_duplicates(dataset, threshold=1e-4, similarity_index=fresh(dataset))
    assert sorted(found.duplicate_ids) == sorted(ids[20:])
    found.find_unique(12)
    assert len(found.unique_ids) == 12


def test_embeddings_are_returned_as_the_field_has_them_and_in_the_order_asked_for(indexed, data):
    _, index, ids = indexed
    matrix, found, labels = index.get_embeddings(sample_ids=[ids[9], ids[2]])
    np.testing.assert_array_equal(matrix, data[[9, 2]])
    assert found.tolist() == [ids[9], ids[2]]
    assert labels is None
    np.testing.assert_array_equal(index.get_embeddings()[0], data)
    assert len(index.get_embeddings(sample_ids=["0" * 24], allow_missing=True)[1]) == 0
    with pytest.raises(ValueError, match="0" * 24):
        index.get_embeddings(sample_ids=["0" * 24], allow_missing=False)


def test_what_is_added_to_and_removed_from_the_index_is_in_the_field(indexed, data):
    dataset, index, ids = indexed
    index.remove_from_index(sample_ids=ids[:2])
    assert dataset.exists("vgg16", False).values("id") == ids[:2]
    assert index.total_index_size == 58
    index.add_to_index(data[:1], ids[:1])
    assert index.total_index_size == 59
    assert index.nearest(ids[0], 1) == [(ids[0], 0.0)]
    with pytest.raises(ValueError, match=ids[0]):
        index.add_to_index(data[:1], ids[:1], overwrite=False, allow_existing=False)
    with pytest.raises(ValueError, match=r"\b3\b.*\b16\b"):
        index.add_to_index(np.ones((1, 3)), ids[:1])
    with pytest.raises(ValueError, match=ids[1]):
        index.remove_from_index(sample_ids=[ids[1]], allow_missing=False)


def test_given_embeddings_are_written_into_a_new_field_and_indexed(vector_dataset, data):
    dataset = vector_dataset([None] * 60)
    index = fob.compute_similarity(
        dataset, embeddings=data, embeddings_field="other", brain_key="other", backend="annoy"
    )
    assert index.status.built == 60
    np.testing.assert_array_equal(np.stack(dataset.values("other")), data)


def test_an_index_without_a_key_leaves_no_files(vector_dataset, data, folder):
    dataset = vector_dataset(data)
    index = fob.compute_similarity(dataset, embeddings="vgg16", backend="annoy")
    assert len(index.nearest(data[0], 3)) == 3
    assert not folder(dataset).parent.exists()


def test_grouped_datasets_are_indexed_over_all_slices(dataset, data, tmp_path):
    grouped = dataset()
    grouped.add_group_field("group", default="left")
    samples = []
    for row in range(10):
        group = fo.Group()
        for offset, side in enumerate(("left", "right")):
            path = str(tmp_path / f"{side}{row}.png")
            samples.append(fo.Sample(filepath=path, group=group.element(side), vgg16=data[2 * row + offset]))
    grouped.add_samples(samples)
    index = compute(grouped)
    assert index.total_index_size == 20
    assert index.nearest(samples[1].id, 1) == [(samples[1].id, 0.0)]


# --- our own query


def test_nearest_puts_the_query_first_and_keeps_to_the_ids_given(indexed, data):
    _, index, ids = indexed
    found = index.nearest(ids[5], 4, within_ids=ids[:30])
    assert found[0] == (ids[5], 0.0)
    assert names_of(found) == [ids[row] for row in ranked(data[:30], data[5], 4)]
    assert ids[5] not in names_of(index.nearest(ids[5], 4, within_ids=ids[:5]))
    assert index.nearest(ids[5], 4, within_ids=[]) == []
    assert len(index.nearest(ids[5])) == 60


def test_all_samples_of_a_query_come_first(indexed):
    _, index, ids = indexed
    query = [ids[1], ids[40], ids[20]]
    found = index.nearest(query, 6)
    assert set(names_of(found[:3])) == set(query)
    assert len({*names_of(found)}) == 6
    rest = [distance for _, distance in found[3:]]
    assert rest == sorted(rest)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("0" * 24, "not in the index"),
        ([], "empty"),
        (np.ones(3), r"\b3\b.*\b16\b"),
        (np.zeros(16), "length zero"),
        (np.full(16, np.nan), "NaN"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(indexed, query, message):
    with pytest.raises(ValueError, match=message):
        indexed[1].nearest(query, 3)


# --- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trees": 0}, r"n_trees .*\b0$"),
        ({"search_k": 0}, r"search_k .*\b0$"),
        ({"seed": -1}, "seed .*-1$"),
        ({"metric": "euclidean"}, "cosine .*'euclidean'"),
    ],
)
def test_bad_options_are_refused_and_leave_no_key(vector_dataset, data, options, message):
    dataset = vector_dataset(data)
    with pytest.raises(ValueError, match=message):
        compute(dataset, **options)
    assert dataset.list_brain_runs() == []


def test_patches_are_refused_and_leave_no_key(vector_dataset, data):
    dataset = vector_dataset(data)
    dataset.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    with pytest.raises(ValueError, match="patches_field"):
        fob.compute_similarity(dataset, patches_field="boxes", embeddings={}, brain_key=KEY, backend="annoy")
    assert dataset.list_brain_runs() == []


def test_vectors_within_another_field_are_refused_and_leave_no_key(vector_dataset, data):
    dataset = vector_dataset(data)
    dataset.add_sample_field("doc", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    dataset.add_sample_field("doc.vec", fo.VectorField)
    dataset.set_values("doc.vec", list(data))
    with pytest.raises(ValueError, match=r"field of the samples, not 'doc\.vec'"):
        fob.compute_similarity(dataset, embeddings="doc.vec", brain_key=KEY, backend="annoy")
    assert dataset.list_brain_runs() == []


def test_vectors_that_cannot_be_compared_are_left_out_and_named(vector_dataset, data):
    spoiled = list(data)
    spoiled[3], spoiled[4], spoiled[5] = np.full(16, np.nan), np.zeros(16), np.ones(8)
    dataset = vector_dataset([*spoiled, None])
    index, ids = compute(dataset), dataset.values("id")
    assert index.total_index_size == 57
    assert sorted(index.status.skipped) == sorted([*ids[3:6], ids[60]])
    assert "8 values instead of 16" in index.status.skipped[ids[5]]
    assert fresh(dataset).status == index.status


@pytest.mark.parametrize("count", [0, 1])
def test_an_index_of_almost_nothing_works(vector_dataset, data, count):
    dataset = vector_dataset([*data[:count], None, None])
    index = compute(dataset)
    assert index.total_index_size == count
    assert len(index.nearest(data[0], 5)) == count


def test_loading_an_unknown_or_foreign_key_says_what_there_is(plugin, indexed):
    dataset, _, _ = indexed
    load_index = plugin("similarity").load_index
    assert load_index(dataset, KEY).total_index_size == 60
    with pytest.raises(ValueError, match=f"'nope' .*it has {KEY}"):
        load_index(dataset, "nope")
    fob.compute_similarity(dataset, embeddings="vgg16", brain_key="theirs", backend="sklearn")
    with pytest.raises(ValueError, match="'sklearn'"):
        load_index(dataset, "theirs")


# --- freshness


def test_samples_that_were_written_one_by_one_are_found_in_any_number(vector_dataset, data, plugin):
    """A million marks are more than one query of MongoDB's can hold."""
    freshness, dataset = plugin("similarity.data.freshness"), vector_dataset(data)
    (mark,) = freshness.marks(dataset)
    others = [datetime(2020, 1, 1) + timedelta(milliseconds=n) for n in range(1_200_000)]
    assert freshness.marks(dataset, others) == {mark: len(data)}
    assert freshness.marks(dataset, [*others, mark]) == {}
    assert freshness.stamps(dataset, "vgg16", [*others, mark]) == freshness.stamps(dataset, "vgg16")


def test_tags_labels_and_similarities_read_no_vector_and_rebuild_nothing(
    indexed, folder, plugin, monkeypatch
):
    dataset, index, ids = indexed
    digests(dataset, [f"digest-{row}" for row in range(60)])
    index.rebuild()
    before = files(folder(dataset))
    dataset.tag_samples("dedup:cluster:0001")
    dataset.set_values("dedup_cluster", [1] * 60)
    dataset.sort_by_similarity(ids[0], k=5, brain_key=KEY, dist_field="similarity")
    monkeypatch.setattr(
        plugin("similarity.data.freshness"), "hashlib", None
    )  # a vector that is read is hashed
    assert names_of(fresh(dataset).nearest(ids[0], 1)) == [ids[0]]
    assert counts(fresh(dataset)) == (0, 0, 0)
    assert files(folder(dataset)) == before


def test_a_click_after_which_nothing_was_written_looks_at_no_sample(indexed, plugin, monkeypatch):
    dataset, _, ids = indexed
    dataset.tag_samples("seen")
    state = fresh(dataset)._state
    freshness = plugin("similarity.data.freshness")
    for name in ("stamps", "ids"):
        monkeypatch.setattr(freshness, name, lambda *_: pytest.fail("samples were looked at"))
    again = fresh(dataset)
    assert again._state is state
    assert names_of(again.nearest(ids[0], 1)) == [ids[0]]


def test_removed_samples_are_never_found(indexed):
    dataset, index, ids = indexed
    nearest = names_of(index.nearest(ids[0], 5))
    dataset.delete_samples(nearest[1:3])
    expected = [sample_id for sample_id in nearest if sample_id not in nearest[1:3]]
    for any_index in (index, fresh(dataset)):
        assert names_of(any_index.nearest(ids[0], 3)) == expected
        assert dataset.sort_by_similarity(ids[0], k=3, brain_key=KEY).values("id") == expected
        assert counts(any_index) == (0, 0, 2)
        assert any_index.total_index_size == 58


def test_a_sample_that_comes_back_as_it_was_is_found_again(indexed):
    dataset, index, ids = indexed
    before = index.nearest(ids[0])
    document = dataset._sample_collection.find_one({"_id": ObjectId(ids[7])})
    dataset.delete_samples([ids[7]])
    assert counts(index) == (0, 0, 1)
    dataset._sample_collection.insert_one(document)
    assert index.nearest(ids[0]) == fresh(dataset).nearest(ids[0]) == before
    assert counts(index) == (0, 0, 0)


def test_newer_samples_are_counted_and_found_once_the_index_is_built_again(indexed, data, tmp_path):
    dataset, index, ids = indexed
    dataset.delete_samples([ids[3]])
    added = fo.Sample(filepath=str(tmp_path / "new.png"), vgg16=data[8] * np.float32(2))
    dataset.add_samples([added, fo.Sample(filepath=str(tmp_path / "none.png"))])
    for any_index in (index, fresh(dataset)):
        assert added.id not in names_of(any_index.nearest(ids[8]))
        assert counts(any_index) == (1, 0, 1)
        with pytest.raises(ValueError, match="build_similarity_index"):
            any_index.nearest(added.id)
    index.rebuild()
    assert counts(index) == (0, 0, 0)
    assert set(names_of(fresh(dataset).nearest(ids[8], 2))) == {ids[8], added.id}


def test_changed_vectors_are_counted_and_not_found_where_they_were(indexed, data):
    dataset, index, ids = indexed
    dataset.set_values("vgg16", {ids[1]: -data[1]}, key_field="id")
    assert ids[1] not in names_of(index.nearest(data[1]))
    assert counts(index) == (0, 1, 0)
    dataset.set_values("vgg16", {ids[1]: data[1]}, key_field="id")
    assert counts(index) == (0, 0, 0)
    assert names_of(index.nearest(data[1], 1)) == [ids[1]]


@pytest.mark.parametrize("minutes", [-60 * 24 * 400, -5, 5])
@pytest.mark.parametrize("digested", [False, True])
def test_what_is_written_by_a_clock_that_goes_wrong_is_noticed(indexed, data, digested, minutes):
    dataset, index, ids = indexed
    if digested:
        digests(dataset, ["file"] * 60)
        index.rebuild()
    when = datetime.utcnow() + timedelta(minutes=minutes)
    write_by_another_clock(dataset, ids[1], np.append(data[1], 1) if digested else data[30], when)
    new = ObjectId.from_datetime(when)
    dataset._sample_collection.insert_one(
        {
            **dataset._sample_collection.find_one({"_id": ObjectId(ids[0])}),
            "_id": new,
            "last_modified_at": when,
        }
    )
    assert counts(index) == (1, 1, 0)
    assert ids[1] not in names_of(fresh(dataset).nearest(data[30]))


def test_a_write_that_goes_on_while_the_index_is_built_is_noticed_though_its_mark_was_there(indexed, data):
    dataset, index, ids = indexed
    mark = datetime(2020, 1, 1)
    write_by_another_clock(dataset, ids[0], data[0], mark)

    def go_on(done, total):
        write_by_another_clock(dataset, ids[1], data[30], mark)

    index.rebuild(progress=go_on)
    assert counts(index) == (0, 1, 0)


def test_another_models_vectors_are_noticed_though_the_digests_stay(indexed, data):
    dataset, index, _ = indexed
    digests(dataset, ["file"] * 60)
    index.rebuild()
    field = dataset.get_field("vgg16")
    field.info = {"onlyone": {"layer": "block5_max"}}
    field.save()
    dataset.set_values("vgg16", list(-data))
    assert counts(index) == (0, 60, 0)
    assert index.nearest(data[0]) == []


def test_cleared_vectors_and_a_deleted_field_leave_nothing_to_find(indexed):
    dataset, index, ids = indexed
    dataset.set_values("vgg16", {ids[0]: None}, key_field="id")
    assert ids[0] not in names_of(index.nearest(ids[1]))
    assert counts(index) == (0, 0, 1)
    dataset.delete_sample_field("vgg16")
    assert fresh(dataset).total_index_size == 0


def test_a_rebuild_that_is_stopped_leaves_the_old_index(indexed, folder):
    dataset, index, ids = indexed
    before = files(folder(dataset))

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.rebuild(progress=stop)
    assert files(folder(dataset)) == before
    assert index.nearest(ids[0], 1) == [(ids[0], 0.0)]


# --- files


@pytest.mark.parametrize("suffix", [".json", ".f32", ".ann", ""])
def test_any_file_may_be_deleted_at_any_time(indexed, folder, suffix):
    dataset, index, ids = indexed
    expected = index.nearest(ids[4], 5)
    assert sorted(path.suffix for path in folder(dataset).iterdir()) == [".ann", ".f32", ".json"]
    for path in folder(dataset).iterdir():
        if path.name.endswith(suffix):
            path.unlink()
    assert index.nearest(ids[4], 5) == expected
    assert fresh(dataset).nearest(ids[4], 5) == expected
    assert len(files(folder(dataset))) == 3


@pytest.mark.parametrize("suffix", [".json", ".f32", ".ann"])
def test_a_file_with_one_byte_changed_is_refused_until_the_index_is_built_again(indexed, folder, suffix, run):
    dataset, index, ids = indexed
    expected = index.nearest(ids[4], 5)
    (path,) = folder(dataset).glob(f"*{suffix}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)  # in place: a reader has it mapped
    for search in (index.nearest, lambda *query: fresh(dataset).nearest(*query)):
        with pytest.raises(ValueError, match="build_similarity_index") as refused:
            search(ids[4], 5)
        assert type(refused.value).__name__ == "IndexDamaged"
    run("build_similarity_index", dataset, n_trees=10)
    assert fresh(dataset).nearest(ids[4], 5) == expected


def test_the_files_of_another_datasets_index_are_refused(indexed, vector_dataset, data, folder):
    dataset, _, ids = indexed
    other = vector_dataset(data)
    compute(other, n_trees=10)
    for path in folder(other).iterdir():
        path.rename(folder(dataset) / path.name)
    with pytest.raises(ValueError, match="build_similarity_index"):
        fresh(dataset).nearest(ids[0], 1)


def test_deleting_the_brain_run_deletes_its_files(indexed, folder):
    dataset, _, _ = indexed
    assert folder(dataset).is_dir()
    dataset.delete_brain_run(KEY)
    assert not folder(dataset).parent.exists()


def test_renaming_the_brain_run_moves_its_files(indexed, folder):
    dataset, _, ids = indexed
    before = files(folder(dataset))
    dataset.rename_brain_run(KEY, "renamed")
    assert files(folder(dataset, "renamed")) == before
    assert not folder(dataset).exists()
    assert fresh(dataset, "renamed").nearest(ids[0], 1) == [(ids[0], 0.0)]
    assert files(folder(dataset, "renamed")) == before


def test_a_clone_of_the_dataset_has_an_index_of_its_own(indexed, folder):
    dataset, _, _ = indexed
    clone = dataset.clone()
    try:
        assert clone.load_brain_results(KEY).total_index_size == 60
        assert folder(clone).is_dir()
    finally:
        clone.delete_brain_run(KEY)
        fo.delete_dataset(clone.name)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o2777])
def test_who_may_write_into_the_home_may_write_every_file_of_an_index(
    indexed, folder, tmp_path, mode, monkeypatch
):
    dataset, _, _ = indexed
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(mode)
    monkeypatch.setenv("ONLYONE_HOME", str(tmp_path / "home"))
    fresh(dataset)
    made = list((tmp_path / "home" / "indexes").rglob("*"))
    assert folder(dataset) / "index.json" in made
    for path in made:
        assert path.stat().st_mode & 0o022 == mode & 0o022, path


def test_a_home_that_cannot_be_written_is_named_with_the_remedy(indexed, tmp_path, monkeypatch):
    (tmp_path / "indexes").write_text("a file")
    monkeypatch.setenv("ONLYONE_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=f"{tmp_path / 'indexes'}.*ONLYONE_HOME"):
        fresh(indexed[0])


def test_home_is_beside_fiftyones_configuration_unless_named_and_never_where_files_are_served(
    plugin, monkeypatch, tmp_path
):
    home = plugin("similarity.data.home").home
    monkeypatch.setenv("ONLYONE_HOME", str(tmp_path / "named"))
    assert home() == tmp_path / "named"
    monkeypatch.setenv("ONLYONE_HOME", str(ROOT / "similarity" / "cache"))
    with pytest.raises(ValueError, match=re.escape(str(ROOT))):
        home()
    monkeypatch.delenv("ONLYONE_HOME")
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))
    assert home() == tmp_path / "onlyone"


# --- processes


def start(code, *arguments):
    """Start a second Python process with the same FiftyOne settings, outside the repository's folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        cwd=os.environ["HOME"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip().splitlines()[-1]


LOAD = """
import sys, fiftyone as fo, fiftyone.operators as foo
foo.list_operators()
dataset = fo.load_dataset(sys.argv[1])
print("ready", flush=True)
input()
index = dataset.load_brain_results(sys.argv[2])
print(type(index).__name__, index.nearest(sys.argv[3], 3)[1][0])
"""


def test_processes_that_build_and_read_at_once_all_answer_right(indexed, folder):
    dataset, index, ids = indexed
    expected = f"AnnoySimilarityIndex {index.nearest(ids[0], 3)[1][0]}"
    processes = [start(LOAD, dataset.name, KEY, ids[0]) for _ in range(2)]
    assert all(any(line == "ready\n" for line in process.stdout) for process in processes)
    (folder(dataset) / "index.json").unlink()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    while any(process.poll() is None for process in processes):
        index.rebuild()
        assert index.nearest(ids[0], 3)[0] == (ids[0], 0.0)
    assert [answer(process) for process in processes] == [expected] * 2
    assert not list(folder(dataset).glob("*.part"))
