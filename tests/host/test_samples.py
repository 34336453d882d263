import numpy as np
import pytest

from tests import support
from tests.vectors import directions, documents

import fiftyone as fo  # isort: skip

sm = support.plugin("similarity.data.samples")
vectors = support.plugin("similarity.data.vectors")


@pytest.fixture
def numbered(dataset):
    """Six samples whose ``number`` is not in the order of their ids."""
    return dataset([f"/{i}.png" for i in range(6)], number=[3, 1, 2, 3, 1, 2])


# --- reading in order


def test_without_an_order_samples_come_by_id_whatever_order_they_are_stored_in(numbered):
    ids = sorted(numbered.values("id"))
    moved = numbered.select(ids[:2]).clone()
    numbered.delete_samples(ids[:2])
    numbered.add_collection(moved, new_ids=False)
    moved.delete()
    assert numbered.values("id") != ids
    for samples in (
        numbered,
        numbered.view(),
        numbered.select(ids),
        numbered.match(fo.ViewField("number") > 0),
    ):
        assert sm.read(samples)[0] == ids


def test_a_view_with_an_order_keeps_it(numbered):
    ids = numbered.values("id")
    backwards = ids[::-1]
    for samples in (
        numbered.sort_by("id", reverse=True),
        numbered.select(backwards, ordered=True),
        numbered.select_by("filepath", numbered.values("filepath")[::-1], ordered=True),
        numbered.sort_by("id", reverse=True).limit(6),
        numbered.skip(3).sort_by("id", reverse=True).concat(numbered.limit(3).sort_by("id", reverse=True)),
    ):
        assert sm.is_ordered(samples)
        assert sm.read(samples)[0] == backwards
    shuffled = numbered.shuffle(seed=1)
    assert sm.read(shuffled)[0] == shuffled.values("id") != ids


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("key", ["number", fo.ViewField("number") * 2, [("number", 1)], [("number", "asc")]])
def test_ties_of_a_sorted_view_come_by_id(numbered, key, reverse):
    ids, numbers = numbered.values(["id", "number"])
    expected = sorted(zip(numbers, ids, strict=True), key=lambda p: (-p[0] if reverse else p[0], p[1]))
    for samples in (numbered.sort_by(key, reverse=reverse), numbered.match({}).sort_by(key, reverse=reverse)):
        assert sm.read(sm.flat(samples))[0] == [sample_id for _, sample_id in expected]


def test_values_stay_with_their_samples(numbered):
    ids, numbers, paths = sm.read(numbered.sort_by("filepath", reverse=True), "number", "filepath")
    for sample_id, number, path in zip(ids, numbers, paths, strict=True):
        assert (numbered[sample_id].number, numbered[sample_id].filepath) == (number, path)


def test_a_sample_that_a_view_holds_twice_is_read_once(numbered):
    twice = numbered.view().concat(numbered.sort_by("id", reverse=True))
    assert sm.read(twice)[0] == numbered.values("id")


def test_settled_views_do_not_change_with_the_fields_they_read(numbered):
    ids = numbered.values("id")
    view = numbered.match(fo.ViewField("number") == 1).sort_by("id", reverse=True)
    settled = sm.settled(view, "number")
    numbered.set_values("number", [0] * 6)
    assert sm.read(settled)[0] == [ids[4], ids[1]]
    assert sm.settled(view, "other") is view


# --- writing


def test_writing_touches_the_named_samples_and_fields_alone(numbered):
    numbered.add_sample_field("vector", fo.VectorField)
    ids, before = numbered.values("id"), documents(numbered)
    sm.write(numbered, {"vector": {ids[1]: np.ones(3, np.float32)}, "number": {ids[1]: 7, ids[4]: None}})
    after = documents(numbered)
    assert [i for i in ids if after[i] != before[i]] == [ids[1], ids[4]]
    assert numbered.values("number") == [3, 7, 2, 3, None, 2]
    vector = numbered.values("vector")[1]
    assert (vector.dtype, vector.tolist()) == (np.float32, [1, 1, 1])


def test_writing_shows_in_samples_at_hand_and_in_their_time_stamps(numbered):
    sample = numbered.first()
    before = sample.last_modified_at
    sm.write(numbered, {"number": {sample.id: 9}})
    assert sample.number == 9
    assert sample.last_modified_at > before


def test_more_samples_than_one_operation_takes_are_all_written(numbered, monkeypatch):
    monkeypatch.setattr(sm, "CHUNK", 2)
    sm.write(numbered, {"number": dict.fromkeys(numbered.values("id"), 5)})
    sm.tag(numbered, {"all": numbered.values("id")})
    assert numbered.values("number") == [5] * 6
    assert numbered.count_sample_tags() == {"all": 6}


def test_writing_a_deleted_sample_does_nothing(numbered):
    lost = numbered.first().id
    numbered.delete_samples([lost])
    sm.write(numbered, {"number": {lost: 1}})
    assert numbered.count() == 5


def test_tags_of_the_full_pattern_alone_are_removed(numbered):
    mine = ["dedup:noise:x", "xdedup:noise", "Dedup:noise", "mine"]
    numbered.tag_samples([*mine, "dedup:noise"])
    sm.untag(numbered, "dedup:noise|dedup:cluster")
    assert [sorted(tags) for tags in numbered.values("tags")] == [sorted(mine)] * 6


@pytest.mark.parametrize("scope", [None, 4])
def test_tags_are_replaced_within_their_scope_and_others_stay(numbered, scope):
    ids = numbered.values("id")
    numbered.tag_samples(["a", "mine"])
    sm.replace_tags(numbered, {"b": ids[:2], "a": ids[1:3]}, among=ids[:scope] if scope else None)
    beyond = {"a", "mine"} if scope else {"mine"}
    wanted = [{"b", "mine"}, {"a", "b", "mine"}, {"a", "mine"}, {"mine"}, beyond, beyond]
    assert [set(tags) for tags in numbered.values("tags")] == wanted


def test_replaced_values_are_cleared_elsewhere_and_unchanged_samples_are_not_touched(numbered):
    ids, before = numbered.values(["id", "last_modified_at"])
    sm.replace(numbered, {"number": {ids[0]: 3, ids[1]: 9}})
    assert numbered.values("number") == [3, 9, None, None, None, None]
    touched = [old != new for old, new in zip(before, numbered.values("last_modified_at"), strict=True)]
    assert touched == [False, *[True] * 5]


def test_a_declared_field_says_what_it_holds_from_the_moment_it_exists(numbered):
    sm.declare_field(numbered, "mark", fo.IntField, "A mark", {"run_key": "dedup"})
    fresh = fo.load_dataset(numbered.name, reload=True)
    assert fresh.get_field("mark").description == "A mark"
    assert sm.provenance(fresh, "mark") == {"run_key": "dedup"}
    sm.declare_field(numbered, "mark", fo.IntField, "Another", {"run_key": "other"})
    assert sm.provenance(numbered, "mark") == {"run_key": "other"}


# --- vectors


def test_vectors_come_with_their_ids_in_order_and_a_digest_that_no_order_changes(vector_dataset):
    made = vector_dataset(directions(0, 10, 20))
    ids = made.values("id")
    forwards, backwards = (vectors.read_vectors(s, "vgg16") for s in (made, made.sort_by("id", reverse=True)))
    assert backwards.ids == ids[::-1]
    assert np.array_equal(backwards.matrix, forwards.matrix[::-1])
    assert forwards.digest == backwards.digest
    made.set_values("vgg16", list(directions(10, 0, 20)))
    assert vectors.read_vectors(made, "vgg16").digest != forwards.digest


def test_a_size_that_the_provenance_names_counts_more_than_the_most_common_one(vector_dataset):
    made = vector_dataset([[1, 0], [1, 0, 0], [0, 1, 0]])
    assert len(vectors.read_vectors(made, "vgg16").ids) == 2
    field = made.get_field("vgg16")
    field.info = {"onlyone": {"dimension": 2}}
    field.save()
    assert vectors.read_vectors(made, "vgg16").ids == made.values("id")[:1]


def test_an_error_field_of_somebody_else_is_not_taken_for_a_reason(vector_dataset):
    made = vector_dataset([[1, 0], None])
    made.set_values("vgg16_error", [0.1, 0.2])
    (reason,) = vectors.read_vectors(made, "vgg16").skipped.values()
    assert "compute_embeddings" in reason


def test_fields_with_vectors_are_offered(dataset):
    made = dataset(["/1.png"], clip=[[0.1, 0.2]], vgg=[np.ones(2)], number=[1], names=[["a"]])
    assert sorted(vectors.vector_fields(made)) == ["clip", "vgg"]


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, -2.5, np.nan]),
        np.array([1, 2], np.float16),
        np.array([3, 4], ">f4"),
        np.arange(3, dtype=np.int8)[::-1],
        np.array([], np.float32),
        np.ones((2, 2)),
        [0.5, 2.0],
    ],
    ids=str,
)
def test_a_stored_vector_is_read_as_fiftyone_reads_it(value):
    field = fo.VectorField()
    stored = value if isinstance(value, list) else field.to_mongo(value)
    ours, theirs = vectors.decode(stored), field.to_python(stored)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_a_value_that_is_no_list_of_numbers_is_skipped_and_said_so(vector_dataset):
    made = vector_dataset([[1, 0], [0, 1]])
    made._sample_collection.update_one({}, {"$set": {"vgg16": ["a", "b"]}})
    (reason,) = vectors.read_vectors(made, "vgg16").skipped.values()
    assert "list of numbers" in reason
