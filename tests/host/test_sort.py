"""What a search looks through, and searching for a picture that is not in the dataset."""

import pytest

from tests import support
from tests.vectors import directions

import fiftyone as fo  # isort: skip
import fiftyone.brain as fob  # isort: skip
from fiftyone import ViewField as F  # isort: skip


@pytest.fixture
def indexed(vector_dataset):
    """Nine directions, ever further from each other, under an index; those at an even place are tagged."""
    made = vector_dataset(directions(*(place**2 for place in range(9))))
    made.match(F("filepath").re_match("[02468].png")).tag_samples("even")
    support.foo.get_operator(support.uri("build_similarity_index"))(made)
    return made


def sort(target, *selected, k=3):
    """Press the button over a view in the App: the view that the App then shows, as the App sends it back."""
    asked = dict(support.requests(support.run("sort_by_similarity", target, selected=selected, k=k)))
    return fo.DatasetView._build(target._root_dataset, asked["set_view"]["view"])


def places(view):
    return [int(path[-10:-4]) for path in view.values("filepath")]


def test_a_second_search_looks_through_what_the_first_one_did(indexed):
    ids = indexed.values("id")
    first = sort(indexed, ids[0])
    second = sort(first, ids[3])
    third = sort(second.sort_by("filepath"), ids[4])
    assert (places(first), places(second)) == ([0, 1, 2], [3, 2, 4])
    assert places(third) == [4, 3, 5]
    assert third.values("similarity")[0] == 100
    assert set(indexed.values("similarity")) == {None}


def test_a_second_search_keeps_a_persons_own_filters_before_and_after_the_first(indexed):
    ids = indexed.values("id")
    found = sort(indexed.match_tags("even"), ids[0])
    assert places(found) == [0, 2, 4]
    assert places(sort(found, ids[6])) == [6, 4, 8]
    assert places(sort(sort(indexed, ids[0]).match_tags("even"), ids[6])) == [6, 4, 8]


def test_a_search_after_fiftyones_own_looks_through_everything(indexed):
    ids = indexed.values("id")
    own = indexed.sort_by_similarity(ids[0], k=3, brain_key="vgg16_annoy")
    assert places(sort(own, ids[4])) == [4, 3, 5]
    assert places(sort(indexed.select(ids[:3], ordered=True), ids[4])) == [4, 3, 5]


def test_a_search_stays_inside_a_persons_choice_of_samples_and_inside_a_saved_view(indexed):
    ids = indexed.values("id")
    assert places(sort(indexed.select(ids[:3]), ids[4])) == [2, 1, 0]
    assert places(sort(indexed.limit(3), ids[4])) == [2, 1, 0]
    indexed.save_view("worst", indexed.select(ids[:3], ordered=True))
    found = sort(indexed.load_saved_view("worst"), ids[4], k=2)
    assert places(found) == [2, 1]
    assert places(sort(found, ids[0], k=2)) == [0, 1]


def test_a_search_counts_the_newer_and_the_changed_samples_and_names_the_operator(indexed, tmp_path):
    ids = indexed.values("id")
    overview = support.plugin("similarity.steps.states")

    def told():
        found = support.foo.get_operator(support.uri("sort_by_similarity"))(indexed, selected=[ids[0]])
        assert found.summary().endswith(found.advice)
        return found.newer, found.changed, "build_similarity_index" in found.advice

    assert told() == (0, 0, False)
    new = [fo.Sample(filepath=str(tmp_path / f"{n}.png"), vgg16=directions(n)[0]) for n in (5, 6)]
    indexed.add_samples(new)
    indexed.set_values("vgg16", {ids[1]: directions(90)[0]}, key_field="id")
    assert told() == (2, 1, True)
    assert overview._index(indexed, "vgg16").state == overview.STALE
    support.foo.get_operator(support.uri("build_similarity_index"))(indexed)
    assert told() == (0, 0, False)
    assert overview._index(indexed, "vgg16").state == overview.DONE


def test_a_picture_is_refused_where_the_weights_are_not_those_of_the_vectors(vector_dataset, pictures):
    made = vector_dataset(directions(0, 1))
    embed = support.plugin("similarity.engine.vgg16").provenance
    info = {
        **embed(layer="block5_mean", weights="untrained"),
        "weights_source": "untrained",
        "weights_digest": "another",
    }
    support.plugin("similarity.data.samples").declare_field(made, "vgg16", fo.VectorField, "vectors", info)
    support.foo.get_operator(support.uri("build_similarity_index"))(made)

    with pytest.raises(ValueError, match=r"made with weights_digest 'another'.*recompute=True"):
        support.foo.get_operator(support.uri("sort_by_similarity"))(made, picture=str(pictures(1, 1)[0]))


def test_an_index_of_another_backend_and_a_run_of_another_kind_are_refused_by_name(indexed):
    fob.compute_similarity(indexed, embeddings=directions(*range(9)), brain_key="native", backend="sklearn")
    fob.compute_visualization(indexed, embeddings="vgg16", brain_key="map", method="pca")
    for key, told in (("native", "'sklearn'"), ("map", "no similarity index")):
        with pytest.raises(ValueError, match=rf"(?=.*'{key}').*{told}"):
            support.foo.get_operator(support.uri("sort_by_similarity"))(
                indexed, selected=indexed.values("id")[:1], brain_key=key
            )


def test_an_index_stays_where_another_one_of_its_name_cannot_be_built(indexed):
    indexed.add_sample_field("empty", fo.VectorField)
    with pytest.raises(ValueError, match=r"'empty'.*compute_embeddings"):
        support.foo.get_operator(support.uri("build_similarity_index"))(indexed, embeddings_field="empty")
    assert places(sort(indexed, indexed.values("id")[0])) == [0, 1, 2]
